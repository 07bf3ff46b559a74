"""Tests for the exceptions: their base classes, attributes and texts."""

from __future__ import annotations

import copy
import pickle
import unittest

from segment_logging import (
    ConfigurationError,
    DeliveryError,
    InvalidMessage,
    MessageTooLarge,
    SegmentError,
)


class TestErrors(unittest.TestCase):
    def test_one_base(self) -> None:
        """Every error of the package is a SegmentError."""
        for kind in (ConfigurationError, DeliveryError, InvalidMessage, MessageTooLarge):
            self.assertTrue(issubclass(kind, SegmentError), kind)

    def test_value_errors(self) -> None:
        """A caller's mistake is a ValueError; a network failure is not."""
        for kind in (ConfigurationError, InvalidMessage, MessageTooLarge):
            self.assertTrue(issubclass(kind, ValueError), kind)
        self.assertFalse(issubclass(DeliveryError, ValueError))

    def test_too_large_is_invalid(self) -> None:
        """One except clause catches every message that can never be sent."""
        self.assertTrue(issubclass(MessageTooLarge, InvalidMessage))

    def test_too_large_says_sizes(self) -> None:
        """A MessageTooLarge holds the size and the limit, as attributes and in its text."""
        error = MessageTooLarge(33_000, 32_000)
        self.assertEqual((error.size_bytes, error.limit_bytes), (33_000, 32_000))
        self.assertIn("message of 33,000 bytes", str(error))
        self.assertIn("32,000", str(error))

    def test_invalid_names_no_field_by_default(self) -> None:
        """An InvalidMessage about the whole message has no field."""
        self.assertIsNone(InvalidMessage("no").field)
        self.assertEqual(InvalidMessage("no", field="event").field, "event")

    def test_delivery_error_defaults(self) -> None:
        """By default, a DeliveryError is a network failure and can be retried."""
        error = DeliveryError("no answer")
        self.assertEqual((error.status, error.retry_after, error.retryable), (None, None, True))

    def test_pickled_and_copied(self) -> None:
        """Errors can be copied, and can be pickled to pass them between processes."""
        for error in (
            InvalidMessage("no", field="event"),
            DeliveryError("no", status=429, retry_after=3.0, retryable=True),
            MessageTooLarge(33_000, 32_000),
        ):
            for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
                self.assertEqual(str(again), str(error))
                self.assertEqual(vars(again), vars(error))

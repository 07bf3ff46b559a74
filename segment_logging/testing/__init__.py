"""Test utilities: captured events, assertions, and a client that does not use the network.

    class SignUp(SegmentTestCase):
        def test_event(self):
            sign_up("u-17")
            self.assertTracked("Signup", user_id="u-17", properties={"plan": "pro"})

With pytest, use the `segment_events` fixture. With any other framework, use `capture_segment()`.
"""

from .._client import http_client as _http_client  # noqa: F401  # before a test forks or is timed
from .captured import Captured
from .capturing import capture_segment
from .case import SegmentTestCase
from .failures import PassedOver
from .fake import Answer, FakeClient, Script
from .forbidding import SendingForbidden, allow_sending, forbid_sending

__all__ = [
    "Answer",
    "Captured",
    "FakeClient",
    "PassedOver",
    "Script",
    "SegmentTestCase",
    "SendingForbidden",
    "allow_sending",
    "capture_segment",
    "forbid_sending",
]

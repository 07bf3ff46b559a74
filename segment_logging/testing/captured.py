"""The messages that a test captured, and assertions about them."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Never, cast, overload

from typing_extensions import override

from .._messages.calls import Call, Identify, Track
from .._options.table import refuse_unknown
from ..errors import SegmentError, UnknownArgument
from .expectation import Expectation
from .failures import PassedOver, no_match, refused, title_of, unwanted

__unittest = True  # makes unittest leave this module's frames out of tracebacks

KEPT_PASSED_OVER = 1000


class Captured(Sequence[Call]):
    """A sequence of the captured messages, in the order in which they were logged.

    In all assertions, a field that you do not name can have any value. An object, such as
    `properties`, must contain the keys that you name and may contain others. `...` matches any
    value, and None matches a missing value. Other values are compared with `==`, and then by their
    JSON form. The failure message lists the captured messages, nearest first.

    Attributes:
        messages: the captured calls.
        invalid: the errors for events that were refused because Segment would drop them.
        passed_over: the latest records that did not become messages, with the reasons. This
            includes refused events.
    """

    def __init__(self) -> None:
        self.messages: list[Call] = []
        self.invalid: list[BaseException] = []
        self.passed_over: deque[PassedOver] = deque(maxlen=KEPT_PASSED_OVER)
        self._refused: list[PassedOver] = []  # one for each error in `invalid`
        self._told = 0  # the number of these errors that a failure has already shown

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    @override
    def __getitem__(self, index: int | slice) -> Any:
        return self.messages[index]

    @override
    def __len__(self) -> int:
        return len(self.messages)

    @override
    def __repr__(self) -> str:
        return f"<Captured {len(self)}: {'; '.join(map(title_of, self))}>"

    def clear(self) -> None:
        """Forget everything captured so far, including refused events."""
        self.messages.clear()
        self.invalid.clear()
        self.passed_over.clear()
        self._refused.clear()
        self._told = 0

    def refuse(self, error: BaseException, record: PassedOver) -> None:
        """Record why an event was refused."""
        self.invalid.append(error)
        self._refused.append(record)

    def raise_refused(self) -> None:
        """Raise the error of a refused event, unless a failure has already shown it.

        Raises:
            InvalidMessage: Segment would drop the event. If a hook or a property raised another
                exception, that exception is raised instead.
        """
        if self._told < len(self.invalid):
            error, record = self.invalid[self._told], self._refused[self._told]
            self._told = len(self.invalid)
            error.add_note(f"it was logged at {record.place}")
            if isinstance(error, SegmentError):  # its traceback would only show this package
                error.__traceback__ = None
            raise error

    def assert_valid(self) -> None:
        """Fail if an event was refused, unless a failure has already shown that."""
        __tracebackhide__ = True
        if self._told < len(self.invalid):
            error, records = self.invalid[self._told], self._refused[self._told :]
            self._told = len(self.invalid)
            cause = error.__cause__ if isinstance(error, SegmentError) else error
            raise AssertionError(refused(records)) from cause

    def assert_tracked(
        self,
        /,
        event: Any = ...,
        *,
        user_id: Any = ...,
        anonymous_id: Any = ...,
        properties: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        times: int | None = None,
        **unknown: Never,
    ) -> Track:
        """Fail unless a matching track call was captured. Return the first match.

        Args:
            event: the event's name.
            user_id: the user's id. None matches calls without one.
            anonymous_id: the visitor's id. None matches calls without one.
            properties: properties that the call must have.
            context: context that the call must have.
            times: the exact number of matching calls. None means one or more.

        Raises:
            UnknownArgument: the assertion does not have this argument. This is a TypeError.
        """
        __tracebackhide__ = True
        _refuse("assert_tracked", unknown, _TRACK_ARGUMENTS, "assert_sent('track', {}=...)")
        return cast(
            Track,
            self.assert_sent(
                "track",
                event=event,
                user_id=user_id,
                anonymous_id=anonymous_id,
                properties=properties or ...,
                context=context or ...,
                times=times,
            ),
        )

    def assert_not_tracked(
        self,
        /,
        event: Any = ...,
        *,
        user_id: Any = ...,
        anonymous_id: Any = ...,
        properties: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> None:
        """Fail if a matching track call was captured.

        Without arguments, fail if any track call was captured.

        Args:
            event: the event's name.
            user_id: the user's id. None matches calls without one.
            anonymous_id: the visitor's id. None matches calls without one.
            properties: properties that the call must have to match.
            context: context that the call must have to match.

        Raises:
            UnknownArgument: the assertion does not have this argument. This is a TypeError.
        """
        __tracebackhide__ = True
        general = "assert_not_sent('track', {}=...)"
        _refuse("assert_not_tracked", unknown, _NOT_TRACKED_ARGUMENTS, general)
        self.assert_not_sent(
            "track",
            event=... if event is None else event,
            user_id=user_id,
            anonymous_id=anonymous_id,
            properties=properties or ...,
            context=context or ...,
        )

    def assert_identified(
        self,
        /,
        user_id: Any = ...,
        *,
        anonymous_id: Any = ...,
        traits: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        times: int | None = None,
        **unknown: Never,
    ) -> Identify:
        """Fail unless a matching identify call was captured. Return the first match.

        Args:
            user_id: the user's id. None matches calls without one.
            anonymous_id: the visitor's id. None matches calls without one.
            traits: traits that the call must have.
            context: context that the call must have.
            times: the exact number of matching calls. None means one or more.

        Raises:
            UnknownArgument: the assertion does not have this argument. This is a TypeError.
        """
        __tracebackhide__ = True
        general = "assert_sent('identify', {}=...)"
        _refuse("assert_identified", unknown, _IDENTIFY_ARGUMENTS, general)
        return cast(
            Identify,
            self.assert_sent(
                "identify",
                user_id=user_id,
                anonymous_id=anonymous_id,
                traits=traits or ...,
                context=context or ...,
                times=times,
            ),
        )

    def assert_sent(
        self, /, call_type: str | None = None, *, times: int | None = None, **fields: Any
    ) -> Call:
        """Fail unless a call with this type and these fields was captured. Return the first match.

        Args:
            call_type: "identify", "track", "page", "screen", "group" or "alias". None means any.
            times: the exact number of matching calls. None means one or more.
            fields: the expected fields, named as in `extra`: `user_id`, `name`, `group_id`,
                `traits` and so on.

        Raises:
            UnknownArgument: calls of this type do not have this field. This is a TypeError.
            ValueError: `times` is below 1. Use `assert_not_sent` to expect no call.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError(
                f"times must be 1 or more, not {times}: "
                "to expect no call, assert that it was not sent"
            )
        expectation = Expectation(call_type, fields)
        found = [call for call in self.messages if not expectation.differences(call)]
        if not found or (times is not None and len(found) != times):
            self._told = len(self.invalid)
            missing = no_match(
                expectation, times, self.messages, self.passed_over,
                has_django="django.db.transaction" in sys.modules,
            )  # fmt: skip
            raise AssertionError(missing)
        return found[0]

    def assert_not_sent(self, /, call_type: str | None = None, **fields: Any) -> None:
        """Fail if a call with this type and these fields was captured.

        Without arguments, fail if any call was captured.

        Args:
            call_type: see `assert_sent`.
            fields: see `assert_sent`.

        Raises:
            UnknownArgument: calls of this type do not have this field. This is a TypeError.
        """
        __tracebackhide__ = True
        expectation = Expectation(call_type, fields)
        if any(not expectation.differences(call) for call in self.messages):
            raise AssertionError(unwanted(expectation, self.messages))


_NOT_TRACKED_ARGUMENTS = ("event", "user_id", "anonymous_id", "properties", "context")
_TRACK_ARGUMENTS = (*_NOT_TRACKED_ARGUMENTS, "times")
_IDENTIFY_ARGUMENTS = ("user_id", "anonymous_id", "traits", "context", "times")
_OTHER_FIELDS = ("message_id", "timestamp", "integrations")


def _refuse(assertion: str, unknown: Iterable[str], known: Sequence[str], general: str) -> None:
    """Raise an error for the first argument that an assertion does not have.

    `general` is the assertion that takes any field, with `{}` for the name of one.
    """
    __tracebackhide__ = True
    for name in unknown:
        if name in _OTHER_FIELDS:
            raise UnknownArgument(
                f"{assertion} has no argument {name!r}: use {general.format(name)}"
            )
    place = "properties" if "properties" in known else "traits"
    refuse_unknown(assertion, unknown, known, f"pass it in {place}={{...}}")

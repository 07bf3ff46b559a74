"""What a test captured, and the assertions about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Never, cast, overload

from typing_extensions import override

from .._messages.calls import Call, Identify, Track
from .._options.table import refuse_unknown
from ..errors import SegmentError
from .expectation import Expectation
from .failures import PassedOver, no_match, refused, title_of, unwanted

__unittest = True  # makes unittest show the line of the test and none of this module

KEPT_PASSED_OVER = 1000


class Captured(Sequence[Call]):
    """What was captured: a sequence of messages in the order in which they were logged.

    In every assertion, a field that you do not name may be anything. An object, such as
    `properties`, must hold the keys that you name, and may hold more. `...` expects any value, and
    None expects no value. Other values are compared by `==`, or else as JSON would hold them. A
    failure shows what was captured, nearest first.

    Attributes:
        messages: the calls.
        invalid: the errors of events that were refused, because Segment would have dropped them.
        passed_over: the last records that did not become messages, and why not. Refused events are
            among them.
    """

    def __init__(self) -> None:
        self.messages: list[Call] = []
        self.invalid: list[BaseException] = []
        self.passed_over: deque[PassedOver] = deque(maxlen=KEPT_PASSED_OVER)
        self._refused: list[PassedOver] = []  # one for each error in `invalid`
        self._told = 0  # how many of these errors a failure has shown already

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
        """Remember why an event was refused."""
        self.invalid.append(error)
        self._refused.append(record)

    def raise_refused(self) -> None:
        """Raise the error of a refused event, unless a failure has shown it already.

        Raises:
            InvalidMessage: Segment would drop the event. If a hook or a property raised something
                else, that is raised here.
        """
        if self._told < len(self.invalid):
            error, record = self.invalid[self._told], self._refused[self._told]
            self._told = len(self.invalid)
            error.add_note(f"it was logged at {record.place}")
            if isinstance(error, SegmentError):  # its traceback only shows this package
                error.__traceback__ = None
            raise error

    def assert_valid(self) -> None:
        """Fail if an event was refused, unless a failure has shown that already."""
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
        """Fail unless a track call like this was captured. Return the first one.

        Args:
            event: the name of the event.
            user_id: the user's id; None expects a call without one.
            anonymous_id: the visitor's id; None expects a call without one.
            properties: some of the properties.
            context: some of the context.
            times: how many such calls there must be; None accepts any number but 0.

        Raises:
            UnknownArgument: the assertion has no such argument. This is a TypeError.
        """
        __tracebackhide__ = True
        refuse_unknown("assert_tracked", unknown, _TRACK_ARGUMENTS, "pass it in properties={...}")
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
        """Fail if a track call like this was captured; without arguments, if any track call was.

        Args:
            event: the name of the event.
            user_id: the user's id; None means a call without one.
            anonymous_id: the visitor's id; None means a call without one.
            properties: some of the properties.
            context: some of the context.

        Raises:
            UnknownArgument: the assertion has no such argument. This is a TypeError.
        """
        __tracebackhide__ = True
        way_out = "pass it in properties={...}"
        refuse_unknown("assert_not_tracked", unknown, _TRACK_ARGUMENTS, way_out)
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
        """Fail unless an identify call like this was captured. Return the first one.

        Args:
            user_id: the user's id; None expects a call without one.
            anonymous_id: the visitor's id; None expects a call without one.
            traits: some of the traits.
            context: some of the context.
            times: how many such calls there must be; None accepts any number but 0.

        Raises:
            UnknownArgument: the assertion has no such argument. This is a TypeError.
        """
        __tracebackhide__ = True
        refuse_unknown("assert_identified", unknown, _IDENTIFY_ARGUMENTS, "pass it in traits={...}")
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
        """Fail unless a call of this type, with these fields, was captured. Return the first one.

        Args:
            call_type: "identify", "track", "page", "screen", "group" or "alias"; None for any.
            times: how many such calls there must be; None accepts any number but 0.
            fields: the names are those in `extra`: `user_id`, `name`, `group_id`, `traits` ...

        Raises:
            UnknownArgument: such a call has no such field. This is a TypeError.
            ValueError: times is below 1; use `assert_not_sent` to expect no call.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError(
                f"times must be 1 or more, not {times}: "
                "to expect no such call, assert that it was not sent"
            )
        expectation = Expectation(call_type, fields)
        found = [call for call in self.messages if not expectation.differences(call)]
        if not found or (times is not None and len(found) != times):
            self._told = len(self.invalid)
            raise AssertionError(no_match(expectation, times, self.messages, self.passed_over))
        return found[0]

    def assert_not_sent(self, /, call_type: str | None = None, **fields: Any) -> None:
        """Fail if a call of this type, with these fields, was captured.

        Without arguments, fail if any call was captured.

        Args:
            call_type: as for `assert_sent`.
            fields: as for `assert_sent`.

        Raises:
            UnknownArgument: such a call has no such field. This is a TypeError.
        """
        __tracebackhide__ = True
        expectation = Expectation(call_type, fields)
        if any(not expectation.differences(call) for call in self.messages):
            raise AssertionError(unwanted(expectation, self.messages))


_TRACK_ARGUMENTS = ("event", "user_id", "anonymous_id", "properties", "context", "times")
_IDENTIFY_ARGUMENTS = ("user_id", "anonymous_id", "traits", "context", "times")

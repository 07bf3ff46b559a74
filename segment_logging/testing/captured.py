"""What a test captured, and what it asserts of it."""

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

__unittest = True  # unittest then shows the line of the test, and none of these

KEPT_PASSED_OVER = 1000


class Captured(Sequence[Call]):
    """What was captured, as a sequence of messages in the order in which they were logged.

    In every assertion, a field that is not named may be anything. An object, such as `properties`,
    has what is named of it, and perhaps more. `...` expects any value, and None expects none. Other
    values compare by `==`, or as JSON has them. A failure shows what was captured, nearest first.

    Attributes:
        messages: the calls.
        invalid: why events that Segment would have dropped were refused.
        passed_over: the last records that became no message, refused ones among them, and why.
    """

    def __init__(self) -> None:
        self.messages: list[Call] = []
        self.invalid: list[BaseException] = []
        self.passed_over: deque[PassedOver] = deque(maxlen=KEPT_PASSED_OVER)
        self._refused: list[PassedOver] = []  # as long as `invalid`
        self._told = 0  # of these

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
        """Forget what was captured until now, refused events included."""
        self.messages.clear()
        self.invalid.clear()
        self.passed_over.clear()
        self._refused.clear()
        self._told = 0

    def refuse(self, error: BaseException, record: PassedOver) -> None:
        """Keep why an event was refused."""
        self.invalid.append(error)
        self._refused.append(record)

    def raise_refused(self) -> None:
        """Raise why an event was refused, unless a failure has said so already.

        Raises:
            InvalidMessage: Segment would drop the event; or what a hook or a property raised.
        """
        if self._told < len(self.invalid):
            error, record = self.invalid[self._told], self._refused[self._told]
            self._told = len(self.invalid)
            error.add_note(f"it was logged at {record.place}")
            if isinstance(error, SegmentError):  # it came from here, which tells nothing
                error.__traceback__ = None
            raise error

    def assert_valid(self) -> None:
        """Fail when an event was refused that Segment would drop, unless a failure said so."""
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
        """Fail unless a track call like this was captured. Return the first.

        Args:
            event: its name.
            user_id: of the user; None: it has none.
            anonymous_id: of the visitor; None: it has none.
            properties: some of its properties.
            context: some of its context.
            times: how many such calls there are, if any number will not do.

        Raises:
            UnknownArgument: an argument that there is not; a TypeError.
        """
        __tracebackhide__ = True
        refuse_unknown("assert_tracked", unknown, _OF_A_TRACK, "pass it in properties={...}")
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
        """Fail if a track call like this was captured; without arguments, if any track was.

        Args:
            event: its name.
            user_id: of the user; None: it has none.
            anonymous_id: of the visitor; None: it has none.
            properties: some of its properties.
            context: some of its context.

        Raises:
            UnknownArgument: an argument that there is not; a TypeError.
        """
        __tracebackhide__ = True
        refuse_unknown("assert_not_tracked", unknown, _OF_A_TRACK, "pass it in properties={...}")
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
        """Fail unless an identify call like this was captured. Return the first.

        Args:
            user_id: of the user; None: it has none.
            anonymous_id: of the visitor; None: it has none.
            traits: some of the traits.
            context: some of its context.
            times: how many such calls there are, if any number will not do.

        Raises:
            UnknownArgument: an argument that there is not; a TypeError.
        """
        __tracebackhide__ = True
        refuse_unknown("assert_identified", unknown, _OF_AN_IDENTIFY, "pass it in traits={...}")
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
        """Fail unless a call of this type was captured that is like this. Return the first.

        Args:
            call_type: "identify", "track", "page", "screen", "group" or "alias"; None for any.
            times: how many such calls there are, if any number will not do.
            fields: by the names in `extra`: `user_id`, `name`, `group_id`, `traits` ...

        Raises:
            UnknownArgument: a field that no such call has; a TypeError.
            ValueError: times is below 1; `assert_not_sent` is for that.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise ValueError("times must be 1 or more: for none, assert that it was not sent")
        expectation = Expectation(call_type, fields)
        found = [call for call in self.messages if not expectation.differences(call)]
        if not found or (times is not None and len(found) != times):
            self._told = len(self.invalid)
            raise AssertionError(no_match(expectation, times, self.messages, self.passed_over))
        return found[0]

    def assert_not_sent(self, /, call_type: str | None = None, **fields: Any) -> None:
        """Fail if a call of this type was captured that is like this, or without arguments any.

        Args:
            call_type: as for `assert_sent`.
            fields: as for `assert_sent`.

        Raises:
            UnknownArgument: a field that no such call has; a TypeError.
        """
        __tracebackhide__ = True
        expectation = Expectation(call_type, fields)
        if any(not expectation.differences(call) for call in self.messages):
            raise AssertionError(unwanted(expectation, self.messages))


_OF_A_TRACK = ("event", "user_id", "anonymous_id", "properties", "context", "times")
_OF_AN_IDENTIFY = ("user_id", "anonymous_id", "traits", "context", "times")

"""Checks of what a handler can drop on purpose: filters, and options that select events."""

from __future__ import annotations

from collections.abc import Iterator

from .._records.keeping import KeepIdentity
from .._reports import counted
from ..handler import SegmentHandler
from .findings import Finding


def check_options(handler: SegmentHandler) -> Iterator[Finding]:
    """Yield a finding for each option of a handler that can drop events, and for its filters.

    The values of patterns are not shown, but only how many there are.
    """
    options = handler._reader.options
    filters = [one for one in handler.filters if not isinstance(one, KeepIdentity)]
    if filters:
        yield Finding("note", "filters", f"the handler has {counted(len(filters), 'filter')}, "
                      "which can drop records: look at `handler.filters`")  # fmt: skip
    if options.allow_events is not None:
        number = counted(len(options.allow_events), "pattern")
        yield Finding("note", "allow_events", f"it has {number}, and drops tracks, pages and "
                      "screens that match none: check that the name matches one")  # fmt: skip
    if options.deny_events:
        number = counted(len(options.deny_events), "pattern")
        yield Finding("note", "deny_events", f"it has {number}, and drops tracks, pages and "
                      "screens that match one: check that the name matches none")  # fmt: skip
    rate = options.sample_rate
    if rate == 0:
        yield Finding("problem", "sample_rate", "it is 0, so all events are dropped: raise it")
    elif rate < 1:
        dropped = f"{100 * (1 - rate):.3g}%"
        yield Finding("note", "sample_rate", f"it is {rate:g}, so all events of about {dropped} of "
                      "the users are dropped: set it to 1 to test")  # fmt: skip
    if options.before_send is not None:
        yield Finding("note", "before_send", "it drops an event if it returns None: look at that "
                      "function")  # fmt: skip

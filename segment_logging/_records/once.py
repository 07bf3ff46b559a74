"""One record is one message, however many handlers it comes to, and to each of them once.

Segment recognises a repetition by its message id alone. So that id is kept on the record, where the
next handler finds it, beside the marks of the handlers that have met it. Formatters that write
extras leave out names of this kind.
"""

from __future__ import annotations

import logging

from .._messages.ids import new_message_id

MESSAGE_ID = "_segment_message_id"
"""Where a record carries the id, and the marks after it."""


def is_first_meeting(record: logging.LogRecord, mark: str) -> bool:
    """Whether the handler of this mark meets the record for the first time. Remembers it."""
    about = record.__dict__
    known = about.get(MESSAGE_ID)
    if known is None:
        about[MESSAGE_ID] = (new_message_id(), mark)
    elif mark in known:
        return False
    else:
        about[MESSAGE_ID] = (*known, mark)
    return True


def message_id_of(record: logging.LogRecord) -> str:
    """Return the id of the record's message, unless the caller has given it one."""
    about = record.__dict__
    known = about.get(MESSAGE_ID)
    if known is None:
        about[MESSAGE_ID] = known = (new_message_id(),)
    message_id: str = known[0]
    return message_id

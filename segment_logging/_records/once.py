"""One message for each record, even if several handlers get it or one handler gets it twice.

Segment detects duplicates by message id alone. So the id is stored on the record, where the next
handler finds it, together with the marks of the handlers that have seen the record. Most formatters
that write extras skip names that begin with an underscore.
"""

from __future__ import annotations

import logging
from typing import Any

from .._messages.ids import new_message_id

MESSAGE_ID = "_segment_message_id"
"""The attribute that holds the id, followed by the marks."""


def is_first_meeting(attributes: dict[str, Any], mark: str) -> bool:
    """Return whether the handler with this mark sees a record with an id for the first time.

    The mark is added to the record's attributes.
    """
    known = attributes[MESSAGE_ID]
    if mark in known:
        return False
    attributes[MESSAGE_ID] = (*known, mark)
    return True


def new_id_on(record: logging.LogRecord) -> tuple[str]:
    """Store a new id on a record that has none, and return what is stored: the id, no marks."""
    stored = record.__dict__[MESSAGE_ID] = (new_message_id(),)
    return stored

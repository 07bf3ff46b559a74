"""Segment's limits, each with its source. No other file defines a limit of Segment's.

The sources are pages of Segment's public documentation: "HTTP API" is
connections/sources/catalog/libraries/server/http-api, and "Unify limits" is unify/product-limits.
Segment does not document whether a KB is 1,000 or 1,024 bytes, so we use the smaller value.
"""

MAX_MESSAGE_BYTES = 32_000
"""One call, alone or in a batch: 32 KB (HTTP API). Above it, Segment answers 400 to the request."""

MAX_BATCH_BYTES = 500_000
"""One batch request: 500 KB (HTTP API). Above it, Segment answers 400."""

MAX_BATCH_MESSAGES = 2_500
"""Messages in one batch (HTTP API). Above it, Segment answers 200 and drops the messages."""

MAX_MESSAGE_ID_CHARACTERS = 100
"""Length of a messageId (HTTP API, Unify limits). Unify silently drops messages above it."""

MAX_GROUP_ID_CHARACTERS = 500
"""Length of a groupId (Unify limits). Unify silently drops messages with a longer or empty one."""

MAX_RETRY_AFTER = 300.0
"""The longest Retry-After to wait for, in seconds. Segment documents: "usually < 1 min, at most
300 s"."""

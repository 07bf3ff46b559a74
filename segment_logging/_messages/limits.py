"""Segment's numbers, each with its source. No other file holds a limit of Segment's.

The sources are pages of Segment's public documentation: "HTTP API" is
connections/sources/catalog/libraries/server/http-api, "Unify limits" is unify/product-limits.
Segment never says whether a KB is 1,000 or 1,024 bytes, so we take the smaller.
"""

MAX_MESSAGE_BYTES = 32_000
"""One call, alone or inside a batch: 32 KB (HTTP API). Above it: 400 for the whole request."""

MAX_BATCH_BYTES = 500_000
"""One batch request: 500 KB (HTTP API). Above it: 400."""

MAX_BATCH_MESSAGES = 2_500
"""Messages in one batch (HTTP API). Above it: answered with 200, and dropped."""

MAX_MESSAGE_ID_CHARACTERS = 100
"""Length of a messageId (HTTP API, Unify limits). Above it: silently dropped by Unify."""

MAX_GROUP_ID_CHARACTERS = 500
"""Length of a groupId (Unify limits). Above it, or empty: silently dropped by Unify."""

MAX_RETRY_AFTER = 300.0
"""The longest Retry-After that is honoured, in seconds. Segment's own words: "usually < 1 min, at
most 300 s"."""

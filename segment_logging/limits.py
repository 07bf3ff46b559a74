"""Segment's numbers, each with its source. No code reads a limit from anywhere else.

Sources are pages of Segment's public documentation: "HTTP API" is
connections/sources/catalog/libraries/server/http-api, "Unify limits" is unify/product-limits.
Segment never says whether a KB is 1,000 or 1,024 bytes, so the smaller reading holds.
"""

MAX_MESSAGE_BYTES = 32_000
"""One call, alone or inside a batch: 32 KB (HTTP API). Beyond it: 400 for the whole request."""

MAX_BATCH_BYTES = 500_000
"""One batch request: 500 KB (HTTP API). Beyond it: 400."""

MAX_BATCH_MESSAGES = 2_500
"""Messages in one batch (HTTP API). Beyond it: answered 200, and dropped."""

MAX_MESSAGE_ID_CHARACTERS = 100
"""Length of a messageId (HTTP API, Unify limits). Beyond it: silently dropped by Unify."""

MAX_GROUP_ID_CHARACTERS = 500
"""Length of a groupId (Unify limits). Beyond it, or empty: silently dropped by Unify."""

MAX_RETRY_AFTER = 300.0
"""Seconds a Retry-After is honoured for at most; Segment's own "usually < 1 min, at most 300 s"."""

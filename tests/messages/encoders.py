"""The encoders, which must all produce the same JSON."""

from __future__ import annotations

from collections.abc import Callable

from segment_logging._messages.conversions import plain
from segment_logging._messages.encoding import encode, encode_fast, encode_standard


def carefully(encoder: Callable[[object], bytes], value: object) -> bytes:
    """Encode a value like `encode` would if this were the only encoder."""
    for way in (encoder, encode_standard):
        try:
            return way(value)
        except Exception:
            continue
    return encode_standard(plain(value))


def encoders() -> dict[str, Callable[[object], bytes]]:
    """Return the encoders, which must all produce the same JSON."""
    ways: dict[str, Callable[[object], bytes]] = {
        "encode": encode,
        "standard": lambda value: carefully(encode_standard, value),
        "plain": lambda value: encode_standard(plain(value)),
    }
    fast = encode_fast
    if fast is not None:
        ways["fast"] = lambda value: carefully(fast, value)
    return ways

"""Scripts of answers for people who test how their program handles faults.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

from .arrivals import Answer, Request

Script = str | Iterable[Answer | int | str | None] | Callable[[Request], Answer | int | None]
"""The answers to send: a text, a list with one answer for each POST request, or a function of the
request. A number is an answer with that status. For None, and after the end of the list, the
collector answers like Segment. `answers_in` describes the text, whose items a list may contain."""

_ITEM = re.compile(
    r"(?P<answer>ok|hang|drop|[2-5]\d\d)(?P<options>(?::[a-z-]+=[^:,*]+)*)(?P<times>\*\d*)?", re.I
)
_FORM = "use a status such as 429:retry-after=2, ok, hang or drop, and *3 or * to repeat it"


def answers_in(text: str) -> Iterator[Answer | None]:
    """Return the answers in a text such as `429:retry-after=2,500*3,hang,drop`.

    Each item is a status, `ok` (Segment's answer), `hang` (no answer, until the client gives up)
    or `drop` (the connection is closed without an answer). After a colon, there can be headers of
    the answer, and `delay=SECONDS`. `*3` repeats an item three times, and `*` repeats it for ever.

    Raises:
        ValueError: the text is not such a script.
    """
    items = [_item_of(item.strip()) for item in text.split(",") if item.strip()]
    return (answer for answer, times in items for answer in repeat(answer, times))


def _item_of(text: str) -> tuple[Answer | None, int]:
    found = _ITEM.fullmatch(text)
    if found is None:
        raise ValueError(f"the answer {text!r} is unknown: {_FORM}")
    headers = {}
    delay = 0.0
    for option in filter(None, found["options"].split(":")):
        name, _, value = option.partition("=")
        if name.lower() == "delay":
            try:
                delay = float(value)
            except ValueError:
                delay = -1.0
            if not 0 <= delay < math.inf:
                raise ValueError(f"the delay in {text!r} is not a number of seconds")
        elif not value.isprintable() or not value.isascii():
            raise ValueError(f"the header in {text!r} has characters that no header can have")
        else:
            headers[name.title()] = value
    kind = found["answer"].lower()
    answer: Answer | None
    if kind == "hang":
        answer = Answer(None, delay=math.inf)
    elif kind == "drop":
        answer = Answer(None, delay=delay)
    elif kind == "ok":
        answer = Answer(200, headers, delay=delay) if headers or delay else None
    else:
        answer = Answer(int(kind), headers, delay=delay)
    times = found["times"]
    count = 1 if times is None else 10**9 if times == "*" else int(times[1:8])
    return answer, count


def answers_of(script: Iterable[Answer | int | str | None]) -> Iterator[Answer | int | None]:
    """Return the answers of a script that is a text or a list."""
    if isinstance(script, str):
        return answers_in(script)
    return chain.from_iterable(
        answers_in(item) if isinstance(item, str) else (item,) for item in script
    )

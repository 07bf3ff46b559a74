"""Checks of options: a ConfigurationError names the option, the rule and the value.

Options arrive from code, from YAML and from `dictConfig`, whose own dict and list types hand out
raw `cfg://` texts when they are encoded or copied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .encoding import encode
from .errors import ConfigurationError, InvalidMessage


def plain(name: str, value: Any) -> Any:
    """Return dicts and lists of any kind as plain ones, with what dictConfig resolves in them."""
    try:
        return _plain(value)
    except RecursionError:
        raise ConfigurationError(f"{name} holds itself: pass plain values") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(value[index]) for index in range(len(value))]
    return value


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, choices))}, not {_shown(value)}"
        )


def check_number(
    name: str,
    value: object,
    *,
    at_least: int,
    at_most: float = math.inf,
    kind: type | tuple[type, ...] = (int, float),
) -> None:
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or not at_least <= value <= at_most  # type: ignore[operator]
        or value == math.inf
    ):
        whole = "a whole number" if kind is int else "a number"
        limit = f"from {at_least}" + ("" if at_most == math.inf else f" to {at_most:g}")
        raise ConfigurationError(f"{name} must be {whole} {limit}, not {_shown(value)}")


def check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, not {_shown(value)}")


def check_text(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be text or None, not {_shown(value)}")


def check_texts(name: str, value: object) -> None:
    """A list of texts. One text alone is a mistake that would go unnoticed, letter by letter."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ConfigurationError(f"{name} must be a list of text, not {_shown(value)}")


def check_object(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be an object or None, not {type(value).__name__}")
    try:
        encode(value)
    except InvalidMessage as error:
        raise ConfigurationError(f"{name} cannot be written as JSON: pass plain values") from error


def check_callable(name: str, value: object) -> None:
    if value is not None and not callable(value):
        raise ConfigurationError(
            f"{name} must be callable: in a dictConfig write 'ext://package.function'"
        )


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__

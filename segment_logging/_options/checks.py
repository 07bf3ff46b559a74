"""Checks of options. An option that cannot work raises a ConfigurationError that names it, the rule
and the value.

Each check takes the option's name and value, and returns the value as it is to be used. Options
come from code, from YAML and from `dictConfig`, whose own dict and list types hand out raw
`cfg://` texts when they are encoded or copied.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from .._messages.encoding import encode
from ..errors import ConfigurationError, InvalidMessage

Check = Callable[[str, Any], Any]


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


def one_of(*choices: str) -> Check:
    """One of some texts. Where one of them is "off", False is it as well: YAML 1.1 reads it so."""

    def check(name: str, value: Any) -> str:
        if value is False and "off" in choices:
            return "off"
        if value not in choices:
            listed = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
            raise ConfigurationError(f"{name} must be {listed}, not {_shown(value)}")
        text: str = value
        return text

    return check


def number(*, at_least: int, at_most: float = math.inf, is_whole: bool = False) -> Check:
    """A finite number within bounds."""

    def check(name: str, value: Any) -> Any:
        kinds = (int,) if is_whole else (int, float)
        if (
            not isinstance(value, kinds)
            or isinstance(value, bool)
            or not at_least <= value <= at_most
            or value == math.inf
        ):
            what = "a whole number" if is_whole else "a number"
            limit = f"from {at_least}" + ("" if at_most == math.inf else f" to {at_most:g}")
            raise ConfigurationError(f"{name} must be {what} {limit}, not {_shown(value)}")
        return value

    return check


seconds = number(at_least=0)
"""A number of seconds."""


def seconds_or_none(name: str, value: Any) -> float | None:
    """A number of seconds, or None."""
    return None if value is None else seconds(name, value)


def switch(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, not {_shown(value)}")
    return value


def text_or_none(name: str, value: Any) -> str | None:
    """Some text, or None."""
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be text or None, not {_shown(value)}")
    return value


def texts(name: str, value: Any) -> list[str]:
    """A list of texts. A single text would go unnoticed, and be taken letter by letter."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ConfigurationError(f"{name} must be a list of text, not {_shown(value)}")
    return value


def texts_or_none(name: str, value: Any) -> list[str] | None:
    """A list of texts, or None."""
    return None if value is None else texts(name, value)


def object_or_none(name: str, value: Any) -> Mapping[str, Any] | None:
    """What JSON has as an object, or None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be an object or None, not {type(value).__name__}")
    try:
        encode(value)
    except InvalidMessage as error:
        raise ConfigurationError(f"{name} cannot be written as JSON: pass plain values") from error
    return value


def callable_or_none(name: str, value: Any) -> Any:
    """Something to call, or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(
            f"{name} must be callable: in a dictConfig write 'ext://package.function'"
        )
    return value


def directory_or_none(name: str, value: Any) -> str | None:
    """The absolute path of a directory, which need not exist yet, or None."""
    path = _path_or_none(name, value)
    if path is not None and os.path.isfile(path):
        raise ConfigurationError(f"{name} {path!r} is a file: name a directory")
    return path


def file_or_none(name: str, value: Any) -> str | None:
    """The absolute path of a file, which need not exist yet, or None."""
    path = _path_or_none(name, value)
    if path is not None and os.path.isdir(path):
        raise ConfigurationError(f"{name} {path!r} is a directory: name a file")
    return path


def _path_or_none(name: str, value: Any) -> str | None:
    path = text_or_none(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if path is None:
        return None
    path = os.path.abspath(path)  # a later chdir must not move it
    try:
        os.stat(path)
    except NotADirectoryError:
        raise ConfigurationError(
            f"{name} {path!r} cannot exist, as a part of it is a file: name another place"
        ) from None
    except ValueError:  # a NUL
        raise ConfigurationError(f"{name} {path!r} is not a path: name another place") from None
    except OSError:
        pass  # it may be made yet, and what is wrong with it may pass
    return path


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__

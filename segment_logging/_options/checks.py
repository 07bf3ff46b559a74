"""Checks of option values.

Each check takes the option's name and value, and returns the value to use. For a value that cannot
work, it raises a ConfigurationError whose text contains the name, the rule and the value.

Options come from code, from YAML and from `dictConfig`. The dict and list types of `dictConfig`
return unresolved `cfg://` strings when they are encoded or copied.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from .._files import own_path
from .._messages.encoding import encode
from .._trust import NotOurs, group_id, way_to_share
from ..errors import ConfigurationError, InvalidMessage

Check = Callable[[str, Any], Any]


def plain(name: str, value: Any) -> Any:
    """Convert dicts and lists of any type to plain ones, and resolve dictConfig's references."""
    try:
        return _plain(value)
    except RecursionError:
        raise ConfigurationError(f"{name} contains itself: pass plain values") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(value[index]) for index in range(len(value))]
    return value


def one_of(*choices: str) -> Check:
    """Return a check that the value is one of some strings.

    If "off" is one of them, False means "off", because YAML 1.1 reads `off` as False.
    """

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
    """Return a check that the value is a finite number within limits."""

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
"""Check that the value is a number of seconds."""


def seconds_or_none(name: str, value: Any) -> float | None:
    """Check that the value is a number of seconds or None."""
    return None if value is None else seconds(name, value)


def switch(name: str, value: Any) -> bool:
    """Check that the value is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, not {_shown(value)}")
    return value


def text_or_none(name: str, value: Any) -> str | None:
    """Check that the value is a non-empty string or None."""
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be a non-empty string or None, not {_shown(value)}")
    return value


def texts(name: str, value: Any) -> list[str]:
    """Check that the value is a list of strings.

    A single string is refused, because it would be treated as a list of its letters.
    """
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ConfigurationError(f"{name} must be a list of strings, not {_shown(value)}")
    return value


def texts_or_none(name: str, value: Any) -> list[str] | None:
    """Check that the value is a list of strings or None."""
    return None if value is None else texts(name, value)


def object_or_none(name: str, value: Any) -> Mapping[str, Any] | None:
    """Check that the value can be encoded as a JSON object, or is None."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be an object or None, not {type(value).__name__}")
    try:
        encode(value)
    except InvalidMessage as error:
        raise ConfigurationError(f"{name} cannot be encoded as JSON: pass plain values") from error
    return value


def callable_or_none(name: str, value: Any) -> Any:
    """Check that the value is callable or None."""
    if value is not None and not callable(value):
        raise ConfigurationError(
            f"{name} must be callable: in a dictConfig, write 'ext://package.function'"
        )
    return value


def group_or_none(name: str, value: Any) -> str | None:
    """Check that the value is the name of a group on this host, a group's number, or None.

    The number may be an int, as it is in YAML without quotes.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool)
    group = text_or_none(name, str(value) if is_number else value)
    if group is not None:
        try:
            group_id(group)
        except (ImportError, KeyError):
            raise ConfigurationError(
                f"{name} {group!r} is not a group on this host: create it, pass a group's "
                "number, or omit the option"
            ) from None
    return group


def directory_or_none(name: str, value: Any) -> str | None:
    """Check that the value is the path of a directory or None. Return the absolute path.

    The directory need not exist yet.
    """
    path = _path_or_none(name, value)
    if path is not None and os.path.exists(path) and not os.path.isdir(path):
        raise ConfigurationError(f"{name} {path!r} is a file: pass the path of a directory")
    return path


def check_owner_of_journal(path: str, group: str | None) -> None:
    """Raise ConfigurationError if the journal is a directory of another user.

    Root is not refused, because the directory may still be given to root.

    Args:
        path: the directory.
        group: the name of the group that shares it, or None.
    """
    way_out = "pass a directory of your own"
    if group is not None:
        way_out = way_to_share(path, group)
    try:
        own_path(path)
    except NotOurs:
        if os.geteuid() != 0:
            raise ConfigurationError(
                f"journal {path!r} belongs to another user: {way_out}"
            ) from None
    except OSError:
        pass  # this may change


def file_or_none(name: str, value: Any) -> str | None:
    """Check that the value is the path of a file or None. Return the absolute path.

    The file need not exist yet.
    """
    path = _path_or_none(name, value)
    if path is not None and os.path.isdir(path):
        raise ConfigurationError(f"{name} {path!r} is a directory: pass the path of a file")
    return path


def _path_or_none(name: str, value: Any) -> str | None:
    path = text_or_none(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if path is None:
        return None
    path = os.path.abspath(path)  # so that a later chdir does not change it
    try:
        os.stat(path)
    except NotADirectoryError:
        raise ConfigurationError(
            f"{name} {path!r} cannot exist, because part of it is a file: pass another path"
        ) from None
    except ValueError:  # it contains a NUL character
        raise ConfigurationError(f"{name} {path!r} is not a valid path: pass another one") from None
    except OSError as error:
        # Otherwise it may be created later, or the error may be temporary.
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigurationError(f"{name} {path!r} is too long: pass a shorter path") from None
    return path


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__

"""The handler's options as checked, plain values.

The one place that checks them. They arrive from code, from YAML and from `dictConfig`, whose own
dict and list types hand out raw `cfg://` texts when they are encoded or copied.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .client import Client, HttpClient, Timeout, host_of
from .delivery import OnError
from .encoding import encode
from .errors import ConfigurationError, InvalidMessage
from .messages import Message

BeforeSend = Callable[[Message], "Message | None"]
"""What `before_send` is: called in the caller's thread; returns the message to send, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `SegmentHandler` was told, checked. Its docstring says what each option means.

    Raises:
        ConfigurationError: a value that cannot work; names the option.
    """

    host: str | None
    region: str
    client: Client | None
    capture: str
    flush_interval: float
    max_queue_messages: int
    max_queue_bytes: int
    overflow: str
    block_timeout: float
    journal: str | None
    journal_sync: str
    max_journal_bytes: int
    dead_letters: str | None
    max_attempts: int
    timeout: Timeout
    gzip: bool
    proxies: Mapping[str, str] | None
    shutdown_timeout: float
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    include_extras: bool
    before_send: BeforeSend | None
    on_error: OnError | None

    def __post_init__(self) -> None:
        for field in fields(self):
            try:
                value = _plain(getattr(self, field.name))
            except RecursionError:
                raise ConfigurationError(f"{field.name} holds itself: pass plain values") from None
            object.__setattr__(self, field.name, value)
        for name in ("journal", "dead_letters"):
            _check_text(name, getattr(self, name))
            if getattr(self, name) is not None:  # a later chdir must not move it
                object.__setattr__(self, name, os.path.abspath(getattr(self, name)))
        _check_choice("capture", self.capture, ("marked", "all"))
        _check_choice("overflow", self.overflow, ("drop", "block"))
        _check_choice("journal_sync", self.journal_sync, ("off", "interval", "emit"))
        for name in ("flush_interval", "block_timeout", "shutdown_timeout"):
            _check_number(name, getattr(self, name), at_least=0)
        for name in ("max_queue_messages", "max_queue_bytes", "max_journal_bytes", "max_attempts"):
            _check_number(name, getattr(self, name), at_least=1, kind=int)
        for name in ("gzip", "include_extras"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be true or false")
        _check_text("host", self.host)
        for name in ("context", "integrations", "proxies"):
            _check_object(name, getattr(self, name))
        for name in ("before_send", "on_error"):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise ConfigurationError(
                    f"{name} must be callable: in a dictConfig write 'ext://package.function'"
                )
        if self.client is None:
            self.new_client()  # host, region, timeout: wrong ones fail here and now
        elif not callable(getattr(self.client, "send", None)):
            raise ConfigurationError("client must have send(write_key, message) and close()")

    @property
    def dead_letters_path(self) -> str | None:
        """Where dead letters go: a journal keeps its own when no path was given."""
        if self.dead_letters is None and self.journal is not None:
            return os.path.join(self.journal, "dead-letters.jsonl")
        return self.dead_letters

    def new_client(self) -> Client:
        """Return the client given, or a new HTTP client."""
        if self.client is not None:
            return self.client
        return HttpClient(
            host_of(self.host, self.region),
            timeout=self.timeout,
            gzip=self.gzip,
            proxies=self.proxies,
        )


def write_key_of(given: str | None) -> str | None:
    """Return the write key given, else the environment's; None when there is neither.

    Raises:
        ConfigurationError: no text. Its own text never shows the key.
    """
    write_key = given or os.environ.get("SEGMENT_WRITE_KEY") or None
    if write_key is None:
        return None
    if not isinstance(write_key, str) or not write_key.strip():
        raise ConfigurationError("write_key must be text: copy it from the source's settings")
    return write_key.strip()


def _plain(value: Any) -> Any:
    """Return dicts and lists of any kind as plain ones, with what dictConfig resolves in them."""
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [_plain(value[index]) for index in range(len(value))]
    return value


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, choices))}, not {_shown(value)}"
        )


def _check_number(
    name: str, value: object, *, at_least: int, kind: type | tuple[type, ...] = (int, float)
) -> None:
    if (
        not isinstance(value, kind) or isinstance(value, bool) or not at_least <= value < math.inf  # type: ignore[operator]
    ):
        whole = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{name} must be {whole} from {at_least}, not {_shown(value)}")


def _check_text(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{name} must be text or None, not {_shown(value)}")


def _check_object(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be an object or None, not {type(value).__name__}")
    try:
        encode(value)
    except InvalidMessage as error:
        raise ConfigurationError(f"{name} cannot be written as JSON: pass plain values") from error


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__

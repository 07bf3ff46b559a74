"""The default client when a setting of the module is invalid."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from ..._client.hosts import US_HOST
from ..._messages.message import Message
from ...errors import DeliveryError
from .client import Client

_KEPT = ("on_error", "debug", "send", "sync_mode")


class Unconfigured(Client):
    """A client whose messages all fail, because a setting is invalid.

    The first call of a function of the module raises the error. With this client, the later calls
    neither raise it again nor lose messages without a report: `on_error` gets them.

    Args:
        error: the error of the invalid setting.
        settings: the module's settings, by name.
    """

    def __init__(self, error: ValueError, settings: dict[str, Any]) -> None:
        self._error = error
        # Not the write key, which may be the invalid setting.
        super().__init__("none", **{name: settings[name] for name in _KEPT})

    @override
    def _options(self) -> dict[str, Any]:
        # A host, because SEGMENT_HOST may be invalid.
        return {"client": _Failing(self._error), "flush_interval": 0.0, "host": US_HOST}


class _Failing:
    """Sends nothing. Each attempt fails, and there is no second one."""

    def __init__(self, error: ValueError) -> None:
        self._text = f"a setting of analytics is invalid: {error}"

    def send(self, write_key: str, message: Message) -> None:
        raise DeliveryError(self._text, retryable=False)

    def close(self) -> None:
        pass

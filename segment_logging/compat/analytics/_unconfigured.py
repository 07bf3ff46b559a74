"""The default client when a setting of the module is invalid."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from ..._messages.message import Message
from ...errors import DeliveryError
from .client import Client


class Unconfigured(Client):
    """A client whose messages all fail, because a setting is invalid.

    The first call of a function of the module raises the error. With this client, the later calls
    neither raise it again nor lose messages without a report: `on_error` gets them.
    """

    error: ValueError

    @override
    def _options(self) -> dict[str, Any]:
        return {"client": _Failing(self.error), "flush_interval": 0.0}


def unconfigured(error: ValueError, settings: dict[str, Any]) -> Client:
    """Return a client for the time until the settings are read again.

    Args:
        error: the error of the invalid setting.
        settings: the module's settings, by name.
    """
    kind = type("Unconfigured", (Unconfigured,), {"error": error})
    kept = {name: settings[name] for name in ("on_error", "debug", "send", "sync_mode")}
    client: Client = kind("none", **kept)  # the write key may be the invalid setting
    return client


class _Failing:
    """Sends nothing. Each attempt fails, and there is no second one."""

    def __init__(self, error: ValueError) -> None:
        self._text = f"a setting of analytics is invalid: {error}"

    def send(self, write_key: str, message: Message) -> None:
        raise DeliveryError(self._text, retryable=False)

    def close(self) -> None:
        pass

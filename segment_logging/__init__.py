"""Product analytics through `logging`: a handler that turns log records into Segment calls.

Names are imported on first use, so that programs and test runs that only have this package
installed do not pay for importing requests.
"""

from importlib import import_module

from ._version import __version__ as __version__

TYPE_CHECKING = False  # type checkers know this name; importing typing would take 5 ms
if TYPE_CHECKING:
    from ._client.auto_batcher import AutoBatcher
    from ._client.client import Client
    from ._client.http_client import HttpClient
    from ._delivery.counts import Counts
    from ._handlers import counts, drain, drain_async, flush
    from ._identity.binding import bind, identity, unbind
    from ._messages.batch import Batch
    from ._messages.batcher import Batcher
    from ._messages.calls import Alias, Group, Identify, Page, Screen, Track
    from ._messages.message import Message
    from ._messages.user import User
    from ._process.sigterm import exit_on_sigterm
    from ._records.extras import SegmentExtra
    from ._records.keeping import KeepIdentity
    from .errors import (
        ConfigurationError,
        DeliveryError,
        InvalidMessage,
        MessageTooLarge,
        SegmentError,
    )
    from .formatter import SegmentJsonFormatter
    from .handler import SegmentHandler
    from .logger import SegmentLogger

_NAMES_IN = {
    "_client.auto_batcher": "AutoBatcher",
    "_client.client": "Client",
    "_client.http_client": "HttpClient",
    "_delivery.counts": "Counts",
    "_handlers": "counts drain drain_async flush",
    "_identity.binding": "bind identity unbind",
    "_messages.batch": "Batch",
    "_messages.batcher": "Batcher",
    "_messages.calls": "Alias Group Identify Page Screen Track",
    "_messages.message": "Message",
    "_messages.user": "User",
    "_process.sigterm": "exit_on_sigterm",
    "_records.extras": "SegmentExtra",
    "_records.keeping": "KeepIdentity",
    "errors": "ConfigurationError DeliveryError InvalidMessage MessageTooLarge SegmentError",
    "formatter": "SegmentJsonFormatter",
    "handler": "SegmentHandler",
    "logger": "SegmentLogger",
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names.split()}

__all__ = [
    "Alias",
    "AutoBatcher",
    "Batch",
    "Batcher",
    "Client",
    "ConfigurationError",
    "Counts",
    "DeliveryError",
    "Group",
    "HttpClient",
    "Identify",
    "InvalidMessage",
    "KeepIdentity",
    "Message",
    "MessageTooLarge",
    "Page",
    "Screen",
    "SegmentError",
    "SegmentExtra",
    "SegmentHandler",
    "SegmentJsonFormatter",
    "SegmentLogger",
    "Track",
    "User",
    "bind",
    "counts",
    "drain",
    "drain_async",
    "exit_on_sigterm",
    "flush",
    "identity",
    "unbind",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

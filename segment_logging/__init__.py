"""Product analytics through `logging`: attach one handler, and records become Segment calls.

Each name is imported when it is first used: a program, or a test run, that only has this package
around does not pay for importing requests.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .adapter import SegmentLogger
    from .batch import Batch
    from .batching import AutoBatcher, Batcher
    from .client import Client, HttpClient
    from .context import bind, identity, unbind
    from .counts import Counts
    from .errors import (
        ConfigurationError,
        DeliveryError,
        InvalidMessage,
        MessageTooLarge,
        SegmentError,
    )
    from .extras import SegmentExtra
    from .formatter import SegmentJsonFormatter
    from .handler import SegmentHandler
    from .messages import Alias, Group, Identify, Message, Page, Screen, Track
    from .user import User

_MODULES = {
    "adapter": ("SegmentLogger",),
    "batch": ("Batch",),
    "batching": ("AutoBatcher", "Batcher"),
    "client": ("Client", "HttpClient"),
    "context": ("bind", "identity", "unbind"),
    "counts": ("Counts",),
    "errors": (
        "ConfigurationError", "DeliveryError", "InvalidMessage", "MessageTooLarge", "SegmentError",
    ),
    "extras": ("SegmentExtra",),
    "formatter": ("SegmentJsonFormatter",),
    "handler": ("SegmentHandler",),
    "messages": ("Alias", "Group", "Identify", "Message", "Page", "Screen", "Track"),
    "user": ("User",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

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

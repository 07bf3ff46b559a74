"""Product analytics through `logging`: attach one handler, and records become Segment calls."""

from ._version import __version__ as __version__
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
from .handler import SegmentHandler
from .messages import Alias, Group, Identify, Message, Page, Screen, Track
from .user import User

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
    "SegmentHandler",
    "Track",
    "User",
    "bind",
    "identity",
    "unbind",
]

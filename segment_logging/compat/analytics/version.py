"""The version, in the place where the official SDK has it. It is this package's version."""

from __future__ import annotations

from ..._version import __version__

VERSION = __version__

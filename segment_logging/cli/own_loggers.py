"""Tells the loggers of a program from those of the packages that it has installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

_LIBRARY = ("asyncio", "concurrent", "multiprocessing", "py")
"""Loggers of Python's own modules; `py.warnings` is that of `logging.captureWarnings`."""

_INSTALLED = ("site-packages", "dist-packages")


def own_first(loggers: Iterable[logging.Logger], app: str | None) -> list[str]:
    """Return the names of some loggers, those of the program first."""
    every = list(loggers)
    own = own_of(every, app)
    return own + [one.name for one in every if one.name not in own]


def own_of(loggers: Iterable[logging.Logger], app: str | None) -> list[str]:
    """Return the names of the loggers that do not belong to an installed package.

    Args:
        loggers: the loggers.
        app: the application's name. Its own package may be installed.
    """
    package = (app or "").partition(":")[0].partition(".")[0]
    return [one.name for one in loggers if _is_own(one.name.partition(".")[0], package)]


def _is_own(top: str, package: str) -> bool:
    if top == package:
        return True
    return top not in _LIBRARY and not _is_installed(top)


def _is_installed(top: str) -> bool:
    """Return whether a module of this name was imported from where packages are installed."""
    module = sys.modules.get(top)
    places = [getattr(module, "__file__", None) or "", *(getattr(module, "__path__", None) or ())]
    return any(name in str(place).replace("\\", "/").split("/")
               for place in places for name in _INSTALLED)  # fmt: skip

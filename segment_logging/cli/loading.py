"""Imports an application or applies a configuration of logging, without sending its events."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import pkgutil
import sys
import tomllib
from typing import Any

from .._delivery.diversion import Enqueue, divert
from .._records.once import MESSAGE_ID
from .._reports import RefusedReports, counted, innermost, were, where
from ..errors import ConfigurationError
from .findings import Finding

CALL = "()"
"""The end of an application's name if it is a function to call, as in `shop.cli:main()`."""


def load(app: str | None, path: str | None) -> list[Finding]:
    """Import the application, and apply the configuration. Return what is found about that.

    From then on, this process sends no events that the application logs through a handler.

    Args:
        app: the application, as `MODULE:ATTRIBUTE`, or as `MODULE:FUNCTION()` to call a function.
        path: the file with the configuration.

    Raises:
        ConfigurationError: `app` has the wrong form, or its module has no such attribute.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    held = _HeldBack()
    # This is never turned off: the application's threads and exit functions may log as well.
    divert(held)
    problem = _problem_of_loading(app, path)
    found = [] if problem is None else [problem]
    if number := len(held.ids):
        text = (
            f"the application logged {counted(number, 'event')} while it was loaded, which "
            f"{were(number)} not sent"
        )
        found.append(Finding("note", "events", text))
    return found


class _HeldBack:
    """Receives the messages from all handlers, and only remembers their ids."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._refused = RefusedReports()

    def take(self, record: logging.LogRecord) -> Enqueue:
        about = record.__dict__  # the handler adds the id before it calls the function
        return lambda line: self.ids.add(about[MESSAGE_ID][0])

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        if logging.raiseExceptions:
            self._refused.say(record, error)


def _problem_of_loading(app: str | None, path: str | None) -> Finding | None:
    what = app
    try:
        if app is not None:
            _import(app)
        if path is not None:
            what = path
            _apply(path)
    except (KeyboardInterrupt, _WrongName):
        raise
    except BaseException as error:
        cause: BaseException | None = error
        while cause is not None:  # dictConfig wraps errors of handlers
            if isinstance(cause, ConfigurationError):
                return Finding("problem", _subject_of(cause), str(cause))
            cause = cause.__cause__ or cause.__context__
        why = f"{type(error).__name__} in {where(error)}"
        if isinstance(error, ModuleNotFoundError):
            why = f"there is no module {error.name}"
        return Finding("problem", "application", f"{what} cannot be loaded ({why}): correct it, or "
                       "run the command where the application runs")  # fmt: skip
    return None


def _subject_of(error: ConfigurationError) -> str:
    return "write key" if str(error).startswith("write_key") else "configuration"


class _WrongName(ConfigurationError):
    """An application's name that has the wrong form, or that does not exist in its module."""


def _import(app: str) -> None:
    """Import an application, and call it if its name ends with `()`.

    Raises:
        _WrongName: the name has the wrong form, or its module has no such attribute.
        Exception: the application raised it.
    """
    found = _resolved(app.removesuffix(CALL))
    if app.endswith(CALL):
        if not callable(found):
            raise _WrongName(f"{app.removesuffix(CALL)} is not a function: pass it without ()")
        try:
            found()
        except SystemExit:  # how a main() often ends
            return


def _resolved(name: str) -> Any:
    try:
        return pkgutil.resolve_name(name)
    except ValueError as error:
        if not _is_of_pkgutil(error):
            raise
        raise _WrongName(f"--app must be MODULE:ATTRIBUTE, not {name!r}") from None
    except AttributeError as error:
        if not _is_of_pkgutil(error):  # a mistake in the application
            raise
        owner = getattr(error.obj, "__name__", name.partition(":")[0])
        is_file = error.name == "py"
        hint = f": pass --app {owner}, without .py" if is_file else ""
        raise _WrongName(f"{owner} has no attribute {error.name}{hint}") from None


def _is_of_pkgutil(error: BaseException) -> bool:
    """Return whether pkgutil raised the error, and not a module that it imported."""
    trace = innermost(error)
    return trace is not None and trace.tb_frame.f_code.co_filename == pkgutil.__file__


def _apply(path: str) -> None:
    """Apply a configuration of logging.

    Raises:
        ConfigurationError: the file's format is not known, or needs a package.
        Exception: the configuration is wrong.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending in (".ini", ".conf", ".cfg"):
        logging.config.fileConfig(path, disable_existing_loggers=False)
        return
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if ending == ".toml":
        value = tomllib.loads(text)
    elif ending in (".yaml", ".yml"):
        try:
            import yaml  # noqa: PLC0415  # optional
        except ImportError:
            raise ConfigurationError(f"{path} needs PyYAML: run pip install pyyaml") from None
        value = yaml.safe_load(text)
    else:
        try:
            value = json.loads(text)
        except ValueError:
            raise ConfigurationError(
                f"{path} is not valid JSON: correct it. The name of a file in another format must "
                "end with .toml, .yaml or .ini"
            ) from None
    logging.config.dictConfig(value)

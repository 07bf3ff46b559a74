"""`segment-logging check`: why do my events not arrive? One screen, and one test event."""

from __future__ import annotations

import argparse
import json
import logging.config
import os
import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing

from .._client.hosts import base_of, host_of
from .._client.http_client import HttpClient
from .._handlers import live_handlers
from .._reports import where
from ..errors import ConfigurationError
from ..handler import SegmentHandler
from . import connection
from .findings import Finding
from .logging_checks import checks_of_logging
from .network_checks import check_connection, check_region, check_write_key, send_test_event
from .place_checks import check_journal, check_workers

NAME = "check"
SUMMARY = "find out why events do not arrive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Find out why events do not arrive, with what to do about it in one line each: loggers and "
        "handlers of an application, the write key, region, DNS, TLS, proxy, clock, journal, and "
        "at last one test event."
    )
    parser.add_argument(
        "--app", metavar="MODULE:ATTRIBUTE", help="import this application, and check its logging"
    )
    parser.add_argument(
        "--logging-config",
        metavar="FILE",
        help="apply this configuration of logging (JSON, TOML, YAML or INI), and check it",
    )
    parser.add_argument("--journal", metavar="DIR", help="a journal to check")
    parser.add_argument("--no-event", action="store_true", help="do not send the test event")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if options.logging_config is not None and not os.path.isfile(options.logging_config):
        raise ConfigurationError(f"{options.logging_config} is not a file: pass a configuration")
    found = []
    for finding in _findings(options):
        found.append(finding)
        if not options.json:
            print(f"{_MARKS[finding.grade]:<8} {finding.subject}: {finding.text}", flush=True)
    problems = sum(finding.grade == "problem" for finding in found)
    if options.json:
        print(json.dumps([finding._asdict() for finding in found]))
    elif problems:
        print(f"{problems} problem{'s' if problems > 1 else ''} found")
    else:
        print("no problem found")
    return 1 if problems else 0


_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    handlers: list[SegmentHandler] = []
    if options.app is not None or options.logging_config is not None:
        before = set(map(id, live_handlers()))
        problem = _load(options)
        if problem is not None:
            yield problem
        else:
            yield from checks_of_logging()
        handlers = [one for one in live_handlers() if id(one) not in before]
    yield from check_workers()
    for handler in handlers:
        yield from _checks_of_handler(handler, options)
    if not handlers:
        yield from _checks_of_options(options)
    if options.journal is not None:
        yield check_journal(options.journal)


def _checks_of_handler(handler: SegmentHandler, options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found about the options of an application's handler."""
    chosen = handler._options
    journal = chosen.journal
    if journal is not None:
        yield check_journal(journal)
    write_key = handler._write_key
    if write_key is None:
        yield _NO_KEY
    else:
        yield check_write_key(write_key)
    if not chosen.deliver:
        yield Finding("note", "delivery", "this handler only writes to its journal: check that "
                      "`segment-logging deliver` runs on this host")  # fmt: skip
        return
    client = chosen.new_client()
    with closing(client):
        if chosen.client is None and chosen.broker is None:
            base = chosen.where
            yield from check_region(base, chosen.region)
            yield from check_connection(base, chosen.proxies)
        if write_key is not None and not options.no_event:
            into = None if chosen.broker is None else chosen.where
            yield send_test_event(client, write_key, into=into)


def _checks_of_options(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found about the options of the command and the environment."""
    write_key = None
    try:
        write_key = connection.key_of(options)
    except ConfigurationError as error:
        is_missing = str(error).startswith("no write key")
        yield _NO_KEY if is_missing else Finding("problem", "write key", str(error))
    else:
        yield check_write_key(write_key)
    try:
        base = base_of(host_of(options.host, options.region))
    except ConfigurationError as error:
        yield Finding("problem", "host", str(error))
        return
    yield from check_region(base, options.region)
    yield from check_connection(base, None)
    if write_key is not None and not options.no_event:
        with closing(HttpClient(base)) as client:
            yield send_test_event(client, write_key)


_NO_KEY = Finding(
    "problem", "write key", "there is none: set SEGMENT_WRITE_KEY, or pass it to the handler"
)


def _load(options: argparse.Namespace) -> Finding | None:
    """Import the application, and apply the configuration. Return what went wrong."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    what = options.app
    try:
        if what is not None:
            pkgutil.resolve_name(what)
        if options.logging_config is not None:
            what = options.logging_config
            _apply(what)
    except KeyboardInterrupt:
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
            raise ConfigurationError(f"{path} is YAML: pip install pyyaml") from None
        value = yaml.safe_load(text)
    else:
        try:
            value = json.loads(text)
        except ValueError:
            raise ConfigurationError(f"{path} is not JSON: use JSON, TOML, YAML or INI") from None
    logging.config.dictConfig(value)

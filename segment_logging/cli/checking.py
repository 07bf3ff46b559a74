"""`segment-logging check`: why do my events not arrive? One screen, and one test event."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

from .._client.hosts import base_of, host_of
from .._handlers import live_handlers
from .._reports import counted
from ..errors import ConfigurationError
from ..handler import SegmentHandler
from . import connection
from .default_client import open_default_client
from .django_checks import checks_of_django
from .findings import Finding
from .journal_place import add_group_option
from .loading import load
from .logging_checks import checks_of_logging
from .network_checks import check_connection, check_region, check_write_key, send_test_event
from .option_checks import check_options
from .place_checks import check_journal, check_other_keys, check_workers
from .structlog_checks import checks_of_structlog

NAME = "check"
SUMMARY = "find out why events do not arrive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Find out why events do not arrive, with what to do about it in one line each: loggers and "
        "handlers of an application, the write key, region, DNS, TLS, proxy, clock, journal, and "
        "at last one test event. Without --app or --logging-config, no logger is checked. Events "
        "that the application logs while it is imported are not sent."
    )
    parser.add_argument(
        "--app",
        metavar="MODULE:ATTRIBUTE",
        help="import this application, and check its logging; with MODULE:FUNCTION(), also call "
        "that function, for example a main() that configures logging",
    )
    parser.add_argument(
        "--logging-config",
        metavar="FILE",
        help="apply this configuration of logging (JSON, TOML, YAML or INI), and check it",
    )
    parser.add_argument("--journal", metavar="DIR", help="a journal to check")
    add_group_option(parser)
    parser.add_argument("--no-event", action="store_true", help="do not send the test event")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if options.logging_config is not None and not os.path.isfile(options.logging_config):
        raise ConfigurationError(f"{options.logging_config} is not a file: pass a configuration")
    found: list[Finding] = []
    for finding in _findings(options):
        if finding in found:  # of several handlers, or of a handler and of the environment
            continue
        found.append(finding)
        if not options.json:
            print(f"{_MARKS[finding.grade]:<8} {finding.subject}: {finding.text}", flush=True)
    count_of = Counter(finding.grade for finding in found)
    problems, notes = count_of["problem"], count_of["note"]
    if options.json:
        print(json.dumps([finding._asdict() for finding in found]))
    elif problems:
        print(f"{counted(problems, 'problem')} found")
    else:
        also = f", but see the note{'s' if notes > 1 else ''} above" if notes else ""
        print(f"no problem found{also}")
    return 1 if problems else 0


_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    handlers: list[SegmentHandler] = []
    if options.app is not None or options.logging_config is not None:
        before = set(map(id, live_handlers()))
        about_loading = load(options.app, options.logging_config)
        yield from about_loading
        if not any(finding.grade == "problem" for finding in about_loading):
            about_client = list(open_default_client())
            yield from about_client
            if live_handlers() or not about_client:
                has_file = options.logging_config is not None
                yield from checks_of_logging(options.app, has_file=has_file)
            yield from checks_of_structlog()
            yield from checks_of_django(options.app)
        handlers = [one for one in live_handlers() if id(one) not in before]
    else:
        yield Finding("note", "loggers", "no application was given, so no logger was checked: pass "
                      "--app or --logging-config")  # fmt: skip
    yield from check_workers()
    for handler in handlers:
        yield from _checks_of_handler(handler, options)
    if not handlers:
        yield from _checks_of_options(options)
    if options.journal is not None:
        write_keys = [handler._write_key for handler in handlers]
        if not handlers:
            with suppress(ConfigurationError, OSError):
                write_keys = [connection.key_of(options)]
        yield check_journal(options.journal, write_keys, options.group)
        yield from check_other_keys(options.journal, write_keys, options.group)


def _checks_of_handler(handler: SegmentHandler, options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found about the options of an application's handler."""
    yield from check_options(handler)
    chosen = handler._options
    journal = chosen.journal
    if journal is not None:
        yield check_journal(journal, [handler._write_key], chosen.journal_group)
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
            yield from check_region(base, chosen.region, is_given=chosen.host is not None)
            yield from check_connection(base, chosen.proxies)
        if write_key is not None and not options.no_event:
            into = None if chosen.broker is None else chosen.where
            yield send_test_event(client, write_key, into=into, passes_by_handler=True)


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
    yield from check_region(base, options.region, is_given=options.host is not None)
    yield from check_connection(base, None)
    try:
        client = connection.delivery_options_of(options).new_http_client()
    except ConfigurationError as error:
        yield Finding("problem", "OAuth", str(error))
        return
    with closing(client):
        if write_key is not None and not options.no_event:
            yield send_test_event(client, write_key)


_NO_KEY = Finding(
    "problem", "write key", "there is none: set SEGMENT_WRITE_KEY, or pass it to the handler"
)

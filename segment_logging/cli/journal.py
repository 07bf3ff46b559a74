"""`segment-logging journal DIR`: what waits in a journal, and why; and sending it."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import suppress
from dataclasses import asdict

from .._broker.bundles import key_name_of
from .._clock import monotonic
from .._delivery.blame import was_not_made
from .._delivery.pipeline import Pipeline
from .._files import Folder, own_path
from .._options.delivery import write_key_of
from .._queues.journal.left_behind import left_in, text_of_left
from .._reports import counted, were
from .._trust import Trust
from ..errors import ConfigurationError, SegmentError
from ..handler import SegmentHandler
from . import connection
from .again import again
from .journal_place import add_group_option, journal_in, trust_of, user_id
from .kept_letters import letters_in, text_of_letters
from .other_users import named, other_users_in, text_of
from .progress import Progress
from .stopping import Signals, Stopped
from .tables import show_table
from .waiting import Waiting, size_of_quarantine, waiting_in

NAME = "journal"
SUMMARY = "show what waits in a journal, or send it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Show what waits in a journal: the messages of which process, since when, how many, and "
        "why. With --drain, send what processes that have ended have left."
    )
    parser.add_argument("directory", metavar="DIR", help="the directory that is the journal")
    parser.add_argument("--drain", action="store_true", help="send the messages of ended processes")
    parser.add_argument(
        "--timeout",
        type=connection.positive_number,
        metavar="SECONDS",
        default=60.0,
        help="with --drain: stop after this time without a delivery (default: 60)",
    )
    add_group_option(parser)
    parser.add_argument(
        "--owner",
        type=user_id,
        metavar="UID",
        action="append",
        default=[],
        help="another user, by number or name, whose files are shown; may be given several times",
    )
    connection.add_sending_options(parser)
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if not os.path.isdir(options.directory):
        raise ConfigurationError(f"{options.directory} is not a directory: pass a journal")
    if options.drain and options.owner:
        raise ConfigurationError(
            "--drain sends only the files of the user who runs it: omit --owner, or run "
            "`segment-logging deliver` with --owner"
        )
    trust = trust_of(options.group, options.owner)
    left_behind = left_in(options.directory, trust)
    left_texts = [text_of_left(left, options.directory, trust) for left in left_behind]
    if left_texts and not os.path.exists(own_path(options.directory, trust)):
        raise ConfigurationError("; ".join(left_texts))
    path = journal_in(options.directory, trust)
    others = other_users_in(options.directory, path)
    if others and not os.path.exists(path):
        raise ConfigurationError(
            f"{path} does not exist, but {options.directory} has directories of other users "
            f"({named(others)}): run the command as one of them"
        )
    with Folder.at(path, trust):  # raises if it is somebody else's
        pass
    if options.drain:
        return _drain(options, path, trust)
    key = None
    with suppress(ConfigurationError, OSError):
        key = key_name_of(connection.key_of(options))
    waiting = list(waiting_in(path, trust))
    set_aside = size_of_quarantine(path, trust)
    letters = letters_in(path, trust)
    if options.json:
        told = [{**asdict(one), "is_this_key": one.key == key} for one in waiting]
        print(
            json.dumps(
                {
                    "waiting": told,
                    "unread": sum(one.is_unread for one in waiting),
                    "quarantine_bytes": set_aside,
                    "dead_letters": [asdict(one) for one in letters],
                    "other_users": others,
                    "left_behind": left_behind,
                }
            )
        )
    else:
        _show(waiting, key)
        if set_aside:
            print(
                f"{set_aside:,} bytes are in the quarantine, {path}/quarantine: damaged lines, and "
                "files whose dead letters could not be written, which `segment-logging import` "
                "sends; remove them after that"
            )
        if letters:
            print(text_of_letters(letters))
        if others:
            print(text_of(others, options.directory, path))
        for text in left_texts:
            print(text)
    return 0


def _show(waiting: list[Waiting], key: str | None) -> None:
    messages = sum(one.messages for one in waiting)
    text = f"{counted(messages, 'message')} {'waits' if messages == 1 else 'wait'}"
    if unread := sum(one.is_unread for one in waiting):
        text += f", and there may be more: files of {_processes(unread)} cannot be read"
    print(text)
    headers = ("process", "write key", "since", "messages", "bytes", "why")
    rows = [
        (
            str(one.pid or ""),
            "this one" if one.key == key else one.key,
            one.since,
            f"{one.messages:,}",
            f"{one.size_bytes:,}",
            one.why,
        )
        for one in waiting
    ]
    is_shown = bool(rows) and show_table(headers, rows)
    for one in () if is_shown else waiting:
        whose = "this write key" if one.key == key else f"write key {one.key}"
        process = f"process {one.pid}" if one.pid is not None else "a process"
        print(
            f"  {counted(one.messages, 'message')} ({one.size_bytes:,} bytes) of {process}, "
            f"{whose}, since {one.since}: {one.why}"
        )


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def _drain(options: argparse.Namespace, path: str, trust: Trust) -> int:
    write_key = write_key_of(connection.key_of(options))
    handler = SegmentHandler(
        write_key,
        host=options.host,
        region=options.region,
        oauth=connection.oauth_of(options),
        gzip=options.gzip,
        max_attempts=options.max_attempts,
        journal=options.directory,
        journal_group=options.group,
        shutdown_timeout=0.0,
    )
    key = key_name_of(str(write_key))
    progress = Progress()
    signals = Signals()
    code = None
    is_done = False
    try:
        with signals.caught():
            is_done = _settle(handler, options.timeout, progress)
    except Stopped as stopped:
        code = stopped.exit_code
    progress.end()
    _end(handler)
    counts = handler.counts()
    left = [one for one in waiting_in(path, trust) if one.messages and not one.is_alive]
    own = sum(one.messages for one in left if one.key == key)
    others = sum(one.messages for one in left if one.key != key)
    left_behind = left_in(options.directory, trust, [key])  # the handler reports them
    if options.json:
        told = {
            "delivered": counts.delivered, "dead_lettered": counts.dead_lettered,
            "damaged": counts.invalid, "left": own, "left_of_other_keys": others,
            "complete": is_done, "left_behind": left_behind,
        }  # fmt: skip
        print(json.dumps(told))
    else:
        print(f"{counted(counts.delivered, 'message')} {were(counts.delivered)} delivered")
        if counts.dead_lettered:
            number = counts.dead_lettered
            letters = os.path.basename(str(handler._options.dead_letters_path))
            print(f"{counted(number, 'message')} became dead letters: see {path}/{letters}")
        if counts.invalid:
            number = counts.invalid
            print(f"{counted(number, 'line')} {were(number)} damaged: see {path}/quarantine")
        if own:
            what_to_do = again(_trouble_of(handler), "run the command again")
            print(f"{counted(own, 'message')} could not be sent yet: {what_to_do}")
        elif not is_done:
            print("not everything could be read or sent: run it without --drain to see why")
            if options.group:
                print("files of other users are sent by `segment-logging deliver` with --owner")
        if others:
            print(
                f"{counted(others, 'message')} of other write keys: run it with these keys or, if "
                "they were wrong, import the files with the right key"
            )
    if code is not None:
        return code
    is_complete = is_done and not (counts.dead_lettered or counts.invalid or own or left_behind)
    return 0 if is_complete else 1


def _settle(handler: SegmentHandler, timeout: float, progress: Progress) -> bool:
    """Wait until all is settled. Return False if nothing was settled for `timeout` seconds."""
    progress.begin(0, None)
    until = monotonic() + timeout
    settled = 0
    while not handler.drain(1.0):
        now = monotonic()
        counts = handler.counts()
        if counts.delivered + counts.dead_lettered > settled:
            settled = counts.delivered + counts.dead_lettered
            until = now + timeout
            progress.settled(counts.delivered, 0)
        elif now >= until:
            return handler.drain(0.0)  # the last answer may have arrived in the meantime
        else:
            why = "the last request failed" if _trouble_of(handler) else "no answer yet"
            progress.waiting(until - now, why, is_new=False)
    return True


def _trouble_of(handler: SegmentHandler) -> SegmentError | None:
    """Return why the last request failed, or None if it succeeded or there was none."""
    pipeline = handler._own.get()
    trouble = pipeline.trouble if isinstance(pipeline, Pipeline) else None
    return None if trouble is None or was_not_made(trouble) else trouble


def _end(handler: SegmentHandler) -> None:
    """End delivery. If messages wait, `close` would report that delivery continues."""
    pipeline = handler._own.get()
    if isinstance(pipeline, Pipeline):
        now = monotonic()
        pipeline.end_by(now)
        pipeline.wait_until_ended(now + _END_SECONDS)
    if not handler.counts().pending:
        handler.close()


_END_SECONDS = 2.0  # a request that is under way is dropped, which may take a moment

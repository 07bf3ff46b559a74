"""Checks of a journal's place, and of servers that fork without threads."""

from __future__ import annotations

import configparser
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress

from .._broker.bundles import key_name_of
from .._files import Folder, own_path
from .._process.threads import start_bare
from .._queues.journal.directory import MAKING
from .._queues.journal.place import Place
from .._reports import counted
from .._trust import NOT_PREPARED, NotOurs, way_to_share
from ..errors import ConfigurationError
from .findings import Finding, Grade, few
from .journal_place import group_of_shared, trust_of
from .other_keys import other_keys_in
from .preparing import is_prepared
from .waiting import WRONG_KEY

_LITTLE_BYTES = 64 << 20
_THREADS = ("enable-threads", "threads", "gevent")


def check_journal(
    directory: str, write_keys: Iterable[str | None], group: str | None = None
) -> Finding:
    """Return what is found about a journal's directory. Nothing is left in it.

    Args:
        directory: the directory that is given as `journal`.
        write_keys: the write keys that are used, or None for a handler without one.
        group: the name of the group that shares it, or None.
    """
    subject = "journal"
    path = directory
    try:
        path = own_path(directory, trust_of(group))
        shared_by = group_of_shared(directory, path)
    except NotOurs:
        way_out = "run this command as that user, or name a directory of your own"
        if group is not None:
            way_out = way_to_share(path, group)
        return Finding("problem", subject, f"{path} belongs to another user: {way_out}")
    except OSError as error:
        return Finding("problem", subject, f"{path} cannot be used ({error.strerror or error}): "
                       "name a directory")  # fmt: skip
    except ConfigurationError as error:
        return Finding("problem", subject, str(error))
    if shared_by is not None:
        return Finding("note", subject, f"{path} would be used, because the group {shared_by!r} "
                       f"may write in {directory}: if that group shares the journal, pass "
                       f"--group {shared_by} here, and journal_group to the handlers")  # fmt: skip
    place = os.path.abspath(path)
    while not os.path.isdir(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\n")
            file.flush()
        free = os.statvfs(place)
    except OSError as error:
        return Finding("problem", subject, f"{path} cannot be written ({error.strerror}): correct "
                       "its owner and permissions, or free disk space")  # fmt: skip
    for write_key in write_keys:
        if group is not None and write_key is not None:
            trust = trust_of(group)
            assert trust.group is not None
            finding = _check_shared(Place(directory, write_key, trust), trust.group)
            if finding is not None:
                return finding
    free_bytes = free.f_bavail * free.f_frsize
    if free_bytes < _LITTLE_BYTES:
        return Finding("note", subject, f"only {free_bytes >> 20} MiB are free for {path}: free "
                       "disk space")  # fmt: skip
    return Finding("ok", subject, f"{path} can be written")


def _check_shared(place: Place, group: int) -> Finding | None:
    """Return what is found about a write key's directories, which users of a group share."""
    user = owner = os.geteuid()
    grade: Grade = "problem"
    try:
        with place.folder() as folder:
            owner = os.fstat(folder.descriptor).st_uid
            with (
                folder.folder(place.key_name, is_ours=False) as of_key,
                of_key.folder("live", is_ours=False) as live,
            ):
                if all(is_prepared(one, owner, group) for one in (of_key, live)):
                    _try_to_make(live)
                    return None
                if os.fstat(live.descriptor).st_uid == user != 0:
                    grade = "note"  # programs of this user work
    except FileNotFoundError:
        if owner == user != 0:
            return None  # the journal has one user, who makes them
    except OSError as error:
        return Finding("problem", "journal", f"{error.filename} cannot be used ({error.strerror}): "
                       f"{place.way_out_of(error)}")  # fmt: skip
    trouble = NotOurs(NOT_PREPARED, place.live_path)
    return Finding(grade, "journal", f"{place.live_path} is not prepared for all users of the "
                   f"group: {place.way_out_of(trouble)}")  # fmt: skip


def _try_to_make(live: Folder) -> None:
    """Make a directory like that of a handler, and remove it.

    Raises:
        OSError: if a handler cannot make one.
    """
    name = MAKING + secrets.token_hex(8)
    try:
        live.folder(name, make=True).close()
    except OSError as error:
        error.filename = live.path
        raise
    finally:
        with suppress(OSError):
            live.rmdir(name)


def check_other_keys(
    directory: str, write_keys: Iterable[str | None], group: str | None = None
) -> Iterator[Finding]:
    """Yield a note if messages of other write keys wait in a journal.

    Args:
        directory: the directory that is given as `journal`.
        write_keys: the write keys that are used, or None for a handler without one.
        group: the name of the group that shares the journal, or None.
    """
    own = {key_name_of(write_key) for write_key in write_keys if write_key is not None}
    if not own:  # which is a problem of its own
        return
    found: list[str] = []
    with suppress(OSError, ConfigurationError):
        trust = trust_of(group)
        with Folder.at(own_path(directory, trust), trust) as root:
            found = other_keys_in(root, own)
    if found:
        others = counted(len(found), "other write key")
        yield Finding("note", "journal", f"messages of {others} wait in it ({few(found)}, the "
                      "beginnings of their SHA-256): start a program or `segment-logging deliver` "
                      f"with each key; {WRONG_KEY}")  # fmt: skip


def check_workers() -> Iterator[Finding]:
    """Yield what is found about threads, in this process and in uWSGI's configuration here."""
    try:
        start_bare(lambda: None)
    except RuntimeError as error:
        yield Finding("problem", "threads", f"no thread can be started ({error}): raise the limit "
                      "on processes and threads")  # fmt: skip
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if isinstance(options, dict):
        names = {key.decode() if isinstance(key, bytes) else str(key) for key in options}
        if names.isdisjoint(_THREADS):
            yield _without_threads("uWSGI")
    for name in ("uwsgi.ini", "uwsgi.conf"):
        with suppress(OSError, configparser.Error, UnicodeDecodeError):
            found = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
            with open(name, encoding="utf-8") as file:
                found.read_file(file)
            if found.has_section("uwsgi") and set(found["uwsgi"]).isdisjoint(_THREADS):
                yield _without_threads(name)


def _without_threads(what: str) -> Finding:
    return Finding("problem", "workers", f"{what} forks workers without threads, so most events "
                   "are delivered only when a worker ends: set enable-threads")  # fmt: skip

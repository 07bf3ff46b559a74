"""`segment-logging import --dry-run`: count what would be sent, and what is not a message."""

from __future__ import annotations

import argparse
import json
from collections import Counter

from .._messages.ids import new_message_id
from .._reports import counted
from .forms import BadLine, ready
from .importer import Imported, Refused
from .lines import DamagedFile, Source
from .refusals import Shown, reasons_of
from .repeats import text_of_repeats


def try_import(options: argparse.Namespace) -> int:
    """Count messages and bad lines, without sending anything. Return the exit code."""
    types: Counter[str] = Counter()
    totals = Imported()
    for path in options.files:
        source = Source(path)
        shown = Shown(source.name)
        try:
            for line in source.lines():
                if line.is_blank:
                    continue
                try:
                    message = ready(line, new_message_id, replace_id=options.new_ids)
                except BadLine as error:
                    totals.dead_lettered += 1
                    totals.count_reason(error.kind)
                    shown(Refused(line, error))
                else:
                    types[message.call_type] += 1
                    totals.undated += not message.is_dated
                    totals.repeats.add(message)
        except DamagedFile as error:
            totals.trouble, totals.is_complete = str(error), False
        finally:
            source.close()
    _tell_trial(totals, types, as_json=options.json)
    return 0 if totals.is_complete and not totals.dead_lettered else 1


def _tell_trial(totals: Imported, types: Counter[str], *, as_json: bool) -> None:
    count = types.total()
    if as_json:
        print(
            json.dumps(
                {
                    "messages": count,
                    "types": dict(types),
                    "undated": totals.undated,
                    "repeated": totals.repeats.number,
                    "bad": totals.dead_lettered,
                    "complete": totals.is_complete,
                    "reasons": dict(totals.reasons),
                }
            )
        )
        return
    told = ", ".join(f"{number} {kind}" for kind, number in types.most_common())
    print(f"{counted(count, 'message')} can be sent{f' ({told})' if told else ''}")
    if totals.dead_lettered:
        print(f"{counted(totals.dead_lettered, 'line')} cannot be sent:")
        print("\n".join(reasons_of(totals.reasons)))
    if totals.undated:
        print(f"{counted(totals.undated, 'message')} {_have(totals.undated)} no timestamp")
    if totals.repeats.number:
        print(text_of_repeats(totals.repeats.number))
    if totals.trouble:
        print(f"{totals.trouble}: only the lines before were counted")
    print("nothing was sent")


def _have(number: int) -> str:
    return "has" if number == 1 else "have"

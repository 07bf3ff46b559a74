"""Tables on a terminal, if rich is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def show_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Print a table on stdout. Return False, without printing, if it is better to print lines.

    That is the case if stdout is not a terminal, which programs may read, or without rich.
    """
    try:
        is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # no stdout, or a closed one
        return False
    if not is_terminal:
        return False
    try:
        from rich import box, console, table, text  # noqa: PLC0415  # slow, and may be missing
    except ImportError:
        return False
    made = table.Table(box=box.SIMPLE_HEAD)
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*map(text.Text, row))  # as text, because the cells are not markup
    console.Console().print(made)
    return True

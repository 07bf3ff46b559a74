"""How long the import takes, compared with `import requests`, which the handler depends on.

`import segment_logging` loads the rest of the package only when it is first used. For this reason,
the import of the handler is also measured.

Every import runs in a fresh process, and the imports take turns. Only the import's CPU time counts,
excluding the start of the interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from statistics import median

from . import runs

IMPORTS = {
    "requests": "import requests",
    "segment_logging": "import segment_logging",
    "segment_logging.SegmentHandler": "from segment_logging import SegmentHandler",
    "segment.analytics": "import segment.analytics",
    "posthog": "import posthog",
    "rudderstack.analytics": "import rudderstack.analytics",
}
_PROGRAM = """
import time
began = time.process_time()
{statement}
print(time.process_time() - began)
"""


def _seconds_of(module: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(statement=IMPORTS[module])],
        cwd=runs.ROOT,
        env=runs.environment(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return float(done.stdout)


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    names = [*IMPORTS][: 3 if short else None]
    for name in names:
        _seconds_of(name)  # compiles the modules
    found = defaultdict(list)
    for name in runs.in_turns(names, 9 if short else 21):
        found[name].append(_seconds_of(name) * 1000)
    runs.show(
        ("import", "ms", "spread"),
        [[name, f"{median(found[name]):.0f}", runs.spread(found[name])] for name in names],
    )
    more = [
        ours - theirs
        for ours, theirs in zip(
            found["segment_logging.SegmentHandler"], found["requests"], strict=True
        )
    ]
    return [
        runs.Row(
            what="`import segment_logging`",
            budget=5.0,
            values=found["segment_logging"],
            unit="ms",
        ),
        runs.Row(
            what="importing `SegmentHandler`, minus `import requests`",
            budget=20.0,
            values=more,
            unit="ms",
        ),
    ]


if __name__ == "__main__":
    runs.main(run)

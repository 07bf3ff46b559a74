"""Entry point for `segment-logging` and `python -m segment_logging`.

The commands are imported inside `main`, so that Ctrl-C shows no traceback during the import either.
"""

import sys


def main() -> int:
    """Run the command in the arguments of the process, and return its exit code."""
    try:
        from .cli import main as run  # noqa: PLC0415

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

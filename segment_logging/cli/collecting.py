"""The command `segment-logging collector`."""

from __future__ import annotations

import argparse

from ..collector.__main__ import add_arguments
from ..collector.__main__ import run as run_until

__all__ = ["NAME", "SUMMARY", "add_arguments", "run"]

NAME = "collector"
SUMMARY = "run a local endpoint that shows what arrives"


def run(options: argparse.Namespace) -> int:
    """Run the collector until Ctrl-C or SIGTERM. Return the exit code."""
    return run_until(options)

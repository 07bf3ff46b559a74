"""Entry point for `python -m segment_logging`, which is the same as `segment-logging`."""

import sys

from .cli import main

sys.exit(main())

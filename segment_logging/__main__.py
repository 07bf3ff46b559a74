"""`python -m segment_logging`: the same as `segment-logging`."""

import sys

from .cli import main

sys.exit(main())

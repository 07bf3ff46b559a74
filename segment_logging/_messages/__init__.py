"""Segment's calls: their fields, rules and limits, and their encoding as JSON.

Pure: no threads, sockets or logging. Clocks are passed in.
"""

from . import batch as batch  # importing these modules registers their classes in `message.kinds`
from . import calls as calls

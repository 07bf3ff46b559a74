"""Segment's calls, and how they are written: what fits, what is right, what it looks like as JSON.

Pure: no thread, no socket, no logging, and no clock but one that is passed in.
"""

from . import batch as batch  # the kinds of messages make themselves known to `Message`
from . import calls as calls

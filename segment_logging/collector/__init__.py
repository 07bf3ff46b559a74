"""A local, Segment-shaped endpoint: see what you send, and what Segment would drop without a word.

    python -m segment_logging.collector

or, from a test, `with Collector() as collector: ...`. Standard library only; nothing outside this
machine can reach it.
"""

from .arrivals import Answer as Answer
from .arrivals import Arrival as Arrival
from .arrivals import Request as Request
from .rules import Judged as Judged
from .rules import Verdict as Verdict
from .rules import judge as judge
from .server import Collector as Collector

__all__ = ["Answer", "Arrival", "Collector", "Judged", "Request", "Verdict", "judge"]

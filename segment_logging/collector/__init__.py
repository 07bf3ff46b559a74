"""A local endpoint in the shape of Segment's: see what you send, and what Segment would drop.

Run `python -m segment_logging.collector`, or write `with Collector() as collector: ...` in a test.

The collector needs only the standard library, and only this machine can reach it.
"""

from .arrivals import Answer as Answer
from .arrivals import Arrival as Arrival
from .arrivals import Request as Request
from .rules import Judged as Judged
from .rules import Verdict as Verdict
from .rules import judge as judge
from .server import Collector as Collector

__all__ = ["Answer", "Arrival", "Collector", "Judged", "Request", "Verdict", "judge"]

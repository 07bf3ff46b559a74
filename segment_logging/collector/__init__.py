"""A local endpoint that behaves like Segment's, and shows what arrives and what would be dropped.

Run `segment-logging collector`, or use `with Collector() as collector: ...` in a test.

The collector needs only the standard library. By default, it can be reached only from this machine.
"""

from .arrivals import Answer as Answer
from .arrivals import Arrival as Arrival
from .arrivals import Request as Request
from .rules import Judged as Judged
from .rules import Verdict as Verdict
from .rules import judge as judge
from .server import Collector as Collector

__all__ = ["Answer", "Arrival", "Collector", "Judged", "Request", "Verdict", "judge"]

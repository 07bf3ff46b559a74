"""RQ: call `connect()` once, in a module that the worker imports its jobs from.

    from segment_logging.contrib import rq as segment_rq
    segment_rq.connect()

A worker runs each job in a process of its own, which ends without running any exit function. What
a job has logged is delivered before the job counts as done, or as failed.
"""

from __future__ import annotations

from rq.worker import Worker

from .._options.checks import seconds
from ._jobs import deliver_before

_ENDS = ("handle_job_success", "handle_job_failure", "handle_job_retry")
"""What a worker calls in the process of the job once it is over, to make that known."""


def connect(*, timeout: float = 5.0) -> None:
    """Have every job's events delivered before its end is made known. Twice is once.

    Args:
        timeout: seconds that a job waits at most. What is late is reported; of what is not
            delivered then, only a journal keeps anything.

    Raises:
        ConfigurationError: the timeout is not a number of seconds.
    """
    seconds("timeout", timeout)
    for name in _ENDS:
        owner = next((kind for kind in Worker.__mro__ if name in vars(kind)), None)
        if owner is not None:
            function = vars(owner)[name]
            before = getattr(function, "__wrapped__", function)
            setattr(owner, name, deliver_before(before, timeout))

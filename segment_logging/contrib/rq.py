"""RQ: call `connect()` once, in a module from which the worker imports its jobs.

    from segment_logging.contrib import rq as segment_rq
    segment_rq.connect()

A worker runs each job in a separate process, which ends without running exit functions. Events that
a job logs are delivered before the job is marked as finished or failed.
"""

from __future__ import annotations

from rq.worker import Worker

from .._options.checks import seconds
from ._jobs import deliver_before

_ENDS = ("handle_job_success", "handle_job_failure", "handle_job_retry")
"""The worker's methods that store a job's outcome. They are called in the job's process."""


def connect(*, timeout: float = 5.0) -> None:
    """Deliver each job's events before its outcome is stored.

    Calling it again only changes the timeout.

    Args:
        timeout: the maximum time that a job waits, in seconds. Late events are reported. They may
            be lost unless there is a journal.

    Raises:
        ConfigurationError: if the timeout is not a number of seconds.
    """
    seconds("timeout", timeout)
    for name in _ENDS:
        owner = next((kind for kind in Worker.__mro__ if name in vars(kind)), None)
        if owner is not None:
            function = vars(owner)[name]
            before = getattr(function, "__wrapped__", function)
            setattr(owner, name, deliver_before(before, timeout))

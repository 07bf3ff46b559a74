"""The project's tests, run by `python -W error -m tests [pattern]`. They use only 127.0.0.1."""

import logging
import os
import signal
from contextlib import suppress

# The tests must reach their own servers directly, even if a proxy is configured on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# Handlers that tests create without a write key or host must not read one from the environment.
os.environ.pop("SEGMENT_WRITE_KEY", None)
os.environ.pop("SEGMENT_HOST", None)
# Keep `logging.lastResort` from printing the records that tests log with their own loggers.
logging.getLogger("tests").addHandler(logging.NullHandler())


def _listen_to_signals() -> None:
    """Restore the default signal handling.

    Shells make background commands ignore signals such as SIGINT. Programs that the tests start
    would inherit this, and some tests depend on these signals.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            ctrl_c = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if ctrl_c else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


with suppress(ValueError):  # raised outside the main thread, where signals cannot be set
    _listen_to_signals()

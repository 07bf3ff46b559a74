"""The project's tests: `python -W error -m tests [pattern]`. They talk to 127.0.0.1 only."""

import logging
import os
import signal
from contextlib import suppress

# A proxy of the machine the tests run on must not stand between them and their own servers.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# Nor may its write key or host reach a handler that a test makes without one.
os.environ.pop("SEGMENT_WRITE_KEY", None)
os.environ.pop("SEGMENT_HOST", None)
# What tests log through loggers of their own is not to be shown by logging's last resort.
logging.getLogger("tests").addHandler(logging.NullHandler())


def _listen_to_signals() -> None:
    """Undo what a shell does to a command in the background, such as ignoring Ctrl-C: programs
    that tests start would inherit it, and those are about just such signals."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            ctrl_c = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if ctrl_c else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


with suppress(ValueError):  # not the main thread: whoever imports us there has seen to it
    _listen_to_signals()

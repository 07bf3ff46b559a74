"""The project's tests: `python -W error -m tests [pattern]`. They talk to 127.0.0.1 only."""

import logging
import os

# A proxy of the machine the tests run on must not stand between them and their own servers.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# Nor may its write key or host reach a handler that a test makes without one.
os.environ.pop("SEGMENT_WRITE_KEY", None)
os.environ.pop("SEGMENT_HOST", None)
# What tests log through loggers of their own is not to be shown by logging's last resort.
logging.getLogger("tests").addHandler(logging.NullHandler())

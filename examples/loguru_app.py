"""A program that logs with loguru: `SEGMENT_WRITE_KEY=... python examples/loguru_app.py`.

The handler is an additional sink. All records, including events, are still written to stdout.
"""

import logging
import sys

from loguru import logger

from segment_logging import SegmentHandler, identity


def configure() -> None:
    """Add the handler as a sink, and to the logger of a library that uses `logging`."""
    segment = SegmentHandler()
    logger.remove()
    logger.add(sys.stdout, colorize=False)
    logger.add(segment, format="{message}")
    payments = logging.getLogger("payments")
    payments.setLevel(logging.INFO)
    payments.addHandler(segment)


def main() -> None:
    """Sign up a user who then buys something."""
    configure()
    logger.info("Listening on port {port}", port=8080)
    # This binds the user for all events in the block. `logger.contextualize(user_id=...)` would
    # turn every record into an event.
    with identity(user_id="u-1001"):
        logger.info("Cache miss for {key}", key="plans")
        logger.info("Profile", traits={"name": "Ada", "plan": "pro"})
        logger.bind(user_id="u-1001").info("Signup", name="Ada")
        logging.getLogger("payments").info(
            "Order Completed", extra={"properties": {"total": 49.9, "currency": "EUR"}}
        )


if __name__ == "__main__":
    main()

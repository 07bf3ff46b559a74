"""A script as cron would start it: `python examples/relay/nightly.py`.

It only writes to a journal, which takes milliseconds. `segment-logging deliver` publishes the
events to the broker, also after the script has ended.
"""

import logging
import os

from segment_logging import SegmentHandler

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(SegmentHandler(journal=os.environ["NIGHTLY_JOURNAL"], deliver=False))


def main() -> None:
    """Log one event for each of ten invoices."""
    for number in range(10):
        logger.info("Invoice Sent", extra={"user_id": f"u-{number}", "amount": 29})


if __name__ == "__main__":
    main()

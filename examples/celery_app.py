"""A shop whose work is done by Celery, and tells Segment about it by logging.

    pip install segment-logging celery

Run it with SEGMENT_WRITE_KEY set; SEGMENT_HOST sends elsewhere, for example to the collector. It
needs no broker: client and worker are two threads of it.
"""

import logging
import logging.config

from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging

from segment_logging import identity
from segment_logging.contrib.celery import connect

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
}

logger = logging.getLogger("shop")
app = Celery("shop", broker="memory://", backend="cache+memory://")
connect()


@setup_logging.connect  # else the worker would set up logging in its own way
def configure(**_: object) -> None:
    logging.config.dictConfig(LOGGING)


@app.task
def note_visit(page: str) -> None:
    logger.info(page, extra={"type": "page"})


@app.task
def set_up_account(name: str, plan: str) -> None:
    logger.info("Profile saved", extra={"traits": {"name": name, "plan": plan}})
    logger.info("Signed Up", extra={"properties": {"plan": plan}})


@app.task
def ship(order_id: str, revenue: float) -> None:
    bought = {"order_id": order_id, "revenue": revenue, "currency": "EUR"}
    logger.info("Order Completed", extra={"properties": bought})


def main() -> None:
    """Let somebody look around, sign up and buy. In a web request, who it is would be bound."""
    with start_worker(app, perform_ping_check=False):
        with identity(anonymous_id="visitor-31"):
            note_visit.delay("Pricing")
        with identity(anonymous_id="visitor-31", user_id=1):
            set_up_account.delay("Ada", "pro")
            ship.delay("o-501", 29.0).get(timeout=20)  # the last one: they run one by one


if __name__ == "__main__":
    main()

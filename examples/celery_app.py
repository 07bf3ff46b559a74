"""A shop that runs its work as Celery tasks and logs Segment events in them.

    pip install segment-logging celery

Set SEGMENT_WRITE_KEY before you run it. To send to another host, for example to the collector, also
set SEGMENT_HOST. The program needs no broker, because it runs the worker in a thread.
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


@setup_logging.connect  # otherwise, the worker would configure logging itself
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
    """Simulate a visitor who signs up and buys something.

    In a web application, the middleware would bind the identity.
    """
    with start_worker(app, perform_ping_check=False):
        with identity(anonymous_id="visitor-31"):
            note_visit.delay("Pricing")
        with identity(anonymous_id="visitor-31", user_id=1):
            set_up_account.delay("Ada", "pro")
            ship.delay("o-501", 29.0).get(timeout=20)  # wait for the last task


if __name__ == "__main__":
    main()

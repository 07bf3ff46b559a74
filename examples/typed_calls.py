"""A method for each call type, which editors can complete and type checkers can check.

Run `SEGMENT_WRITE_KEY=... python examples/typed_calls.py`. To send to another host, for example to
`segment-logging collector`, also set SEGMENT_HOST.
"""

import logging.config

from segment_logging import SegmentExtra, SegmentLogger

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(request)s %(funcName)s: %(message)s"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "line",
        },
        "segment": {"class": "segment_logging.SegmentHandler"},
    },
    "loggers": {"shop": {"level": "INFO", "handlers": ["console", "segment"]}},
}

shop = SegmentLogger("shop", context={"app": {"name": "shop"}}, properties={"currency": "EUR"})


def check_out(user_id: int, request: str) -> None:
    """Log that a user buys a teapot. The user is bound once for all of the calls."""
    log = shop.bind(user_id=user_id, extra={"request": request})
    log.page("Checkout", category="Shop", properties={"path": "/checkout"})
    log.info("cache miss")  # an ordinary record, although a user is bound
    log.identify(traits={"name": "Mia", "plan": "pro"})
    log.group("c-7", traits={"name": "Teapots & Sons"})
    log.track("Order 100% Completed", properties={"order_id": "o-501", "name": "teapot"})
    log.info("Receipt Sent", extra=SegmentExtra(properties={"by": "mail"}))


def main() -> None:
    """Handle two requests."""
    logging.config.dictConfig(LOGGING)
    check_out(17, "r-1")
    check_out(18, "r-2")


if __name__ == "__main__":
    main()

"""A program that logs with structlog: `SEGMENT_WRITE_KEY=... python examples/structlog_app.py`.

Its events are sent to Segment. All records, including events, are still written to stdout.
"""

import logging.config

import structlog
from structlog.contextvars import bound_contextvars
from structlog.stdlib import ProcessorFormatter


def configure() -> None:
    """Set up structlog with `logging`, as its documentation recommends, and add the handler."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": ProcessorFormatter,
                    "processors": [
                        ProcessorFormatter.remove_processors_meta,
                        structlog.dev.ConsoleRenderer(colors=False),
                    ],
                },
            },
            "handlers": {
                "console": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "line",
                },
                "segment": {"class": "segment_logging.SegmentHandler"},
            },
            "root": {"level": "INFO", "handlers": ["console", "segment"]},
        }
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            # This must be the last processor, so that the handler receives the dict. A renderer
            # would turn it into text.
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def main() -> None:
    """Sign up a user who then buys something."""
    configure()
    logger = structlog.get_logger("shop")
    logger.info("Listening", port=8080)
    # Bound values are added to every record, but they do not turn a record into an event.
    with bound_contextvars(user_id="u-1001", request_id="r-1"):
        logger.info("Cache miss", key="plans")
        logger.info("Profile", traits={"name": "Ada", "plan": "pro"})
        logger.info("Signup", user_id="u-1001", name="Ada")
    logger.bind(user_id="u-1001").info("Order Completed", total=49.9, currency="EUR")


if __name__ == "__main__":
    main()

"""A shop on AWS Lambda that logs what its visitors do and sends it to Segment.

    pip install segment-logging

Set SEGMENT_WRITE_KEY before you run it. To send to another host, for example to the collector, also
set SEGMENT_HOST. The program calls its own handler with events like those of API Gateway.
"""

import json
import logging
import logging.config
from typing import Any

from segment_logging import identity
from segment_logging.contrib.aws_lambda import flush_after
from segment_logging.contrib.headers import anonymous_id_of

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
}

logging.config.dictConfig(LOGGING)
logger = logging.getLogger("shop")


@flush_after  # otherwise, Lambda may freeze the process before the events are delivered
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one request."""
    body = json.loads(event.get("body", "{}"))
    visitor = anonymous_id_of("; ".join(event["cookies"]))
    with identity(user_id=body.get("user_id"), anonymous_id=visitor):
        match event["rawPath"]:
            case "/pricing":
                logger.info("Pricing", extra={"type": "page"})
            case "/signup":
                traits = {"name": body["name"], "plan": body["plan"]}
                logger.info("Profile saved", extra={"traits": traits})
                logger.info("Signed Up", extra={"properties": {"plan": body["plan"]}})
            case "/orders":
                bought = {"order_id": "o-501", "revenue": 29.0, "currency": "EUR"}
                logger.info("Order Completed", extra={"properties": bought})
    return {"statusCode": 200}


class Context:
    """The part of Lambda's context object that `flush_after` uses."""

    def get_remaining_time_in_millis(self) -> int:
        return 3_000


def main() -> None:
    """Simulate a visitor who signs up and buys something."""
    cookies = ["ajs_anonymous_id=visitor-31"]  # analytics.js sets this cookie
    ada = {"user_id": 1, "name": "Ada", "plan": "pro"}
    for path, body in (("/pricing", {}), ("/signup", ada), ("/orders", {"user_id": 1})):
        event = {"rawPath": path, "cookies": cookies, "body": json.dumps(body)}
        handler(event, Context())


if __name__ == "__main__":
    main()

"""A small application that logs what its users do and sends it to Segment.

Only the `LOGGING` configuration mentions Segment. The code just calls `logger.info`. Set
SEGMENT_WRITE_KEY before you run the program. To send to another host, for example to the collector,
also set SEGMENT_HOST.
"""

import logging
import logging.config
from dataclasses import dataclass

from segment_logging import identity

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,  # otherwise, existing loggers are silenced
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "line",
        },
        "segment": {
            "class": "segment_logging.SegmentHandler",
            "context": {"app": {"name": "signup-app", "version": "1.4.0"}},
        },
    },
    "root": {"level": "INFO", "handlers": ["console", "segment"]},
}

logger = logging.getLogger("signup_app")


@dataclass(frozen=True)
class Customer:
    """A visitor who signs up."""

    user_id: str
    visitor_id: str
    name: str
    plan: str
    company_id: str
    company: str


CUSTOMERS = (
    Customer("u-1001", "visitor-31", "Ada", "pro", "c-7", "Analytical Engines"),
    Customer("u-1002", "visitor-32", "Grace", "team", "c-8", "Compilers & Sons"),
    Customer("u-1003", "visitor-33", "Zoë", "free", "c-7", "Analytical Engines"),
)


def view_page(visitor_id: str, name: str, path: str) -> None:
    """Log that a visitor, who is not a user yet, viewed a web page."""
    logger.info(
        name, extra={"type": "page", "anonymous_id": visitor_id, "properties": {"path": path}}
    )


def sign_up(customer: Customer) -> None:
    """Log that a visitor became a user, with their traits and company."""
    logger.info(
        "Signed Up",
        extra={
            "user_id": customer.user_id,
            "anonymous_id": customer.visitor_id,
            "properties": {"plan": customer.plan},
        },
    )
    logger.info(
        "Profile saved",
        extra={
            "user_id": customer.user_id,
            "traits": {"name": customer.name, "plan": customer.plan},
        },
    )
    logger.info(
        "Company joined",
        extra={
            "user_id": customer.user_id,
            "group_id": customer.company_id,
            "traits": {"name": customer.company},
        },
    )


def welcome(customer: Customer) -> None:
    """Log that the app showed its welcome screen. The user is bound to the context."""
    with identity(user_id=customer.user_id):
        logger.info("Welcome", extra={"type": "screen", "properties": {"language": "en"}})


def complete_order(customer: Customer, order_id: str, revenue: float) -> None:
    """Log that a customer paid for an order."""
    logger.info(
        "Order Completed",
        extra={
            "user_id": customer.user_id,
            "properties": {"order_id": order_id, "revenue": revenue, "currency": "EUR"},
        },
    )


def merge_accounts(customer: Customer, old_user_id: str) -> None:
    """Log that a user of the old system is the same person as this customer."""
    logger.info("Accounts merged", extra={"user_id": customer.user_id, "previous_id": old_user_id})


def main() -> None:
    """Run through the application's features."""
    logging.config.dictConfig(LOGGING)
    logger.info("Open for business")  # not an event, so only the console shows it
    for customer in CUSTOMERS:
        view_page(customer.visitor_id, "Pricing", "/pricing")
        sign_up(customer)
        welcome(customer)
    ada, grace, _ = CUSTOMERS
    complete_order(ada, "o-501", 29.0)
    complete_order(grace, "o-502", 149.5)
    merge_accounts(ada, "legacy-17")


if __name__ == "__main__":
    main()  # waiting messages are delivered when the program ends

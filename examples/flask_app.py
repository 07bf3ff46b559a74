"""A Flask shop that logs what its visitors do and sends it to Segment.

    pip install segment-logging flask

Set SEGMENT_WRITE_KEY before you run it. To send to another host, for example to the collector, also
set SEGMENT_HOST. The program makes its own requests with Flask's test client.
"""

import logging
import logging.config

from flask import Flask, request, session

from segment_logging.contrib.flask import SegmentLogging

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
}

# Not in main(), because a server only imports this module.
logging.config.dictConfig(LOGGING)
logger = logging.getLogger("shop")
app = Flask(__name__)
app.secret_key = "for this example only"
SegmentLogging(app, user_id=lambda: session.get("user_id"))  # with Flask-Login: SegmentLogging(app)
users: list[str] = []


@app.get("/pricing")
def pricing() -> str:
    logger.info("Pricing", extra={"type": "page"})
    return "Free for one, 29 for all"


@app.post("/signup")
def sign_up() -> str:
    name, plan = request.form["name"], request.form["plan"]
    users.append(name)
    session["user_id"] = len(users)
    logger.info("Profile saved", extra={"traits": {"name": name, "plan": plan}})
    logger.info("Signed Up", extra={"properties": {"plan": plan}})
    return "Welcome"


@app.post("/orders")
def order() -> str:
    bought = {"order_id": "o-501", "revenue": 29.0, "currency": "EUR"}
    logger.info("Order Completed", extra={"properties": bought})
    return "Thank you"


def main() -> None:
    """Simulate a visitor who signs up and buys something."""
    browser = app.test_client()
    browser.set_cookie("ajs_anonymous_id", "visitor-31")  # analytics.js sets this cookie
    browser.get("/pricing")
    browser.post("/signup", data={"name": "Ada", "plan": "pro"})
    browser.post("/orders")


if __name__ == "__main__":
    main()

"""A FastAPI shop that logs what its visitors do and sends it to Segment.

    pip install segment-logging fastapi httpx itsdangerous

Set SEGMENT_WRITE_KEY before you run it. To send to another host, for example to the collector, also
set SEGMENT_HOST. The program makes its own requests with httpx.
"""

import asyncio
import logging
import logging.config

import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from segment_logging.contrib.asgi import SegmentMiddleware

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
}

# Not in main(), because a server only imports this module.
logging.config.dictConfig(LOGGING)
logger = logging.getLogger("shop")
app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="for this example only")
app.add_middleware(SegmentMiddleware, user_id=lambda scope: scope["session"].get("user_id"))
users: list[str] = []


class NewUser(BaseModel):
    name: str
    plan: str


@app.get("/pricing")
async def pricing() -> str:
    logger.info("Pricing", extra={"type": "page"})
    return "Free for one, 29 for all"


@app.post("/signup")
async def sign_up(new: NewUser, request: Request) -> str:
    users.append(new.name)
    request.session["user_id"] = len(users)
    logger.info("Profile saved", extra={"traits": {"name": new.name, "plan": new.plan}})
    logger.info("Signed Up", extra={"properties": {"plan": new.plan}})
    return "Welcome"


@app.post("/orders")
def order() -> str:  # not async, so FastAPI runs it in a thread
    bought = {"order_id": "o-501", "revenue": 29.0, "currency": "EUR"}
    logger.info("Order Completed", extra={"properties": bought})
    return "Thank you"


async def main() -> None:
    """Simulate a visitor who signs up and buys something."""
    cookies = {"ajs_anonymous_id": "visitor-31"}  # analytics.js sets this cookie
    server = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=server, base_url="http://shop.example", cookies=cookies
    ) as browser:
        await browser.get("/pricing")
        await browser.post("/signup", json={"name": "Ada", "plan": "pro"})
        await browser.post("/orders")


if __name__ == "__main__":
    asyncio.run(main())

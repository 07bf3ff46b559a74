"""The code that each page's Python needs around it, and the messages that it sends."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

LOGGER = """
import logging
from segment_logging import SegmentHandler
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
handler = SegmentHandler()
logger.addHandler(handler)
"""
"""A logger with a handler, which most pages assume."""

TASKS = """
import sys
from types import ModuleType
from segment_logging.compat import analytics
tasks = sys.modules["tasks"] = ModuleType("tasks")
tasks.analytics = analytics
def sign_up(user_id, is_new):
    if is_new:
        analytics.track(user_id, "Signup")
tasks.sign_up = sign_up
"""
"""A module of a program that calls the functions of `analytics`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The code around a page's Python.

    Attributes:
        before: code that runs before the page's code.
        after: code that runs afterwards, such as calls of functions that the page defines.
        arrives: the type, name and user of each message that arrives.
        needs: modules that the code requires.
    """

    before: str = LOGGER
    after: str = ""
    arrives: tuple[tuple[str, str | None, str], ...] = ()
    needs: tuple[str, ...] = ()


SIGNUP = ("track", "Signup", "u-17")
PRICING = ("page", "Pricing", "visitor-31")
VISITOR = '{"ajs_anonymous_id": "visitor-31"}'

DJANGO = """
import django
from django.conf import settings
settings.configure(
    MIDDLEWARE=MIDDLEWARE,
    LOGGING=LOGGING,
    SEGMENT_LOGGING=SEGMENT_LOGGING,
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["testserver"],
    SECRET_KEY="test-secret",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True
        }
    },
    USE_TZ=True,
)
django.setup()
from types import SimpleNamespace
from django.test import Client, override_settings
from django.urls import path
logging.getLogger("django.request").setLevel(logging.CRITICAL)
def failing(request):
    order(request)
    raise LookupError
def logged_in(get_response):
    def respond(request):
        request.user = SimpleNamespace(is_authenticated=True, public_id="u-17")
        return get_response(request)
    return respond
urlpatterns = [path("pricing", pricing), path("order", order), path("failing", failing)]
browser = Client(raise_request_exception=False)
browser.cookies["ajs_anonymous_id"] = "visitor-31"
assert browser.get("/pricing").status_code == 200
assert browser.get("/order").status_code == 200
assert browser.get("/failing").status_code == 500
with override_settings(
    MIDDLEWARE=[*MIDDLEWARE, "__main__.logged_in"],
    SEGMENT_LOGGING={"user_id": "__main__.public_id"},
):
    assert Client().get("/pricing").status_code == 200
uuid4 = lambda: "visitor-32"
with override_settings(
    MIDDLEWARE=[*MIDDLEWARE, "__main__.give_id", "__main__.add_consent"],
    SEGMENT_LOGGING={"anonymous_id": "__main__.anonymous_id"},
):
    browser = Client()
    browser.cookies["consent"] = "analytics"
    cookie = browser.get("/pricing", secure=True).cookies["ajs_anonymous_id"]
    assert (cookie.value, cookie["httponly"]) == ("visitor-32", ""), cookie
    assert not browser.get("/pricing", secure=True).cookies
"""

FLASK = """
browser = app.test_client()
browser.set_cookie("ajs_anonymous_id", "visitor-31")
assert browser.get("/pricing").status_code == 200
"""

NO_HTTPX2 = "import warnings; warnings.filterwarnings('ignore', 'Using .httpx. with .starlette')"
"""Ignores the advice of Starlette's TestClient to install httpx2."""

FASTAPI = f"""
import asyncio, httpx
async def visit(application, path, headers):
    server = httpx.ASGITransport(application)
    async with httpx.AsyncClient(
        transport=server, base_url="http://shop.example", cookies={VISITOR}
    ) as browser:
        return (await browser.get(path, headers=headers)).status_code
ada = {{"authorization": "Bearer token-of-ada"}}
assert asyncio.run(visit(app, "/pricing", {{}})) == 200
assert asyncio.run(visit(api, "/orders", ada)) == 200
assert asyncio.run(visit(api, "/invoices", ada)) == 200
assert asyncio.run(visit(api, "/orders", {{}})) == 401
test_orders()
uuid4 = lambda: "visitor-32"
async def visit_anew():
    server = httpx.ASGITransport(site)
    async with httpx.AsyncClient(
        transport=server, base_url="https://shop.example", cookies={{"consent": "analytics"}}
    ) as browser:
        answers = [await browser.get("/prices"), await browser.get("/prices")]
        browser.cookies.set("consent", "advertising")
        return [*answers, await browser.get("/prices"), await browser.get("/prices")]
first, second, withdrawn, last = asyncio.run(visit_anew())
assert first.cookies["ajs_anonymous_id"] == "visitor-32", first.headers
assert first.headers["cache-control"] == "no-store" and not second.cookies
assert "Max-Age=0" in withdrawn.headers["set-cookie"], withdrawn.headers
assert "set-cookie" not in last.headers and last.request.headers["cookie"] == "consent=advertising"
async def visit_with(value):
    headers = [("cookie", "consent=analytics"), ("cookie", "ajs_anonymous_id=" + value)]
    server = httpx.ASGITransport(site)
    async with httpx.AsyncClient(transport=server, base_url="https://shop.example") as browser:
        return (await browser.get("/prices", headers=headers)).cookies.get("ajs_anonymous_id")
assert asyncio.run(visit_with("null")) == "visitor-32"
assert asyncio.run(visit_with("visitor-31")) is None
@site.get("/anyway")
async def anyway():
    logger.info("Anyway", extra={{"user_id": "u-17", "properties": {{}}}})
with capture_segment() as captured:
    assert asyncio.run(visit(site, "/anyway", {{}})) == 200
assert captured[0].user.anonymous_id is None  # the visitor has not agreed
"""

WSGI = """
from wsgiref.util import setup_testing_defaults
environ = {"HTTP_COOKIE": "ajs_anonymous_id=visitor-31", "shop.user_id": "u-17"}
setup_testing_defaults(environ)
assert b"".join(application(environ, lambda *_: None)) == b"Free for one, 29 for all"
"""

CELERY = """
from segment_logging import identity
app.conf.task_always_eager = True
with identity(user_id="u-17"):
    ship.delay("o-501")
    charge.delay("o-501")
remind.delay(["u-31"])
"""

RQ = """
ship("o-501")
"""

DRAMATIQ = """
worker = dramatiq.Worker(dramatiq.get_broker(), worker_timeout=10)
worker.start()
ship.send("o-501")
dramatiq.get_broker().join(ship.queue_name)
worker.stop()
"""

LAMBDA = """
import asyncio
assert handler({"user_id": "u-17"}, None) == {"statusCode": 200}
asyncio.run(handle_request(None))
"""

TRACED = """
from prometheus_client import REGISTRY
logger.info("Signup", extra={"user_id": "u-17"})
logger.handlers[0].flush()
outcome = {"outcome": "delivered", "handler": "handler 2"}
assert REGISTRY.get_sample_value("segment_logging_messages_total", outcome) == 1
"""

SIGN_UP = """
def sign_up(user_id):
    logger.info("Signup", extra={"user_id": user_id, "properties": {"plan": "pro"}})
"""

UNITTEST = """
import unittest
result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(TestSignUp).run(result)
assert result.testsRun and result.wasSuccessful(), result.failures + result.errors
"""

OWN_LOGGER = LOGGER.replace("logger.addHandler(handler)\n", "")

DELETED = """
import io
def urlopen(request, timeout):
    assert request.get_method() == "POST"
    assert request.full_url == "https://api.segmentapis.com/regulations"
    assert request.get_header("Authorization") == "Bearer the-token"
    assert json.loads(request.data)["subjectIds"] == ["u-17"]
    return io.BytesIO(b'{"data": {"regulateId": "1"}}')
assert delete_user("u-17", "the-token")["data"] == {"regulateId": "1"}
logger.handlers[0].drain(10)
def fill(name, *lines):
    path = Path("files", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + chr(10) for line in lines))
    path.chmod(0o640 if "live" in name else 0o600)
    return path
user, other = {"userId": "u-17"}, {"userId": "u-170"}
visitor, alias = {"anonymousId": "visitor-31"}, {"userId": "u-18", "previousId": "u-17"}
files = [
    fill("0123456789ab/live/1-2/1.jsonl", user, other, visitor),
    fill("quarantine/lines", other, "torn u-17", alias),
    fill("dead-letters.jsonl", {"message": user}, {"message": other}, {"message": None}),
    fill("dead-letters.jsonl.1", other, {"message": alias}),
    fill("dead-letters.jsonl.replayed", {"message": visitor}, other),
]
bookmark = fill("dead-letters.jsonl.replaying", {"offset": 1})
Path("files/0123456789ab/live/1-2/room").write_text("u-17")
imported = fill("../import.jsonl", user, other)
assert delete_messages("files", ["u-17", "visitor-31"], imported) == 8
for path in (*files, imported):
    assert b"u-170" in path.read_bytes() and b"visitor-31" not in path.read_bytes(), path
    assert b'u-17"' not in path.read_bytes(), path
    assert path.stat().st_mode & 0o777 == (0o640 if "live" in str(path) else 0o600), path
assert not bookmark.exists()
assert Path("files/0123456789ab/live/1-2/room").read_text() == "u-17"
"""
"""Nothing is sent to Segment's Public API, and the files are examples of all that may exist."""

IN_A_WORKER = """
post_fork(None, None)
"""

BATCH_JOB = """
rows = [{"customer": "u-17", "invoice": 1, "sent_at": "2026-11-23T08:00:00Z", "total": 29.0}]
assert main(rows, "journal") == 0
"""

SURROUNDINGS = {
    "README.md": Surroundings(before="", arrives=(SIGNUP, ("track", "Order Completed", "u-17"))),
    "docs/index.md": Surroundings(before="", arrives=(SIGNUP,)),
    "docs/getting-started.md": Surroundings(before="", arrives=(SIGNUP,)),
    "docs/records.md": Surroundings(
        arrives=(
            ("page", "Checkout, step 2", "u-17"),
            ("track", "Order Completed", "u-17"),
            ("identify", None, "u-17"),
            SIGNUP,
        )
    ),
    "docs/identity.md": Surroundings(
        arrives=(
            SIGNUP,
            SIGNUP,
            ("track", "Reindexed", "nightly-job"),
            PRICING,
            SIGNUP,
            ("track", "Signup", "an-9"),
        )
    ),
    "docs/frameworks/django.md": Surroundings(
        after=DJANGO,
        arrives=(
            PRICING,
            ("track", "Order", "visitor-31"),
            ("page", "Pricing", "u-17"),
            ("page", "Pricing", "visitor-32"),
            ("page", "Pricing", "visitor-32"),
        ),
        needs=("django",),
    ),
    "docs/frameworks/flask.md": Surroundings(after=FLASK, arrives=(PRICING,), needs=("flask",)),
    "docs/frameworks/asgi.md": Surroundings(
        before=f"{NO_HTTPX2}\n{LOGGER}",
        after=FASTAPI,
        arrives=(
            PRICING,
            ("track", "Orders Viewed", "u-17"),
            ("track", "Invoices Viewed", "u-17"),
            *[("page", "Prices", "visitor-32")] * 3,
            ("page", "Prices", "visitor-31"),
        ),
        needs=("fastapi", "httpx", "itsdangerous"),
    ),
    "docs/frameworks/wsgi.md": Surroundings(after=WSGI, arrives=(("page", "Pricing", "u-17"),)),
    "docs/frameworks/celery.md": Surroundings(
        after=CELERY,
        arrives=(
            ("track", "Order Shipped", "u-17"),
            ("track", "Charge Started", "u-17"),
            ("track", "Reminded", "u-31"),
        ),
        needs=("celery",),
    ),
    "docs/frameworks/rq.md": Surroundings(
        after=RQ, arrives=(("track", "Order Shipped", "u-17"),), needs=("rq",)
    ),
    "docs/frameworks/dramatiq.md": Surroundings(
        after=DRAMATIQ, arrives=(("track", "Order Shipped", "u-17"),), needs=("dramatiq",)
    ),
    "docs/frameworks/aws-lambda.md": Surroundings(
        after=LAMBDA, arrives=(("track", "Order Completed", "u-17"),)
    ),
    "docs/structlog-and-loguru.md": Surroundings(
        before="",
        arrives=(
            SIGNUP,
            ("track", "Paid %d", "u-17"),
            ("identify", None, "u-17"),
            *[("track", "Invited", "u-17")] * 2,
            SIGNUP,
            ("track", "Plan Chosen", "u-17"),
        ),
        needs=("structlog", "loguru"),
    ),
    "docs/testing.md": Surroundings(before=LOGGER + SIGN_UP, after=UNITTEST),
    "docs/delivery.md": Surroundings(),
    "docs/privacy.md": Surroundings(
        before=OWN_LOGGER,
        after=DELETED,
        arrives=(("track", "Signup", sha256(b"ada@example.com").hexdigest()),),
    ),
    "docs/batch-jobs.md": Surroundings(
        before="", after=BATCH_JOB, arrives=(("track", "Invoice Sent", "u-17"),)
    ),
    "docs/options.md": Surroundings(before=""),
    "docs/official-sdk.md": Surroundings(
        before=TASKS,
        arrives=(
            ("identify", None, "u-17"),
            SIGNUP,
            SIGNUP,
            ("track", "Paid", "u-17"),
            ("track", "Read", "u-17"),
        ),
    ),
    "docs/metrics.md": Surroundings(
        before=OWN_LOGGER,
        after=TRACED,
        arrives=(SIGNUP,),
        needs=("prometheus_client", "opentelemetry"),
    ),
    "docs/without-logging.md": Surroundings(
        before="",
        arrives=(
            ("track", "Signup", "u"),
            *(("track", f"Event {number}", "u") for number in (0, 1, 2, 0, 1, 2)),
        ),
    ),
    "docs/collector.md": Surroundings(before=""),
    "docs/troubleshooting.md": Surroundings(arrives=(SIGNUP,)),
    "docs/operating.md": Surroundings(
        before=OWN_LOGGER, after=IN_A_WORKER, needs=("opentelemetry",)
    ),
    "docs/destinations.md": Surroundings(before=""),
}
"""The surroundings of every page that contains Python, by the page's path."""

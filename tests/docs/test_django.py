"""Tests that the programs and statements in docs/frameworks/django.md hold."""

from __future__ import annotations

import unittest
from importlib.util import find_spec
from typing import Any

from .pages import program_of
from .test_blocks import ProgramTest

PAGE = "docs/frameworks/django.md"

SITE = """
import django, json, sys
from django.conf import settings
settings.configure(
    MIDDLEWARE=[
        MIDDLEWARE[0], "django.middleware.cache.UpdateCacheMiddleware", *MIDDLEWARE[1:],
        "__main__.give_id", "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    LOGGING=LOGGING,
    SEGMENT_LOGGING={"anonymous_id": "__main__.anonymous_id"},
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["testserver"],
    SECRET_KEY="test-secret",
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3", "ATOMIC_REQUESTS": True
        }
    },
    USE_TZ=True,
)
django.setup()
from django.core.management import call_command
from django.test import Client, TestCase, TransactionTestCase
from django.urls import path
call_command("migrate", verbosity=0)
from django.contrib.auth.views import LoginView, LogoutView
names = ("pricing", "home", "order", "checkout", "sign_up", "register", "agree")
urlpatterns = [
    *[path(name, globals()[name]) for name in names],
    path("log_in", LoginView.as_view(next_page="/")),
    path("log_out", LogoutView.as_view(next_page="/")),
]
def log_in(browser, name):
    answer = browser.post("/log_in", {"username": name, "password": "secret"})
    assert answer.status_code == 302, answer
def visit(browser):
    django.core.cache.cache.clear()
    browser.get("/home")
def id_of(browser):
    return browser.cookies["ajs_anonymous_id"].value
def users(*names):
    return [get_user_model().objects.create_user(name, password="secret") for name in names]
def browser_with(**cookies):
    browser = Client()
    for name, value in cookies.items():
        browser.cookies[name] = value
    return browser
def count():
    segment_logging.drain(10)
    return segment_logging.counts()
import segment_logging
"""

RUN_TEST = """
import unittest
def run(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun and result.wasSuccessful(), result.failures + result.errors
"""


class SiteTest(ProgramTest):
    """Base class that runs the page's program in a site with a database."""

    def run_site(self, *calls: str, site: str = SITE) -> str:
        """Run the page's program in a site, and then some calls."""
        run = f"exec(compile({program_of(PAGE)!r}, {PAGE!r}, 'exec'))"
        return self.run_python("-c", "\n".join([run, site, *calls]))

    def events(self) -> list[tuple[Any, Any, Any]]:
        """Return the name, or else the type, and the ids of each message that arrived."""
        return [
            (one.get("event", one["type"]), one.get("userId"), one.get("anonymousId"))
            for one in self.collector.messages
        ]


@unittest.skipUnless(find_spec("django"), "needs Django")
class TestSite(SiteTest):
    def test_sign_up(self) -> None:
        """After the login, both events are about the user. Without it, the id can be passed."""
        self.run_site("""
for name in ("sign_up", "register"):
    browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
    assert browser.post("/" + name, {"name": name}).status_code == 200
""")
        self.assertEqual(
            self.events(),
            [
                ("identify", "1", "visitor-31"),
                ("Signed Up", "1", "visitor-31"),
                ("Logged In", "1", "visitor-31"),
                ("Registered", "2", "visitor-31"),
            ],
        )

    def test_captured_callbacks(self) -> None:
        """Callbacks that a TestCase captures have no identity, unless the id was read before."""
        self.run_site(
            RUN_TEST,
            """
class Captured(TestCase):
    def test_event(self):
        browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
        browser.force_login(users("ada")[0])
        for name, invalid in (("order", 1), ("checkout", 0)):
            before = count().invalid
            with self.captureOnCommitCallbacks(execute=True):
                browser.post("/" + name)
            self.assertEqual(count().invalid - before, invalid)
logging.raiseExceptions = False
logging.getLogger("segment_logging").addHandler(logging.NullHandler())
run(Captured)
""",
        )
        self.assertEqual(self.events(), [("Checkout", "1", None)])

    def test_transactions(self) -> None:
        """In a TransactionTestCase, the callbacks have the request's identity."""
        self.run_site(
            RUN_TEST,
            """
class Committed(TransactionTestCase):
    def test_event(self):
        browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
        (ada,) = users("ada")
        for is_logged_in in (False, True):
            if is_logged_in:
                browser.force_login(ada)
            browser.post("/order")
            browser.post("/checkout")
run(Committed)
""",
        )
        self.assertEqual(
            self.events(),
            [
                ("Order", None, "visitor-31"),
                ("Checkout", None, "visitor-31"),
                ("Logged In", "1", None),
                ("Order", "1", "visitor-31"),
                ("Checkout", "1", "visitor-31"),
            ],
        )

    def test_missing_callbacks(self) -> None:
        """In a TestCase, the event is missing, and the failed assertion names the cause."""
        self.run_site(
            RUN_TEST,
            """
from segment_logging.testing import SegmentTestCase
class Missing(SegmentTestCase, TestCase):
    def test_event(self):
        browser_with(consent="analytics", ajs_anonymous_id="visitor-31").post("/order")
        with self.assertRaisesRegex(AssertionError, r"captureOnCommitCallbacks\\(execute=True\\)"):
            self.assertTracked("Order")
run(Missing)
""",
        )

    def test_another_user(self) -> None:
        """A login with the cookies of another user gets a new anonymous id, others keep theirs."""
        written = self.run_site("""
users("ada", "bob")
no_ids = ("", "null", "%22null%22", "undefined", "%20", None)
for former_id in ("1", "%221%22", "2", "%222%22", *no_ids):
    browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
    if former_id is not None:
        browser.cookies["ajs_user_id"] = former_id
    log_in(browser, "bob")
    print(id_of(browser))
""")
        ids = written.split()
        self.assertEqual(len({"visitor-31", *ids[:2]}), 3)
        self.assertEqual(ids[2:], ["visitor-31"] * 8)
        self.assertEqual(self.events(), [("Logged In", "2", one) for one in ids])

    def test_two_users_without_analytics_js(self) -> None:
        """Two users of one browser never share an id, with a logout or an expired session."""
        written = self.run_site("""
from django.contrib.sessions.models import Session
ada, bob = users("ada", "bob")
for ends in (lambda browser: browser.post("/log_out"), lambda _: Session.objects.all().delete()):
    browser = browser_with(consent="analytics")
    visit(browser)
    log_in(browser, "ada")
    visit(browser)
    print(id_of(browser))
    ends(browser)
    log_in(browser, "bob")
    visit(browser)
    print(id_of(browser))
""")
        ids = written.split()
        self.assertEqual(len(set(ids)), 4)
        expected = []
        for first, second in (ids[:2], ids[2:]):
            expected += [
                ("page", None, first), ("Logged In", "1", first), ("page", "1", first),
                ("Logged In", "2", second), ("page", "2", second),
            ]  # fmt: skip
        self.assertEqual(self.events(), expected)

    def test_async_login(self) -> None:
        """After alogin(), the view binds the new id that the receiver has made."""
        written = self.run_site("""
import asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth import aauthenticate, alogin
from django.db import connection, connections
from django.test import AsyncClient
connection.settings_dict["ATOMIC_REQUESTS"] = False
async def log_in_async(request):
    await alogin(request, await aauthenticate(request, username="bob", password="secret"))
    bind(anonymous_id=request.id_cookies.get(COOKIE))
    logger.info("Welcome", extra={"segment": True})
    return HttpResponse()
urlpatterns.append(path("log_in_async", log_in_async))
async def main():
    browser = AsyncClient()
    cookies = {"consent": "analytics", "ajs_anonymous_id": "visitor-31", "ajs_user_id": "1"}
    browser.cookies.load(cookies)
    await browser.post("/log_in_async")
    print(id_of(browser))
    await sync_to_async(connections.close_all)()  # those of another thread
users("ada", "bob")
asyncio.run(main())
""")
        new_id = written.strip()
        self.assertNotEqual(new_id, "visitor-31")
        self.assertEqual(self.events(), [("Logged In", "2", new_id), ("Welcome", "2", new_id)])

    def test_without_consent(self) -> None:
        """Visitors who have not agreed get no cookie, and their events are not logged."""
        self.run_site("""
users("ada")
browser = browser_with()
visit(browser)
log_in(browser, "ada")
visit(browser)
browser.post("/log_out")
visit(browser)
assert not any(one.value for name, one in browser.cookies.items() if name.startswith("ajs"))
assert count().invalid == 0
""")
        self.assertEqual(self.events(), [("Logged In", "1", None), ("page", "1", None)])

    def test_consent_after_login(self) -> None:
        """The view that stores the consent writes both cookies, so the next user gets a new id."""
        written = self.run_site("""
users("ada", "bob")
browser = browser_with(consent="")
log_in(browser, "ada")
browser.post("/agree")
print(id_of(browser))
del browser.cookies["sessionid"]
log_in(browser, "bob")
print(id_of(browser))
""")
        first, second = written.split()
        self.assertNotEqual(first, second)
        self.assertEqual(
            self.events(),
            [("Logged In", "1", None), ("Agreed", "1", first), ("Logged In", "2", second)],
        )

    def test_sign_up_without_login(self) -> None:
        """The next user of the browser gets a new id, unless it is the user who signed up."""
        written = self.run_site("""
(carl,) = users("carl")
browser = browser_with(consent="analytics")
for name in ("ada", "bob"):
    browser.post("/register", {"name": name})
    print(id_of(browser))
bob = get_user_model().objects.get(username="bob")
bob.is_active = True
bob.set_password("secret")
bob.save()
log_in(browser, "bob")
browser.post("/register", {"name": "dave"})
visit(browser)
print(id_of(browser))
del browser.cookies["sessionid"]
log_in(browser, "carl")
print(id_of(browser))
""")
        ada, bob, still_bob, carl = written.split()
        self.assertEqual((len({ada, bob, carl}), still_bob), (3, bob))
        self.assertEqual(
            self.events(),
            [
                ("Registered", "2", ada), ("Registered", "3", bob), ("Logged In", "3", bob),
                ("Registered", "4", None), ("page", "3", bob), ("Logged In", "1", carl),
            ],
        )  # fmt: skip

    def test_consent_by_a_script(self) -> None:
        """The user's id is in a cookie once the user is loaded. That never causes a query."""
        written = self.run_site("""
from django.db import connection
from django.test.utils import CaptureQueriesContext
connection.settings_dict["ATOMIC_REQUESTS"] = False
def plain(request):
    return HttpResponse()
def loading(request):
    return HttpResponse(str(request.user))
urlpatterns += [path("plain", plain), path("loading", loading)]
users("ada", "bob")
for name in ("home", "loading"):
    browser = browser_with(consent="")
    log_in(browser, "ada")
    browser.cookies["consent"] = "analytics"
    with CaptureQueriesContext(connection) as queries:
        browser.get("/plain")
    assert not queries.captured_queries and USER_COOKIE not in browser.cookies
    browser.get("/" + name)
    print(id_of(browser))
    del browser.cookies["sessionid"]
    log_in(browser, "bob")
    print(id_of(browser))
""")
        self.assertEqual(len(set(written.split())), 4)

    def test_event_that_gives_consent(self) -> None:
        """The event of the view that stores the consent has the new choice, and keeps an id."""
        written = self.run_site("""
settings.MIDDLEWARE.append("__main__.add_consent")
former = {"consent": "advertising", COOKIE: "old"}
for cookies in ({}, former, {"consent": "analytics", COOKIE: "v"}):
    browser = browser_with(**cookies)
    browser.post("/agree")
    visit(browser)
    print(id_of(browser))
""")
        *new, kept = written.split()
        self.assertEqual((len({"old", *new}), kept), (3, "v"))
        names = [(name, one) for one in (*new, kept) for name in ("Agreed", "page")]
        self.assertEqual([(name, one) for name, _, one in self.events()], names)
        preferences = {"analytics": True, "advertising": True}
        for message in self.collector.messages:
            self.assertEqual(message["context"]["consent"], {"categoryPreferences": preferences})

    def test_special_characters(self) -> None:
        """A user id with any characters is read as it was written to the cookie."""
        self.run_site("""
for user_id in ("17", "ada@example.com", "ä, 5%; \\"b\\""):
    response = HttpResponse()
    set_cookies(response, {USER_COOKIE: user_id})
    header = response.cookies[USER_COOKIE].OutputString().partition(";")[0]
    assert user_id_of(header) == user_id, header
""")

    def test_own_logger(self) -> None:
        """Events of a logger that does not propagate are captured, and not on the console."""
        written = self.run_site(
            RUN_TEST,
            """
from logging.config import dictConfig
from segment_logging.testing import SegmentTestCase
LOGGING["handlers"]["console"] = {"class": "logging.StreamHandler", "stream": sys.stdout}
LOGGING["root"] = {"handlers": ["console"]}
LOGGING["loggers"] = {
    "shop": {"level": "INFO"},
    "shop.events": {"level": "INFO", "handlers": ["segment"], "propagate": False},
}
dictConfig(LOGGING)
logger.info("A line")
events = logging.getLogger("shop.events")
class Captured(SegmentTestCase, TestCase):
    def test_event(self):
        events.info("Signup", extra={"user_id": "u-17"})
        self.assertTracked("Signup", user_id="u-17")
run(Captured)
events.info("Order", extra={"user_id": "u-17"})
""",
        )
        self.assertEqual(written, "A line\n")
        self.assertEqual(self.events(), [("Order", "u-17", None)])

    def test_rolled_back(self) -> None:
        """If the view of a login fails, no event is sent, and no cookie is set or deleted."""
        self.run_site("""
def broken(request):
    sign_up(request)
    raise LookupError
def broken_log_out(request):
    django.contrib.auth.logout(request)
    raise LookupError
urlpatterns += [path("broken", broken), path("broken_log_out", broken_log_out)]
logging.getLogger("django.request").setLevel("CRITICAL")
logger.addFilter(lambda record: record.msg not in ("Profile", "Signed Up"))
users("ada")
for cookies in ({}, {"ajs_anonymous_id": "visitor-31", "ajs_user_id": "1"}):
    browser = browser_with(consent="analytics", **cookies)
    browser.raise_request_exception = False
    for name in ("broken", "broken_log_out"):
        answer = browser.post("/" + name, {"name": "bob"})
        assert answer.status_code == 500
        assert not {COOKIE, USER_COOKIE}.intersection(answer.cookies), answer.cookies
assert get_user_model().objects.count() == 1
""")
        self.assertEqual(self.events(), [])

    def test_logout_before_commit(self) -> None:
        """An event after a logout has no user, also at the commit, unless an id is passed."""
        self.run_site("""
def delete_account(request):
    extra = {"user_id": request.user.pk, "segment": True}
    transaction.on_commit(lambda: logger.info("Later", extra={"segment": True}))
    transaction.on_commit(lambda: logger.info("Deleted", extra=extra))
    request.user.delete()
    logger.info("Now", extra={"segment": True})
    django.contrib.auth.logout(request)
    return HttpResponse()
urlpatterns.append(path("delete_account", delete_account))
users("ada")
browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
log_in(browser, "ada")
browser.post("/delete_account")
""")
        self.assertEqual(
            self.events()[1:],
            [
                (name, user, "visitor-31")
                for name, user in (("Now", "1"), ("Later", None), ("Deleted", "1"))
            ],
        )

    def test_withdrawn_consent(self) -> None:
        """Without consent, both cookies are deleted, and a visitor's events are not logged."""
        self.run_site("""
users("ada")
browser = browser_with(consent="analytics")
log_in(browser, "ada")
browser.cookies["consent"] = "advertising"
visit(browser)
for name in (COOKIE, USER_COOKIE):
    assert (browser.cookies[name].value, browser.cookies[name]["max-age"]) == ("", 0)
visitor = browser_with(consent="", ajs_anonymous_id="visitor-31")
visit(visitor)
assert id_of(visitor) == ""
assert not browser_with(consent="").get("/home").cookies
assert count().invalid == 0
""")
        self.assertEqual([name for name, _, _ in self.events()], ["Logged In", "page"])

    def test_development(self) -> None:
        """With DEBUG, the cookie works over http. Otherwise, it is secure."""
        written = self.run_site("""
for debug in (True, False):
    settings.DEBUG = debug
    browser = browser_with(consent="analytics")
    browser.get("/home")
    print(bool(browser.cookies["ajs_anonymous_id"]["secure"]))
""")
        self.assertEqual(written.split(), ["False", "True"])

    def test_visitors(self) -> None:
        """A visitor gets an id with consent only, and a cache gives it to nobody else."""
        written = self.run_site("""
logging.raiseExceptions = False
logging.getLogger("segment_logging").addHandler(logging.NullHandler())
for cookies in ({}, {"consent": "advertising"}, {"consent": "analytics", "ajs_anonymous_id": "v"}):
    assert "ajs_anonymous_id" not in browser_with(**cookies).get("/pricing").cookies
    django.core.cache.cache.clear()
no_ids = ("", "null", "undefined", "%22%22", "%20", "a%0Ab", "x" * 257)
for cookies in ({}, {}, *({"ajs_anonymous_id": one} for one in no_ids)):
    response = browser_with(consent="analytics", **cookies).get("/pricing")
    assert response["Vary"] == "Cookie" and "private" in response["Cache-Control"]
    print(response.cookies["ajs_anonymous_id"].value)
""")
        given = written.split()
        self.assertEqual(len(set(given)), 9)
        self.assertEqual([one for _, _, one in self.events()], ["v", *given])


if __name__ == "__main__":
    unittest.main()

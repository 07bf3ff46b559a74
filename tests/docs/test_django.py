"""Tests that the programs and statements in docs/frameworks/django.md and analytics-js.md hold."""

from __future__ import annotations

import unittest
from importlib.util import find_spec
from typing import Any

from .pages import NO_RUN, blocks_of, program_of
from .test_blocks import ProgramTest

PAGE = "docs/frameworks/django.md"

SITE = """
import django, json
from django.conf import settings
settings.configure(
    MIDDLEWARE=[
        MIDDLEWARE[0], "django.middleware.cache.UpdateCacheMiddleware", *MIDDLEWARE[1:],
        "__main__.give_id", "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    LOGGING=LOGGING,
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
names = ("pricing", "home", "order", "checkout", "sign_up", "register")
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


@unittest.skipUnless(find_spec("django"), "needs Django")
class TestSite(ProgramTest):
    def run_site(self, *calls: str) -> str:
        """Run the page's program in a site with a database, and then some calls."""
        run = f"exec(compile({program_of(PAGE)!r}, {PAGE!r}, 'exec'))"
        return self.run_python("-c", "\n".join([run, SITE, *calls]))

    def events(self) -> list[tuple[Any, Any, Any]]:
        """Return the name, or else the type, and the ids of each message that arrived."""
        return [
            (one.get("event", one["type"]), one.get("userId"), one.get("anonymousId"))
            for one in self.collector.messages
        ]

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
for former_id in ("1", "2", "%222%22", "", None):
    browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
    if former_id is not None:
        browser.cookies["ajs_user_id"] = former_id
    log_in(browser, "bob")
    print(id_of(browser))
""")
        new_id, *kept = written.split()
        self.assertNotEqual(new_id, "visitor-31")
        self.assertEqual(kept, ["visitor-31"] * 4)
        self.assertEqual(
            self.events(), [("Logged In", "2", anonymous_id) for anonymous_id in (new_id, *kept)]
        )

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
        """A view that stores the consent can write both cookies, so the next user gets a new id."""
        written = self.run_site("""
def agree(request):
    new_id(request)
    request.id_cookies[USER_COOKIE] = str(request.user.pk)
    return HttpResponse()
urlpatterns.append(path("agree", agree))
users("ada", "bob")
browser = browser_with(consent="")
log_in(browser, "ada")
browser.post("/agree")
browser.cookies["consent"] = "analytics"
print(id_of(browser))
del browser.cookies["sessionid"]
log_in(browser, "bob")
print(id_of(browser))
""")
        first, second = written.split()
        self.assertNotEqual(first, second)
        self.assertEqual(self.events(), [("Logged In", "1", None), ("Logged In", "2", second)])

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
        """An event at the commit is about the user at that time, unless an id is passed."""
        self.run_site("""
def delete_account(request):
    extra = {"user_id": request.user.pk, "segment": True}
    transaction.on_commit(lambda: logger.info("Later", extra={"segment": True}))
    transaction.on_commit(lambda: logger.info("Deleted", extra=extra))
    django.contrib.auth.logout(request)
    return HttpResponse()
urlpatterns.append(path("delete_account", delete_account))
users("ada")
browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
log_in(browser, "ada")
browser.post("/delete_account")
""")
        self.assertEqual(
            self.events()[1:], [("Later", None, "visitor-31"), ("Deleted", "1", "visitor-31")]
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
for cookies in ({}, {}, {"ajs_anonymous_id": ""}):
    response = browser_with(consent="analytics", **cookies).get("/pricing")
    assert response["Vary"] == "Cookie" and "private" in response["Cache-Control"]
    print(response.cookies["ajs_anonymous_id"].value)
""")
        given = written.split()
        self.assertEqual(len(set(given)), 3)
        self.assertEqual([one for _, _, one in self.events()], ["v", *given])


@unittest.skipUnless(find_spec("django") and find_spec("celery"), "needs Django and Celery")
class TestProject(ProgramTest):
    """A project with the settings of the page, and the module of docs/frameworks/celery.md."""

    def make_project(self, debug: bool) -> None:
        settings = next(one.text for one in blocks_of(PAGE) if one.language == "python")
        off, module = (
            next(one.text for one in blocks_of(page) if one.mark == NO_RUN)
            for page in (PAGE, "docs/frameworks/celery.md")
        )
        wsgi = "from django.core.wsgi import get_wsgi_application as new\napplication = new()\n"
        environment = 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "proj.settings"\n'
        apps = ("django.contrib.auth", "django.contrib.contenttypes")
        others = f"SECRET_KEY = 'test-secret'\nDEBUG = {debug}\nINSTALLED_APPS = {apps}\n"
        directory = self.directory / "proj"
        directory.mkdir()
        for name, text in (
            ("__init__", "from . import celery\n"),
            ("settings", f"{others}{settings}{off}"),
            ("celery", module),
            ("wsgi", environment + wsgi),
        ):
            (directory / f"{name}.py").write_text(text)

    def test_check(self) -> None:
        """The command finds the handler of the project."""
        self.make_project(debug=False)
        command = ("-m", "segment_logging", "check", "--app", "proj.wsgi:application")
        self.assertIn("the logger 'shop' has a SegmentHandler", self.run_python(*command))

    def test_off(self) -> None:
        """In development, nothing is sent, and nothing is reported about the missing write key."""
        self.make_project(debug=True)
        self.run_python(
            "-c",
            "import os; del os.environ['SEGMENT_WRITE_KEY']\n"
            "import logging, proj.wsgi\n"
            "logging.getLogger('shop').info('Signup', extra={'user_id': 'u-17'})",
        )
        self.assertEqual(self.collector.messages, [])

    def test_task(self) -> None:
        """A worker of the project applies Django's settings, and its events arrive."""
        self.make_project(debug=False)
        self.run_python(
            "-c",
            "import logging\nfrom proj.celery import app\napp.loader.import_default_modules()\n"
            "app.loader.init_worker()\n"
            "logging.getLogger('shop').info('Signup', extra={'user_id': 'u-17'})",
        )
        self.assertEqual(self.events_of_user(), ["Signup"])

    def events_of_user(self) -> list[Any]:
        return [one["event"] for one in self.collector.messages if one["userId"] == "u-17"]


@unittest.skipUnless(find_spec("django"), "needs Django")
class TestTemplate(ProgramTest):
    def test_id(self) -> None:
        """The snippet writes the id as text, where the plain variable has separators."""
        (snippet,) = (
            one.text
            for one in blocks_of("docs/frameworks/analytics-js.md")
            if one.language == "html"
        )
        self.run_python(
            "-c",
            f"""
from types import SimpleNamespace
import django
from django.conf import settings
settings.configure(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="en")
django.setup()
from django.template import Context, Engine
def rendered(source, pk):
    user = SimpleNamespace(pk=pk, is_authenticated=True)
    return Engine().from_string(source).render(Context({{"user": user}}))
assert rendered("{{{{ user.pk }}}}", 1234567) == "1,234,567"
for pk in (1234567, "</script>"):
    start = '<script id="user-id" type="application/json">'
    assert rendered({snippet!r}, pk).count(start) == 1
assert start + '"1234567"</script>' in rendered({snippet!r}, 1234567)
assert "</script></script>" not in rendered({snippet!r}, "</script>")
""",
        )


if __name__ == "__main__":
    unittest.main()

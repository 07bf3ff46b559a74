"""Tests that what docs/frameworks/django.md says about token APIs and webhooks holds."""

from __future__ import annotations

import unittest
from importlib.util import find_spec
from typing import Any

from .pages import PAGES, blocks_of
from .test_django import PAGE, SITE, SiteTest

VIEW = """
settings.MIDDLEWARE.append("__main__.add_consent")
ada, bob = users("ada", "bob")
def with_cookies_of_bob():
    browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31", ajs_user_id="2")
    log_in(browser, "bob")
    return browser
"""

WITH_DJANGO = """
def api(request):
    if request.headers.get("Authorization") == "Token of-ada":
        request.user = ada
        bind_consent(["advertising"])
    if request.user.is_authenticated or request.has_id:
        logger.info("Called", extra={"segment": True})
    return HttpResponse()
urlpatterns.append(path("api/orders", api))
"""

WITH_REST_FRAMEWORK = """
from types import ModuleType
sys.modules |= {"shop": ModuleType("shop"), "shop.analytics": sys.modules["__main__"]}
exec(BLOCK)
get_user_model().consent = "advertising"
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView
Token.objects.create(user=ada, key="of-ada")
class Orders(APIView):
    authentication_classes = [TokenWithConsent]
    permission_classes = []
    def post(self, request):
        if request.user.is_authenticated or request.has_id:
            logger.info("Called", extra={"segment": True})
            transaction.on_commit(lambda: logger.info("Committed", extra={"segment": True}))
        return Response({})
class PlainOrders(Orders):
    authentication_classes = [TokenAuthentication]
class OrdersOfBoth(Orders):
    authentication_classes = [TokenAuthentication, SessionAuthentication]
urlpatterns += [
    path("api/orders", Orders.as_view()),
    path("api/plain", PlainOrders.as_view()),
    path("api/both", OrdersOfBoth.as_view()),
]
"""


class ApiTest(SiteTest):
    def called(self) -> list[tuple[Any, ...]]:
        """Return the name, the ids and the consent of each message, except for logins."""
        return [
            (
                one["event"],
                one.get("userId"),
                one.get("anonymousId"),
                one["context"].get("consent", {}).get("categoryPreferences"),
            )
            for one in self.collector.messages
            if one["event"] != "Logged In"
        ]


@unittest.skipUnless(find_spec("django"), "needs Django")
class TestApi(ApiTest):
    def test_token(self) -> None:
        """A request with a token has its user only, and neither cookies nor their consent."""
        self.run_site(
            VIEW,
            WITH_DJANGO,
            """
for browser in (browser_with(), browser_with(ajs_anonymous_id="visitor-31"), with_cookies_of_bob()):
    answer = browser.post("/api/orders", headers={"Authorization": "Token of-ada"})
    assert not answer.cookies, answer.cookies
with_cookies_of_bob().post("/api/orders")
browser_with(consent="analytics").post("/api/orders")
assert count().invalid == 0
""",
        )
        choice = {"analytics": False, "advertising": True}
        self.assertEqual(
            self.called(),
            [*[("Called", "1", None, choice)] * 3, ("Called", "2", None, None)],
        )

    def test_header(self) -> None:
        """If the header decides, a browser with a session has its cookies on the same path."""
        self.run_site(
            VIEW,
            WITH_DJANGO,
            """
def is_site(request):
    return "Authorization" not in request.headers
browser = with_cookies_of_bob()
browser.post("/api/orders", headers={"Authorization": "Token of-ada"})
browser.post("/api/orders")
""",
        )
        token, session = self.called()
        self.assertEqual(token[1:3], ("1", None))
        self.assertEqual(
            session, ("Called", "2", "visitor-31", {"analytics": True, "advertising": False})
        )

    def test_without_consent(self) -> None:
        """An event of a user who has not agreed does not have the id in the browser's cookie."""
        self.run_site("""
users("ada")
browser = browser_with(consent="analytics", ajs_anonymous_id="visitor-31")
log_in(browser, "ada")
for consent in ("analytics", "advertising"):
    browser.cookies["consent"] = consent
    visit(browser)
""")
        self.assertEqual([one for _, _, one in self.events()], ["visitor-31", "visitor-31", None])

    def test_opt_out(self) -> None:
        """With a default in `agreed_to`, a browser has an id until the cookie withdraws it."""
        self.run_site("""
def agreed_to(request):
    return request.COOKIES.get("consent", "analytics").split("+")
browser = browser_with()
visit(browser)
assert id_of(browser)
browser.cookies["consent"] = ""
visit(browser)
assert id_of(browser) == ""
""")
        self.assertEqual(len(self.events()), 1)

    def test_webhook(self) -> None:
        """An event of a webhook has the user's stored consent, and nothing of the other server."""
        self.run_site(
            VIEW,
            """
get_user_model().consent = "advertising"
urlpatterns.append(path("api/webhook", webhook))
server = Client(headers={"User-Agent": "Server/1.0"})
answer = server.post("/api/webhook", {"user": bob.pk})
assert (answer.status_code, len(answer.cookies)) == (200, 0)
""",
        )
        self.assertEqual(
            self.called(), [("Paid", "2", None, {"analytics": False, "advertising": True})]
        )
        (message,) = self.collector.messages
        self.assertEqual(message["context"].keys() - {"library", "consent"}, set())

    def test_consent_with_a_new_id(self) -> None:
        """With the line in `new_id`, an event with a new id has the visitor's consent."""
        page = PAGES[PAGE]
        self.assertIn("call `bind_consent(agreed_to(request))` at the end of `new_id`", page)
        self.run_site(
            VIEW,
            """
def sign_up_again():
    browser_with(consent="analytics", ajs_anonymous_id="visitor-31", ajs_user_id="1").post(
        "/register", {"name": str(uuid4())}
    )
sign_up_again()
former = new_id
def new_id(request):
    former(request)
    bind_consent(agreed_to(request))
sign_up_again()
""",
        )
        choices = [choice for *_, choice in self.called()]
        self.assertEqual(choices, [None, {"analytics": True, "advertising": False}])


@unittest.skipUnless(find_spec("django"), "needs Django")
@unittest.skipUnless(find_spec("rest_framework"), "needs Django REST framework")
class TestRestFramework(ApiTest):
    def run_api(self, calls: str) -> list[tuple[Any, ...]]:
        """Run the page's class in an API, and return the messages without those of logins."""
        (block,) = (one.text for one in blocks_of(PAGE) if "rest_framework" in one.text)
        apps = '"django.contrib.sessions"'
        more = f'{apps}, "rest_framework", "rest_framework.authtoken"'
        site = SITE.replace(apps, more)
        self.run_site(f"BLOCK = {block!r}", VIEW, WITH_REST_FRAMEWORK, calls, site=site)
        return self.called()

    def test_user(self) -> None:
        """The user of the token is known without configuration, also at the commit."""
        events = self.run_api("""
for client in (APIClient(), with_cookies_of_bob()):
    for name in ("orders", "plain"):
        answer = client.post("/api/" + name, headers={"Authorization": "Token of-ada"})
        assert answer.status_code == 200
""")
        choice = {"analytics": False, "advertising": True}
        expected = [
            (name, "1", None, consent)
            for consent in (choice, None)
            for name in ("Called", "Committed")
        ]
        self.assertEqual(events, expected * 2)

    def test_forced(self) -> None:
        """With force_authenticate, the user is known, but the class is not called."""
        events = self.run_api("""
client = APIClient()
client.force_authenticate(ada)
client.post("/api/orders")
""")
        self.assertEqual(events, [(name, "1", None, None) for name in ("Called", "Committed")])

    def test_session(self) -> None:
        """Without SessionAuthentication, a browser that is logged in has no user in the view."""
        events = self.run_api("""
for name in ("plain", "both"):
    assert with_cookies_of_bob().post("/api/" + name).status_code == 200
assert count().invalid == 0
""")
        self.assertEqual(events, [(name, "2", None, None) for name in ("Called", "Committed")])

    def test_middleware(self) -> None:
        """An event of a middleware before the view has the session's user, if there is one."""
        events = self.run_api("""
def log_first(get_response):
    def respond(request):
        logger.info("First", extra={"segment": True})
        return get_response(request)
    return respond
settings.MIDDLEWARE.append("__main__.log_first")
logging.raiseExceptions = False
logging.getLogger("segment_logging").addHandler(logging.NullHandler())
for client in (with_cookies_of_bob(), APIClient()):
    client.post("/api/plain", headers={"Authorization": "Token of-ada"})
assert count().invalid == 1
""")
        users = [(name, user) for name, user, *_ in events if name in ("First", "Called")]
        self.assertEqual(users[-3:], [("First", "2"), ("Called", "1"), ("Called", "1")])


if __name__ == "__main__":
    unittest.main()

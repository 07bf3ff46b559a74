"""Who is logged in to Django, whether the view asks for it or not."""

from __future__ import annotations

import asyncio
import unittest
from unittest.mock import patch

from .frameworks import COOKIE, captured, has, log, who

if not has("django"):
    raise unittest.SkipTest("needs Django")

from django.contrib.auth import alogin, get_user_model, login, logout
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, override_settings
from django.utils.functional import SimpleLazyObject

from .django_site import DjangoTest, Users, loads, seen, views


class TestUser(DjangoTest):
    def test_loaded_for_an_event(self) -> None:
        """The user is loaded for the first event of a request, and not again for the view."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            log()
            self.assertEqual(request.user.pk, 17)
            return seen(request)

        with captured() as events:
            self.get(view, user_id=17)
        self.assertEqual((who(events), loads), ([("17", "a-1")] * 3, ["17"]))

    def test_not_without_an_event(self) -> None:
        """Nobody is loaded in a request that logs none."""
        self.get(lambda request: HttpResponse("ok"), user_id=17)
        self.assertEqual(loads, [])

    def test_not_in_async_code(self) -> None:
        """There the database may not be asked: who it is stays unknown until somebody has."""
        with captured() as events:
            self.get_async(seen, user_id=17)
        self.assertEqual((who(events), loads), ([(None, "a-1")], []))

    def test_sync_view_over_asgi(self) -> None:
        """A view that is not async may ask, as it runs in a thread."""
        views["now"] = seen
        client = AsyncClient()
        client.cookies[COOKIE] = "a-1"
        client.force_login(get_user_model()(pk=17))
        with captured() as events:
            asyncio.run(client.get("/"))
        self.assertEqual(who(events), [("17", "a-1")])

    def test_always(self) -> None:
        """With "always", the user is loaded before the view, in async code as well."""
        self.enterContext(override_settings(SEGMENT_LOGGING={"load_user": "always"}))
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_always_and_the_view_asks(self) -> None:
        """The view, async or not, gets that user, and nobody is loaded twice."""
        self.enterContext(override_settings(SEGMENT_LOGGING={"load_user": "always"}))

        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(request.user.pk))

        async def async_view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(str((await request.auser()).pk))

        for get, show_user in ((self.get, view), (self.get_async, async_view)):
            with self.subTest(get.__name__):
                loads.clear()
                self.assertEqual(get(show_user, user_id=17).content, b"17")
                self.assertEqual(loads, ["17"])

    def test_never(self) -> None:
        """With False, nobody is loaded for an event, nor the session."""
        self.enterContext(override_settings(SEGMENT_LOGGING={"load_user": False}))
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, user_id=17)
                self.assertEqual((who(events), loads), ([(None, "a-1")], []))

    def test_response_does_not_vary(self) -> None:
        """Having looked into the session for an event does not count as the view's looking."""
        self.assertNotIn("Vary", self.get(seen, user_id=17).headers)

    def test_loading_fails(self) -> None:
        """An error while the user is loaded is told once; event and request go on without."""
        broken = patch.object(Users, "get_user", side_effect=LookupError)
        with broken, captured() as events, self.assertLogs("segment_logging") as told:
            self.assertEqual(self.get(seen, user_id=17).content, b"ok")
            self.get(seen, user_id=17)
        self.assertEqual(who(events), [(None, "a-1")] * 2)
        self.assertEqual(len(told.output), 1)
        self.assertIn("LookupError", told.output[0])

    def test_user_of_a_token(self) -> None:
        """A lazy user that some other middleware has put there is asked for, too."""

        def view(request: HttpRequest) -> HttpResponse:
            request.user = SimpleLazyObject(lambda: get_user_model()(pk="t-7"))
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual(who(events), [("t-7", "a-1")])

    def test_a_query_would_raise(self) -> None:
        """There really is no database here."""
        with self.assertRaises(ImproperlyConfigured):
            connection.cursor()

    def test_session(self) -> None:
        """With False, who it is is known once the view has loaded the session."""

        def view(request: HttpRequest) -> HttpResponse:
            request.session.get("basket")
            return seen(request)

        with override_settings(SEGMENT_LOGGING={"load_user": False}):
            for get, subtest in self.both():
                with subtest, captured() as events:
                    get(view, user_id=17)
                    self.assertEqual((who(events), loads), ([("17", "a-1")], []))

    def test_user(self) -> None:
        """When the view has asked for the user, the event is about that one."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertTrue(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_auser(self) -> None:
        """Likewise with `request.auser()`."""

        async def view(request: HttpRequest) -> HttpResponse:
            await request.auser()
            return seen(request)

        with captured() as events:
            self.get_async(view, user_id=17)
        self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_anonymous_user(self) -> None:
        """Django's anonymous user is nobody."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertFalse(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [(None, "a-1")])

    def test_login_and_logout(self) -> None:
        """Who logs in or out in the view does so for the events, too."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            login(request, get_user_model()(pk=18))
            log()
            logout(request)
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual([user for user, _ in who(events)], [None, "18", None])

    def test_alogin(self) -> None:
        """Likewise in an async view."""

        async def view(request: HttpRequest) -> HttpResponse:
            await alogin(request, get_user_model()(pk=18))
            return seen(request)

        with captured() as events:
            self.get_async(view)
        self.assertEqual(who(events), [("18", "a-1")])

    def test_user_set_by_others(self) -> None:
        """A user whom another middleware or an API framework sets counts."""

        def view(request: HttpRequest) -> HttpResponse:
            request.user = get_user_model()(pk=19)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [("19", "a-1")])

    def test_without_auth(self) -> None:
        """Without sessions and users, there is no user id."""
        only_ours = ["segment_logging.contrib.django.SegmentMiddleware"]
        for get, subtest in self.both():
            with subtest, captured() as events, override_settings(MIDDLEWARE=only_ours):
                get(seen)
                self.assertEqual(who(events), [(None, "a-1")])


if __name__ == "__main__":
    unittest.main()

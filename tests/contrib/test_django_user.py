"""Tests for the user id of events in Django, whether or not the view reads `request.user`."""

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
        """The first event of a request loads the user, and the view does not load it again."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            log()
            self.assertEqual(request.user.pk, 17)
            return seen(request)

        with captured() as events:
            self.get(view, user_id=17)
        self.assertEqual((who(events), loads), ([("17", "a-1")] * 3, ["17"]))

    def test_not_without_an_event(self) -> None:
        """A request that logs no event does not load the user."""
        self.get(lambda request: HttpResponse("ok"), user_id=17)
        self.assertEqual(loads, [])

    def test_not_in_async_code(self) -> None:
        """Async code must not query the database, so an event there does not load the user."""
        with captured() as events:
            self.get_async(seen, user_id=17)
        self.assertEqual((who(events), loads), ([(None, "a-1")], []))

    def test_sync_view_over_asgi(self) -> None:
        """An event in a sync view over ASGI loads the user, because the view runs in a thread."""
        views["now"] = seen
        client = AsyncClient()
        client.cookies[COOKIE] = "a-1"
        client.force_login(get_user_model()(pk=17))
        with captured() as events:
            asyncio.run(client.get("/"))
        self.assertEqual(who(events), [("17", "a-1")])

    def test_always(self) -> None:
        """With "always", the user is loaded before the view runs, even if the view is async."""
        self.enterContext(override_settings(SEGMENT_LOGGING={"load_user": "always"}))
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_always_and_the_view_asks(self) -> None:
        """With "always", sync and async views get the loaded user, which is loaded once."""
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
        """With False, an event loads neither the user nor the session."""
        self.enterContext(override_settings(SEGMENT_LOGGING={"load_user": False}))
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, user_id=17)
                self.assertEqual((who(events), loads), ([(None, "a-1")], []))

    def test_response_does_not_vary(self) -> None:
        """Reading the session for an event does not add a Vary header to the response."""
        self.assertNotIn("Vary", self.get(seen, user_id=17).headers)

    def test_loading_fails(self) -> None:
        """If loading the user fails, it is reported once, and events have no user id."""
        broken = patch.object(Users, "get_user", side_effect=LookupError)
        with broken, captured() as events, self.assertLogs("segment_logging") as told:
            self.assertEqual(self.get(seen, user_id=17).content, b"ok")
            self.get(seen, user_id=17)
        self.assertEqual(who(events), [(None, "a-1")] * 2)
        self.assertEqual(len(told.output), 1)
        self.assertIn("LookupError", told.output[0])

    def test_user_of_a_token(self) -> None:
        """A lazy user that another middleware has set is used."""

        def view(request: HttpRequest) -> HttpResponse:
            request.user = SimpleLazyObject(lambda: get_user_model()(pk="t-7"))
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual(who(events), [("t-7", "a-1")])

    def test_a_query_would_raise(self) -> None:
        """The site has no database, so a query raises."""
        with self.assertRaises(ImproperlyConfigured):
            connection.cursor()

    def test_session(self) -> None:
        """With False, events have the user id once the view has loaded the session."""

        def view(request: HttpRequest) -> HttpResponse:
            request.session.get("basket")
            return seen(request)

        with override_settings(SEGMENT_LOGGING={"load_user": False}):
            for get, subtest in self.both():
                with subtest, captured() as events:
                    get(view, user_id=17)
                    self.assertEqual((who(events), loads), ([("17", "a-1")], []))

    def test_user(self) -> None:
        """If the view has read `request.user`, the event has that user's id."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertTrue(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_auser(self) -> None:
        """If the view has called `request.auser()`, the event has that user's id."""

        async def view(request: HttpRequest) -> HttpResponse:
            await request.auser()
            return seen(request)

        with captured() as events:
            self.get_async(view, user_id=17)
        self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_anonymous_user(self) -> None:
        """Django's anonymous user gives no user id."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertFalse(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [(None, "a-1")])

    def test_login_and_logout(self) -> None:
        """A login or logout in the view changes the user id of the events that follow."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            login(request, get_user_model()(pk=18))
            log()
            logout(request)
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual([user for user, _ in who(events)], [None, "18", None])

    def test_deleted(self) -> None:
        """An event after a view has deleted the user is still about the user, until the logout."""

        def view(request: HttpRequest) -> HttpResponse:
            login(request, get_user_model()(pk=18))
            request.user.pk = None  # as `request.user.delete()` does
            log()
            logout(request)
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual([user for user, _ in who(events)], ["18", None])

    def test_alogin(self) -> None:
        """A login in an async view sets the user id of the events that follow."""

        async def view(request: HttpRequest) -> HttpResponse:
            await alogin(request, get_user_model()(pk=18))
            return seen(request)

        with captured() as events:
            self.get_async(view)
        self.assertEqual(who(events), [("18", "a-1")])

    def test_user_set_by_others(self) -> None:
        """A user that another middleware or an API framework has set is used."""

        def view(request: HttpRequest) -> HttpResponse:
            request.user = get_user_model()(pk=19)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [("19", "a-1")])

    def test_without_auth(self) -> None:
        """Without Django's session and authentication middleware, events have no user id."""
        only_ours = ["segment_logging.contrib.django.SegmentMiddleware"]
        for get, subtest in self.both():
            with subtest, captured() as events, override_settings(MIDDLEWARE=only_ours):
                get(seen)
                self.assertEqual(who(events), [(None, "a-1")])


if __name__ == "__main__":
    unittest.main()

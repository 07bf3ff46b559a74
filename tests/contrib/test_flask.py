"""Tests for Flask, with and without Flask-Login."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

from segment_logging import ConfigurationError

from .frameworks import COOKIE, FrameworkTest, captured, context_of, has, log, who

if not has("flask"):
    raise unittest.SkipTest("needs Flask")

import flask
from flask import Flask, Response, g, session, stream_with_context

from segment_logging.contrib.flask import SegmentLogging


def application(view: Callable[[], Any], **options: Any) -> Flask:
    """Return an application with one page and SegmentLogging."""
    app = Flask(__name__)
    app.secret_key = "test-secret"
    app.testing = True
    SegmentLogging(app, **options)
    app.add_url_rule("/", view_func=view, endpoint="view")
    return app


def get(app: Flask, *, user_id: str | None = None, **headers: str) -> Any:
    """Request the page as visitor 1, whom Flask-Login has logged in if `user_id` is given."""
    browser = app.test_client()
    browser.set_cookie(COOKIE, "a-1")
    if user_id is not None:
        with browser.session_transaction() as data:
            data["_user_id"] = user_id
    with browser.get("/", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.7"}) as response:
        response.get_data()  # reads streamed responses to their end
        return response


def seen() -> str:
    """A view that logs one event."""
    log()
    return "ok"


class TestFlask(FrameworkTest):
    def test_anonymous(self) -> None:
        """An event in a request has the visitor's anonymous id."""
        with captured() as events:
            self.assertEqual(get(application(seen)).text, "ok")
        self.assertEqual(who(events), [(None, "a-1")])
        self.assertEqual(context_of(events)["page"]["url"], "http://localhost/")

    def test_init_app(self) -> None:
        """`init_app` adds the extension to an existing application."""
        app = Flask(__name__)
        app.add_url_rule("/", view_func=seen)
        SegmentLogging(user_id=lambda: "u-7").init_app(app)
        with captured() as events:
            get(app)
        self.assertEqual(who(events), [("u-7", "a-1")])

    def test_trusted_proxies(self) -> None:
        """X-Forwarded-For is used only if it comes from one of `trusted_proxies`."""
        with captured() as events:
            app = application(seen, trusted_proxies=["192.0.2.0/24"])
            get(app, **{"x-forwarded-for": "203.0.113.9"})
        self.assertEqual(context_of(events)["ip"], "203.0.113.9")

    def test_user_id(self) -> None:
        """`user_id` is called within the request context."""

        def view() -> str:
            g.who = "u-5"
            return seen()

        with captured() as events:
            get(application(view, user_id=lambda: g.get("who")))
        self.assertEqual(who(events), [("u-5", "a-1")])

    def test_anonymous_id(self) -> None:
        """`anonymous_id` replaces the cookie's id, and is called once, in the request context."""
        asked: list[str] = []

        def anonymous_id() -> Any:
            asked.append(flask.request.path)
            return g.get("visitor")

        def view() -> str:
            g.visitor = found
            self.assertEqual(asked, [])
            log()
            return seen()

        for found in ("a-7", None):
            with self.subTest(found), captured() as events:
                get(application(view, anonymous_id=anonymous_id), user_id="17")
                self.assertEqual((who(events), asked), ([("17", found)] * 2, ["/"]))
                asked.clear()

    def test_event_before_the_request_context(self) -> None:
        """An event of WSGI middleware before the view does not hide the anonymous id from it."""
        app = Flask(__name__)
        app.add_url_rule("/", view_func=seen)
        inner = app.wsgi_app

        def middleware(environ: Any, start_response: Any) -> Any:
            log(user_id="u-0")
            return inner(environ, start_response)

        app.wsgi_app = middleware  # type: ignore[method-assign]
        SegmentLogging(
            app, user_id=lambda: "u-1", anonymous_id=lambda: flask.request.cookies[COOKIE]
        )
        with captured() as events:
            get(app)
        self.assertEqual(who(events), [("u-0", None), ("u-1", "a-1")])

    def test_anonymous_id_without_request(self) -> None:
        """After the request context has ended, `anonymous_id` is not called."""

        def parts() -> Iterator[str]:
            yield seen()

        for view, expected in (
            (lambda: Response(parts()), None),
            (lambda: Response(stream_with_context(parts())), "/"),
        ):
            with self.subTest(expected), captured() as events:
                get(application(view, anonymous_id=lambda: flask.request.path), user_id="17")
                self.assertEqual(who(events), [("17", expected)])

    def test_user_id_without_request(self) -> None:
        """After the request context has ended, `user_id` is not called."""

        def view() -> Response:
            return Response(parts())

        def parts() -> Iterator[str]:
            yield seen()

        with captured() as events:
            get(application(view, user_id=lambda: flask.request.path))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_empty_context(self) -> None:
        """An event that is logged in an empty context has nothing of the visitor or the request."""

        def invite() -> str:
            log("Invited", anonymous_id="a-9")
            Context().run(log, "Invited", anonymous_id="a-9")
            return "ok"

        with captured() as events:
            get(application(invite, user_id=lambda: "u-7"))
            get(application(invite), user_id="u-17")
        self.assertEqual(
            who(events), [("u-7", "a-9"), (None, "a-9"), ("u-17", "a-9"), (None, "a-9")]
        )
        for event in (events[1], events[3]):
            self.assertEqual(set(event.to_dict()["context"]), {"library"})

    def test_wrong_option(self) -> None:
        """An invalid option is refused when the extension is created."""
        with self.assertRaisesRegex(ConfigurationError, "user_id"):
            SegmentLogging(user_id="u-1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(ConfigurationError, "anonymous_id"):
            SegmentLogging(anonymous_id="a-1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(ConfigurationError, "trusted_proxies"):
            application(seen, trusted_proxies=["here"])

    def test_error(self) -> None:
        """An exception in the view propagates unchanged."""

        def fail() -> str:
            log()
            raise LookupError

        with captured() as events, self.assertRaises(LookupError):
            get(application(fail))
        self.assertEqual(who(events), [(None, "a-1")])


class TestSession(FrameworkTest):
    def test_logged_in(self) -> None:
        """The id of a user that Flask-Login has logged in is read from the session."""
        with captured() as events:
            get(application(seen), user_id="17")
        self.assertEqual(who(events), [("17", "a-1")])

    def test_no_trace(self) -> None:
        """Reading the session for an event adds no headers, so caching does not change."""
        app = application(seen)
        with captured():
            response = get(app, user_id="17")
        self.assertNotIn("Vary", response.headers)
        self.assertNotIn("Set-Cookie", response.headers)

    def test_login_and_logout(self) -> None:
        """A login or logout in the view changes the user id of the events that follow."""

        def view() -> str:
            log()
            session["_user_id"] = "18"
            log()
            del session["_user_id"]
            return seen()

        with captured() as events:
            get(application(view))
        self.assertEqual([user for user, _ in who(events)], [None, "18", None])

    def test_streaming(self) -> None:
        """Events that are logged while a response is streamed have the user's id."""

        def parts() -> Iterator[str]:
            for _ in range(2):
                yield seen()

        for make in (parts, lambda: stream_with_context(parts())):
            with self.subTest(make=make), captured() as events:
                app = application(lambda make=make: Response(make()))  # type: ignore[misc]
                self.assertEqual(get(app, user_id="17").text, "okok")
                self.assertEqual(who(events), [("17", "a-1")] * 2)

    def test_without_sessions(self) -> None:
        """An application without a secret key has no sessions, but still works."""
        app = application(seen)
        app.secret_key = None
        with captured() as events:
            get(app)
        self.assertEqual(who(events), [(None, "a-1")])


@unittest.skipUnless(has("flask_login"), "needs Flask-Login")
class TestFlaskLogin(FrameworkTest):
    def application(self, view: Callable[[], Any]) -> Flask:
        """Return an application with Flask-Login that records which users are loaded."""
        import flask_login  # noqa: PLC0415

        class User(flask_login.UserMixin):  # type: ignore[misc]
            def __init__(self, user_id: str) -> None:
                self.id = user_id

        self.login = flask_login
        self.User = User
        self.loaded: list[str] = []
        app = application(view)
        manager = flask_login.LoginManager(app)

        @manager.user_loader  # type: ignore[untyped-decorator]
        def load(user_id: str) -> User:
            self.loaded.append(user_id)
            return User(user_id)

        manager.request_loader(
            lambda request: User("token-user") if "Authorization" in request.headers else None
        )
        return app

    def test_not_loaded(self) -> None:
        """An event does not load the user."""
        with captured() as events:
            get(self.application(seen), user_id="17")
        self.assertEqual((who(events), self.loaded), ([("17", "a-1")], []))

    def test_login_and_logout(self) -> None:
        """`login_user` and `logout_user` take effect at once."""

        def view() -> str:
            self.login.login_user(self.User("18"))
            log()
            self.login.logout_user()
            return seen()

        with captured() as events:
            get(self.application(view))
        self.assertEqual(who(events), [("18", "a-1"), (None, "a-1")])

    def test_token(self) -> None:
        """A user without a session, identified by a token, is known once the view reads it."""

        def view() -> str:
            self.assertTrue(self.login.current_user.is_authenticated)
            return seen()

        with captured() as events:
            get(self.application(view), Authorization="token")
        self.assertEqual(who(events), [("token-user", "a-1")])


if __name__ == "__main__":
    unittest.main()

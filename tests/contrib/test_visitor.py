"""Tests for a request's visitor, who is identified when the first event is logged."""

from __future__ import annotations

import io
import unittest
from contextlib import redirect_stderr
from typing import Any
from uuid import UUID

from typing_extensions import override

from segment_logging import ConfigurationError, bind, identity, unbind
from segment_logging._identity.binding import current_identity, only_identity
from segment_logging._identity.who import KnownIdentity
from segment_logging._reports import Reporter
from segment_logging.contrib import visitor as visitors
from segment_logging.contrib.proxies import TrustedProxies
from segment_logging.contrib.visitor import NOT_YET, Request, Visitor, check_functions

from .frameworks import FrameworkTest, captured, context_of, log, logger, who


class Asked:
    """A visitor with a variable user id, which counts how many times the request is read."""

    def __init__(self, user_id: Any = None, **known: Any) -> None:
        self.user_id = user_id
        self.known = KnownIdentity(**known)
        self.times = 0
        self.visitor = Visitor(None, self.tell, self.identify)

    def tell(self, source: None) -> Any:
        if isinstance(self.user_id, Exception):
            raise self.user_id
        return self.user_id

    def identify(self, source: None) -> KnownIdentity:
        self.times += 1
        return self.known


class TestVisitor(FrameworkTest):
    def test_fills_in(self) -> None:
        """Events without ids get the visitor's ids and context."""
        asked = Asked("u-1", anonymous_id="a-1", context={"locale": "de"})
        with captured() as events, only_identity(asked.visitor):
            log()
        self.assertEqual(who(events), [("u-1", "a-1")])
        self.assertEqual(context_of(events), {"locale": "de"})

    def test_not_before_an_event(self) -> None:
        """The request is not read until an event is logged."""
        asked = Asked()
        with captured(), only_identity(asked.visitor), identity(context={"locale": "de"}):
            logger.info("no event")
            bind(user_id="u-1")
        self.assertEqual(asked.times, 0)

    def test_once(self) -> None:
        """The request is read once, even if several events are logged."""
        asked = Asked(anonymous_id="a-1")
        with captured() as events, only_identity(asked.visitor):
            for _ in range(5):
                log()
        self.assertEqual((asked.times, len(events)), (1, 5))

    def test_login(self) -> None:
        """A login or logout changes the user id of the events that follow."""
        asked = Asked(anonymous_id="a-1")
        with captured() as events, only_identity(asked.visitor):
            for asked.user_id in (None, "u-1", None, "u-2"):
                log()
        self.assertEqual([user for user, _ in who(events)], [None, "u-1", None, "u-2"])

    def test_anonymous_id(self) -> None:
        """A function can return the anonymous id instead of the cookie. Blank text is no id."""
        for answer, expected in (
            ("a-2", "a-2"), (17, "17"), (0, "0"), (UUID(int=5), str(UUID(int=5))),
            ("null", "null"), ("x" * 1_000, "x" * 1_000), (None, None), ("", None), (" \t", None),
        ):  # fmt: skip
            asked = Asked("u-1", anonymous_id="a-1")
            asked.visitor = Visitor(None, asked.tell, asked.identify, lambda _: answer)  # noqa: B023
            with self.subTest(answer), captured() as events, only_identity(asked.visitor):
                log()
                log()
                self.assertEqual(who(events), [("u-1", expected)] * 2)

    def test_anonymous_id_that_is_not_known_yet(self) -> None:
        """NOT_YET is not remembered. The request is still read only once."""
        asked = Asked("u-1", context={"locale": "de"})
        answers = [NOT_YET, NOT_YET, "a-2"]
        asked.visitor = Visitor(None, asked.tell, asked.identify, lambda _: answers.pop(0))
        with captured() as events, only_identity(asked.visitor):
            for _ in range(4):
                log()
        self.assertEqual(who(events), [("u-1", None)] * 2 + [("u-1", "a-2")] * 2)
        self.assertEqual([(event.context or {})["locale"] for event in events], ["de"] * 4)
        self.assertEqual(asked.times, 1)

    def test_event_about_another_user(self) -> None:
        """An event about another user does not get this visitor's anonymous id."""
        asked = Asked("u-1", anonymous_id="a-1")
        with captured() as events, only_identity(asked.visitor):
            log(user_id="u-2")
        self.assertEqual(who(events), [("u-2", None)])

    def test_sign_up(self) -> None:
        """An event's own user id is sent with the anonymous id if no user is logged in."""
        asked = Asked(anonymous_id="a-1")
        with captured() as events, only_identity(asked.visitor):
            log(user_id="u-1")
        self.assertEqual(who(events), [("u-1", "a-1")])

    def test_bound_on_top(self) -> None:
        """Bound fields are added to those of the visitor, and `unbind` removes them."""
        asked = Asked("u-1", anonymous_id="a-1", context={"locale": "de"})
        with captured() as events, only_identity(asked.visitor):
            bind(context={"app": {"name": "shop"}})
            log()
            unbind()
            log()
        self.assertEqual(who(events), [("u-1", "a-1"), ("u-1", "a-1")])
        self.assertLessEqual({"locale", "app"}, (events[0].context or {}).keys())
        self.assertIn("locale", events[1].context or {})
        self.assertNotIn("app", events[1].context or {})

    def test_never_an_event(self) -> None:
        """A record without analytics data is not an event, even within a request."""
        with captured() as events, only_identity(Asked("u-1").visitor):
            logger.info("Seen")
        self.assertEqual(len(events), 0)

    def test_empty_user_id(self) -> None:
        """An empty user id is ignored; some servers pass an empty REMOTE_USER."""
        with captured() as events, only_identity(Asked("", anonymous_id="a-1").visitor):
            log()
        self.assertEqual(who(events), [(None, "a-1")])

    def test_user_id_that_logs(self) -> None:
        """An event that `user_id` itself logs has no visitor and causes no recursion."""

        def user_id(source: None) -> str:
            log("Inner", anonymous_id="a-2")
            return "u-1"

        asked = Asked()
        visitor = Visitor(None, user_id, asked.identify)
        with captured() as events, only_identity(visitor):
            log()
        self.assertEqual(who(events), [(None, "a-2"), ("u-1", None)])


class TestErrors(FrameworkTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(setattr, visitors, "_reporter", visitors._reporter)
        visitors._reporter = Reporter()

    def said(self, asked: Asked, times: int = 1) -> tuple[list[Any], str]:
        """Return the ids of the events, and the stderr output."""
        stderr = io.StringIO()
        with redirect_stderr(stderr), captured() as events, only_identity(asked.visitor):
            for _ in range(times):
                log(user_id="u-9" if asked.known.anonymous_id is None else None)
        return who(events), stderr.getvalue()

    def test_user_id_raises(self) -> None:
        """If `user_id` raises, events have no user id, and the error is reported once."""
        asked = Asked(KeyError("REMOTE_USER"), anonymous_id="a-1")
        events, said = self.said(asked, times=3)
        self.assertEqual(events, [(None, "a-1")] * 3)
        self.assertEqual(said.count("user_id raised KeyError"), 1)
        self.assertNotIn("REMOTE_USER", said)

    def test_request_that_cannot_be_read(self) -> None:
        """If reading the request raises, it is reported once and not tried again."""
        asked = Asked()

        def identify(source: None) -> KnownIdentity:
            asked.times += 1
            raise RuntimeError

        asked.visitor = Visitor(None, asked.tell, identify)
        events, said = self.said(asked, times=3)
        self.assertEqual((events, asked.times), ([("u-9", None)] * 3, 1))
        self.assertEqual(said.count("reading a request raised RuntimeError"), 1)

    def test_anonymous_id_raises(self) -> None:
        """If `anonymous_id` raises, the visitor has no anonymous id, but the other values."""
        asked = Asked("u-1", anonymous_id="a-1", context={"locale": "de"})
        calls: list[None] = []

        def anonymous_id(source: None) -> str:
            calls.append(source)
            raise LookupError("visitor-31")

        asked.visitor = Visitor(None, asked.tell, asked.identify, anonymous_id)
        events, said = self.said(asked, times=3)
        self.assertEqual((events, asked.times), ([("u-1", None)] * 3, 1))
        self.assertEqual((asked.visitor.known().context, len(calls)), ({"locale": "de"}, 1))
        self.assertEqual(said.count("anonymous_id raised LookupError: fix it"), 1)
        self.assertNotIn("visitor-31", said)

    def test_anonymous_id_of_wrong_type(self) -> None:
        """A result of `anonymous_id` that is not an id is reported once and drops no event."""
        for wrong in (b"visitor-31", True, ["visitor-31"], {"id": 31}, float("nan")):
            visitors._reporter = Reporter()
            asked = Asked("u-1", anonymous_id="a-1")
            asked.visitor = Visitor(None, asked.tell, asked.identify, lambda _: wrong)  # noqa: B023
            with self.subTest(wrong):
                events, said = self.said(asked, times=3)
                self.assertEqual(events, [("u-1", None)] * 3)
                name = type(wrong).__name__
                self.assertEqual(said.count(f"anonymous_id returned {name}: return a string"), 1)
                self.assertNotIn("31", said)

    def test_user_id_of_wrong_type(self) -> None:
        """A result of `user_id` that is not an id is reported once and drops no event."""
        for wrong in (b"u-31", True, ["u-31"], {"id": 31}, float("nan"), object()):
            visitors._reporter = Reporter()
            asked = Asked(wrong, anonymous_id="a-1")
            with self.subTest(wrong):
                events, said = self.said(asked, times=3)
                self.assertEqual(events, [(None, "a-1")] * 3)
                name = type(wrong).__name__
                self.assertEqual(said.count(f"user_id returned {name}: return a string"), 1)
                self.assertNotIn("31", said)

    def test_options(self) -> None:
        """A function that is not callable, or is async, is refused with the option's name."""

        async def function(request: object) -> str:
            return "u-1"

        for name in ("user_id", "anonymous_id"):
            for wrong in ("u-1", function):
                with (
                    self.subTest(name, wrong=wrong),
                    self.assertRaisesRegex(ConfigurationError, f"^{name} must "),
                ):
                    check_functions(**{name: wrong})
        check_functions(user_id=None, anonymous_id=len)


class TestRequest(unittest.TestCase):
    def identify(self, *proxies: str, host: str = "", **headers: str | bytes) -> KnownIdentity:
        request = Request(
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            peer="192.0.2.7",
            scheme="https",
            host=host,
            path="/signup",
            query="gclid=17",
        )
        return request.identify(TrustedProxies(proxies))

    def test_whole(self) -> None:
        """All data that Segment has a field for is read from the request."""
        self.assertEqual(
            self.identify(
                "192.0.2.0/24",
                cookie="ajs_anonymous_id=%22a-1%22",
                user_agent="Mozilla/5.0",
                accept_language="de-DE,de;q=0.9",
                referer="https://search.example/",
                host="shop.example",
                x_forwarded_for=b"203.0.113.9",
            ),
            KnownIdentity(
                anonymous_id="a-1",
                context={
                    "userAgent": "Mozilla/5.0",
                    "locale": "de-DE",
                    "ip": "203.0.113.9",
                    "page": {
                        "path": "/signup",
                        "search": "?gclid=17",
                        "referrer": "https://search.example/",
                        "url": "https://shop.example/signup?gclid=17",
                    },
                },
            ),
        )

    def test_hostile(self) -> None:
        """No header values can make a message invalid."""
        known = self.identify(
            cookie="ajs_anonymous_id=" + "x" * 60_000,
            user_agent="\U0001f600\x00".encode() * 9_000,
            accept_language="en-" * 20_000,
            referer=b"\xff\xfe\r\n" * 9_000,
            host="a" * 60_000,
            x_forwarded_for="," * 60_000,
        )
        with captured() as events, only_identity(known):
            log(user_id="u-1", properties={"text": "x" * 20_000})
        self.assertEqual((len(events), len(events.invalid)), (1, 0))


class TestContextVariable(FrameworkTest):
    def test_compares_cheaply(self) -> None:
        """Comparing identities, which asgiref does when it switches threads, reads nothing."""
        asked = Asked("u-1")
        with only_identity(asked.visitor), identity(context={"locale": "de"}):
            self.assertEqual(current_identity(), current_identity())
            self.assertNotEqual(current_identity(), KnownIdentity())
        self.assertEqual(asked.times, 0)


if __name__ == "__main__":
    unittest.main()

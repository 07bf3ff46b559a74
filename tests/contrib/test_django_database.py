"""Tests for the user of events in Django, with users and sessions in a real database."""

from __future__ import annotations

import functools
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.builders import run_python

from .frameworks import has

if not has("django"):
    raise unittest.SkipTest("needs Django")


@functools.cache
def outcomes() -> dict[str, Any]:
    """Run all cases of `database_site`, and return what happened by the case's name."""
    with tempfile.TemporaryDirectory() as directory:
        results: dict[str, Any] = run_python(
            "from tests.contrib import database_site; database_site.main()",
            TEST_DATABASE=str(Path(directory) / "site.sqlite3"),
        )
    return results


class DatabaseTest(unittest.TestCase):
    def assert_case(
        self, name: str, users: list[str | None], *queried: str, vary: str | None = None
    ) -> dict[str, Any]:
        """Assert who a case's events were about, which tables were queried, and the Vary header.

        Returns:
            The case's outcome.
        """
        case: dict[str, Any] = outcomes()[name]
        with self.subTest(name):
            self.assertEqual(case["users"], users)
            self.assertEqual(case["queries"], list(queried))
            self.assertEqual(case["vary"], vary)
            self.assertEqual(case["visitors"], ["a-1"] * len(users))
            self.assertEqual(case["invalid"], 0)
        return case


class TestQueries(DatabaseTest):
    def engines(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the ends of the names of the cases, and the query that loads a session."""
        yield "", ()
        yield ", session in the database", ("django_session",)

    def test_no_event(self) -> None:
        """A request that logs no event makes no query."""
        for kind, _ in self.engines():
            self.assert_case(f"no event{kind}", [])

    def test_events(self) -> None:
        """The events of a request make one query for the user, and one for a stored session."""
        for kind, session in self.engines():
            self.assert_case(f"events{kind}", ["ada"] * 3, *session, "auth_user")

    def test_never(self) -> None:
        """With load_user False, no query is made."""
        for kind, _ in self.engines():
            self.assert_case(f"never{kind}", [None] * 3)

    def test_no_session(self) -> None:
        """Events of a visitor without a session make no query."""
        for kind, _ in self.engines():
            self.assert_case(f"no session{kind}", [None] * 3)

    def test_session_without_a_user(self) -> None:
        """Events of a visitor whose session has no user make no query for a user."""
        for kind, session in self.engines():
            self.assert_case(f"logged out{kind}", [None] * 3, *session)

    def test_captured_queries(self) -> None:
        """Django's own count of the queries, as in assertNumQueries, is one, or none with False."""
        self.assertEqual(outcomes()["captured queries, one"], 1)
        self.assertEqual(outcomes()["captured queries, never"], 0)

    def test_streamed(self) -> None:
        """An event of a streamed response loads the user, too."""
        self.assert_case("streamed", ["ada"], "auth_user")


class TestViews(DatabaseTest):
    def test_read_after(self) -> None:
        """A view that reads the user after an event makes no second query, and still varies."""
        case = self.assert_case("read after", ["ada"] * 2, "auth_user", vary="Cookie")
        self.assertEqual(case["content"], "ada")

    def test_read_before(self) -> None:
        """An event after the view has read the user makes no second query."""
        self.assert_case("read before", ["ada"], "auth_user", vary="Cookie")

    def test_logs_in(self) -> None:
        """After a login in the view, events and the view have the new user."""
        case = self.assert_case("logs in", ["ada", "bert"], "auth_user", "auth_user", vary="Cookie")
        self.assertEqual(case["content"], "bert")

    def test_logs_out(self) -> None:
        """After a logout in the view, neither events nor the view have a user."""
        case = self.assert_case("logs out", ["ada", None], "auth_user", vary="Cookie")
        self.assertEqual(case["content"], "")

    def test_always(self) -> None:
        """With "always", each request makes one query, whether or not it logs an event."""
        self.assert_case("always", ["ada"] * 3, "auth_user")
        self.assert_case("always, no event", [], "auth_user")
        self.assert_case("always, read after", ["ada"] * 2, "auth_user", vary="Cookie")

    def test_always_and_read_before(self) -> None:
        """With "always", a user that a middleware has already read is not loaded again."""
        self.assert_case("always, read by a middleware", ["ada"] * 3, "auth_user", vary="Cookie")


class TestInvalidSessions(DatabaseTest):
    def test_stale(self) -> None:
        """A session from before a change of the password is nobody's, at the cost of one query."""
        for name in ("stale", "always, stale", "async, always, stale"):
            case = self.assert_case(name, [None] * 3, "auth_user")
            self.assertEqual(case["cookies"], [])

    def test_stale_and_read(self) -> None:
        """Django ends a stale session when the view reads the user, even after an event."""
        case = self.assert_case(
            "stale, read after", [None] * 2, "auth_user", "auth_user", vary="Cookie"
        )
        self.assertEqual((case["content"], case["cookies"]), ("", ["sessionid"]))

    def test_gone_users(self) -> None:
        """A session whose user was deleted or deactivated is nobody's, at the cost of one query."""
        for name in ("deleted", "inactive"):
            self.assert_case(name, [None] * 3, "auth_user")

    def test_old_key(self) -> None:
        """A session that was signed with an old secret key is not changed by an event."""
        case = self.assert_case("old key", ["ada"] * 3, "django_session", "auth_user")
        self.assertEqual(case["cookies"], [])

    def test_old_key_and_read(self) -> None:
        """Django renews such a session when the view reads the user, even after an event."""
        case = outcomes()["old key, read after"]
        self.assertEqual((case["users"], case["content"]), (["ada"] * 2, "ada"))
        self.assertEqual((case["vary"], case["cookies"]), ("Cookie", ["sessionid"]))


class TestTransactions(DatabaseTest):
    def test_fine(self) -> None:
        """An event in a transaction loads the user."""
        self.assert_case("in a transaction", ["ada"], "auth_user")

    def test_rolled_back(self) -> None:
        """No query is made in a transaction that must be rolled back, but after it."""
        self.assert_case("rolled back", [None, "ada"], "auth_user")

    def test_on_commit(self) -> None:
        """An event that is logged on commit has the user, and is not logged without a commit."""
        self.assert_case("on commit", ["ada"], "auth_user")
        self.assert_case("on no commit", [])

    def test_read_before(self) -> None:
        """If the user is read before the transaction, an event in a broken one has the user."""
        self.assert_case("rolled back, read before", ["ada"], "auth_user", vary="Cookie")

    def test_connection_lost(self) -> None:
        """No query is made in a transaction whose connection was closed."""
        case = self.assert_case("connection lost", [None])
        self.assertEqual(case["content"], "ok")


class TestAsyncViews(DatabaseTest):
    def test_events(self) -> None:
        """An event in an async view makes no query, and is only about the visitor."""
        self.assert_case("async, seen", [None] * 3)

    def test_read_after(self) -> None:
        """An async view that awaits the user makes the query, and later events have the user."""
        self.assert_case("async, read after", [None, "ada"], "auth_user", vary="Cookie")

    def test_always(self) -> None:
        """With "always", the user is loaded before an async view, at the cost of one query."""
        self.assert_case("async, always, seen", ["ada"] * 3, "auth_user")

    def test_always_and_read_after(self) -> None:
        """With "always", a view that awaits the user makes no second query, and still varies."""
        case = self.assert_case(
            "async, always, read after", ["ada"] * 2, "auth_user", vary="Cookie"
        )
        self.assertEqual(case["content"], "ada")

    def test_logs_in(self) -> None:
        """After a login in an async view, events and the view have the new user."""
        for name in ("async, logs in", "async, always, logs in"):
            with self.subTest(name):
                case = outcomes()[name]
                self.assertEqual((case["users"], case["content"]), (["bert"], "bert"))

    def test_no_session(self) -> None:
        """With "always", a visitor without a session costs no query."""
        self.assert_case("async, always, no session", [None] * 3)


class TestSql(DatabaseTest):
    def test_not_events(self) -> None:
        """The SQL that Django logs at DEBUG is no event, and loads no user."""
        case = self.assert_case("SQL", [], "auth_user")  # the view's own query
        self.assertEqual(case["accepted"], 0)

    def test_with_events(self) -> None:
        """The query for the user, which Django logs at DEBUG, does not cause another query."""
        self.assert_case("SQL and events", ["ada"] * 3, "auth_user")

    def test_all_records(self) -> None:
        """With capture="all", the SQL of the query for the user does not cause another query."""
        case = self.assert_case("all SQL", [], "auth_user", "auth_user")
        self.assertEqual(case["accepted"], 1)


if __name__ == "__main__":
    unittest.main()

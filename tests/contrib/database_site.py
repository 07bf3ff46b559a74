"""A Django site with a database, for `test_django_database`, which runs it in its own process.

`main` sends one request after another and prints what happened in each case: who the events were
about, which tables were queried, and what the response was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="test-secret",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "segment_logging.contrib.django.SegmentMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.environ["TEST_DATABASE"],
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGGING_CONFIG=None,
    )
    django.setup()

from django.contrib.auth import alogin, get_user_model, login, logout
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient

COOKIE_SESSIONS = settings.SESSION_ENGINE
DATABASE_SESSIONS = "django.contrib.sessions.backends.db"
ALWAYS = {"load_user": "always"}
NEVER = {"load_user": False}

logger = logging.getLogger("shop")
queries: list[str] = []
"""The SQL of all queries, in any thread."""

View = Callable[[HttpRequest], Any]
views: dict[str, View] = {}


def show(request: HttpRequest) -> Any:
    return views["now"](request)


async def ashow(request: HttpRequest) -> Any:
    answer = views["now"](request)
    return await answer if asyncio.iscoroutine(answer) else answer


urlpatterns = [path("", show), path("async", ashow)]


def log() -> None:
    logger.info("Seen", extra={"event": "Seen"})


def quiet(request: HttpRequest) -> HttpResponse:
    """A view that logs no event."""
    return HttpResponse("ok")


def seen(request: HttpRequest) -> HttpResponse:
    """A view that logs three events and does not read `request.user`."""
    for _ in range(3):
        log()
    return HttpResponse("ok")


def read_after(request: HttpRequest) -> HttpResponse:
    """A view that logs an event, and then reads `request.user`."""
    log()
    name = request.user.get_username()
    log()
    return HttpResponse(name)


def read_before(request: HttpRequest) -> HttpResponse:
    """A view that reads `request.user`, and then logs an event."""
    name = request.user.get_username()
    log()
    return HttpResponse(name)


async def aread_after(request: HttpRequest) -> HttpResponse:
    """An async view that logs an event, and then awaits `request.auser()`."""
    log()
    name = (await request.auser()).get_username()
    log()
    return HttpResponse(name)


def rolled_back(request: HttpRequest) -> HttpResponse:
    """A view that logs an event in a transaction that must be rolled back, and one after it."""
    with transaction.atomic():
        transaction.set_rollback(True)
        log()
    log()
    return HttpResponse("ok")


def in_transaction(request: HttpRequest) -> HttpResponse:
    """A view that logs an event in a transaction that is fine."""
    with transaction.atomic():
        log()
    return HttpResponse("ok")


def on_commit(request: HttpRequest) -> HttpResponse:
    """A view that logs an event when its transaction is committed."""
    with transaction.atomic():
        transaction.on_commit(log)
    return HttpResponse("ok")


def on_no_commit(request: HttpRequest) -> HttpResponse:
    """A view that would log an event when its transaction is committed, but rolls it back."""
    with transaction.atomic():
        transaction.on_commit(log)
        transaction.set_rollback(True)
    return HttpResponse("ok")


def read_before_rollback(request: HttpRequest) -> HttpResponse:
    """A view that reads `request.user`, and logs an event in a transaction to be rolled back."""
    name = request.user.pk
    with transaction.atomic():
        transaction.set_rollback(True)
        log()
    return HttpResponse(name)


def connection_lost(request: HttpRequest) -> HttpResponse:
    """A view that logs an event after its transaction has lost its connection."""
    try:
        with transaction.atomic():
            connection.close()
            log()
    finally:
        return HttpResponse("ok")  # noqa: B012


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    """A view whose response logs an event while it is sent."""

    def parts() -> Iterator[bytes]:
        log()
        yield b"ok"

    return StreamingHttpResponse(parts())


def logs_in(request: HttpRequest) -> HttpResponse:
    """A view that logs an event, logs another user in, and logs a second event."""
    log()
    login(request, get_user_model().objects.get(username="bert"))
    log()
    return HttpResponse(request.user.get_username())


def searches(request: HttpRequest) -> HttpResponse:
    """A view that makes one query of its own."""
    return HttpResponse(str(get_user_model().objects.filter(username="ada").count()))


def logs_out(request: HttpRequest) -> HttpResponse:
    """A view that logs an event, logs the user out, and logs a second event."""
    log()
    logout(request)
    log()
    return HttpResponse(request.user.get_username())


async def alogs_in(request: HttpRequest) -> HttpResponse:
    """An async view that logs another user in, and awaits `request.auser()`."""
    await alogin(request, await get_user_model().objects.aget(username="bert"))
    log()
    return HttpResponse((await request.auser()).get_username())


def greeting(get_response: View) -> View:
    """A middleware that reads `request.user` before the view."""

    def respond(request: HttpRequest) -> Any:
        request.user.get_username()
        return get_response(request)

    return respond


class Site:
    """Runs cases, and keeps what happened by the case's name."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Any] = {}
        self.client = FakeClient()
        self._handler = SegmentHandler("key", client=self.client)
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)

    def run(
        self,
        name: str,
        view: View,
        user: str | None = None,
        *,
        before: Callable[[Any], object] = lambda browser: None,
        is_async: bool = False,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Request a view, and note what happened.

        Args:
            name: the case's name.
            view: the view that answers the request.
            user: the name of the user who logs in before the request.
            before: called with the test client before the request, after the login.
            is_async: whether the view runs in an event loop.
            options: the setting SEGMENT_LOGGING.
        """
        views["now"] = view
        with override_settings(SEGMENT_LOGGING=options):
            browser = AsyncClient() if is_async else Client()
            browser.cookies["ajs_anonymous_id"] = "a-1"
            if user is not None:
                browser.force_login(users().get(username=user))
            before(browser)
            queries.clear()
            known, invalid = len(self._messages()), self._handler.counts().invalid
            response = asyncio.run(browser.get("/async")) if is_async else browser.get("/")
            content = b"".join(response) if response.streaming else response.content
            made = [sql for sql in queries if sql.startswith("SELECT")]
        new = self._messages()[known:]
        self.outcomes[name] = {
            "users": [message.user.user_id and names()[message.user.user_id] for message in new],
            "visitors": [message.user.anonymous_id for message in new],
            "invalid": self._handler.counts().invalid - invalid,
            "queries": [sql.partition(" FROM ")[2].split()[0].strip('"') for sql in made],
            "vary": response.headers.get("Vary"),
            "cookies": sorted(response.cookies),
            "content": content.decode(),
        }

    def _messages(self) -> list[Any]:
        self._handler.drain(10)
        return list(self.client.messages)


def users() -> Any:
    return get_user_model().objects


def names() -> dict[str, str]:
    """Return the names of all users by id."""
    return {str(user.pk): user.get_username() for user in users().all()}


def note_query(execute: Any, sql: str, *args: Any) -> Any:
    queries.append(sql)
    return execute(sql, *args)


def count_queries(connection: Any, **_: Any) -> None:
    if note_query not in connection.execute_wrappers:  # it may have been connected before
        connection.execute_wrappers.append(note_query)


@contextmanager
def sql_logged_to(handler: logging.Handler) -> Iterator[None]:
    """Send the SQL that Django logs at DEBUG to the handler."""
    sql = logging.getLogger("django.db.backends")
    sql.setLevel(logging.DEBUG)
    sql.addHandler(handler)
    try:
        with override_settings(DEBUG=True):
            yield
    finally:
        sql.removeHandler(handler)
        sql.setLevel(logging.NOTSET)


def puts_into_basket(browser: Any) -> None:
    """Give the visitor a session without a user."""
    session = browser.session
    session.flush()
    session["basket"] = [1]
    session.save()
    browser.cookies[settings.SESSION_COOKIE_NAME] = session.session_key


def changes_password(browser: Any) -> None:
    """Change the password, which makes the user's sessions invalid."""
    user = users().get(username="ada")
    user.set_password(f"not {user.password}")
    user.save()


def run_sessions(site: Site) -> None:
    for kind, engine in (("", COOKIE_SESSIONS), (", session in the database", DATABASE_SESSIONS)):
        with override_settings(SESSION_ENGINE=engine):
            site.run(f"no event{kind}", quiet, "ada")
            site.run(f"events{kind}", seen, "ada")
            site.run(f"never{kind}", seen, "ada", options=NEVER)
            site.run(f"no session{kind}", seen)
            site.run(f"logged out{kind}", seen, "ada", before=puts_into_basket)
    site.run("stale", seen, "ada", before=changes_password)
    site.run("stale, read after", read_after, "ada", before=changes_password)
    site.run("always, stale", seen, "ada", before=changes_password, options=ALWAYS)
    users().create_user("carl")
    site.run("deleted", seen, "carl", before=lambda _: users().get(username="carl").delete())
    users().create_user("dora", is_active=False)
    site.run("inactive", seen, "dora")
    new_key = override_settings(SECRET_KEY="new-secret", SECRET_KEY_FALLBACKS=["test-secret"])
    with override_settings(SESSION_ENGINE=DATABASE_SESSIONS):
        for name, view in (("old key", seen), ("old key, read after", read_after)):
            site.run(name, view, "ada", before=lambda _: new_key.enable())
            new_key.disable()


def run_views(site: Site) -> None:
    site.run("read after", read_after, "ada")
    site.run("read before", read_before, "ada")
    site.run("logs in", logs_in, "ada")
    site.run("logs out", logs_out, "ada")
    site.run("streamed", streamed, "ada")
    site.run("rolled back", rolled_back, "ada")
    site.run("in a transaction", in_transaction, "ada")
    site.run("on commit", on_commit, "ada")
    site.run("on no commit", on_no_commit, "ada")
    site.run("rolled back, read before", read_before_rollback, "ada")
    site.run("connection lost", connection_lost, "ada")
    site.run("always", seen, "ada", options=ALWAYS)
    site.run("always, no event", quiet, "ada", options=ALWAYS)
    site.run("always, read after", read_after, "ada", options=ALWAYS)
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, f"{__name__}.greeting"]):
        site.run("always, read by a middleware", seen, "ada", options=ALWAYS)


def run_async_views(site: Site) -> None:
    for name, view in (("seen", seen), ("read after", aread_after), ("logs in", alogs_in)):
        site.run(f"async, {name}", view, "ada", is_async=True)
        site.run(f"async, always, {name}", view, "ada", is_async=True, options=ALWAYS)
    stale = changes_password
    site.run("async, always, stale", seen, "ada", before=stale, is_async=True, options=ALWAYS)
    site.run("async, always, no session", seen, is_async=True, options=ALWAYS)


def run_sql(site: Site) -> None:
    marked = SegmentHandler("key", client=site.client)
    with sql_logged_to(marked):
        site.run("SQL", searches, "ada")
        site.run("SQL and events", seen, "ada")
    site.outcomes["SQL"]["accepted"] = marked.counts().accepted
    every = SegmentHandler("key", client=FakeClient(), capture="all")
    with sql_logged_to(every):
        site.run("all SQL", searches, "ada")
    site.outcomes["all SQL"]["accepted"] = every.counts().accepted
    for name, options in (("one", {}), ("never", NEVER)):
        with override_settings(SEGMENT_LOGGING=options):
            views["now"] = seen
            browser = Client()
            browser.cookies["ajs_anonymous_id"] = "a-1"
            browser.force_login(users().get(username="ada"))
            with CaptureQueriesContext(connection) as captured:
                browser.get("/")
            site.outcomes[f"captured queries, {name}"] = len(captured)


def main() -> None:
    connection_created.connect(count_queries)
    call_command("migrate", verbosity=0)
    users().create_user("ada", password="old")
    users().create_user("bert")
    site = Site()
    for run in (run_sessions, run_views, run_async_views, run_sql):
        run(site)
    connections.close_all()
    print(json.dumps(site.outcomes))

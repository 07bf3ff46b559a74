"""Tests for the `check` command: how it loads an application, and what it notes about it."""

from __future__ import annotations

import json
import unittest
from importlib.util import find_spec
from textwrap import dedent

from tests.cli.checks import BEGINNING, KEY, CheckCase
from tests.servers import dead_host

ROOT = """
import logging, requests
from logging.config import dictConfig
dictConfig({
    "version": 1,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "root": {"level": "INFO", "handlers": ["segment"]},
})
"""


class ApplicationCase(CheckCase):
    def notes_of_app(self, program: str, **environment: str | None) -> dict[str, str]:
        """Return the notes about an application without problems, by subject."""
        (self.directory / "app.py").write_text(BEGINNING + dedent(program))
        code, out, said = self.check("--app", "app:log", "--json", environment=environment)
        found = json.loads(out)
        self.assertEqual((code, said), (0, ""), out)
        return {one["subject"]: one["text"] for one in found if one["grade"] == "note"}


class TestOptions(ApplicationCase):
    def test_options_that_drop_events(self) -> None:
        """Each option that can drop events, and each filter, is noted. Patterns are not shown."""
        notes = self.notes_of_app("""
        handler = SegmentHandler(
            sample_rate=0.01, allow_events=["Order *"], deny_events=["Debug *", "Test *"],
            before_send=lambda message: None,
        )
        handler.addFilter(lambda record: False)
        log.addFilter(lambda record: False)
        log.addHandler(handler)
        """)
        for subject, text in (
            ("sample_rate", "it is 0.01, so all events of about 99% of the users are dropped"),
            ("allow_events", "it has 1 pattern,"),
            ("deny_events", "it has 2 patterns,"),
            ("before_send", "drops an event if it returns None"),
            ("filters", "the handler has 1 filter,"),
        ):
            self.assertIn(text, notes[subject])
        self.assertNotIn("Order", str(notes))
        self.assertEqual(len(self.collector.messages), 1)

    def test_no_such_options(self) -> None:
        """Nothing is noted about a handler that drops no events. KeepIdentity drops none."""
        notes = self.notes_of_app("""
        from segment_logging import KeepIdentity
        handler.addFilter(KeepIdentity())
        log.addHandler(handler)
        """)
        self.assertEqual(notes.keys(), {"region"})

    def test_nothing_in_the_sample(self) -> None:
        """A sample without users is a problem."""
        program = "log.addHandler(SegmentHandler(sample_rate=0))"
        found = self.problems_of_app(f"del handler\n{program}")
        self.assertFinds(found, "sample_rate", "all events are dropped")

    def test_test_event(self) -> None:
        """The test event's line says that the handler's options do not apply to it."""
        (self.directory / "app.py").write_text(BEGINNING + "log.addHandler(handler)")
        _, out, _ = self.check("--app", "app:log")
        self.assertIn("accepted (the handler's filters and options do not apply to it)", out)
        self.assertIn("no problem found, but see the note above\n", out)
        self.assertNotIn("do not apply", self.check()[1])

    def test_leftover_host(self) -> None:
        """A SEGMENT_HOST that takes the place of the region is a problem."""
        program = "del handler\nlog.addHandler(SegmentHandler(region='eu'))"
        for found in (self.problems_of_app(program), self.problems("--region", "eu")):
            self.assertFinds(found, "region", f"SEGMENT_HOST is set, so events go to {self.url}")
        program = f"del handler\nlog.addHandler(SegmentHandler(host={self.url!r}, region='eu'))"
        self.assertEqual(self.problems_of_app(program), [])

    @property
    def url(self) -> str:
        return self.collector.url

    def test_proxy(self) -> None:
        """A failed test event names the variables of the proxy, and not the proxy's password."""
        proxy = dead_host().replace("http://", "http://ada:secret@")
        code, out, said = self.check(environment={"http_proxy": proxy})
        self.assertEqual(code, 1)
        (line,) = [line for line in out.splitlines() if "test event" in line]
        self.assertIn("requests go through a proxy", line)
        self.assertIn("HTTP_PROXY, HTTPS_PROXY, NO_PROXY", line)
        self.assertNotIn("secret", out + said)


class TestLoggers(ApplicationCase):
    def test_other_loggers(self) -> None:
        """The program's loggers that reach no handler are noted, but not those of packages."""
        notes = self.notes_of_app("""
        import requests
        logging.getLogger("shop.web")
        logging.getLogger("analytics")
        logging.getLogger("uvicorn.error")
        log.addHandler(handler)
        """)
        self.assertIn("records logged to 'analytics' reach no SegmentHandler", notes["loggers"])

    def test_many_other_loggers(self) -> None:
        """Only the first of many such loggers are listed."""
        notes = self.notes_of_app("""
        for number in range(50):
            logging.getLogger(f"a{number:02}")
        log.addHandler(handler)
        """)
        self.assertIn("'a00', 'a01', 'a02' and 47 others reach", notes["loggers"])

    def test_disabled_below_the_root(self) -> None:
        """Disabled loggers below the root are a problem, with the program's own first."""
        program = 'import logging\nlogging.getLogger("zoo")\n' + ROOT
        (self.directory / "app.py").write_text(program)
        found = self.problems("--app", "app:logging", "--no-event")
        self.assertFinds(found, "disabled", "below the root logger are disabled ('zoo', 'charset")

    def test_disabled_loggers_of_packages(self) -> None:
        """If only loggers of installed packages are disabled, that is a note."""
        (self.directory / "app.py").write_text(ROOT)
        code, out, _ = self.check("--app", "app:logging", "--no-event")
        self.assertEqual(code, 0, out)
        self.assertIn("note     disabled: loggers below the root logger", out)

    def test_without_application(self) -> None:
        """Without an application, it says that no logger was checked."""
        _, out, _ = self.check("--no-event")
        self.assertIn("note     loggers: no application was given, so no logger was checked", out)
        (self.directory / "app.py").write_text(BEGINNING + "log.addHandler(handler)")
        self.assertNotIn("no application", self.check("--app", "app:log", "--no-event")[1])

    @unittest.skipUnless(find_spec("structlog"), "needs structlog")
    def test_structlog(self) -> None:
        """What is noted about structlog's configuration, for each common mistake."""
        good = {
            "processors": "[ProcessorFormatter.wrap_for_formatter]",
            "logger_factory": "stdlib.LoggerFactory()",
            "wrapper_class": "stdlib.BoundLogger",
        }
        formats = "[stdlib.PositionalArgumentsFormatter(), ProcessorFormatter.wrap_for_formatter]"
        for mistake, noted in (
            ({}, None),
            ({"logger_factory": "structlog.PrintLoggerFactory()"}, "is PrintLoggerFactory, so no"),
            ({"processors": "[structlog.processors.JSONRenderer()]"}, "JSONRenderer is the last"),
            ({"processors": formats}, "PositionalArgumentsFormatter formats the text before"),
            ({"wrapper_class": "structlog.make_filtering_bound_logger(20)"}, "wrapper_class is"),
        ):
            options = ", ".join(f"{key}={value}" for key, value in {**good, **mistake}.items())
            with self.subTest(noted):
                notes = self.notes_of_app(f"""
                import structlog
                from structlog import stdlib
                from structlog.stdlib import ProcessorFormatter
                structlog.configure({options})
                log.addHandler(handler)
                """)
                if noted is None:
                    self.assertNotIn("structlog", notes)
                else:
                    self.assertIn(noted, notes["structlog"])
        notes = self.notes_of_app("import structlog\nlog.addHandler(handler)")
        self.assertNotIn("structlog", notes)

    @unittest.skipUnless(find_spec("django"), "needs Django")
    def test_django(self) -> None:
        """A Django project with URLs and without the middleware is noted."""
        own = "segment_logging.contrib.django.SegmentMiddleware"
        others = '"django.contrib.sessions.middleware.SessionMiddleware"'
        for settings, is_noted in (
            (f"ROOT_URLCONF='shop.urls', MIDDLEWARE=[{others}]", True),
            (f"ROOT_URLCONF='shop.urls', MIDDLEWARE=['{own}', {others}]", False),
            (f"MIDDLEWARE=[{others}]", False),
        ):
            program = f"""
            from django.conf import settings
            settings.configure({settings})
            log.addHandler(handler)
            """
            with self.subTest(settings):
                notes = self.notes_of_app(program)
                self.assertEqual("django" in notes, is_noted)
                if is_noted:
                    self.assertIn(f"does not contain {own}, so", notes["django"])
        notes = self.notes_of_app("""
        from django.conf import settings
        settings.configure(ROOT_URLCONF="shop.urls", MIDDLEWARE=["__main__.Missing"])
        from segment_logging.contrib.django import loaded_user_id
        log.addHandler(handler)
        """)
        self.assertIn("django", notes)
        notes = self.notes_of_app("""
        import sys
        from types import ModuleType
        from django.conf import settings
        settings.configure(ROOT_URLCONF="shop.urls", MIDDLEWARE=["shop_own.Own"])
        from segment_logging.contrib.django import SegmentMiddleware
        sys.modules["shop_own"] = ModuleType("shop_own")
        sys.modules["shop_own"].Own = type("Own", (SegmentMiddleware,), {})
        log.addHandler(handler)
        """)
        self.assertNotIn("django", notes)
        notes = self.notes_of_app("""
        from django.conf import settings
        settings.configure(ROOT_URLCONF="shop.urls")
        import segment_logging.contrib.wsgi
        log.addHandler(handler)
        """)
        self.assertNotIn("django", notes)
        notes = self.notes_of_app("import django.conf\nlog.addHandler(handler)")
        self.assertNotIn("django", notes)

    @unittest.skipUnless(find_spec("django"), "needs Django")
    def test_django_under_asgi(self) -> None:
        """Django's application for ASGI is noted, unless it is wrapped."""
        for application, is_noted in (
            ("get_asgi_application()", True),
            ("SegmentMiddleware(get_asgi_application())", False),
            ("get_wsgi_application()", False),
        ):
            (self.directory / "site_of_shop.py").write_text(
                BEGINNING
                + dedent(f"""
                from django.conf import settings
                from django.core.asgi import get_asgi_application
                from django.core.wsgi import get_wsgi_application
                from segment_logging.contrib.asgi import SegmentMiddleware
                settings.configure(ROOT_URLCONF="shop.urls", LOGGING_CONFIG=None)
                log.addHandler(handler)
                application = {application}
                """)
            )
            with self.subTest(application):
                name = "site_of_shop:application"
                _, out, _ = self.check("--app", name, "--no-event")
                noted = f"note     django: {name} does not deliver waiting events"
                self.assertEqual(noted in out, is_noted, out)
                self.assertIn("MIDDLEWARE does not contain", out)


class TestLoading(ApplicationCase):
    def test_events_are_not_sent(self) -> None:
        """Events that the application logs are counted once each, and not sent or stored."""
        journal = self.directory / "journal"
        notes = self.notes_of_app(f"""
        import atexit
        log.addHandler(handler)
        log.addHandler(SegmentHandler("another", journal={str(journal)!r}))
        for number in range(3):
            log.info("Start", extra={{"user_id": "u"}})
        log.info("no event")
        atexit.register(log.info, "Stop", extra={{"user_id": "u"}})
        """)
        text = "the application logged 3 events while it was loaded, which were not sent"
        self.assertEqual(notes["events"], text)
        self.assertEqual(
            {one["event"] for one in self.collector.messages}, {"segment-logging check"}
        )
        self.assertFalse(journal.exists())

    def test_refused_event(self) -> None:
        """An event that the handler refuses is reported on stderr, as it would be otherwise."""
        program = BEGINNING + "log.addHandler(handler)\nlog.info('E', extra={'event': 'E'})"
        (self.directory / "app.py").write_text(program)
        code, _, said = self.check("--app", "app:log", "--no-event")
        self.assertEqual(code, 0)
        self.assertIn("user_id or an anonymous_id", said)

    def test_main(self) -> None:
        """A function that configures logging is called if its name ends with parentheses."""
        program = "\ndef main():\n    log.addHandler(handler)\n    raise SystemExit(0)\n"
        (self.directory / "app.py").write_text(BEGINNING.replace("handler =", "pass #") + dedent(
            program.replace("handler)", "SegmentHandler())")
        ))  # fmt: skip
        (found,) = self.problems("--app", "app:main", "--no-event")
        self.assertIn("there is no SegmentHandler", found)
        self.assertIn("pass --app 'MODULE:FUNCTION()'", found)
        self.assertEqual(self.problems("--app", "app:main()", "--no-event"), [])

    def test_log_config(self) -> None:
        """uvicorn's --log-config is named if no file was passed. A handler in a file is found."""
        (self.directory / "app.py").write_text("import logging\nlog = logging.getLogger('shop')\n")
        advice = "if uvicorn's --log-config does, also pass --logging-config FILE"
        (found,) = self.problems("--app", "app:log", "--no-event")
        self.assertIn(advice, found)
        with_file = ("--app", "app:log", "--logging-config", "log.json", "--no-event")
        (self.directory / "log.json").write_text('{"version": 1}')
        (found,) = self.problems(*with_file)
        self.assertIn("there is no SegmentHandler", found)
        self.assertNotIn(advice, found)
        configuration = {
            "version": 1,
            "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
            "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
        }
        (self.directory / "log.json").write_text(json.dumps(configuration))
        self.assertEqual(self.problems(*with_file), [])

    def test_wrong_names(self) -> None:
        """A name that does not exist is refused in one line, with exit code 2."""
        (self.directory / "app.py").write_text("import logging")
        for name, text in (
            ("app:nope", "app has no attribute nope"),
            ("app:logging.nope", "logging has no attribute nope"),
            ("app.py", "app has no attribute py: pass --app app, without .py"),
            ("a b", "--app must be MODULE:ATTRIBUTE, not 'a b'"),
            ("app:logging()", "app:logging is not a function"),
        ):
            code, out, said = self.check("--app", name)
            self.assertEqual((code, out), (2, ""), said)
            self.assertIn(text, said)
            self.assertEqual(len(said.splitlines()), 1)

    def test_mistakes_of_the_application(self) -> None:
        """An AttributeError or a ValueError of the application is a problem with its place."""
        for error in ("AttributeError", "ValueError"):
            (self.directory / "app.py").write_text(f"\nraise {error}({KEY!r})")
            (found,) = self.problems("--app", "app:x", "--no-event")
            self.assertIn(f"app:x cannot be loaded ({error} in app.py, line 2)", found)
            self.assertNotIn(KEY, found)

    def test_placeholder(self) -> None:
        """A placeholder is a single problem, although the command would use the same key."""
        found = self.problems_of_app("log.addHandler(handler)", SEGMENT_WRITE_KEY="YOUR_WRITE_KEY")
        self.assertFinds(found, "write key", "is a placeholder")


if __name__ == "__main__":
    unittest.main()

"""Tests of a project with the settings of docs/frameworks/django.md, and of its templates."""

from __future__ import annotations

import unittest
from importlib.util import find_spec
from typing import Any

from .pages import NO_RUN, blocks_of
from .test_blocks import ProgramTest

PAGE = "docs/frameworks/django.md"


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

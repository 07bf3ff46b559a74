"""Tests that a framework is imported only by the integration that needs it."""

from __future__ import annotations

import unittest

from ..builders import run_python

FRAMEWORKS = {"django", "asgiref", "flask", "werkzeug", "starlette", "fastapi", "celery", "kombu"}
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


class TestImports(unittest.TestCase):
    def test_package(self) -> None:
        """Importing the package imports neither an integration nor a framework."""
        loaded = run_python(f"import segment_logging; {LOADED}")
        self.assertNotIn("segment_logging.contrib", loaded)
        self.assertTrue(FRAMEWORKS.isdisjoint(loaded))

    def test_without_framework(self) -> None:
        """An integration that needs no framework imports none."""
        for name in ("wsgi", "asgi", "aws_lambda", "headers"):
            with self.subTest(name=name):
                loaded = run_python(f"import segment_logging.contrib.{name}; {LOADED}")
                self.assertTrue(FRAMEWORKS.isdisjoint(loaded))


if __name__ == "__main__":
    unittest.main()

"""The layers: who may import whom, and what importing the package may not do."""

from __future__ import annotations

import ast
import graphlib
import unittest
from pathlib import Path

from .builders import PACKAGE, run_python

ORDER = (
    "_version", "errors", "limits", "ids", "locks", "reports", "ends",
    "encoding", "rules", "wire", "user", "messages", "batch", "batching",
    "outcomes", "http", "client", "queues", "deadletters", "delivery",
    "checks", "oauth", "settings",
    "counts", "enqueuing", "threads", "listener", "upkeep", "pipelines", "pipeline",
    "context", "bound", "reading", "privacy", "dialects", "forms", "records",
    "diversion", "handler", "extras", "adapter", "formatter", "testing", "__init__",
    "pytest_plugin", "collector", "relay", "contrib", "cli", "__main__",
)  # fmt: skip
"""Lowest first. A module imports only from those before it; a folder counts as one."""


def sources() -> dict[str, ast.Module]:
    """Module names under the package, as `queues.memory`, to their syntax trees."""
    return {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(name: str, tree: ast.Module, *, is_folder: bool) -> set[str]:
    """Absolute names of everything a module imports, wherever in it the import stands."""
    own = [] if name == "__init__" else name.split(".")
    folder = own if is_folder else own[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                found.add(node.module or "")
                continue
            start = ["segment_logging", *folder[: len(folder) - node.level + 1]]
            if node.module:
                found.add(".".join([*start, node.module]))
            else:
                found |= {".".join([*start, alias.name]) for alias in node.names}
    return found


def graph() -> dict[str, set[str]]:
    """Module names to the names of everything they import."""
    return {
        name: imports_of(name, tree, is_folder=(PACKAGE / name.replace(".", "/")).is_dir())
        for name, tree in sources().items()
    }


def importers_of(*libraries: str) -> set[str]:
    return {
        name
        for name, imported in graph().items()
        if any(module.split(".")[0] in libraries for module in imported)
    }


def inside(imported: set[str]) -> set[str]:
    """The package's own modules among the imports, without the package's name."""
    prefix = "segment_logging"
    return {
        module.removeprefix(prefix).removeprefix(".") or "__init__"
        for module in imported
        if module.split(".")[0] == prefix
    }


class TestLayers(unittest.TestCase):
    def test_downwards_only(self) -> None:
        """Every module imports only from layers below its own."""
        for name, imported in graph().items():
            layer = name.split(".")[0]
            self.assertIn(layer, ORDER, "say in ORDER where this module belongs")
            for other in {module.split(".")[0] for module in inside(imported)} - {layer}:
                self.assertLess(ORDER.index(other), ORDER.index(layer), f"{name} -> {other}")

    def test_no_cycles(self) -> None:
        """No module imports itself over others."""
        known = graph()
        inner = {name: inside(imported) & known.keys() for name, imported in known.items()}
        list(graphlib.TopologicalSorter(inner).static_order())

    def test_requests(self) -> None:
        """Only one file knows of requests and urllib3."""
        self.assertEqual(importers_of("requests", "urllib3"), {"http"})

    def test_python_json_logger(self) -> None:
        """Only the formatter knows of python-json-logger."""
        self.assertEqual(importers_of("pythonjsonlogger"), {"formatter"})

    def test_orjson(self) -> None:
        """Only the encoding knows that there is another encoder."""
        self.assertEqual(importers_of("orjson"), {"encoding"})

    def test_pure(self) -> None:
        """Decisions see no thread and no socket."""
        for name in (
            "errors",
            "limits",
            "encoding",
            "rules",
            "wire",
            "messages",
            "outcomes",
            "batching",
        ):
            imported = graph()[name]
            self.assertTrue(
                imported.isdisjoint({"threading", "socket", "queue", "subprocess", "logging"}), name
            )

    def test_small_files(self) -> None:
        """No file is above 300 lines."""
        for path in sorted(PACKAGE.rglob("*.py")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            self.assertLessEqual(lines, 300, path.name)


class TestImport(unittest.TestCase):
    def test_does_nothing(self) -> None:
        """Importing starts no thread, adds no handler and sets no level."""
        seen = run_python(
            """
import json, logging, threading
import segment_logging
loggers = [logging.root, logging.getLogger("segment_logging")]
print(json.dumps([
    threading.active_count(),
    [len(logger.handlers) for logger in loggers],
    [logger.level for logger in loggers],
]))
"""
        )
        self.assertEqual(seen, [1, [0, 0], [30, 0]])

    def test_takes_nothing_along(self) -> None:
        """Importing loads neither the tools for development nor those of the extras."""
        loaded = run_python(
            "import json, sys, segment_logging; print(json.dumps(sorted(sys.modules)))"
        )
        for name in (
            "segment_logging.collector", "segment_logging.cli", "segment_logging.relay",
            "segment_logging.testing", "kombu", "unittest", "http.server", "asyncio", "hypothesis",
        ):  # fmt: skip
            self.assertNotIn(name, loaded)

    def test_public_names(self) -> None:
        """Every name in `__all__` is there, and `import *` brings no other."""
        names = run_python(
            """
import json, segment_logging
space = {}
exec("from segment_logging import *", space)
print(json.dumps([sorted(segment_logging.__all__), sorted(set(space) - {"__builtins__"})]))
"""
        )
        self.assertEqual(names[0], names[1])

    def test_typed(self) -> None:
        """Type checkers of users read the package's types."""
        self.assertTrue((PACKAGE / "py.typed").exists())

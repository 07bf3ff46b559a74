"""Tests for the rooms: which rooms may import which, and what importing the package must not do.

A room is a file directly in the package, or a folder with everything in it. The tests define the
order of the rooms and the rules for some of them.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import pickle
import re
import typing
import unittest
from collections.abc import Iterator
from pathlib import Path

import segment_logging
import segment_logging.testing
from segment_logging._messages import calls

from .builders import PACKAGE, a_track, run_python

ORDER = (
    "_version", "_public", "_clock", "errors", "_reports", "_trust", "_locks", "_files", "_process",
    "_messages", "_client", "_broker", "_options", "_identity", "_records",
    "_queues", "_delivery", "_relay",
    "oauth", "_handlers", "handler", "logger", "formatter", "__init__",
    "testing", "pytest_plugin", "collector", "contrib", "compat", "cli", "__main__",
)  # fmt: skip
"""The rooms, from the bottom up. A room may import only from rooms that are listed before it."""

PURE = ("_messages", "_identity", "errors")
"""Rooms of pure logic, without threads, sockets or processes."""

LIBRARIES = {
    "requests": {"_client.connections"},
    "urllib3": {"_client.connections", "_client.exchange"},
    "ssl": {"_client.checks", "cli.network_checks"},
    "pythonjsonlogger": {"formatter"},
    "orjson": {"_messages.encoding"},
    "jwt": {"_client.oauth"},
    "kombu": {"_broker.connection"},
    "threading": {"_process.threads"},
    "fcntl": {"_locks"},
}
"""Libraries, with the only files that may import them."""


def sources() -> dict[str, Path]:
    """Return the package's files by module name, such as `_queues.memory`."""
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(name: str, source: str, *, is_folder: bool = False) -> set[str]:
    """Return the absolute names of everything that a module imports, in any form.

    Args:
        name: the module's name within the package.
        source: the module's source text.
        is_folder: whether the module is a folder's `__init__`.

    Raises:
        AssertionError: The module imports a name that is known only at run time.
    """
    own = [] if name == "__init__" else name.split(".")
    folder = ["segment_logging", *(own if is_folder else own[:-1])]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = folder[: len(folder) - node.level + 1] if node.level else []
            module = [*start, *([node.module] if node.module else [])]
            found.add(".".join(module))
            # Each name may be a module.
            found |= {".".join([*module, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Call):
            found |= set(_imported_by_call(node, folder, name))
    return found


def _imported_by_call(node: ast.Call, folder: list[str], name: str) -> Iterator[str]:
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in ("import_module", "__import__"):
        return
    target = node.args[0]
    if name == "__init__":  # it imports from the table of public names, which a test below checks
        return
    if not (isinstance(target, ast.Constant) and isinstance(target.value, str)):
        raise AssertionError(f"{name} imports a name that is known only at run time: write it out")
    level = len(target.value) - len(target.value.lstrip("."))
    start = folder[: len(folder) - level + 1] if level else []
    yield ".".join([*start, target.value[level:]]).rstrip(".")


def graph() -> dict[str, set[str]]:
    """Return the imports of each module, by module name."""
    return {
        name: imports_of(
            name, path.read_text(encoding="utf-8"), is_folder=path.name == "__init__.py"
        )
        for name, path in sources().items()
    }


def inside(imported: set[str], known: set[str]) -> set[str]:
    """Return the package's own modules among the imports, without the package's name."""
    own = {one.removeprefix("segment_logging.") for one in imported if "segment_logging" in one}
    return {one for one in own if one in known}


def room_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


class TestRooms(unittest.TestCase):
    def test_every_room_has_a_place(self) -> None:
        """Everything directly in the package is a room with a place in the order."""
        self.assertEqual(sorted({room_of(name) for name in sources()}), sorted(ORDER))

    def test_downwards_only(self) -> None:
        """A room imports only from rooms below its own."""
        known = graph()
        wrong = [
            f"{name} -> {other}: {room_of(other)} is above {room_of(name)}"
            for name, imported in known.items()
            for other in sorted(inside(imported, set(known)))
            if ORDER.index(room_of(other)) > ORDER.index(room_of(name))
        ]
        self.assertEqual(wrong, [], "\n".join(["imports from a room above:", *wrong]))

    def test_no_circles(self) -> None:
        """No file imports itself through other files, not even within a room."""
        known = graph()
        arrows = {name: inside(imported, set(known)) - {name} for name, imported in known.items()}
        for name in arrows:  # importing a file also imports its folder's `__init__`
            arrows[name] -= {name.rpartition(".")[0]}
        try:
            list(graphlib.TopologicalSorter(arrows).static_order())
        except graphlib.CycleError as error:
            self.fail(f"circular import: {' <- '.join(error.args[1])}")

    def test_faces_of_private_rooms_define_nothing(self) -> None:
        """A private room's `__init__` has a docstring, may re-export names, and defines nothing."""
        for name, path in sources().items():
            if path.name == "__init__.py" and room_of(name).startswith("_") and name != "__init__":
                tree = ast.parse(path.read_text(encoding="utf-8"))
                self.assertIsNotNone(ast.get_docstring(tree), name)
                kinds = {type(node) for node in tree.body[1:]}
                self.assertLessEqual(kinds, {ast.ImportFrom}, name)

    def test_sees_every_form_of_import(self) -> None:
        """The test's own parser recognizes every form of import."""
        for source in (
            "import segment_logging._client.hosts",
            "import segment_logging._client.hosts as hosts",
            "from segment_logging._client import hosts",
            "from .._client.hosts import host_of",
            "from .._client import hosts",
            "def f():\n    from .._client import hosts",
            "if TYPE_CHECKING:\n    from .._client import hosts",
            "import_module('.._client.hosts', __package__)",
            "importlib.import_module('segment_logging._client.hosts')",
            "__import__('segment_logging._client.hosts')",
        ):
            with self.subTest(source):
                found = inside(imports_of("_queues.memory", source), {"_client.hosts"})
                self.assertEqual(found, {"_client.hosts"})
        with self.assertRaisesRegex(AssertionError, "_queues.memory imports a name"):
            imports_of("_queues.memory", "import_module(name)")

    def test_libraries(self) -> None:
        """Each library, including `threading`, is imported only by the files that own it."""
        known = graph()
        for library, owners in LIBRARIES.items():
            users = {
                name
                for name, imported in known.items()
                if any(room_of(one) == library for one in imported)
            }
            self.assertEqual(users - _TYPES_ONLY.get(library, set()), owners, library)

    def test_pure(self) -> None:
        """Pure rooms import no module for threads, sockets or processes."""
        for name, imported in graph().items():
            if room_of(name) in PURE:
                impure = imported & {"threading", "socket", "queue", "subprocess", "asyncio"}
                self.assertEqual(impure, set(), name)

    def test_small_files(self) -> None:
        """No file of the package exceeds 300 lines, and no test file exceeds 500."""
        for folder, limit in ((PACKAGE, 300), (PACKAGE.parent / "tests", 500)):
            for path in sorted(folder.rglob("*.py")):
                lines = len(path.read_text(encoding="utf-8").splitlines())
                self.assertLessEqual(lines, limit, path.relative_to(PACKAGE.parent))


_TYPES_ONLY = {"threading": {"collector.connections", "collector.__main__"}}
"""Files that use only a library's types, or that use the library in their own process."""


class TestPublicNames(unittest.TestCase):
    def test_names(self) -> None:
        """Every name in `__all__` exists, and `import *` imports no other name."""
        names = run_python(
            """
import json, segment_logging
space = {}
exec("from segment_logging import *", space)
print(json.dumps([sorted(segment_logging.__all__), sorted(set(space) - {"__builtins__"})]))
"""
        )
        self.assertEqual(names[0], names[1])

    def test_told_to_type_checkers(self) -> None:
        """Type checkers see the same public names, imported from the same files."""
        tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
        block = next(node for node in tree.body if isinstance(node, ast.If))
        told = {
            alias.name: node.module
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self.assertEqual(told, vars(segment_logging)["_MODULE_OF"])
        self.assertEqual(sorted(told), sorted(segment_logging.__all__))

    def test_say_where_they_are_imported_from(self) -> None:
        """A public name's `__module__` is the module that users import it from."""
        for place in (segment_logging, segment_logging.testing):
            for name in place.__all__:
                module = getattr(getattr(place, name), "__module__", place.__name__)
                if module in ("typing", "types"):  # a type alias
                    continue
                self.assertNotRegex(module, r"\._", name)
                self.assertIs(getattr(importlib.import_module(module), name), getattr(place, name))

    def test_pickles_name_the_public_place(self) -> None:
        """Pickles name only public modules, so they stay readable when private modules move."""
        made = pickle.dumps([a_track(), segment_logging.Batch([a_track()])])
        self.assertNotIn(b"segment_logging._", made)
        self.assertEqual(pickle.loads(made)[0], a_track())

    def test_type_hints_can_be_read(self) -> None:
        """Libraries that read annotations can resolve the type hints of messages."""
        for name in ("User", "Identify", "Track", "Page", "Screen", "Group", "Alias", "Counts"):
            hints = typing.get_type_hints(getattr(segment_logging, name))
            self.assertTrue(hints, name)
        self.assertIs(typing.get_type_hints(calls.Track)["user"], segment_logging.User)


class TestImport(unittest.TestCase):
    def test_does_nothing(self) -> None:
        """Importing the package starts no thread, adds no handler and sets no level."""
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
        """Importing the package loads neither development tools nor heavy libraries."""
        loaded = run_python(
            "import json, sys, segment_logging; print(json.dumps(sorted(sys.modules)))"
        )
        for name in (
            "segment_logging.collector", "segment_logging.cli", "segment_logging.testing",
            "unittest", "http.server", "asyncio", "hypothesis", "requests",
        ):  # fmt: skip
            self.assertNotIn(name, loaded)

    def test_typed(self) -> None:
        """The package contains `py.typed`, so that type checkers read its types."""
        self.assertTrue((PACKAGE / "py.typed").exists())


class TestPrivateParts(unittest.TestCase):
    """Private names of the standard library are each used in one file only."""

    def test_one_place(self) -> None:
        """No other file uses a private name."""
        for pattern, owner in (
            (r"c_make_encoder", "_messages.encoding"),
            (r"'_lock'", "_process.logging_lock"),
            (r"\bFinalize\b", "_process.exits"),
        ):
            users = {
                name
                for name, path in sources().items()
                if re.search(pattern, _code_of(path.read_text(encoding="utf-8")))
            }
            self.assertEqual(users, {owner}, pattern)


def _code_of(source: str) -> str:
    """Return a module's source without docstrings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.unparse(tree)

"""Tests that no module keeps a native lock, thread or wait, which gevent could not patch later.

Only `_process.threads` uses them, and it looks them up in `threading` each time.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
import time
import unittest
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import segment_logging

PACKAGE = segment_logging.__name__

NATIVE_MODULES = ("threading", "_thread", "queue", "_queue")


def findings(module: ModuleType) -> list[str]:
    """Return the places in which a module keeps something native.

    These are its globals, the attributes of its classes, the defaults and closures of its
    functions, and what its containers and objects hold.
    """
    seen = {id(vars(module)): vars(module)}
    return [f"{module.__name__}.{place}" for place in _places(vars(module), seen)]


def _places(values: Mapping[str, Any], seen: dict[int, Any]) -> Iterator[str]:
    for name, value in tuple(values.items()):
        if is_native(value):
            yield name
        elif id(value) not in seen:
            seen[id(value)] = value  # kept, so that no other object gets its id
            for place in _places(_parts(value), seen):
                yield f"{name}.{place}"


def is_native(value: Any) -> bool:
    """Return whether gevent or eventlet would replace a value if it patched the modules."""
    kind = type(value)  # not isinstance, which would make a lazy object look at what it stands for
    if kind is int:
        return value in (threading.get_ident(), threading.main_thread().ident)
    if issubclass(kind, (type, FunctionType, BuiltinFunctionType)):
        is_error = issubclass(kind, type) and issubclass(value, BaseException)
        return value is time.sleep or (value.__module__ in NATIVE_MODULES and not is_error)
    return kind.__module__ in NATIVE_MODULES


def _parts(value: Any) -> Mapping[str, Any]:
    """Return what a container, or a function, class or object of this package holds, by name."""
    kind = type(value)
    if issubclass(kind, dict):
        return {f"[{key!r}]": one for key, one in value.items()}
    if issubclass(kind, (list, tuple, set, frozenset)):
        return {f"[{number}]": one for number, one in enumerate(value)}
    if issubclass(kind, (classmethod, staticmethod)):
        return {"function": value.__func__}
    if issubclass(kind, property):
        return {"getter": value.fget, "setter": value.fset}
    owner = value if issubclass(kind, (type, FunctionType)) else kind
    if not owner.__module__.startswith(PACKAGE):
        return {}
    if issubclass(kind, FunctionType):
        return {
            "defaults": value.__defaults__,
            "keyword defaults": value.__kwdefaults__,
            "closure": _contents(value),
        }
    return {**getattr(value, "__dict__", {})}


def _contents(function: FunctionType) -> list[Any]:
    """Return the values in a function's closure that are set."""
    contents = []
    for cell in function.__closure__ or ():
        try:
            contents.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    return contents


def modules() -> Iterator[ModuleType]:
    """Import all modules of the package, apart from programs and those that need a library."""
    for found in pkgutil.walk_packages(segment_logging.__path__, f"{PACKAGE}."):
        if not found.name.endswith("__main__"):
            try:
                yield importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if str(error.name).startswith(PACKAGE):
                    raise


MADE_UP = {
    "import": "from threading import get_ident",
    "import under another name": "from _thread import allocate_lock as lock_of",
    "class": "from threading import Thread",
    "queue": "from queue import SimpleQueue",
    "wait": "from time import sleep",
    "lock": "import threading; lock = threading.Lock()",
    "re-entrant lock": "import threading; lock = threading.RLock()",
    "event": "import threading; event = threading.Event()",
    "thread id": "import threading; owner = threading.get_ident()",
    "container": "import threading; locks = {'one': [threading.Lock()]}",
    "class attribute": "import threading\nclass Owner:\n    lock = threading.Lock()",
    "default": "import threading\ndef wait(lock=threading.Lock()): pass",
    "keyword default": "import threading\ndef wait(*, lock=threading.Lock()): pass",
    "method": "import time\nclass Owner:\n    def wait(self, by=time.sleep): pass",
    "closure": "import time\ndef make(do):\n    return lambda: do(1)\nwait = make(time.sleep)",
    "object": "import threading\nclass Owner: pass\none = Owner(); one.lock = threading.Lock()",
}
"""Modules that keep something native, each in its own way."""


class TestNoNativeThreads(unittest.TestCase):
    def test_package(self) -> None:
        """No module of the package keeps something native."""
        found = [place for module in modules() for place in findings(module)]
        self.assertEqual(found, [])

    def test_finds_what_is_kept(self) -> None:
        """The test finds native objects wherever a module keeps them."""
        for name, source in MADE_UP.items():
            with self.subTest(name):
                self.assertNotEqual(findings(a_module(source)), [])

    def test_finds_nothing_else(self) -> None:
        """A module that looks things up when it uses them is fine."""
        source = "import threading, time, queue\ndef new_lock(): return threading.Lock()"
        self.assertEqual(findings(a_module(source)), [])


def a_module(source: str) -> ModuleType:
    """Return a module of the package that is not in any file."""
    module = ModuleType(f"{PACKAGE}.made_up")
    exec(source, vars(module))
    return module


if __name__ == "__main__":
    unittest.main()

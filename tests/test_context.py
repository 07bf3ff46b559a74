"""Whom the current context is about."""

from __future__ import annotations

import asyncio
import unittest
from contextvars import copy_context
from threading import Thread
from typing import Any

from segment_logging import bind, identity, unbind
from segment_logging.context import NOBODY, Identity, current_identity, merge


def bound() -> Identity:
    return current_identity.get()


def isolated(test: Any) -> Any:
    """Run a test in a context of its own, so that what it binds ends with it."""
    return lambda self: copy_context().run(test, self)


class TestBind(unittest.TestCase):
    @isolated
    def test_bind(self) -> None:
        """`bind` fills in from now on."""
        bind(user_id="u-17", context={"ip": "192.0.2.1"})
        self.assertEqual(bound(), Identity(user_id="u-17", context={"ip": "192.0.2.1"}))

    @isolated
    def test_bind_adds(self) -> None:
        """What a second `bind` leaves out stays as it was."""
        bind(anonymous_id="a-1")
        bind(user_id="u-17")
        self.assertEqual(bound(), Identity(user_id="u-17", anonymous_id="a-1"))

    @isolated
    def test_bind_merges_context(self) -> None:
        """Contexts are merged, also objects inside, and the caller's are not changed."""
        first = {"device": {"id": "d"}, "ip": "192.0.2.1"}
        bind(context=first)
        bind(context={"device": {"model": "m"}})
        self.assertEqual(bound().context, {"device": {"id": "d", "model": "m"}, "ip": "192.0.2.1"})
        self.assertEqual(first, {"device": {"id": "d"}, "ip": "192.0.2.1"})

    @isolated
    def test_another_user(self) -> None:
        """Another user does not get the anonymous id of the one bound before."""
        bind(user_id="u-1", anonymous_id="a-1")
        bind(user_id="u-2")
        self.assertEqual(bound(), Identity(user_id="u-2"))

    @isolated
    def test_unbind(self) -> None:
        """`unbind` forgets everything."""
        bind(user_id="u-17")
        unbind()
        self.assertIs(bound(), NOBODY)

    def test_thread(self) -> None:
        """What is bound in one thread is not seen in another."""
        thread = Thread(target=bind, kwargs={"user_id": "u-17"})
        thread.start()
        thread.join(10)
        self.assertIs(bound(), NOBODY)

    def test_tasks(self) -> None:
        """Each asyncio task has its own, and `to_thread` takes it along."""

        async def one(user_id: str) -> Any:
            bind(user_id=user_id)
            await asyncio.sleep(0)
            return (await asyncio.to_thread(bound)).user_id

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(one(f"u-{n}") for n in range(5)))

        self.assertEqual(asyncio.run(all_of_them()), [f"u-{n}" for n in range(5)])
        self.assertIs(bound(), NOBODY)


class TestIdentity(unittest.TestCase):
    def test_ends(self) -> None:
        """After the block everything is as before."""
        with identity(user_id="u-17"):
            self.assertEqual(bound().user_id, "u-17")
        self.assertIs(bound(), NOBODY)

    def test_ends_with_an_error(self) -> None:
        """Also when the block raises."""
        with self.assertRaises(KeyError), identity(user_id="u-17"):
            raise KeyError
        self.assertIs(bound(), NOBODY)

    def test_nested(self) -> None:
        """An inner block adds to the outer one and takes away only what it added."""
        with identity(user_id="u-17"):
            with identity(anonymous_id="a-1"):
                self.assertEqual(bound(), Identity(user_id="u-17", anonymous_id="a-1"))
            self.assertEqual(bound(), Identity(user_id="u-17"))

    def test_generator_of_another_context(self) -> None:
        """A generator that is ended in another context than it began in raises nothing."""

        def steps() -> Any:
            with identity(user_id="u-17"):
                yield

        generator = steps()
        copy_context().run(next, generator)
        generator.close()
        self.assertIs(bound(), NOBODY)

    def test_decorator(self) -> None:
        """`identity` works as a decorator."""

        @identity(user_id="u-17")
        def who() -> Any:
            return bound().user_id

        self.assertEqual([who(), who()], ["u-17", "u-17"])


class TestMerge(unittest.TestCase):
    def test_nothing(self) -> None:
        """Nothing merged with something is that, and with nothing nothing."""
        self.assertIsNone(merge(None, None))
        self.assertEqual(merge({"a": 1}, None), {"a": 1})
        self.assertEqual(merge(None, {"a": 1}), {"a": 1})

    def test_upper_wins(self) -> None:
        """The upper value wins, and objects inside are merged likewise."""
        lower = {"a": 1, "o": {"x": 1, "y": 1}, "l": [1]}
        upper = {"a": 2, "o": {"y": 2}, "l": [2]}
        self.assertEqual(merge(lower, upper), {"a": 2, "o": {"x": 1, "y": 2}, "l": [2]})
        self.assertEqual(lower, {"a": 1, "o": {"x": 1, "y": 1}, "l": [1]})

    def test_object_over_scalar(self) -> None:
        """An object replaces a scalar, and the other way round."""
        self.assertEqual(merge({"a": 1}, {"a": {"b": 1}}), {"a": {"b": 1}})
        self.assertEqual(merge({"a": {"b": 1}}, {"a": 1}), {"a": 1})

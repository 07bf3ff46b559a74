"""Tests for an identity that is bound for a thread, a task or a request."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import AsyncIterator, Generator, Iterator
from contextvars import copy_context
from itertools import product
from threading import Thread
from typing import Any

from segment_logging import ConfigurationError, bind, identity, unbind
from segment_logging._identity.binding import current_binding, current_identity, only_identity
from segment_logging._identity.who import NOBODY, Identity, KnownIdentity

from .. import needs


def bound() -> KnownIdentity:
    """Return the current identity, which must be a KnownIdentity."""
    now = current_identity()
    assert isinstance(now, KnownIdentity)
    return now


class Asked:
    """An identity that is looked up on demand, like those of frameworks. It counts lookups."""

    def __init__(self, whom: KnownIdentity) -> None:
        self.whom = whom
        self.times = 0

    def known(self) -> KnownIdentity:
        self.times += 1
        return self.whom


def isolated(test: Any) -> Any:
    """Run a test in its own context, so that its bindings end with it."""
    return lambda self: copy_context().run(test, self)


class TestBind(unittest.TestCase):
    def test_no_object(self) -> None:
        """A context that is not an object is refused when it is bound, not at every event."""
        no_object: Any = "x"
        with self.assertRaisesRegex(ConfigurationError, "context must be an object"):
            bind(context=no_object)
        with self.assertRaisesRegex(ConfigurationError, "context"), identity(context=no_object):
            pass

    @isolated
    def test_bind(self) -> None:
        """`bind` sets the identity from then on."""
        bind(user_id="u-17", context={"ip": "192.0.2.1"})
        self.assertEqual(bound(), KnownIdentity(user_id="u-17", context={"ip": "192.0.2.1"}))

    @isolated
    def test_bind_adds(self) -> None:
        """A second `bind` keeps the values that it does not set."""
        bind(anonymous_id="a-1")
        bind(user_id="u-17")
        self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))

    @isolated
    def test_bind_merges_context(self) -> None:
        """Contexts are merged, including nested objects, and the caller's dicts are not changed."""
        first = {"device": {"id": "d"}, "ip": "192.0.2.1"}
        bind(context=first)
        bind(context={"device": {"model": "m"}})
        self.assertEqual(bound().context, {"device": {"id": "d", "model": "m"}, "ip": "192.0.2.1"})
        self.assertEqual(first, {"device": {"id": "d"}, "ip": "192.0.2.1"})

    @isolated
    def test_another_user(self) -> None:
        """Binding another user drops the previous user's anonymous id."""
        bind(user_id="u-1", anonymous_id="a-1")
        bind(user_id="u-2")
        self.assertEqual(bound(), KnownIdentity(user_id="u-2"))

    @isolated
    def test_unbind(self) -> None:
        """`unbind` removes everything that was bound."""
        bind(user_id="u-17")
        bind(context={"ip": "192.0.2.1"})
        unbind()
        self.assertIs(bound(), NOBODY)

    def test_unbind_in_a_block(self) -> None:
        """`unbind` removes what `bind` added, but not the identity of the enclosing block."""
        with identity(user_id="u-17"):
            bind(anonymous_id="a-1")
            unbind()
            self.assertEqual(bound(), KnownIdentity(user_id="u-17"))
        self.assertIs(bound(), NOBODY)

    def test_bound_in_a_block(self) -> None:
        """A binding made inside a block ends with the block."""
        with identity(user_id="u-17"):
            bind(anonymous_id="a-1")
        self.assertIs(bound(), NOBODY)

    def test_thread(self) -> None:
        """A binding in one thread is not visible in another."""
        thread = Thread(target=bind, kwargs={"user_id": "u-17"})
        thread.start()
        thread.join(10)
        self.assertIs(bound(), NOBODY)

    @needs.event_loop
    def test_tasks(self) -> None:
        """Each asyncio task has its own identity, and `to_thread` passes it on."""

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
        """After the block, the previous identity is restored."""
        with identity(user_id="u-17"):
            self.assertEqual(bound().user_id, "u-17")
        self.assertIs(bound(), NOBODY)

    def test_ends_with_an_error(self) -> None:
        """The previous identity is also restored if the block raises."""
        with self.assertRaises(KeyError), identity(user_id="u-17"):
            raise KeyError
        self.assertIs(bound(), NOBODY)

    def test_nested(self) -> None:
        """An inner block adds to the outer one and removes only what it added."""
        with identity(user_id="u-17"):
            with identity(anonymous_id="a-1"):
                self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))
            self.assertEqual(bound(), KnownIdentity(user_id="u-17"))

    def test_generator_of_another_context(self) -> None:
        """A generator may be closed in a different context than it was started in."""

        def steps() -> Any:
            with identity(user_id="u-17"):
                yield

        generator = steps()
        copy_context().run(next, generator)
        generator.close()
        self.assertIs(bound(), NOBODY)

    def test_generator_closed_elsewhere(self) -> None:
        """Closing another request's generator does not change the current identity."""
        generators: list[Any] = []

        def rows() -> Iterator[None]:
            with identity(user_id="alice"):
                yield

        def of_alice() -> None:
            generators.append(rows())
            next(generators[0])

        def of_bob() -> Any:
            with identity(user_id="bob"):
                generators.pop().close()
                return bound().user_id

        copy_context().run(of_alice)
        self.assertEqual(copy_context().run(of_bob), "bob")

    def test_generator_left_behind(self) -> None:
        """The identity of an unfinished generator does not outlast the enclosing block."""

        def rows() -> Generator[None, None, None]:
            with identity(context={"ip": "192.0.2.1"}):
                yield

        with identity(user_id="u-17"):
            generator = rows()
            next(generator)
        self.assertIs(bound(), NOBODY)
        generator.close()
        self.assertIs(bound(), NOBODY)

    def test_generators_side_by_side(self) -> None:
        """Generators that take turns leave no identity behind."""

        def rows(user_id: str) -> Iterator[int]:
            with identity(user_id=user_id):
                yield from range(3)

        for _ in zip(rows("a"), rows("b")):
            pass
        self.assertIs(bound(), NOBODY)

    def test_decorator(self) -> None:
        """`identity` works as a decorator."""

        @identity(user_id="u-17")
        def who() -> Any:
            return bound().user_id

        self.assertEqual([who(), who()], ["u-17", "u-17"])

    @needs.event_loop
    def test_async_decorator(self) -> None:
        """A decorated async function has the identity while it runs, not when it is called."""

        @identity(user_id="u-17")
        async def who() -> Any:
            await asyncio.sleep(0)
            return bound().user_id

        async def both() -> list[Any]:
            return [*await asyncio.gather(who(), who())]

        self.assertEqual(asyncio.run(both()), ["u-17", "u-17"])
        self.assertIs(bound(), NOBODY)

    def test_generator_to_decorate(self) -> None:
        """A generator cannot be decorated: its identity would be visible between its steps."""

        def steps() -> Iterator[None]:
            yield

        async def async_steps() -> AsyncIterator[None]:
            yield

        for function in (steps, async_steps):
            with self.assertRaisesRegex(ConfigurationError, "with"):
                identity(user_id="u-17")(function)

    def test_again(self) -> None:
        """The same object can be entered again, even inside its own block or in another thread."""
        shop = identity(context={"app": {"name": "shop"}})
        seen = []

        def elsewhere() -> None:
            with shop:
                seen.append(bound())
            seen.append(bound())

        with shop:
            with shop:
                thread = Thread(target=elsewhere)
                thread.start()
                thread.join(10)
            self.assertEqual(bound().context, {"app": {"name": "shop"}})
        self.assertIs(bound(), NOBODY)
        self.assertEqual([now.context for now in seen], [{"app": {"name": "shop"}}, None])

    def test_successors(self) -> None:
        """If each task starts the next one inside its own block, no blocks accumulate."""

        def blocks_after(rounds: int) -> int:
            if not rounds:
                return len(current_binding.get().blocks)
            with identity(user_id="u-17"):
                within = copy_context()
            return within.run(blocks_after, rounds - 1)

        self.assertEqual(blocks_after(100), 1)


class TestUnder(unittest.TestCase):
    def test_ends(self) -> None:
        """Only the given identity is bound inside the block. Afterwards, the old one is back."""
        with identity(user_id="u-17", anonymous_id="a-1"):
            with only_identity(KnownIdentity(user_id="u-18")):
                self.assertEqual(bound(), KnownIdentity(user_id="u-18"))
            self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))

    def test_what_was_bound_inside(self) -> None:
        """A binding made inside the block ends with the block."""
        with only_identity(NOBODY):
            bind(user_id="u-17")
        self.assertIs(bound(), NOBODY)


class TestAskedLater(unittest.TestCase):
    def test_not_before_it_must(self) -> None:
        """Binding on top of an identity that is looked up on demand does not look it up."""
        asked = Asked(KnownIdentity(user_id="u-17", context={"ip": "192.0.2.1"}))
        with only_identity(asked), identity(context={"locale": "de"}):
            now = current_identity()
            bind(anonymous_id="a-1")
        self.assertEqual(asked.times, 0)
        context = {"ip": "192.0.2.1", "locale": "de"}
        self.assertEqual(now.known(), KnownIdentity(user_id="u-17", context=context))

    def test_asked_each_time(self) -> None:
        """If the user logs in later, the new user is seen, even under values bound earlier."""
        asked = Asked(KnownIdentity(anonymous_id="a-1"))
        with only_identity(asked), identity(context={"locale": "de"}):
            asked.whom = KnownIdentity(user_id="u-17", anonymous_id="a-1")
            self.assertEqual(current_identity().known().user_id, "u-17")

    def test_as_if_known(self) -> None:
        """Bindings give the same ids whether the identity below is known or looked up on demand.

        The lookup adds no personal data that a known identity would not have added.
        """

        def steps(key: str) -> list[KnownIdentity]:
            contexts: tuple[dict[str, Any], ...] = ({"page": key}, {"ip": key, "traits": {key: 1}})
            return [
                KnownIdentity(user_id=user, anonymous_id=visitor, context=context)
                for user, visitor, context in product(
                    (None, "u-1", "u-2"), (None, "a-1", "a-2"), contexts
                )
            ]

        for first, *rest in product(steps("1"), steps("2"), steps("3")):
            known: Identity = first
            asked: Identity = Asked(first)
            for step in rest:
                known, asked = step.over(known), step.over(asked)
            one, other = known.known(), asked.known()
            self.assertEqual(
                (one.user_id, one.anonymous_id), (other.user_id, other.anonymous_id), (first, *rest)
            )
            traits, others = ((whom.context or {}).get("traits", {}) for whom in (one, other))
            self.assertLessEqual(others.keys(), traits.keys(), (first, *rest))

    def test_no_growth(self) -> None:
        """Repeated bindings, as on a long-lived connection, do not accumulate layers."""

        def depth(now: Any) -> int:
            return 1 + depth(now.below) if hasattr(now, "below") else 0

        with only_identity(Asked(KnownIdentity(anonymous_id="a-1"))):
            for number in range(5_000):
                bind(user_id=f"u-{number % 3}" if number % 2 else None, anonymous_id=f"a-{number}")
            now = current_identity()
        self.assertLessEqual(depth(now), 3)
        self.assertEqual(now.known(), KnownIdentity(user_id="u-1", anonymous_id="a-4999"))

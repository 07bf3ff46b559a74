"""Who it was, said once for a thread, a task or a request."""

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
    """What is bound, which must be known."""
    now = current_identity()
    assert isinstance(now, KnownIdentity)
    return now


class Asked:
    """What a framework binds: it finds out when it is asked, and counts how often."""

    def __init__(self, whom: KnownIdentity) -> None:
        self.whom = whom
        self.times = 0

    def known(self) -> KnownIdentity:
        self.times += 1
        return self.whom


def isolated(test: Any) -> Any:
    """Run a test in a context of its own, so that what it binds ends with it."""
    return lambda self: copy_context().run(test, self)


class TestBind(unittest.TestCase):
    def test_no_object(self) -> None:
        """A context that is not an object fails where it is bound, not at every event."""
        no_object: Any = "x"
        with self.assertRaisesRegex(ConfigurationError, "context must be an object"):
            bind(context=no_object)
        with self.assertRaisesRegex(ConfigurationError, "context"), identity(context=no_object):
            pass

    @isolated
    def test_bind(self) -> None:
        """`bind` fills in from now on."""
        bind(user_id="u-17", context={"ip": "192.0.2.1"})
        self.assertEqual(bound(), KnownIdentity(user_id="u-17", context={"ip": "192.0.2.1"}))

    @isolated
    def test_bind_adds(self) -> None:
        """What a second `bind` leaves out stays as it was."""
        bind(anonymous_id="a-1")
        bind(user_id="u-17")
        self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))

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
        self.assertEqual(bound(), KnownIdentity(user_id="u-2"))

    @isolated
    def test_unbind(self) -> None:
        """`unbind` forgets all that was bound."""
        bind(user_id="u-17")
        bind(context={"ip": "192.0.2.1"})
        unbind()
        self.assertIs(bound(), NOBODY)

    def test_unbind_in_a_block(self) -> None:
        """`unbind` takes away what `bind` has bound, and not what the block around has."""
        with identity(user_id="u-17"):
            bind(anonymous_id="a-1")
            unbind()
            self.assertEqual(bound(), KnownIdentity(user_id="u-17"))
        self.assertIs(bound(), NOBODY)

    def test_bound_in_a_block(self) -> None:
        """What was bound in a block ends with it."""
        with identity(user_id="u-17"):
            bind(anonymous_id="a-1")
        self.assertIs(bound(), NOBODY)

    def test_thread(self) -> None:
        """What is bound in one thread is not seen in another."""
        thread = Thread(target=bind, kwargs={"user_id": "u-17"})
        thread.start()
        thread.join(10)
        self.assertIs(bound(), NOBODY)

    @needs.event_loop
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
                self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))
            self.assertEqual(bound(), KnownIdentity(user_id="u-17"))

    def test_generator_of_another_context(self) -> None:
        """A generator that is ended in another context than it began in raises nothing."""

        def steps() -> Any:
            with identity(user_id="u-17"):
                yield

        generator = steps()
        copy_context().run(next, generator)
        generator.close()
        self.assertIs(bound(), NOBODY)

    def test_generator_closed_elsewhere(self) -> None:
        """A generator of one request that another one closes leaves that one's identity alone."""
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
        """A generator that nobody has ended yet does not outlast the block around it."""

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
        """Of generators that take turns, none leaves its identity behind."""

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
        """Of an async function: while it runs, not while it is called."""

        @identity(user_id="u-17")
        async def who() -> Any:
            await asyncio.sleep(0)
            return bound().user_id

        async def both() -> list[Any]:
            return [*await asyncio.gather(who(), who())]

        self.assertEqual(asyncio.run(both()), ["u-17", "u-17"])
        self.assertIs(bound(), NOBODY)

    def test_generator_to_decorate(self) -> None:
        """A generator cannot be decorated: its identity would be seen between its steps."""

        def steps() -> Iterator[None]:
            yield

        async def async_steps() -> AsyncIterator[None]:
            yield

        for function in (steps, async_steps):
            with self.assertRaisesRegex(ConfigurationError, "with"):
                identity(user_id="u-17")(function)

    def test_again(self) -> None:
        """One object can be entered again, also inside itself and by other threads meanwhile."""
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
        """Tasks that each start the next one from within a block do not pile up blocks."""

        def blocks_after(rounds: int) -> int:
            if not rounds:
                return len(current_binding.get().blocks)
            with identity(user_id="u-17"):
                within = copy_context()
            return within.run(blocks_after, rounds - 1)

        self.assertEqual(blocks_after(100), 1)


class TestUnder(unittest.TestCase):
    def test_ends(self) -> None:
        """Inside, exactly that is bound; afterwards what was before."""
        with identity(user_id="u-17", anonymous_id="a-1"):
            with only_identity(KnownIdentity(user_id="u-18")):
                self.assertEqual(bound(), KnownIdentity(user_id="u-18"))
            self.assertEqual(bound(), KnownIdentity(user_id="u-17", anonymous_id="a-1"))

    def test_what_was_bound_inside(self) -> None:
        """What was bound inside ends with it."""
        with only_identity(NOBODY):
            bind(user_id="u-17")
        self.assertIs(bound(), NOBODY)


class TestAskedLater(unittest.TestCase):
    def test_not_before_it_must(self) -> None:
        """Adding to what is found out only on demand does not ask for it."""
        asked = Asked(KnownIdentity(user_id="u-17", context={"ip": "192.0.2.1"}))
        with only_identity(asked), identity(context={"locale": "de"}):
            now = current_identity()
            bind(anonymous_id="a-1")
        self.assertEqual(asked.times, 0)
        context = {"ip": "192.0.2.1", "locale": "de"}
        self.assertEqual(now.known(), KnownIdentity(user_id="u-17", context=context))

    def test_asked_each_time(self) -> None:
        """A user who logs in meanwhile is seen, also under what was bound before."""
        asked = Asked(KnownIdentity(anonymous_id="a-1"))
        with only_identity(asked), identity(context={"locale": "de"}):
            asked.whom = KnownIdentity(user_id="u-17", anonymous_id="a-1")
            self.assertEqual(current_identity().known().user_id, "u-17")

    def test_as_if_known(self) -> None:
        """Whatever is bound in whatever order, the ids are those of binding to what is known.

        Nor does anything personal come along that would not have come with those.
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
        """However often something is bound, as in a connection that lasts, no layers pile up."""

        def depth(now: Any) -> int:
            return 1 + depth(now.below) if hasattr(now, "below") else 0

        with only_identity(Asked(KnownIdentity(anonymous_id="a-1"))):
            for number in range(5_000):
                bind(user_id=f"u-{number % 3}" if number % 2 else None, anonymous_id=f"a-{number}")
            now = current_identity()
        self.assertLessEqual(depth(now), 3)
        self.assertEqual(now.known(), KnownIdentity(user_id="u-1", anonymous_id="a-4999"))

"""Tests for the lifecycle table, transition by transition, without clocks or waiting."""

from __future__ import annotations

import itertools
import unittest

from segment_logging._process.life import Life
from segment_logging._process.lifecycle import (
    RULES,
    Action,
    Doing,
    Event,
    Stage,
    decide,
)

NO_THREAD = (Doing.NOTHING, Doing.STOPPED)
PAUSES = (Doing.BACKING_OFF, Doing.ASKED_TO_WAIT, Doing.RESTING)
CALLERS = (
    Event.MESSAGE, Event.FLUSH, Event.CLOSE, Event.TERMINATE, Event.EXIT, Event.EXIT_OVER,
    Event.FORK,
)  # fmt: skip
"""Events that can happen at any time, because callers trigger them."""


def a_life(*events: Event) -> Life:
    """Return the life of a pipeline after these events."""
    life = Life()
    for event in events:
        life.on(event)
    return life


SENDING = (Event.MESSAGE, Event.BEGIN, Event.TAKEN)
BACKING_OFF = (*SENDING, Event.FAILED)
ASKED_TO_WAIT = (*SENDING, Event.RATE_LIMITED)


class LifeCase(unittest.TestCase):
    def assert_at(self, life: Life, stage: Stage, doing: Doing) -> None:
        self.assertEqual((life.stage, life.doing), (stage, doing))


class TestTable(unittest.TestCase):
    def test_callers_may_do_anything_at_any_time(self) -> None:
        """There is a rule for every event that a caller can trigger, in every situation."""
        for stage, doing, event in itertools.product(Stage, Doing, CALLERS):
            with self.subTest(stage=stage, doing=doing, event=event):
                decide(stage, doing, event)

    def test_every_rule_is_needed(self) -> None:
        """Each rule applies in some situation, so none is hidden by the rules above it."""
        used = {
            next(
                number
                for number, rule in enumerate(RULES)
                if event in rule.events and stage in rule.stages and doing in rule.doings
            )
            for stage, doing, event in itertools.product(Stage, Doing, Event)
            if any(
                event in rule.events and stage in rule.stages and doing in rule.doings
                for rule in RULES
            )
        }
        self.assertEqual(sorted(used), list(range(len(RULES))))

    def test_only_the_thread_begins_to_send(self) -> None:
        """If no thread is running, no caller's event leads to a state in which one is."""
        for stage, doing, event in itertools.product(Stage, NO_THREAD, CALLERS):
            self.assertIn(decide(stage, doing, event)[1], NO_THREAD)

    def test_a_pause_ends_in_work(self) -> None:
        """If a caller's event ends the thread's pause, the thread goes back to work at once."""
        for stage, doing, event in itertools.product(Stage, PAUSES, CALLERS):
            _, after, _ = decide(stage, doing, event)
            if after is not doing and event is not Event.FORK:
                self.assertIn(after, (Doing.SENDING, Doing.COLLECTING))

    def test_impossible(self) -> None:
        """An event that the thread cannot report in a situation is an error, not a transition."""
        with self.assertRaises(LookupError):
            decide(Stage.OPEN, Doing.COLLECTING, Event.FAILED)
        with self.assertRaises(LookupError):
            decide(Stage.OPEN, Doing.NOTHING, Event.TAKEN)


class TestDelivering(LifeCase):
    def test_the_first_message_starts_the_thread(self) -> None:
        """A message starts a thread if there is none, and otherwise wakes the existing one."""
        life = a_life()
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        life.on(Event.BEGIN)
        self.assertIs(life.on(Event.MESSAGE), Action.WAKE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_from_batch_to_batch(self) -> None:
        """After a batch is taken, answered in parts and done, the thread collects again."""
        life = a_life(*SENDING)
        self.assert_at(life, Stage.OPEN, Doing.SENDING)
        life.on(Event.ANSWERED)
        self.assert_at(life, Stage.OPEN, Doing.SENDING)
        life.on(Event.DONE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_an_idle_thread_stays(self) -> None:
        """While the pipeline is open, an idle thread waits for the next message."""
        life = a_life(Event.MESSAGE, Event.BEGIN)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.PAUSE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_another_attempt(self) -> None:
        """The next attempt follows the wait, whether the server or we chose its length."""
        for pause, doing in (
            (BACKING_OFF, Doing.BACKING_OFF),
            (ASKED_TO_WAIT, Doing.ASKED_TO_WAIT),
        ):
            life = a_life(*pause)
            self.assert_at(life, Stage.OPEN, doing)
            life.on(Event.PAUSE_OVER)
            self.assert_at(life, Stage.OPEN, Doing.SENDING)

    def test_kept(self) -> None:
        """A batch that is kept is put back. After a rest, the thread collects again."""
        life = a_life(*SENDING, Event.KEPT)
        self.assert_at(life, Stage.OPEN, Doing.RESTING)
        life.on(Event.PAUSE_OVER)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_a_flush_hurries_no_attempt(self) -> None:
        """A flush does not shorten the wait between two attempts."""
        for pause in (BACKING_OFF, ASKED_TO_WAIT):
            life = a_life(*pause)
            before = life.doing
            life.on(Event.FLUSH)
            self.assertIs(life.doing, before)

    def test_no_thread_can_be_started(self) -> None:
        """A caller that delivers in its own thread does so until the queue is empty."""
        life = a_life(Event.MESSAGE, Event.DRAIN_HERE, Event.BEGIN)
        self.assert_at(life, Stage.DRAINING, Doing.COLLECTING)
        self.assertFalse(life.is_patient)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.END)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_interrupted_where_a_caller_delivers(self) -> None:
        """If Ctrl-C interrupts a caller that is delivering, the next message is still delivered."""
        life = a_life(Event.MESSAGE, Event.DRAIN_HERE, Event.BEGIN, Event.TAKEN, Event.TIME_UP)
        self.assert_at(life, Stage.OPEN, Doing.STOPPED)
        self.assertIs(life.on(Event.MESSAGE), Action.START)


class TestClosing(LifeCase):
    def test_nothing_to_close(self) -> None:
        """Closing without a thread does nothing, and the next message starts a thread."""
        life = a_life(Event.CLOSE)
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_delivers_and_lets_go(self) -> None:
        """While closing, no batch waits to fill up. The thread then closes everything and ends."""
        life = a_life(Event.MESSAGE, Event.BEGIN, Event.CLOSE)
        self.assertFalse(life.is_patient)
        life.on(Event.TAKEN)
        life.on(Event.DONE)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.CLOSE_AND_END)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_cuts_a_pause_of_ours_short(self) -> None:
        """Closing cuts our own waits short, but not a wait that the server asked for."""
        life = a_life(*BACKING_OFF, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.SENDING)
        life = a_life(*ASKED_TO_WAIT, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.ASKED_TO_WAIT)
        life = a_life(*SENDING, Event.KEPT, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.COLLECTING)

    def test_a_pause_that_is_cut_short_may_end_by_itself(self) -> None:
        """A thread also continues if its wait ends by itself just as it is cut short."""
        life = a_life(*BACKING_OFF, Event.CLOSE)
        self.assertIs(life.on(Event.PAUSE_OVER), Action.GO_ON)
        self.assert_at(life, Stage.CLOSING, Doing.SENDING)

    def test_a_message_opens_again(self) -> None:
        """A new message reopens a closing pipeline and removes its deadline."""
        life = a_life(Event.MESSAGE, Event.BEGIN)
        life.on(Event.CLOSE, deadline=7.0)
        self.assertEqual(life.deadline, 7.0)
        life.on(Event.MESSAGE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)
        self.assertIsNone(life.deadline)

    def test_time_up(self) -> None:
        """A thread that has no time for the rest stops, and a flush starts another one."""
        life = a_life(*BACKING_OFF, Event.CLOSE, Event.FAILED)
        self.assertIs(life.on(Event.TIME_UP), Action.CLOSE_AND_END)
        self.assert_at(life, Stage.OPEN, Doing.STOPPED)
        self.assertIs(life.on(Event.FLUSH), Action.START)


class TestEnd(LifeCase):
    def test_while_a_batch_waits_for_another_attempt(self) -> None:
        """At exit, our own wait is cut short, and the batch is tried at once."""
        life = a_life(*BACKING_OFF)
        self.assertIs(life.on(Event.EXIT, deadline=5.0), Action.WAKE)
        self.assert_at(life, Stage.ENDING, Doing.SENDING)
        self.assertEqual(life.deadline, 5.0)
        life.on(Event.FAILED)
        self.assert_at(life, Stage.ENDING, Doing.BACKING_OFF)  # within the deadline

    def test_while_the_server_has_us_wait(self) -> None:
        """A Retry-After is obeyed at exit. If it ends after the deadline, the thread stops."""
        life = a_life(*ASKED_TO_WAIT, Event.EXIT)
        self.assert_at(life, Stage.ENDING, Doing.ASKED_TO_WAIT)
        self.assertIs(life.on(Event.TIME_UP), Action.END)
        self.assert_at(life, Stage.ENDING, Doing.STOPPED)

    def test_nothing_waits_for_company(self) -> None:
        """At exit, waiting messages are sent at once, and then the thread ends."""
        life = a_life(Event.MESSAGE, Event.BEGIN, Event.EXIT)
        self.assertFalse(life.is_patient)
        life.on(Event.TAKEN)
        life.on(Event.DONE)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.END)
        self.assert_at(life, Stage.ENDING, Doing.NOTHING)

    def test_what_has_stopped_is_not_started_again(self) -> None:
        """A flush does not restart a thread that ran out of time. A new message does."""
        life = a_life(*BACKING_OFF, Event.EXIT, Event.FAILED, Event.TIME_UP)
        self.assertIs(life.on(Event.FLUSH), Action.NOTHING)
        self.assertIs(life.on(Event.LAST_WORDS), Action.DELIVER_AND_WAIT)
        self.assertIs(life.on(Event.FLUSH), Action.START)

    def test_what_had_stopped_before_is_tried_once_more(self) -> None:
        """A thread that stopped at a close is started again at exit."""
        life = a_life(*SENDING, Event.CLOSE, Event.FAILED, Event.TIME_UP)
        self.assertIs(life.on(Event.EXIT), Action.START)
        self.assertIs(life.on(Event.FLUSH), Action.START)

    def test_other_exit_functions_log(self) -> None:
        """A caller that logs after our exit function waits for delivery, since nobody else will."""
        life = a_life(Event.EXIT, Event.EXIT_OVER)
        self.assert_at(life, Stage.ENDED, Doing.NOTHING)
        self.assertIs(life.on(Event.LAST_WORDS), Action.DELIVER_AND_WAIT)
        self.assert_at(life, Stage.ENDING, Doing.NOTHING)

    def test_daemon_threads_log(self) -> None:
        """Messages from daemon threads are delivered while there is time, but not waited for."""
        life = a_life(Event.EXIT, Event.EXIT_OVER)
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        self.assert_at(life, Stage.ENDED, Doing.NOTHING)

    def test_batches_put_the_end_off(self) -> None:
        """Each acknowledged batch extends the deadline, but only while the process is exiting."""
        life = a_life(*SENDING)
        self.assertIs(life.on(Event.ANSWERED), Action.GO_ON)
        life.on(Event.EXIT, deadline=5.0)
        self.assertIs(life.on(Event.ANSWERED), Action.PUT_OFF_AND_GO_ON)
        life.on(Event.EXIT_OVER)
        self.assertIs(life.on(Event.ANSWERED), Action.GO_ON)

    def test_losses_are_told(self) -> None:
        """Losses are reported when the exit is over, and again when logging closes the handler."""
        life = a_life(*SENDING, Event.EXIT)
        self.assertIs(life.on(Event.EXIT_OVER), Action.TELL_LOSSES)
        self.assertIs(life.on(Event.CLOSE), Action.TELL_LOSSES)
        self.assertTrue(life.is_ending)

    def test_the_deadline_can_be_put_off(self) -> None:
        """The deadline can be extended at exit. An open pipeline has no deadline."""
        life = a_life(Event.EXIT)
        life.put_off(9.0)
        self.assertEqual(life.deadline, 9.0)
        life = a_life()
        life.put_off(9.0)
        self.assertIsNone(life.deadline)


class TestTermination(LifeCase):
    def test_nothing_waits_any_more(self) -> None:
        """After SIGTERM, messages are sent at once while another handler decides about the exit."""
        for events in (), BACKING_OFF, SENDING:
            with self.subTest(events):
                life = a_life(*events, Event.TERMINATE)
                self.assertIs(life.stage, Stage.URGENT)
                self.assertNotIn(life.doing, (Doing.BACKING_OFF, Doing.RESTING))
                life.on(Event.MESSAGE)
                self.assertFalse(life.is_patient)
                self.assertTrue(life.is_open)

    def test_the_server_is_still_obeyed(self) -> None:
        """A Retry-After is obeyed after SIGTERM."""
        life = a_life(*ASKED_TO_WAIT, Event.TERMINATE)
        self.assert_at(life, Stage.URGENT, Doing.ASKED_TO_WAIT)

    def test_the_end_comes_as_ever(self) -> None:
        """Closing, draining and exiting work as usual after SIGTERM."""
        life = a_life(*SENDING, Event.TERMINATE)
        life.on(Event.EXIT, deadline=5.0)
        self.assert_at(life, Stage.ENDING, Doing.SENDING)
        self.assertIs(life.on(Event.TERMINATE), Action.NOTHING)


class TestFork(LifeCase):
    def test_everything_is_the_parents(self) -> None:
        """In a forked child, the pipeline ignores every event."""
        life = a_life(*SENDING)
        self.assertIs(life.on(Event.FORK), Action.LET_GO)
        for event in Event:
            self.assertIs(life.on(event), Action.NOTHING)
        self.assert_at(life, Stage.LEFT, Doing.NOTHING)


if __name__ == "__main__":
    unittest.main()

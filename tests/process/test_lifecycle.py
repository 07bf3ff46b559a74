"""The table of the lifecycle, transition by transition, without clock or wait."""

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
"""What can happen at any moment, as the callers decide when."""


def a_life(*events: Event) -> Life:
    """Return the life of a pipeline to which these events have happened."""
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
        """Whatever a caller asks for has a rule in every situation."""
        for stage, doing, event in itertools.product(Stage, Doing, CALLERS):
            with self.subTest(stage=stage, doing=doing, event=event):
                decide(stage, doing, event)

    def test_every_rule_is_needed(self) -> None:
        """Each rule decides in some situation: none is hidden behind those above it."""
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
        """No caller makes a thread out of nothing: where there is none, nothing is being done."""
        for stage, doing, event in itertools.product(Stage, NO_THREAD, CALLERS):
            self.assertIn(decide(stage, doing, event)[1], NO_THREAD)

    def test_a_pause_ends_in_work(self) -> None:
        """A caller that changes what a pausing thread does makes it try at once."""
        for stage, doing, event in itertools.product(Stage, PAUSES, CALLERS):
            _, after, _ = decide(stage, doing, event)
            if after is not doing and event is not Event.FORK:
                self.assertIn(after, (Doing.SENDING, Doing.COLLECTING))

    def test_impossible(self) -> None:
        """What the thread cannot say in a situation is a mistake, not a transition."""
        with self.assertRaises(LookupError):
            decide(Stage.OPEN, Doing.COLLECTING, Event.FAILED)
        with self.assertRaises(LookupError):
            decide(Stage.OPEN, Doing.NOTHING, Event.TAKEN)


class TestDelivering(LifeCase):
    def test_the_first_message_starts_the_thread(self) -> None:
        """A message starts a thread if there is none, and wakes the one that there is."""
        life = a_life()
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        life.on(Event.BEGIN)
        self.assertIs(life.on(Event.MESSAGE), Action.WAKE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_from_batch_to_batch(self) -> None:
        """A batch is taken, answered in parts, done; then the thread collects again."""
        life = a_life(*SENDING)
        self.assert_at(life, Stage.OPEN, Doing.SENDING)
        life.on(Event.ANSWERED)
        self.assert_at(life, Stage.OPEN, Doing.SENDING)
        life.on(Event.DONE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_an_idle_thread_stays(self) -> None:
        """While the pipeline is open, a thread with nothing to do waits for the next message."""
        life = a_life(Event.MESSAGE, Event.BEGIN)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.PAUSE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_another_attempt(self) -> None:
        """After the wait comes the next attempt, whoever chose how long to wait."""
        for pause, doing in (
            (BACKING_OFF, Doing.BACKING_OFF),
            (ASKED_TO_WAIT, Doing.ASKED_TO_WAIT),
        ):
            life = a_life(*pause)
            self.assert_at(life, Stage.OPEN, doing)
            life.on(Event.PAUSE_OVER)
            self.assert_at(life, Stage.OPEN, Doing.SENDING)

    def test_kept(self) -> None:
        """A batch that is kept is put back: after the rest, the thread collects again."""
        life = a_life(*SENDING, Event.KEPT)
        self.assert_at(life, Stage.OPEN, Doing.RESTING)
        life.on(Event.PAUSE_OVER)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)

    def test_a_flush_hurries_no_attempt(self) -> None:
        """A flush leaves a batch between two attempts alone."""
        for pause in (BACKING_OFF, ASKED_TO_WAIT):
            life = a_life(*pause)
            before = life.doing
            life.on(Event.FLUSH)
            self.assertIs(life.doing, before)

    def test_no_thread_can_be_started(self) -> None:
        """A caller that delivers itself does so until nothing is left, and the pipeline is open."""
        life = a_life(Event.MESSAGE, Event.DRAIN_HERE, Event.BEGIN)
        self.assert_at(life, Stage.DRAINING, Doing.COLLECTING)
        self.assertFalse(life.is_patient)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.END)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_interrupted_where_a_caller_delivers(self) -> None:
        """Ctrl-C in the middle leaves an open pipeline, whose next message is delivered."""
        life = a_life(Event.MESSAGE, Event.DRAIN_HERE, Event.BEGIN, Event.TAKEN, Event.TIME_UP)
        self.assert_at(life, Stage.OPEN, Doing.STOPPED)
        self.assertIs(life.on(Event.MESSAGE), Action.START)


class TestClosing(LifeCase):
    def test_nothing_to_close(self) -> None:
        """Closing without a thread ends nothing, and the next message opens again."""
        life = a_life(Event.CLOSE)
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_delivers_and_lets_go(self) -> None:
        """While it closes nothing waits for company; then the thread lets go of everything."""
        life = a_life(Event.MESSAGE, Event.BEGIN, Event.CLOSE)
        self.assertFalse(life.is_patient)
        life.on(Event.TAKEN)
        life.on(Event.DONE)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.CLOSE_AND_END)
        self.assert_at(life, Stage.OPEN, Doing.NOTHING)

    def test_cuts_a_pause_of_ours_short(self) -> None:
        """Closing tries at once what waits for another attempt; not what the server has put off."""
        life = a_life(*BACKING_OFF, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.SENDING)
        life = a_life(*ASKED_TO_WAIT, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.ASKED_TO_WAIT)
        life = a_life(*SENDING, Event.KEPT, Event.CLOSE)
        self.assert_at(life, Stage.CLOSING, Doing.COLLECTING)

    def test_a_pause_that_is_cut_short_may_end_by_itself(self) -> None:
        """A thread whose pause ends just when it is cut short goes on as well."""
        life = a_life(*BACKING_OFF, Event.CLOSE)
        self.assertIs(life.on(Event.PAUSE_OVER), Action.GO_ON)
        self.assert_at(life, Stage.CLOSING, Doing.SENDING)

    def test_a_message_opens_again(self) -> None:
        """Whoever logs on keeps the pipeline open, and its deadline is gone."""
        life = a_life(Event.MESSAGE, Event.BEGIN)
        life.on(Event.CLOSE, deadline=7.0)
        self.assertEqual(life.deadline, 7.0)
        life.on(Event.MESSAGE)
        self.assert_at(life, Stage.OPEN, Doing.COLLECTING)
        self.assertIsNone(life.deadline)

    def test_time_up(self) -> None:
        """A thread without time for what is left stops; a flush starts another."""
        life = a_life(*BACKING_OFF, Event.CLOSE, Event.FAILED)
        self.assertIs(life.on(Event.TIME_UP), Action.CLOSE_AND_END)
        self.assert_at(life, Stage.OPEN, Doing.STOPPED)
        self.assertIs(life.on(Event.FLUSH), Action.START)


class TestEnd(LifeCase):
    def test_while_a_batch_waits_for_another_attempt(self) -> None:
        """The process ends: a wait of our own is cut short, for a try at once."""
        life = a_life(*BACKING_OFF)
        self.assertIs(life.on(Event.EXIT, deadline=5.0), Action.WAKE)
        self.assert_at(life, Stage.ENDING, Doing.SENDING)
        self.assertEqual(life.deadline, 5.0)
        life.on(Event.FAILED)
        self.assert_at(life, Stage.ENDING, Doing.BACKING_OFF)  # within the deadline

    def test_while_the_server_has_us_wait(self) -> None:
        """A Retry-After is kept to. If it ends too late, the thread stops."""
        life = a_life(*ASKED_TO_WAIT, Event.EXIT)
        self.assert_at(life, Stage.ENDING, Doing.ASKED_TO_WAIT)
        self.assertIs(life.on(Event.TIME_UP), Action.END)
        self.assert_at(life, Stage.ENDING, Doing.STOPPED)

    def test_nothing_waits_for_company(self) -> None:
        """What waits is sent at once, and the thread ends after it."""
        life = a_life(Event.MESSAGE, Event.BEGIN, Event.EXIT)
        self.assertFalse(life.is_patient)
        life.on(Event.TAKEN)
        life.on(Event.DONE)
        self.assertIs(life.on(Event.NOTHING_LEFT), Action.END)
        self.assert_at(life, Stage.ENDING, Doing.NOTHING)

    def test_what_has_stopped_is_not_started_again(self) -> None:
        """Waiting again for what there was no time for starts no thread; a new message does."""
        life = a_life(*BACKING_OFF, Event.EXIT, Event.FAILED, Event.TIME_UP)
        self.assertIs(life.on(Event.FLUSH), Action.NOTHING)
        self.assertIs(life.on(Event.LAST_WORDS), Action.DELIVER_AND_WAIT)
        self.assertIs(life.on(Event.FLUSH), Action.START)

    def test_what_had_stopped_before_is_tried_once_more(self) -> None:
        """A thread that stopped at a close is started again for the end of the process."""
        life = a_life(*SENDING, Event.CLOSE, Event.FAILED, Event.TIME_UP)
        self.assertIs(life.on(Event.EXIT), Action.START)
        self.assertIs(life.on(Event.FLUSH), Action.START)

    def test_other_exit_functions_log(self) -> None:
        """A message after ours is delivered by whoever logs it: nobody else will wait for it."""
        life = a_life(Event.EXIT, Event.EXIT_OVER)
        self.assert_at(life, Stage.ENDED, Doing.NOTHING)
        self.assertIs(life.on(Event.LAST_WORDS), Action.DELIVER_AND_WAIT)
        self.assert_at(life, Stage.ENDING, Doing.NOTHING)

    def test_daemon_threads_log(self) -> None:
        """Nobody waits for what they log, but it is delivered as long as there is time."""
        life = a_life(Event.EXIT, Event.EXIT_OVER)
        self.assertIs(life.on(Event.MESSAGE), Action.START)
        self.assert_at(life, Stage.ENDED, Doing.NOTHING)

    def test_batches_put_the_end_off(self) -> None:
        """Each acknowledged batch does, once the process ends, and none before."""
        life = a_life(*SENDING)
        self.assertIs(life.on(Event.ANSWERED), Action.GO_ON)
        life.on(Event.EXIT, deadline=5.0)
        self.assertIs(life.on(Event.ANSWERED), Action.PUT_OFF_AND_GO_ON)
        life.on(Event.EXIT_OVER)
        self.assertIs(life.on(Event.ANSWERED), Action.GO_ON)

    def test_losses_are_told(self) -> None:
        """When the end is over, and again when logging closes the handler."""
        life = a_life(*SENDING, Event.EXIT)
        self.assertIs(life.on(Event.EXIT_OVER), Action.TELL_LOSSES)
        self.assertIs(life.on(Event.CLOSE), Action.TELL_LOSSES)
        self.assertTrue(life.is_ending)

    def test_the_deadline_can_be_put_off(self) -> None:
        """What exit functions log has a time of its own; an open pipeline has no deadline."""
        life = a_life(Event.EXIT)
        life.put_off(9.0)
        self.assertEqual(life.deadline, 9.0)
        life = a_life()
        life.put_off(9.0)
        self.assertIsNone(life.deadline)


class TestTermination(LifeCase):
    def test_nothing_waits_any_more(self) -> None:
        """Somebody else has the signal: what waits is sent at once, and each event from then on."""
        for events in (), BACKING_OFF, SENDING:
            with self.subTest(events):
                life = a_life(*events, Event.TERMINATE)
                self.assertIs(life.stage, Stage.URGENT)
                self.assertNotIn(life.doing, (Doing.BACKING_OFF, Doing.RESTING))
                life.on(Event.MESSAGE)
                self.assertFalse(life.is_patient)
                self.assertTrue(life.is_open)

    def test_the_server_is_still_obeyed(self) -> None:
        """A Retry-After is kept to."""
        life = a_life(*ASKED_TO_WAIT, Event.TERMINATE)
        self.assert_at(life, Stage.URGENT, Doing.ASKED_TO_WAIT)

    def test_the_end_comes_as_ever(self) -> None:
        """Closing, draining and the end of the process go on as without it."""
        life = a_life(*SENDING, Event.TERMINATE)
        life.on(Event.EXIT, deadline=5.0)
        self.assert_at(life, Stage.ENDING, Doing.SENDING)
        self.assertIs(life.on(Event.TERMINATE), Action.NOTHING)


class TestFork(LifeCase):
    def test_everything_is_the_parents(self) -> None:
        """In a forked child nothing goes on, whatever is asked for."""
        life = a_life(*SENDING)
        self.assertIs(life.on(Event.FORK), Action.LET_GO)
        for event in Event:
            self.assertIs(life.on(event), Action.NOTHING)
        self.assert_at(life, Stage.LEFT, Doing.NOTHING)


if __name__ == "__main__":
    unittest.main()

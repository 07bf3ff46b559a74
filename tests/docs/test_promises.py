"""Tests that every promise in the documentation is covered by tests, row by row."""

from __future__ import annotations

import importlib
import unittest
from collections.abc import Iterable, Mapping

from .pages import rows_under

PROMISES = {
    "Segment answers 2xx": (
        "delivery.test_attempts.AnswerTest.test_2xx",
        "client.test_exchange.TestAnswers.test_broken_body",
    ),
    "a 2xx has a JSON body": (
        "client.test_hostile_bodies.TestFailuresInside.test_failed_as_a_whole",
        "client.test_hostile_bodies.TestFailuresInside.test_named_messages",
        "client.test_hostile_bodies.TestNetworks.test_only_a_short_body_counts",
    ),
    "408, 410, 429, 460": (
        "client.test_answers.TestFault.test_network",
        "delivery.test_retries.TestWaits.test_series",
        "client.test_exchange.TestAnswers.test_web_page",
        "client.test_http_client.TestRepeated.test_retry_count",
        "client.test_http_client.TestRepeated.test_fresh_sent_at",
        "delivery.test_attempts.AnswerTest.test_network_faults_are_tried_again",
    ),
    "one of these answers has a Retry-After": (
        "delivery.test_attempts.AnswerTest.test_retry_after_is_waited_for_exactly",
        "delivery.test_attempts.AnswerTest.test_retry_after_is_no_attempt",
        "client.test_answers.TestRetryAfter.test_capped",
        "delivery.test_attempts.AttemptsUsedUpTest.test_half_an_hour_of_retry_after",
        "client.test_http_client.TestRepeated.test_retry_count_after_retry_after",
    ),
    "all attempts have failed": (
        "delivery.test_attempts.AttemptsUsedUpTest.test_given_up_without_a_journal",
        "delivery.test_attempts.AttemptsUsedUpTest.test_kept_with_a_journal",
        "delivery.test_listener.TestAnswers.test_kept",
    ),
    "400, 413": (
        "delivery.test_attempts.HalvingTest.test_the_guilty_stands_alone",
        "delivery.test_attempts.HalvingTest.test_several_guilty",
        "delivery.test_dead_letters.TestFullDisk.test_own",
        "delivery.test_dead_letters.TestFullDisk.test_adopted",
    ),
    "401, 403, 404": (
        "delivery.test_attempts.ConfigurationFaultTest.test_given_up_without_a_journal",
        "delivery.test_attempts.ConfigurationFaultTest.test_kept_with_a_journal",
        "delivery.test_attempts.ConfigurationFaultTest.test_reported_once",
        "faults.test_journal.OutageTest.test_a_wrong_key_loses_nothing",
    ),
    "3xx": (
        "client.test_exchange.TestAnswers.test_redirects",
        "client.test_hostile_servers.TestGarbled.test_locations",
        "client.test_hostile_servers.TestFloods.test_endless_bodies",
    ),
    "a server refuses a request": (
        "client.test_hostile_bodies.TestWords.test_shown",
        "client.test_hostile_bodies.TestWords.test_cut_and_escaped",
        "client.test_hostile_bodies.TestWords.test_secrets",
    ),
    "an answer drips": (
        "client.test_hostile_servers.TestTime.test_drips_without_an_answer",
        "client.test_hostile_servers.TestTime.test_reads_slowly",
        "client.test_hostile_servers.TestTime.test_reads_too_slowly",
        "client.test_hostile_servers.TestFloods.test_informational",
    ),
    "a batch keeps failing": (
        "delivery.test_poison.TestPoison.test_one_bad_message",
        "delivery.test_poison.TestOutage.test_nothing_moves",
    ),
    "a proxy answers 407": (
        "client.test_hostile_routes.TestProxies.test_password_wanted",
        "client.test_hostile_routes.TestTls.test_certificate_files",
    ),
    "a message is above 32,000 bytes": (
        "records.test_reader.TestRecords.test_too_large",
        "handler.test_records.TestRecords.test_bad_ones_among_good_ones",
        "handler.test_records.TestRecords.test_raise_exceptions",
        "handler.test_refusals.TestBounds.test_many_large_values",
    ),
    "the queue is full": (
        "handler.test_life.TestOverflow.test_drop",
        "handler.test_life.TestOverflow.test_block",
        "handler.test_life.TestOverflow.test_block_timeout",
        "delivery.test_overflowed.TestOverflow.test_all_that_was_dropped",
        "delivery.test_overflowed.TestBounds.test_limits",
        "test_reports.TestCountReports.test_once_a_minute",
    ),
    "the disk is full, or `max_journal_bytes`": (
        "queues.test_spill.SpillingQueueTest.test_memory_takes_over_from_a_full_journal",
        "queues.test_stored.StoredTest.test_written_when_there_is_room",
        "queues.test_stored.StoredTest.test_death",
        "faults.test_full_disk.FullDiskTest.test_written_later",
        "faults.test_hand_over.TestFullDisk.test_until_there_is_room",
    ),
    "with [`broker`](many-hosts.md)": (
        "broker.test_client.TestHandler.test_stalled_broker",
        "broker.test_client.TestPublishing.test_existing_queue",
        "broker.test_client.TestPublishing.test_refused",
        "broker.test_client.TestContract.test_no_server",
        "faults.test_broker_storm.BrokerStormTest.test_no_event_is_lost",
    ),
    "the process exits normally": (
        "faults.test_exits.TestExits.test_normal_end",
        "faults.test_exits.TestExits.test_sys_exit",
        "faults.test_exits.TestExits.test_uncaught_exception",
        "faults.test_exits.TestExits.test_ctrl_c",
        "faults.test_journal.OutageTest.test_five_thousand_events_outlast_it",
        "faults.test_exits.TestExitsWithoutAnswers.test_mute_server",
        "faults.test_exits.TestExitsWithoutAnswers.test_late_events",
        "faults.test_exits.TestExitsWithoutAnswers.test_ctrl_c_at_the_end",
        "hosts.test_batch_jobs.TestWholeJob.test_all_arrive",
        "hosts.test_batch_jobs.TestWholeJob.test_longer_than_shutdown_timeout",
        "hosts.test_batch_jobs.TestLimits.test_server_that_stops_answering",
        "hosts.test_batch_jobs.TestLimits.test_max_shutdown",
        "hosts.test_batch_jobs.TestLimits.test_retry_after",
        "hosts.test_batch_jobs.TestWhatIsAwaited.test_exit_functions",
        "hosts.test_batch_jobs.TestWhatIsAwaited.test_daemon_threads",
        "hosts.test_batch_jobs.TestJournal.test_total_time",
        "hosts.test_batch_jobs.TestJournal.test_line",
        "hosts.test_batch_jobs.TestCtrlC.test_once",
        "process.test_shutdown.TestLimit.test_starts_once",
        "delivery.test_patience.TestAcknowledged.test_failed_attempts",
    ),
    "with [`deliver=False`](one-host.md), the process": (
        "faults.test_hand_over.TestScript.test_arrives",
        "faults.test_hand_over.TestScript.test_no_waiting",
        "faults.test_hand_over.TestScript.test_no_network",
    ),
    "`segment-logging deliver` dies": (
        "faults.test_deliverers.TestSeveral.test_one_takes_over",
        "faults.test_deliverers.TestSignals.test_a_request_without_an_answer_is_dropped",
        "faults.test_hand_over.TestStorm.test_nothing_is_lost",
    ),
    "SIGTERM ends the process": (
        "faults.test_exits.TestExits.test_sigterm",
        "hosts.test_sigterm.TestDefault.test_all_arrive",
        "hosts.test_sigterm.TestDefault.test_again_during_the_exit",
        "hosts.test_sigterm.TestDefault.test_at_each_call",
        "hosts.test_sigterm.TestChained.test_called_first",
        "hosts.test_sigterm.TestServers.test_uvicorn",
        "hosts.test_sigterm.TestMultiprocessing.test_terminate",
        "hosts.test_sigterm.TestMultiprocessing.test_pool",
        "hosts.test_sigterm.TestMultiprocessing.test_right_after_a_fork",
        "process.test_sigterm.TestInstalling.test_ignored",
        "process.test_sigterm.TestInstalling.test_handled_in_c",
        "process.test_shutdown.TestLimit.test_sigterm",
    ),
    "`kill -9` or a crash": (
        "faults.test_journal.KillTest.test_right_after_the_calls",
        "faults.test_journal.KillTest.test_in_the_middle_of_delivery",
    ),
    "uvicorn, hypercorn or another": (
        "hosts.test_asgi_servers.TestUvicorn.test_sigterm",
        "hosts.test_asgi_servers.TestUvicorn.test_ctrl_c",
        "hosts.test_asgi_servers.TestUvicorn.test_lifespan",
        "hosts.test_asgi_servers.TestUvicorn.test_cancelled_requests",
        "hosts.test_asgi_servers.TestUvicorn.test_killed_during_a_request",
        "hosts.test_asgi_servers.TestHypercorn.test_sigterm",
    ),
    "gunicorn stops": (
        "faults.test_servers.TestGunicorn.test_preload",
        "hosts.test_asgi_servers.TestUvicorn.test_under_gunicorn",
        "hosts.test_asgi_servers.TestUvicorn.test_own_worker_class",
        "hosts.test_asgi_servers.TestUvicorn.test_killed_by_gunicorn",
        "hosts.test_asgi_servers.TestGunicorn.test_sigterm",
        "hosts.test_asgi_servers.TestGunicorn.test_open_requests",
        "hosts.test_gunicorn.TestGunicorn.test_stopped",
        "hosts.test_gunicorn.TestGunicorn.test_worker_that_is_replaced",
        "hosts.test_gunicorn.TestGunicorn.test_reload",
    ),
    "an RQ job or a Dramatiq task ends": (
        "hosts.test_job_runners.TestRq.test_connect",
        "hosts.test_job_runners.TestRq.test_time_limit",
        "hosts.test_job_runners.TestRq.test_slow_server",
        "hosts.test_job_runners.TestDramatiq.test_connect",
        "hosts.test_job_runners.TestDramatiq.test_sigterm",
        "hosts.test_job_runners.TestDramatiq.test_time_limit",
    ),
    "gevent or eventlet patches": (
        "hosts.test_green_threads.TestGevent.test_all_ways",
        "hosts.test_green_threads.TestGevent.test_many_greenlets",
        "hosts.test_green_threads.TestEventlet.test_all_ways",
        "process.test_no_native_threads.TestNoNativeThreads.test_package",
    ),
    "freezegun or time-machine stops the clock": (
        "hosts.test_frozen_time.TestFrozenTime.test_delivery",
        "hosts.test_frozen_time.TestFrozenTime.test_no_network",
        "hosts.test_frozen_time.TestFrozenTime.test_retries",
        "hosts.test_frozen_time.TestFrozenTime.test_coroutines",
    ),
    "the power fails": (
        "queues.journal.test_sync.SyncTest.test_interval_syncs_soon_and_not_each_message",
        "queues.journal.test_sync.SyncTest.test_emit_syncs_each_message_before_put_returns",
    ),
    "the process forks": (
        "faults.test_forks.TestForks.test_child_exits",
        "faults.test_forks.TestForks.test_descendants_with_a_journal",
        "faults.test_forks.TestMultiprocessing.test_process",
        "faults.test_servers.TestGunicorn.test_preload",
        "faults.test_servers.TestCelery.test_prefork",
        "faults.test_servers.TestUwsgi.test_without_threads",
    ),
    "dictConfig runs again": (
        "faults.test_no_deadlock.TestDictConfig.test_during_a_hanging_request",
        "faults.test_no_deadlock.TestDictConfig.test_repeatedly",
    ),
    "Segment hangs or is down": (
        "faults.test_exits.TestExitsWithoutAnswers.test_mute_server",
        "faults.test_exits.TestExitsWithoutAnswers.test_only_503",
        "faults.test_journal.OutageTest.test_a_hanging_server_does_not_hold_the_exit",
    ),
    "`before_send` raises": (
        "faults.test_no_deadlock.TestHooks.test_before_send",
        "faults.test_no_deadlock.TestHooks.test_values_that_raise",
        "docs.test_statements.TestValues.test_refused",
    ),
    "`on_error` raises": ("faults.test_no_deadlock.TestHooks.test_on_error",),
    "urllib3 logs at DEBUG": ("faults.test_no_deadlock.TestLoops.test_urllib3_at_debug",),
    "a signal handler": (
        "faults.test_no_deadlock.TestInTheMiddle.test_signal_handler",
        "faults.test_no_deadlock.TestInTheMiddle.test_signal_handler_waits_for_room_at_each_call",
        "faults.test_no_deadlock.TestInTheMiddle.test_del",
        "queues.test_spill.SpillingQueueTest.test_memory_takes_over_in_the_middle_of_a_put",
    ),
}
"""The tests for each row of "What happens when" in docs/delivery.md, by the row's first words."""

SHORT_PROMISES = {
    "normal exit": ("the process exits normally", "Segment hangs or is down"),
    "SIGTERM": ("SIGTERM ends the process", "uvicorn, hypercorn or another"),
    "crash, `kill -9`": ("`kill -9` or a crash", "the power fails"),
    "fork": ("the process forks",),
    "outage": ("408, 410, 429, 460", "all attempts have failed"),
    "Segment refuses one message": ("400, 413",),
    "a message that Segment would silently drop": ("a message is above 32,000 bytes",),
}
"""The rows in docs/delivery.md that each README row summarizes, by the README row's first words."""

MORE_TESTS = {
    "crash, `kill -9`": ("faults.test_journal.KillTest.test_right_after_the_calls",),
    "outage": ("faults.test_journal.OutageTest.test_five_thousand_events_outlast_it",),
}
"""Tests for promises that only the README makes."""


class TestPromises(unittest.TestCase):
    def assert_tests(self, names: Iterable[str]) -> None:
        """Assert that the tests exist."""
        for name in names:
            module, case, method = name.rsplit(".", 2)
            found = getattr(importlib.import_module(f"tests.{module}"), case)
            self.assertTrue(callable(getattr(found, method)), name)

    def assert_rows(self, page: str, title: str, promises: Mapping[str, object]) -> None:
        """Assert that the table has exactly these rows, in this order."""
        whens = [row.first for row in rows_under(page, title)]
        self.assertEqual(len(whens), len(promises))
        for when, beginning in zip(whens, promises):
            self.assertTrue(when.startswith(beginning), (when, beginning))

    def test_all(self) -> None:
        """Every row in docs/delivery.md has tests that exist."""
        self.assert_rows("docs/delivery.md", "What happens when", PROMISES)
        for when, tests in PROMISES.items():
            with self.subTest(when=when):
                self.assert_tests(tests)

    def test_short(self) -> None:
        """Every row of the README's table summarizes rows in docs/delivery.md."""
        self.assert_rows("README.md", "Delivery guarantees", SHORT_PROMISES)
        for when, summed_up in SHORT_PROMISES.items():
            with self.subTest(when=when):
                self.assertLessEqual(set(summed_up), set(PROMISES))
                self.assert_tests(MORE_TESTS.get(when, ()))

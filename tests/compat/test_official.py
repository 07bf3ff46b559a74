"""The official SDK's own tests, each with the test here for the same behaviour, or a reason.

The official tests come with the package. They are not run, because they need the network or replace
private parts.
"""

from __future__ import annotations

import ast
import unittest
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import segment.analytics

CALLS = "compat.test_calls.TestResults"
MODULE = "compat.test_calls.TestModule"
QUEUED = "compat.test_delivery.TestQueued"
FAILURES = "compat.test_delivery.TestFailures"
SAME = "compat.test_differential.TestDifferential"

SAME_BEHAVIOUR = {
    f"{CALLS}.test_track": "client.basic_track client.numeric_user_id",
    f"{CALLS}.test_numbers": "client.stringifies_user_id client.stringifies_anonymous_id",
    f"{CALLS}.test_positional": (
        "client.advanced_track client.advanced_identify client.advanced_group client.advanced_page "
        "client.advanced_screen"
    ),
    f"{CALLS}.test_alias": "client.basic_alias",
    f"{CALLS}.test_dates": "client.identify_with_date_object utils.clean_with_dates",
    f"{CALLS}.test_zones": "utils.timezone_utils",
    "compat.test_calls.TestAssertions.test_wrong_types": "client.requires_write_key",
    "compat.test_calls.TestAssertions.test_too_large": "consumer.dropping_oversize_msg",
    "compat.test_calls.TestAssertions.test_durations": (
        "consumer.none_max_total_backoff_duration_rejected_by_client "
        "consumer.none_max_rate_limit_duration_rejected_by_client"
    ),
    f"{SAME}.test_same_messages": (
        "client.basic_identify client.basic_group client.basic_page client.basic_screen "
        "utils.clean utils.bytes request.datetime_serialization request.date_serialization"
    ),
    f"{SAME}.test_same_settings": (
        "client.default_timeout_15 consumer.client_defaults_to_the_documented_rate_limit_budget"
    ),
    f"{MODULE}.test_functions": (
        "module.track module.identify module.group module.alias module.page module.screen"
    ),
    f"{MODULE}.test_settings": (
        "init.debug init.gzip init.host init.max_queue_size init.max_retries init.sync_mode "
        "init.timeout client.user_defined_timeout init.writeKey module.flush"
    ),
    f"{MODULE}.test_without_write_key": "module.no_write_key module.no_host",
    f"{QUEUED}.test_flush": "client.flush consumer.upload client.unicode",
    f"{QUEUED}.test_empty_flush": "client.empty_flush",
    f"{QUEUED}.test_shutdown": "client.shutdown consumer.pause",
    f"{QUEUED}.test_gzip": "client.gzip",
    f"{QUEUED}.test_proxies": "client.proxies consumer.proxies request.proxies",
    f"{QUEUED}.test_upload_interval": "consumer.upload_interval",
    f"{QUEUED}.test_upload_size": (
        "client.user_defined_upload_size consumer.next_limit consumer.multiple_uploads_per_interval"
    ),
    f"{QUEUED}.test_max_batch_size": "consumer.max_batch_size",
    f"{QUEUED}.test_request": (
        "request.valid_request request.authorization_header_basic_auth utils.remove_slash "
        "consumer.request consumer.first_request_has_retry_count_zero"
    ),
    f"{QUEUED}.test_other_successes": "request.non_200_2xx_treated_as_success",
    f"{QUEUED}.test_oauth": "request.authorization_header_oauth oauth.oauth_integration_success",
    "compat.test_delivery.TestSyncMode.test_arrives": "client.synchronous",
    "compat.test_delivery.TestSyncMode.test_timeout": (
        "request.should_timeout request.should_not_timeout"
    ),
    "compat.test_delivery.TestReports.test_debug": "client.debug",
    f"{FAILURES}.test_queue_full": (
        "client.overflow client.queue_full_returns_false client.queue_full_does_not_raise"
    ),
    f"{FAILURES}.test_retries": (
        "consumer.request_retry consumer.retry_count_header_increments "
        "consumer.408_and_503_without_retry_after_use_backoff request.x_retry_count_header "
        "consumer.429_without_retry_after_uses_counted_backoff "
        "consumer.429_without_retry_after_does_not_requeue_batch"
    ),
    f"{FAILURES}.test_max_retries": (
        "consumer.max_retries_exhausted consumer.retries_exhausted_calls_on_error "
        "consumer.max_total_backoff_duration_zero_prevents_retry"
    ),
    f"{FAILURES}.test_statuses": (
        "consumer.non_retryable_4xx_status_codes consumer.retryable_4xx_status_codes "
        "consumer.non_retryable_5xx_status_codes consumer.retryable_5xx_status_codes "
        "consumer.413_payload_too_large_not_retried consumer.410_and_460_retried "
        "consumer.505_not_retried consumer.408_without_retry_after_uses_backoff"
    ),
    f"{FAILURES}.test_retry_after": (
        "consumer.429_sets_rate_limit_state_with_retry_after "
        "consumer.503_with_retry_after_sets_rate_limit_state "
        "consumer.529_with_retry_after_sets_rate_limit_state "
        "consumer.429_with_retry_after_does_not_count_against_backoff_budget "
        "consumer.t04_429_halts_upload_iteration consumer.rate_limit_state_cleared_on_success"
    ),
    f"{FAILURES}.test_refused": "request.invalid_request_error",
    f"{FAILURES}.test_unusual_bodies": (
        "request.non_object_json_body_raises_apierror_not_typeerror"
    ),
    f"{FAILURES}.test_redirect": "request.3xx_is_not_success",
    f"{FAILURES}.test_no_answer": (
        "request.invalid_host consumer.network_error_retried_with_backoff"
    ),
    "client.test_answers": (
        "request.parse_retry_after_integer request.parse_retry_after_capped "
        "request.parse_retry_after_missing request.parse_retry_after_invalid "
        "request.parse_retry_after_http_date_future request.parse_retry_after_http_date_past "
        "consumer.retry_after_capped_at_max_retry_after_seconds "
        "consumer.parse_retry_after_http_date_in_past_returns_none "
    ),
    "delivery.test_retries": (
        "consumer.exponential_backoff_with_jitter consumer.retry_after_zero_uses_counted_backoff "
        "consumer.retry_after_zero_does_not_trigger_pipeline_blocking"
    ),
    "client.test_oauth": (
        "oauth.oauth_success oauth.oauth_fail_unrecoverably oauth.oauth_fail_with_retries "
        "oauth.oauth_rate_limit_delay oauth.oauth_integration_failure "
        "oauth.oauth_integration_recovery oauth.oauth_integration_fail_bad_key "
        "request.oauth_token_cleared_on_511 consumer.511_retryable_with_oauth "
        "consumer.fatal_error_not_retried"
    ),
    "faults.test_exits": (
        "consumer.rate_limit_wait_is_interruptible "
        "consumer.shutdown_during_backoff_requeues_instead_of_dropping"
    ),
}
"""Official tests by the test here, or by the module with several tests for it."""

DIFFERENT = {
    "it sends real messages to Segment with an invalid write key, and ignores the answer": (
        "client.success_on_invalid_write_key"
    ),
    "what JSON does not have is sent as text, and not left out": "utils.clean_fn",
    "takes messages out of the queue, which only the delivery thread does here": "consumer.next",
    "the server's words are in the error's text, and the response is not kept": (
        "request.api_error_includes_response"
    ),
    "511 is retried like other 5xx, also without OAuth": "consumer.511_not_retryable_without_oauth",
    "max_total_backoff_duration has no effect: max_retries limits the attempts": (
        "consumer.t19_max_total_backoff_duration"
    ),
    "max_rate_limit_duration has no effect: the budget is 30 minutes, the official default": (
        "consumer.t20_max_rate_limit_duration "
        "consumer.default_rate_limit_budget_exceeds_the_retry_after_cap "
        "consumer.a_wait_that_will_not_fit_the_budget_drops_instead_of_shortening "
        "consumer.a_wait_that_fits_the_budget_is_honoured_in_full"
    ),
    "a batch is never put back at the end of the queue, so it cannot find the queue full": (
        "consumer.queue_full_during_429_requeue_calls_on_error"
    ),
    "private state, which the lifecycle's table replaces here": (
        "consumer.stale_rate_limit_state_does_not_misroute_later_errors "
        "consumer.non_rate_limited_failure_ends_the_episode "
        "consumer.batch_after_an_ended_episode_is_still_sent"
    ),
}
"""Official tests that do not apply, by the reason."""


def official_tests() -> Iterator[str]:
    """Yield the names of the official tests, such as "client.flush"."""
    for path in sorted(Path(*segment.analytics.__path__, "test").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.stem}.{node.name}".replace("test_", "")


class TestOfficial(unittest.TestCase):
    def test_each_is_listed(self) -> None:
        """Every official test is listed exactly once."""
        listed = " ".join([*SAME_BEHAVIOUR.values(), *DIFFERENT.values()]).split()
        self.assertEqual(Counter(listed), Counter(official_tests()))

    def test_ours_exist(self) -> None:
        """Every test here that is named in the list exists."""
        for name in SAME_BEHAVIOUR:
            with self.subTest(name):
                *module, case, test = name.split(".")
                if len(module) < 2:
                    self.assertTrue(import_module(f"tests.{name}"))
                else:
                    tests = import_module(f"tests.{'.'.join(module)}")
                    self.assertTrue(callable(getattr(getattr(tests, case), test)))


if __name__ == "__main__":
    unittest.main()

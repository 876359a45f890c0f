"""What `make test` leaves to `make test-all`: one of each kind stays, its brothers go.

A plugin of pytest: it marks them `soak`. `make test` has fifteen minutes on two slow cores, so of
tests that differ by a value, and of long ones whose subject a shorter one has too, some come later.
"""

from __future__ import annotations

import pytest


def each(name: str, *values: str) -> tuple[str, ...]:
    """The beginnings of one test's names, by the values that it is given."""
    return tuple(f"{name}[{value}" for value in values)


LATER: dict[str, tuple[str, ...]] = {
    "tests/notebooks/test_run_all.py": each(
        "test_a_kernel_with_an_open_subscription_ends_cleanly", "]"
    ),
    "tests/browser/test_views.py": (
        "test_executed_and_exported",
        "test_without_a_stream_nothing_is_drawn",
        "test_after_a_reload_of_the_page",
        "test_without_a_kernel_its_pictures",
        "test_a_notebook_that_nobody_trusts",
        "test_a_worker_paused_and_resumed",
        "test_five_times_rolled_over",
        "test_who_wants_no_motion",
        "test_it_keeps_so_many_by_itself",
        "test_a_restarted_kernel_is_said",
        "test_both_themes_can_be_read",
        "test_a_kernel_that_was_silent_and_is_back",
    ),
    "tests/browser/test_behind_a_prefix.py": ("",),
    "tests/lab/widgets/test_truth.py": (
        "test_the_number_of_a_run_is_true",
        "test_publishing_where_nobody_says",
        "test_reading_with_a_dead_worker",
        "test_truncating_with_a_dead_worker",
    ),
    "tests/lab/widgets/test_stream_view.py": ("test_an_end_that_nobody_can_describe",),
    "tests/lab/test_terminals.py": (
        *each(
            "test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once", "1", "2", "3", "4"
        ),
        *each("test_ctrl_c_twice_within_50_ms_is_as_calm_as_once", "hub", "pipeline"),
        *each(
            "test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun",
            "0.1",
            "0.35",
            "0.8",
            "1.6",
        ),
        "test_a_hub_that_nobody_closes",
        "test_a_scenario_says_that_an_activitys_worker_is_silent",
        "test_a_paused_server_is_said_too",
        "test_a_worker_says_that_its_server_is_away",
        "test_a_scenario_says_that_the_server_does_not_answer_and_ends_calmly",
        "test_a_reader_that_has_enough",
        *each("test_a_namespace_that_is_not_there_is_one_line", "worker"),
    ),
    "tests/lab/test_cli.py": (
        "test_ctrl_c_on_open_ends_also_what_a_notebook_killed",
        "test_ctrl_c_on_open_leaves_what_was_there",
        "test_two_labs_at_once",
        "test_on_a_server_that_others_share",
        "test_options_behind_lab_go_to_jupyterlab",
        "test_stop_ends_what_a_lab_that_was_killed_left",
    ),
    "tests/lab/test_bad_input.py": (
        *each("test_a_record_of_a_server_without_its_facts_counts_as_none", "facts1", "facts2"),
        "test_reset_ends_everything_first",
        "test_a_database_that_is_none",
    ),
    "tests/lab/test_kernel.py": ("test_kernels_that_are_told_no_notebook",),
    "tests/lab/machine/test_workers.py": (
        "test_a_worker_goes_on_after_the_server_was_killed",
        "test_a_worker_of_another_server",
        "test_a_session_has_it_all",
        "test_a_paused_worker",
    ),
    "tests/scenarios/test_terminal.py": (
        "test_scenario_4",
        "test_scenario_2",
    ),
    "tests/scenarios/test_llm.py": (
        *each(
            "test_the_text_shown_is_the_text_streamed_no_token_twice_none_lost",
            "stalled",
            "too many",
            "its own fault",
            "dropped before",
        ),
    ),
    "tests/scenarios/test_model.py": (
        *each(
            "test_no_error_holds_the_key_nor_anything_that_is_chained_to_it", "canary_of", "0canary"
        ),
    ),
    "tests/scenarios/test_llm_limits.py": ("test_a_text_that_is_cut_off_again_and_again",),
    "tests/lab/lessons/test_checks.py": (
        "test_the_number_may_be_a_number",
        "test_no_answer_takes_more_than_ten_seconds",
        "test_a_line_that_never_ends",
    ),
    "tests/lab/lessons/test_bill.py": ("test_a_second_one_replaces_the_first",),
    "tests/lab/lessons/test_llm.py": (
        "test_a_worker_of_another_llm",
        "test_worker_py_says_that_it_is_scripted",
    ),
    "tests/lab/lessons/own_log/test_own.py": (
        "test_a_worker_of_these_very_files",
        "test_what_notebook_09_predicts",
        "test_what_is_not_green",
    ),
    "tests/lab/lessons/own_log/test_steps.py": (
        "test_whoever_is_slow_all_the_time",
        *each("test_a_right_file_passes_and_a_mistake_is_named", "9.7-1", "9.8"),
    ),
    "tests/lab/lessons/test_nesting.py": (
        "test_in_a_kernel_with_all_cells_queued_twice",
        "test_a_live_view_beside_it",
    ),
    "tests/server/test_watch.py": ("test_the_counts_are_those_of_the_history",),
    "tests/server/test_limits.py": (
        *each("test_a_hand_over_behind_a_codec_never_ends_the_stream", "no codec", "twice"),
        *each(
            "test_many_small_items_on_a_topic_that_travels_wide_are_read", "cached-12", "cached-25"
        ),
        "test_a_flood_of_refused_batches",
    ),
    "tests/server/test_describe.py": ("test_a_full_page_of_items",),
    "tests/server/test_flow.py": ("test_a_reader_with_a_name_resumes_in_the_tenth_run",),
    "tests/server/test_stream.py": (
        *each("test_a_roll_over_under_load_loses_nothing_and_nobody_notices", "no cache"),
    ),
    "tests/server/test_identity.py": (
        *each("test_a_workflow_retry_begins_a_new_log", "cached-1"),
        *each("test_a_reset_begins_a_new_log", "cached-1"),
    ),
    "tests/client/test_feed.py": (
        *each(
            "test_within_three_seconds_of_the_servers_return_all_is_read_whatever_hangs",
            "calls1",
            "calls2",
        ),
    ),
    "tests/server/test_exit.py": (
        *each(
            "test_it_exits_cleanly_within_a_second",
            "cached-raises",
            "cached-publishes",
            "cached-dropped",
            "cached-watches",
        ),
    ),
    "tests/faults/test_readers.py": (
        "test_twenty_processes_of_one_reader_each",
        *each("test_a_thousand_readers_in_one_process_are_all_served", "1000"),
        "test_a_resumed_reader_gets_its_first_page",
    ),
    "tests/faults/test_roll_over.py": ("test_roll_overs_under_load_lose_nothing",),
    "tests/faults/test_where_the_peer_falls.py": ("test_a_state_over_two_megabytes",),
    "tests/faults/test_publishers.py": ("test_three_hundred_publishers",),
}
"""How their names begin, by file."""


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        file, _, name = item.nodeid.partition("::")
        if name.startswith(LATER.get(file, ())):
            item.add_marker("soak")

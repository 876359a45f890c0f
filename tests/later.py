"""What `make test` leaves to `make test-all`: one of each kind stays, its brothers go.

A plugin of pytest: it marks them `soak`. `make test` has fifteen minutes on two slow cores, so of
tests that differ by a value, and of long ones whose subject a shorter one has too, some come later.
"""

from __future__ import annotations

import pytest

LATER = (
    # The notebooks: 00, 04 and 06 are run, and 02 with its restart.
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[01",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[02",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[03",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[05",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[07",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[08",
    "tests/notebooks/test_run_all.py::test_all_cells_queued_at_once[09",
    "tests/browser/test_notebooks.py::test_run_all_in_jupyterlab[00",
    # The view: what a saved notebook shows, and each front end.
    "tests/browser/test_views.py::test_executed_and_exported",
    "tests/browser/test_views.py::test_without_a_stream_nothing_is_drawn",
    "tests/browser/test_views.py::test_after_a_reload_of_the_page",
    "tests/browser/test_behind_a_prefix.py",
    "tests/lab/widgets/test_truth.py::test_the_number_of_a_run_is_true",
    "tests/lab/widgets/test_truth.py::test_publishing_where_nobody_says",
    "tests/lab/widgets/test_truth.py::test_reading_with_a_dead_worker",
    "tests/lab/widgets/test_stream_view.py::test_an_end_that_nobody_can_describe",
    # Programs and terminals.
    "tests/lab/test_terminals.py::test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once[1",
    "tests/lab/test_terminals.py::test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once[2",
    "tests/lab/test_terminals.py::test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once[3",
    "tests/lab/test_terminals.py::test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once[4",
    "tests/lab/test_terminals.py::test_a_scenario_says_that_the_server_does_not_answer_and_ends_calmly[ticker",
    "tests/lab/test_terminals.py::test_ctrl_c_twice_within_50_ms_is_as_calm_as_once[hub",
    "tests/lab/test_terminals.py::test_ctrl_c_twice_within_50_ms_is_as_calm_as_once[pipeline",
    "tests/lab/test_terminals.py::test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun[0.1",
    "tests/lab/test_terminals.py::test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun[0.35",
    "tests/lab/test_terminals.py::test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun[0.8",
    "tests/lab/test_terminals.py::test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun[1.6",
    "tests/lab/test_terminals.py::test_a_hub_that_nobody_closes",
    "tests/lab/test_terminals.py::test_a_scenario_says_that_an_activitys_worker_is_silent",
    "tests/lab/test_terminals.py::test_a_paused_server_is_said_too",
    "tests/lab/test_terminals.py::test_a_namespace_that_is_not_there_is_one_line[worker",
    "tests/lab/test_cli.py::test_ctrl_c_on_open_ends_also_what_a_notebook_killed",
    "tests/lab/test_cli.py::test_ctrl_c_on_open_leaves_what_was_there",
    "tests/lab/test_cli.py::test_two_labs_at_once",
    "tests/lab/test_cli.py::test_on_a_server_that_others_share",
    "tests/lab/test_cli.py::test_options_behind_lab_go_to_jupyterlab",
    "tests/lab/test_bad_input.py::test_a_record_of_a_server_without_its_facts_counts_as_none[facts1",
    "tests/lab/test_bad_input.py::test_a_record_of_a_server_without_its_facts_counts_as_none[facts2",
    "tests/lab/test_bad_input.py::test_reset_ends_everything_first",
    "tests/lab/test_bad_input.py::test_a_database_that_is_none",
    "tests/lab/test_kernel.py::test_kernels_that_are_told_no_notebook",
    "tests/lab/machine/test_workers.py::test_a_worker_goes_on_after_the_server_was_killed",
    "tests/lab/machine/test_workers.py::test_a_worker_of_another_server",
    "tests/scenarios/test_terminal.py::test_scenario_4",
    "tests/scenarios/test_terminal.py::test_scenario_2",
    "tests/scenarios/test_model.py::test_no_error_holds_the_key_nor_anything_that_is_chained_to_it[canary_of",
    "tests/scenarios/test_model.py::test_no_error_holds_the_key_nor_anything_that_is_chained_to_it[0canary",
    "tests/scenarios/test_llm_limits.py::test_a_text_that_is_cut_off_again_and_again",
    # Lessons.
    "tests/lab/lessons/test_checks.py::test_no_answer_takes_more_than_ten_seconds",
    "tests/lab/lessons/test_bill.py::test_a_second_one_replaces_the_first",
    "tests/lab/lessons/test_llm.py::test_a_worker_of_another_llm",
    "tests/lab/lessons/own_log/test_own.py::test_a_worker_of_these_very_files",
    "tests/lab/lessons/own_log/test_steps.py::test_whoever_is_slow_all_the_time",
    "tests/lab/lessons/own_log/test_steps.py::test_a_right_file_passes_and_a_mistake_is_named[9.8",
    "tests/lab/lessons/own_log/test_own.py::test_what_notebook_09_predicts",
    "tests/lab/lessons/test_nesting.py::test_in_a_kernel_with_all_cells_queued_twice",
    # Limits and faults: each kind once.
    "tests/server/test_limits.py::test_a_hand_over_behind_a_codec_never_ends_the_stream[no codec",
    "tests/server/test_limits.py::test_a_hand_over_behind_a_codec_never_ends_the_stream[twice",
    "tests/server/test_limits.py::test_many_small_items_on_a_topic_that_travels_wide_are_read[cached-25,000",
    "tests/server/test_exit.py::test_it_exits_cleanly_within_a_second[cached-raises",
    "tests/server/test_exit.py::test_it_exits_cleanly_within_a_second[cached-publishes",
    "tests/server/test_exit.py::test_it_exits_cleanly_within_a_second[cached-dropped",
    "tests/server/test_exit.py::test_it_exits_cleanly_within_a_second[cached-watches",
    "tests/faults/test_readers.py::test_twenty_processes_of_one_reader_each",
    "tests/faults/test_readers.py::test_a_thousand_readers_in_one_process_are_all_served[1000",
    "tests/faults/test_readers.py::test_a_resumed_reader_gets_its_first_page",
    "tests/faults/test_roll_over.py::test_roll_overs_under_load_lose_nothing",
    "tests/faults/test_where_the_peer_falls.py::test_a_state_over_two_megabytes",
    "tests/faults/test_publishers.py::test_three_hundred_publishers",
)
"""How their names begin."""


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if item.nodeid.startswith(LATER):
            item.add_marker("soak")

"""Lists every attack with what holds against it, the tests that show it, and what ``make attack`` does."""

from __future__ import annotations

from dataclasses import dataclass

from tests.attack import attacks
from tests.attack.scene import Prepare, Run, prepare_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An attack, and a row of the table in docs/security.md.

    Attributes:
        done: the attack, for the table.
        holds: the protection, for the table.
        tests: the tests that show what holds, as ``file::name`` below ``tests/``.
        torture: the scenarios of ``make torture`` that do the same to real processes.
        run: carries the attack out on a real daemon; None if only the tests do.
        amount: how much of it: connections, requests, milestones.
        smoke: how much of it in the tests; 0 if the short run leaves it out.
    """

    name: str
    done: str
    holds: str
    tests: tuple[str, ...]
    torture: tuple[str, ...] = ()
    run: Run | None = None
    prepare: Prepare = prepare_nothing
    amount: int = 1
    smoke: int = 0


ATTACKS = (
    Attack(
        name="silent-connections",
        done="connections that send nothing",
        holds="the connections that have been silent for longest are closed; sending and health checks have "
        "descriptors and places of their own",
        tests=(
            "web/test_limits.py::test_many_silent_connections_keep_nobody_out",
            "web/test_limits.py::test_a_flood_of_one_address_costs_only_that_address",
            "web/test_limits.py::test_health_is_answered_when_all_places_for_requests_are_taken",
        ),
        run=attacks.open_silent_connections,
        amount=4_200,
        smoke=300,
    ),
    Attack(
        name="half-sent-heads",
        done="heads of requests that are never finished",
        holds="a request has a time limit, however slowly its bytes arrive",
        tests=(
            "web/test_limits.py::test_a_request_that_takes_too_long_is_cut_off",
            "web/test_limits.py::test_bytes_that_arrive_one_by_one_do_not_extend_the_time",
        ),
        run=attacks.send_half_heads,
        amount=560,
    ),
    Attack(
        name="malformed-chunks",
        done="requests with a malformed chunk",
        holds="what a client can cause at will is one line at the level debug, without a traceback",
        tests=("web/test_limits.py::test_what_a_client_can_cause_at_will_is_one_debug_line",),
        run=attacks.send_malformed_chunks,
        amount=1_000,
    ),
    Attack(
        name="login-guesses",
        done="wrong passwords, all at the same time",
        holds="ten are compared; who has a token still gets in",
        tests=(
            "web/test_login.py::test_guesses_at_the_same_time_are_limited_too",
            "web/test_login.py::test_failures_behind_a_gateway_limit_their_own_visitor_alone",
        ),
        run=attacks.guess_passwords,
        amount=119,
    ),
    Attack(
        name="damaged-config",
        done="`alertd.yaml` empty, only comments, cut off or missing under a running daemon",
        holds="the last configuration stays in force, with its receivers and access rules, also over a "
        "restart; a start without any configuration is refused",
        tests=(
            "e2e/test_kept_config.py::test_daemon_goes_on_with_the_same_receivers_and_access_rules",
            "e2e/test_web.py::test_access_rules_outlast_the_file_they_stand_in",
            "engine/test_vanished_config.py::test_running_daemon_keeps_access_rules_that_are_cut_off",
            "engine/test_kept_config.py::test_start_without_a_configuration_is_refused",
        ),
        run=attacks.damage_config,
        smoke=1,
    ),
    Attack(
        name="damaged-access-files",
        done="the files of tokens and users empty, cut off or missing",
        holds="nobody gets in who could not before, and the last whole version stays valid",
        tests=(
            "web/test_access_files.py::test_tokens_that_are_half_replaced_stay_valid",
            "web/test_access_files.py::test_users_that_are_half_replaced_stay_valid",
            "web/test_access_files.py::test_file_that_never_was_whole_lets_nobody_in",
            "web/test_access_files.py::test_signing_secret_that_is_half_replaced_still_signs",
            "web/test_access_files.py::test_secret_of_a_notifier_that_is_half_replaced_stays_in_use",
        ),
        run=attacks.empty_access_files,
    ),
    Attack(
        name="pipe-in-folder",
        done="a named pipe among the timelines; a configuration folder that is slow or hangs",
        holds="what is no regular file is not opened; a folder that hangs is given up and reported, and "
        "reminders go on",
        tests=(
            "definitions/test_load.py::test_what_is_no_regular_file_is_not_opened_for_ever",
            "engine/test_hung_files.py::test_reminders_go_on_while_the_folder_hangs",
            "engine/test_hung_files.py::test_log_status_audit_and_operator_hear_of_it_once",
            "engine/test_hung_files.py::test_nothing_piles_up",
            "web/test_access_files.py::test_request_reads_its_files_again_and_waits_for_no_disk_that_hangs",
        ),
        run=attacks.put_pipe_in_folder,
    ),
    Attack(
        name="mistyped-base",
        done="one mistyped base of very many relative deadlines",
        holds="the work is linear, and problems are limited for each file and for each run",
        tests=(
            "definitions/test_load.py::test_a_wrong_base_of_many_deadlines_is_reported_within_the_limit",
            "definitions/test_load.py::test_the_work_for_relative_deadlines_is_linear",
            "definitions/test_load.py::test_the_problems_of_all_files_are_limited",
        ),
        run=attacks.mistype_base,
        amount=14_000,
    ),
    Attack(
        name="renamed-with-typo",
        done="a timeline file that is renamed and can no longer be read",
        holds="nothing is withdrawn while a file that may define it cannot be read",
        tests=(
            "engine/test_renamed.py::test_renamed_file_that_is_broken_withdraws_nothing",
            "engine/test_renamed.py::test_operator_hears_once_what_is_kept_and_why",
        ),
        run=attacks.rename_with_typo,
    ),
    Attack(
        name="endless-repeats",
        done="`then_every: 1h` for many milestones that are long overdue",
        holds="only the next repeats are written, and each decision writes the following ones",
        tests=(
            "engine/test_repeats.py::test_hourly_repeats_take_a_few_rows",
            "engine/test_repeats.py::test_repeats_come_in_time_without_a_reconciliation",
            "engine/test_repeats.py::test_reconciling_does_not_read_the_history",
        ),
        run=attacks.repeat_hourly,
        amount=100,
    ),
    Attack(
        name="retry-after",
        done="a receiver that answers 503 with `Retry-After` for ever",
        holds="others are not delayed, and the operator hears after the same time as without the header",
        tests=("engine/test_refusals.py::test_endless_refusals_reach_status_report_and_audit",),
        run=attacks.answer_busy,
        prepare=attacks.prepare_busy,
    ),
    Attack(
        name="malformed-answers",
        done="answers with a reason phrase in Latin-1, with 300 headers, with a header of 9,000 bytes",
        holds="the status decides as soon as there is one, and what is accepted is not posted again",
        tests=(
            "notify/test_answers_malformed.py::test_the_status_decides_about_a_malformed_answer",
            "notify/test_answers_malformed.py::test_an_answer_whose_head_is_incomplete_decides_nothing",
        ),
        torture=("sink-malformed", "sink-huge"),
        run=attacks.answer_malformed,
        prepare=attacks.prepare_malformed,
    ),
    Attack(
        name="costly-template",
        done="a template that reads, writes or loops without end",
        holds="the work of its filters and operations is counted; beyond the limit the message goes out in "
        "the built-in format",
        tests=(
            "notify/test_webhook_template.py::test_what_operations_read_is_counted_although_the_steps_are_few",
            "notify/test_webhook_template.py::test_a_reminder_goes_out_in_format_alertd_when_the_template_fails",
            "notify/test_webhook_template.py::test_no_attribute_of_python_is_reached",
        ),
        run=attacks.swap_template,
        prepare=attacks.prepare_template,
    ),
    Attack(
        name="locked-file",
        done="the file of a `file` receiver locked for ever",
        holds="an attempt has a time limit, and each file has a thread of its own",
        tests=(
            "notify/test_file.py::test_a_file_that_stays_locked_is_given_up",
            "notify/test_file.py::test_a_file_that_hangs_holds_up_nothing_else",
            "notify/test_file.py::test_a_file_that_hangs_does_not_hold_up_the_end",
        ),
        run=attacks.lock_file,
        prepare=attacks.prepare_locked,
    ),
    Attack(
        name="unknown-receivers",
        done="reminders for a receiver that this node does not know, or that was removed",
        holds="they wait for a node that knows it; after an hour they go to the fallback receiver, once, and "
        "the operator hears",
        tests=(
            "engine/test_unknown_receiver.py::test_another_node_sends_what_one_does_not_know",
            "engine/test_unknown_receiver.py::test_after_an_hour_the_fallback_gets_it_and_the_operator_hears_once",
            "engine/test_unknown_receiver.py::test_delivery_of_a_removed_receiver_goes_to_the_fallback_once",
        ),
    ),
    Attack(
        name="fatal-messages",
        done="a message whose sending ends the process, or raises outside the notifier",
        holds="a lost lease is an attempt; after four of them the message is dead, with a notice, and all "
        "others arrive",
        tests=(
            "e2e/test_crash_loop.py::test_message_that_kills_the_daemon_is_set_apart",
            "engine/test_lost_leases.py::test_delivery_is_given_up_after_its_lost_leases",
            "engine/test_lost_leases.py::test_one_that_ends_the_process_is_found_among_many",
            "engine/test_links.py::test_daemon_sends_without_them_and_its_audit_finds_it",
        ),
    ),
    Attack(
        name="wrong-clocks",
        done="a clock that is ahead or far behind",
        holds="decisions that are final wait until the step is confirmed, and instants that a wrong clock "
        "has written are repaired",
        tests=(
            "engine/test_doubted_clock.py::test_clock_that_is_wrong_for_six_seconds_changes_nothing",
            "engine/test_doubted_clock.py::test_what_a_start_by_a_clock_that_was_ahead_has_expired_is_pending_again",
            "engine/test_doubted_clock.py::test_start_by_a_clock_that_is_far_behind_cancels_nothing",
            "engine/test_doubted_clock.py::test_lease_that_a_clock_that_was_ahead_has_taken_is_given_to_another_node",
        ),
        torture=("clock", "clocks-apart"),
    ),
    Attack(
        name="damaged-rows",
        done="any column of any row of the ledger damaged",
        holds="the row is set apart and named; all other reminders go out",
        tests=(
            "engine/test_damaged_row.py::test_all_other_reminders_go_out",
            "contract/test_unreadable.py::test_any_value_in_any_column_of_sqlite",
            "engine/test_set_apart.py::test_row_is_told_of_once_and_seen_everywhere",
        ),
        torture=("unreadable-rows",),
    ),
    Attack(
        name="damaged-ledger",
        done="pages of the ledger overwritten; its file deleted or replaced; its disk full",
        holds="noticed and reported within a minute; what the daemon holds is put back or saved",
        tests=(
            "contract/test_ledger_file.py::test_damaged_page_is_found_in_its_table",
            "contract/test_ledger_file.py::test_file_that_is_taken_away_is_noticed",
            "contract/test_ledger_file.py::test_ledger_is_put_back",
            "engine/test_liveness.py::test_full_disk_is_known_everywhere_within_a_minute",
        ),
        torture=("ledger-damaged", "ledger-deleted", "ledger-replaced", "disk-full-seen"),
    ),
)


def find_attack(name: str) -> Attack:
    for attack in ATTACKS:
        if attack.name == name:
            return attack
    raise SystemExit(f"no attack {name!r}; there are: {', '.join(attack.name for attack in ATTACKS)}")

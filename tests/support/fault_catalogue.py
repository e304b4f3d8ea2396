"""The fault catalogue: number, what goes wrong, what must hold, and the tests that prove it.

`CATALOGUE` is checked by test_catalogue: every test named exists and says "Fault N" in its
docstring, and `docs/reliability.md` holds this table word for word
(`python tests/support/fault_catalogue.py` prints it). Faults that only a notebook can show
name the tests of the room that draws.
"""

from __future__ import annotations

from dataclasses import dataclass

NET, PRO, OWN = "faults/test_network.py", "faults/test_protocol.py", "faults/test_process.py"
PROMISES = "contract/test_informer_promises.py"
RULES, LISTENER = "contract/test_reflector_rules.py", "contract/test_listener_rules.py"
CONTROLLER, STRESS = "contract/test_controller_rules.py", "contract/test_stress.py"
HTTP, WATCH = "unit/client/test_http.py", "unit/client/test_watch_decoder.py"


@dataclass(frozen=True)
class Row:
    """One fault: `tests` are "file::function" below tests/."""

    number: int
    what: str
    holds: str
    tests: tuple[str, ...]


def row(number: int, what: str, holds: str, *tests: tuple[str, str]) -> Row:
    return Row(number, what, holds, tuple(f"{file}::{name}" for file, name in tests))


RESUMED = (NET, "test_a_broken_stream_is_resumed")
HAMMERED = (NET, "test_a_failing_way_is_not_hammered")
LASTING = (PRO, "test_a_lasting_refusal_is_not_hammered")
DISTRUST = (PRO, "test_an_event_that_cannot_be_believed_is_not_skipped")
BOOKMARK = (PRO, "test_a_bad_bookmark_poisons_nothing")
LIST = (PRO, "test_a_list_that_is_none_deletes_nothing")
RAISING = (OWN, "test_a_raising_handler_ends_nothing")
AUDITED = (
    (PRO, "test_an_event_the_server_lost_is_found_by_an_audit"),
    (PRO, "test_an_event_the_server_lost_is_mended_by_audits_if_asked"),
    ("contract/test_auditor.py", ""),
)

CATALOGUE = [
    row(
        1,
        "half-open watch",
        "stale at the idle limit, resumed from the last version, no relist",
        RESUMED,
        (PROMISES, "test_a_silent_stream_is_reopened_at_the_idle_limit"),
    ),
    row(
        2,
        "half-open list: headers never come",
        "first-byte deadline, retry; stop within a second",
        (NET, "test_an_answer_that_never_comes_is_given_up"),
        (NET, "test_a_stop_does_not_wait_for_an_answer"),
    ),
    row(
        3,
        "stalled TLS handshake",
        "connect deadline, retry",
        (NET, "test_a_stalled_handshake_is_given_up"),
    ),
    row(4, "RST mid-line", "the fragment is dropped, resumed", RESUMED, HAMMERED),
    row(
        5,
        "FIN mid-line, with and without a clean end",
        "a line without its newline is never an event",
        RESUMED,
        (WATCH, "test_a_fragment_is_never_an_event"),
    ),
    row(6, "FIN between events", "resumed, no relist", RESUMED),
    row(7, "slowloris", "progress is whole events: stale, resumed", RESUMED),
    row(8, "a byte at a time, through characters", "text identical", RESUMED),
    row(9, "invalid UTF-8", "distrust, not substitution", RESUMED),
    row(10, "blank lines, CRLF, byte order mark", "ignored", RESUMED),
    row(
        11,
        "a line without an end",
        "cut at the cap, resumed",
        (NET, "test_a_line_without_an_end_is_cut_off"),
    ),
    row(12, "an object as large as etcd holds", "taken", (NET, "test_a_large_object_is_taken")),
    row(
        13,
        "10,000 events in one chunk",
        "all applied; reading yields to stop",
        RESUMED,
        (NET, "test_a_stop_comes_between_ten_thousand_events"),
    ),
    row(
        14,
        "a long line in 1 KiB chunks",
        "linear time",
        (WATCH, "test_assembling_a_line_takes_linear_time"),
    ),
    row(15, "200 and closed at once", "R_max, degraded", HAMMERED),
    row(
        16,
        "connection refused",
        "R_max, no relist on recovery",
        (NET, "test_a_refused_connection_lists_nothing_again"),
    ),
    row(
        17,
        "DNS failure, another address",
        "resolved on each connect; R_max, no relist",
        (NET, "test_a_name_is_looked_up_at_each_connect"),
        (HTTP, ""),
    ),
    row(18, "407/502 HTML; a buffering proxy", "typed, backed off, recovers", HAMMERED),
    row(
        19,
        "CA rotates",
        "typed failure, new file read, never unverified",
        (NET, "test_a_rotated_authority_is_believed_from_its_file"),
    ),
    row(
        20,
        "gzip: whole, truncated, bomb",
        "read; refused; capped",
        HAMMERED,
        (NET, "test_compressed_answers_are_read"),
    ),
    row(
        21,
        "redirect",
        "not followed, no credential leaves",
        HAMMERED,
        (NET, "test_credentials_are_not_taken_along"),
    ),
    row(
        22,
        "1,000 informers lose one server",
        "at most 20 % return in one second",
        (NET, "test_a_thousand_do_not_come_back_at_once"),
    ),
    row(
        23,
        "410 at watch start, a deletion unseen",
        "one relist, one inferred delete",
        (PRO, "test_410_at_the_start_of_a_watch_is_one_relist"),
    ),
    row(
        24,
        "410 in the stream",
        "the same",
        (PRO, "test_410_in_the_stream_is_one_relist"),
    ),
    row(
        25,
        "410 for every watch",
        "R_max, degraded",
        LASTING,
        (PRO, "test_a_410_for_every_watch_list_is_not_hammered"),
    ),
    row(
        26,
        "410 / too large on the list",
        "the newest is asked for once",
        LASTING,
        (PRO, "test_a_version_too_large_is_asked_for_only_once"),
    ),
    row(
        27,
        "page token expires",
        "list restarts, no half cache seen",
        (PRO, "test_an_expired_page_token_starts_the_list_again"),
    ),
    row(
        28,
        "pages of different revisions",
        "restarted unpaged",
        (PRO, "test_pages_of_two_revisions_are_not_put_together"),
    ),
    row(29, "429 with Retry-After", "kept; no relist", (PRO, "test_retry_after_is_kept")),
    row(
        30,
        "Retry-After absent, date, absurd, negative",
        "own back-off, read, clamped to a minute",
        LASTING,
        (PRO, "test_retry_after_is_clamped_and_read_as_a_date"),
    ),
    row(31, "500, 503, 504", "R_max, version kept", LASTING),
    row(
        32,
        "one 401",
        "renewed, retried at once, no relist",
        (PRO, "test_a_single_401_is_answered_at_once"),
    ),
    row(33, "401 for ever", "failed, R_max, restartable", LASTING),
    row(
        34,
        "403, everywhere or in one namespace",
        "failed names the verb; the others are live",
        LASTING,
        (PRO, "test_one_forbidden_namespace_leaves_the_others_live"),
    ),
    row(
        35,
        "list allowed, watch not",
        "failed names the verb; polls, and says so, if asked",
        LASTING,
        (PRO, "test_a_forbidden_watch_is_polled_for_if_asked"),
        ("contract/test_polling.py", ""),
    ),
    row(36, "404: the definition is gone", "one delete per key, gone, slow retry", LASTING),
    row(
        37,
        "the definition comes back",
        "new UIDs: delete then add",
        (PRO, "test_a_definition_that_goes_and_comes_back_is_a_new_epoch"),
    ),
    row(
        38,
        "only the served version goes",
        "gone; the cause names the version that is served, nothing is deleted",
        (PRO, "test_a_version_that_is_served_no_more_leaves_its_objects_alone"),
        (RULES, "test_a_404_of_the_version_alone_deletes_nothing"),
        (PRO, "test_a_definition_that_goes_and_comes_back_is_a_new_epoch"),
    ),
    row(39, "HTML with 200", "typed, cache untouched", LASTING, LIST),
    row(40, "a damaged line", "distrust", DISTRUST),
    row(41, "no metadata, empty name", "distrust", DISTRUST),
    row(42, "object null", "distrust; no row without a name", DISTRUST),
    row(43, "unknown event type", "distrust", DISTRUST),
    row(44, "wrong kind or apiVersion", "distrust, never stored", DISTRUST),
    row(
        45,
        "items null, missing, of another kind; Table; Status",
        "null is empty, all else deletes nothing",
        LIST,
        (PRO, "test_null_items_are_an_empty_list"),
    ),
    row(
        46,
        "in-stream 500 then silence; no code",
        "resumed with back-off",
        (PRO, "test_an_error_in_the_stream_is_survived"),
    ),
    row(47, "a repeated event", "told once", (PRO, "test_a_repeated_event_is_told_once")),
    row(
        48,
        "an older state arrives late",
        "ignored, counted",
        (PRO, "test_an_older_state_is_ignored_and_counted"),
    ),
    row(49, "out of order across keys", "order per key", (PRO, "test_order_is_kept_per_key_only")),
    row(
        50,
        "the revision goes back",
        "found after two silences; a new epoch; past the old one, by an audit",
        (PRO, "test_a_restored_server_is_a_new_epoch"),
        (PRO, "test_a_restored_server_that_overtook_the_old_one_is_found_by_an_audit"),
        (PROMISES, ""),
    ),
    row(
        51,
        "odd versions: text, empty, beyond 64 bits",
        "equality only; never stuck",
        DISTRUST,
        (PRO, "test_a_version_beyond_64_bits_is_a_number"),
    ),
    row(52, "a bookmark of garbage, then a disconnect", "not poisoned", BOOKMARK),
    row(53, "a bookmark lower than the last event", "counted, resumed", BOOKMARK),
    row(54, "an event the server lost", "the audit names the key, and heals if asked", *AUDITED),
    row(55, "a delete missed at the start", "the same", *AUDITED),
    row(
        56,
        "a lagging server's list",
        "refused, asked for the newest",
        (PRO, "test_a_lagging_server_is_not_believed"),
    ),
    row(
        57,
        "out of and into the selector",
        "deleted, added",
        (PRO, "test_leaving_the_selector_is_a_deletion"),
    ),
    row(
        58,
        "delete and recreate between lists",
        "the UIDs differ, told so",
        (PRO, "test_a_recreated_object_is_not_an_update_of_the_old_one"),
    ),
    row(
        59,
        "initial events never end",
        "pages at the deadline; the store untouched",
        (PRO, "test_initial_events_without_an_end_fall_back_to_pages"),
    ),
    row(
        60,
        "a list larger than the limit",
        "typed, with the way out",
        (PRO, "test_a_list_beyond_its_limit_is_given_up_page_by_page"),
        (HTTP, ""),
    ),
    row(
        61,
        "a slow handler under load",
        "reading never waits",
        (PRO, "test_reading_never_waits_for_handlers"),
    ),
    row(
        62,
        "a slow handler",
        "others unaffected, its backlog shown",
        (OWN, "test_a_slow_handler_delays_nobody_else"),
        (LISTENER, ""),
    ),
    row(63, "a handler raises", "others run, error kept", RAISING),
    row(64, "a handler raises SystemExit and the like", "no thread ends", RAISING),
    row(
        65,
        "a handler changes its object",
        "the cache does not change",
        (OWN, "test_a_handler_cannot_corrupt_the_cache"),
    ),
    row(
        66,
        "a handler never returns",
        "close keeps its limit and names it",
        (OWN, "test_a_handler_that_never_returns_is_named_by_close"),
    ),
    row(
        67,
        "stop in a handler, twice, before start, in a signal",
        "idempotent, no deadlock",
        (OWN, "test_stop_may_come_at_any_time"),
    ),
    row(
        68,
        "handlers added and removed under load",
        "late ones catch up, removed ones hear nothing",
        (OWN, "test_handlers_come_and_go_while_events_flow"),
    ),
    row(69, "reconcile raises or returns rubbish", "back-off, worker alive", (CONTROLLER, "")),
    row(70, "reconcile hangs", "stuck, its slot freed", (CONTROLLER, "")),
    row(71, "reconcile crashes between writes", "the same end state", (STRESS, "")),
    row(72, "a reconciler misses an event", "the same end state", (STRESS, "")),
    row(
        73,
        "an interrupt while waiting",
        "raised at once, the informer goes on",
        (OWN, "test_an_interrupt_ends_a_wait_and_nothing_else"),
    ),
    row(
        74,
        "a cell run 100 times",
        "one set of threads",
        (OWN, "test_a_cell_run_a_hundred_times_has_one_informer"),
    ),
    row(
        75,
        "the kernel is killed",
        "no child, port or file",
        (OWN, "test_a_killed_kernel_leaves_no_child_port_or_file"),
    ),
    row(
        76,
        "the interpreter ends",
        "quick, silent, code 0",
        (OWN, "test_the_interpreter_ends_with_live_informers"),
    ),
    row(
        77,
        "fork",
        "the child has connections of its own, or refuses; no deadlock, no harm to its parent",
        ("faults/test_fork.py", "test_children_and_their_parent_get_their_own_answers"),
        (PROMISES, ""),
    ),
    row(
        78,
        "1,000 starts and stops",
        "no thread, socket or descriptor left",
        (OWN, "test_start_and_stop_leave_nothing"),
    ),
    row(
        79,
        "half a million events",
        "flat memory: `make soak`, with a bound on its slope",
        ("faults/test_soak.py", "test_a_short_soak_holds"),
    ),
    row(
        80,
        "the wall clock jumps",
        "no deadline moves; ahead, it costs a watch (it may be 81), never a list",
        (OWN, "test_the_wall_clock_decides_nothing"),
        ("contract/test_sleep.py", ""),
    ),
    row(
        81,
        "the machine slept",
        "stale at once, with the cause; resumed within 5 s",
        (OWN, "test_a_machine_that_slept_knows_that_it_is_stale"),
        ("contract/test_sleep.py", ""),
    ),
    row(
        82,
        "no descriptors, no memory, no threads",
        "typed, resumes; nothing is half started",
        (OWN, "test_no_descriptors_is_survived"),
        (OWN, "test_no_memory_is_survived"),
        (OWN, "test_no_threads_is_survived"),
    ),
    row(
        83,
        "a blocked event loop",
        "the cache follows",
        (OWN, "test_a_blocked_event_loop_blocks_no_informer"),
    ),
    row(
        84,
        "threads switch every microsecond",
        "no half change seen",
        (OWN, "test_threads_that_switch_all_the_time_agree"),
    ),
    row(90, "odd values in cells", "the frame builds", ("unit/frame/test_column.py", "")),
    row(91, "a frame while events flow", "one revision", ("unit/frame/test_live_frame.py", "")),
]
NOTEBOOK_ONLY = {
    85: "a closed widget: tests/unit/widgets",
    86: "two views, one closed: tests/browser",
    87: "100,000 rows: tests/bench",
    88: "5,000 updates a second: tests/unit/widgets",
    89: "hostile strings: tests/unit/views, tests/browser",
    92: "no front end: tests/unit/widgets",
}


def as_markdown() -> str:
    """Return the table of docs/reliability.md."""
    lines = ["| # | Fault | What must hold | Proved by |", "|---|---|---|---|"]
    for each in CATALOGUE:
        places = []
        for place in each.tests:
            file, _, name = place.partition("::")
            places.append(f"`{name}` ({file})" if name else f"{file}")
        lines.append(f"| {each.number} | {each.what} | {each.holds} | {', '.join(places)} |")
    for number, where in NOTEBOOK_ONLY.items():
        what, _, place = where.partition(": ")
        lines.append(f"| {number} | {what} | only a notebook can show it | {place} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown())

"""All invariants, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.sim import books, finality, kinds, losses, waits, watching
from tests.sim.oracle import Oracle, Violation
from tests.sim.world import Run

Invariant = Callable[[Run, Oracle], Iterator[Violation]]

INVARIANTS: tuple[Invariant, ...] = (
    losses.no_loss,
    losses.in_time,
    losses.nothing_early,
    losses.nothing_before_loaded,
    losses.muted_waits,
    losses.one_coalesced_message_after_outage,
    losses.in_line,
    waits.filed_in_time,
    waits.done_dates_are_followed,
    waits.planned_as_filed,
    waits.planning_delays_nothing,
    waits.no_receiver_starves,
    finality.copies,
    finality.final_once_confirmed,
    finality.acted_on_is_let_go,
    finality.moved,
    finality.clock_steps_repeat_nothing,
    finality.wrong_clocks_decide_nothing,
    books.states_forward_only,
    books.stale_lease_never_settles,
    books.one_lease_at_a_time,
    books.confirmed_survives_crash,
    books.books_balance,
    books.bounded,
    watching.rate_limits_hold,
    watching.retries_wait,
    watching.hundred_restarts_send_nothing,
    watching.stopped_gives_back,
    watching.one_leader_at_a_time,
    watching.silence_is_loud,
    kinds.nothing_final_from_ignorance,
    kinds.harms_nobody_else,
    kinds.not_well_while_nothing_arrives,
    books.no_surprises,
)


def violations(run: Run) -> list[Violation]:
    """Everything that does not hold, in the order of the list above."""
    oracle = Oracle(run.facts, run.ledger)
    return [found for invariant in INVARIANTS for found in invariant(run, oracle)]

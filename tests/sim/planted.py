"""Faults planted in the product on purpose, by name: a simulator that finds nothing proves nothing.

For each: under which weather it is looked for, and which invariant is to name it, among others perhaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.sim import planted_ledger as of_ledger
from tests.sim import planted_node as of_node
from tests.sim import planted_pace as of_pace
from tests.sim.invariants import violations
from tests.sim.profile import PROFILES
from tests.sim.world import Parts, run

SEEDS = 20
"""Within as many each must be found."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One fault."""

    profile: str
    invariant: str
    parts: Parts

    def found_after(self, seeds: int = SEEDS) -> int | None:
        """How many seeds it takes until its invariant names it; None: it takes more than ``seeds``."""
        for seed in range(seeds):
            found = violations(run(seed, PROFILES[self.profile], self.parts))
            if any(one.invariant == self.invariant for one in found):
                return seed + 1
        return None


def _ledger(profile: str, invariant: str, ledger: type) -> Planted:
    return Planted(profile, invariant, Parts(ledger=ledger))


def _daemon(profile: str, invariant: str, daemon: type) -> Planted:
    return Planted(profile, invariant, Parts(daemon=daemon))


PLANTED: Mapping[str, Planted] = {
    "mark before send": _ledger("faulty", "no_loss", of_ledger.MarksBeforeSend),
    "ignore the lease": _ledger("many", "one_lease_at_a_time", of_ledger.IgnoresLeases),
    "settle on a stale lease": _ledger("violent", "stale_lease_never_settles", of_ledger.SettlesStaleLeases),
    "forget an outcome": _ledger("calm", "copies", of_ledger.ForgetsOutcomes),
    "drop what is deferred": _ledger("muted", "no_loss", of_ledger.DropsDeferrals),
    "ignore what people say": _ledger("moving", "final_once_confirmed", of_ledger.IgnoresPeople),
    "begin whatever was said": _ledger("ahead", "acted_on_is_let_go", of_ledger.BeginsAnything),
    "keep what is leased ahead": _daemon("ahead", "stopped_gives_back", of_node.KeepsWhatIsAhead),
    "tell nobody of a move": _ledger("moving", "moved", of_ledger.TellsNoMoves),
    "keep reminders of the old date": _ledger("moving", "moved", of_ledger.KeepsOldWindows),
    "send all that was missed": _ledger(
        "off", "one_coalesced_message_after_outage", of_ledger.SendsAllThatWasMissed
    ),
    "send an hour early": _ledger("calm", "nothing_early", of_ledger.LooksAhead),
    "die in silence": _ledger("faulty", "no_loss", of_ledger.DiesInSilence),
    "owe again at each reconciliation": _ledger("calm", "copies", of_ledger.OwesAgain),
    "expire what is late": _ledger("off", "no_loss", of_ledger.ExpiresEverything),
    "a new id for each attempt": Planted("faulty", "copies", Parts(notifier=of_node.NewIdEachTime)),
    "come three minutes late": _ledger("calm", "in_time", of_pace.ComesLate),
    "go by a node's own clock": _ledger("many", "nothing_early", of_pace.KeepsNoTime),
    "forget what a clock that is set back has not seen": _ledger(
        "clocky", "clock_steps_repeat_nothing", of_pace.ForgetsWhatIsAhead
    ),
    "owe again what is bound": _ledger("calm", "states_forward_only", of_ledger.OwesAgain),
    "confirm and forget": _ledger("moving", "confirmed_survives_crash", of_pace.ForgetsPeople),
    "count a refusal as sent": _ledger("faulty", "books_balance", of_pace.BelievesRefusals),
    "try again at once": _ledger("faulty", "retries_wait", of_pace.TriesAtOnce),
    "let all nodes lead": _ledger("many", "one_leader_at_a_time", of_pace.LetsAllLead),
    "raise what nobody expects": _ledger("calm", "no_surprises", of_pace.Trips),
    "never read the files again": _daemon("moving", "in_line", of_node.NeverReadsAgain),
    "trust a file by its name": _daemon("moving", "in_line", of_node.TrustsTheName),
    "trust a fingerprint of another environment": _daemon(
        "moving", "planned_as_filed", of_node.TrustsAnyEnvironment
    ),
    "trust a fingerprint with other done dates": _ledger(
        "relative", "done_dates_are_followed", of_ledger.TrustsOtherDoneDates
    ),
    "follow no done dates": _daemon("relative", "done_dates_are_followed", of_node.FollowsNoDoneDates),
    "planning does not give way": _daemon("planning", "planning_delays_nothing", of_node.HoldsTheLoop),
    "planning gives way and sends nothing": _daemon(
        "planning", "planning_delays_nothing", of_node.OnlyLooksAround
    ),
    "serve the longest backlog first": _ledger(
        "crowded", "no_receiver_starves", of_ledger.ServesTheLongestBacklogFirst
    ),
    "let channels that hang keep all places": _daemon(
        "crowded", "no_receiver_starves", of_node.LetsHangingChannelsKeepAllPlaces
    ),
    "keep fingerprints that are outdated": _ledger("planning", "filed_in_time", of_ledger.KeepsFingerprints),
    "ignore mutes": _daemon("muted", "muted_waits", of_node.IgnoresMutes),
    "ignore the rate": _daemon("burst", "rate_limits_hold", of_node.IgnoresRates),
    "feed the watchdog anyway": _daemon("watched", "silence_is_loud", of_node.FeedsTheWatchdogAnyway),
    "follow every step of the clock": _daemon(
        "glimpsed", "wrong_clocks_decide_nothing", of_node.FollowsEveryStep
    ),
    "seem well anyway": _daemon("watched", "silence_is_loud", of_node.SeemsWellAnyway),
    "end in a hurry what it does not know": _ledger(
        "mixed", "nothing_final_from_ignorance", of_ledger.TakesStraysAtOnce
    ),
    "lose count of processes that end": _ledger("poisoned", "harms_nobody_else", of_ledger.ForgetsLostLeases),
    "seem well when the ledger is full": _daemon(
        "unwritable", "not_well_while_nothing_arrives", of_node.SeemsWellAnyway
    ),
    "hide what nobody knows": _ledger("mixed", "not_well_while_nothing_arrives", of_ledger.HidesStrays),
    "hide what ends the process": _ledger(
        "poisoned", "not_well_while_nothing_arrives", of_ledger.HidesLostLeases
    ),
    "hide that the files hang": _daemon("hung-files", "not_well_while_nothing_arrives", of_node.HidesFiles),
    "never wait": _ledger("calm", "bounded", of_ledger.AlwaysHasMore),
    "leave tasks behind": _daemon("calm", "bounded", of_node.LeavesTasks),
    "send again at each start": _daemon(
        "restarted", "hundred_restarts_send_nothing", of_node.SendsAgainAtStart
    ),
    "make a reminder up": Planted("calm", "nothing_before_loaded", Parts(notifier=of_node.MakesThingsUp)),
}


def table() -> str:
    """Each fault, what finds it and how soon, in Markdown."""
    lines = ["| planted fault | weather | found by | seeds to find |", "| --- | --- | --- | --- |"]
    for name, planted in PLANTED.items():
        seeds = planted.found_after()
        found = "NOT FOUND" if seeds is None else str(seeds)
        lines.append(f"| {name} | `{planted.profile}` | `{planted.invariant}` | {found} |")
    return "\n".join(lines)

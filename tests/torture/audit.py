"""The verdict: what was owed against what was received, every copy explained, the books in balance.

It goes by the generated definitions, by the sinks' receipts and by the list of faults; by the ledger only to
say why something was not sent, and how a try was settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from alertd.core.message.reasons import describe_reason
from alertd.core.reason import PlainReason
from tests.torture.faults import Fault, Kind
from tests.torture.ledger import Books
from tests.torture.node import SEND_SHARE
from tests.torture.receipts import Receipt

CLOCK_S = 0.001
"""The granularity of what is compared with a whole second."""

NOTICED_S = 1.0
"""How long after it was sent a request may be read."""

SETTLED_S = 6.0
"""How long before a fault a request may have come whose settlement that fault prevented."""

STEP_SEEN_S = 3.0
"""How long a process may go by the clock as it was before a step."""

RECOVERED_S = 40.0
"""A ledger that was away is looked at again after 30 s at the latest."""

NO_ANSWER = "no answer came"
ANSWER_LOST = "the answer came too late or was lost"
REBOUND = "the failover lost how they were grouped"


@dataclass(slots=True, kw_only=True)
class Verdict:
    """One scenario's.

    Attributes:
        accepted: how many of what was owed were accepted, each counted once.
        dead: how many were given up visibly: dead in the ledger, and the operator told of it.
        expired: how many were recorded as expired or superseded.
        copies: requests beyond the first that carried something again, by what explains them.
        failures: why the scenario has failed.
    """

    owed: int = 0
    accepted: int = 0
    lost: int = 0
    dead: int = 0
    expired: int = 0
    early: int = 0
    copies: Counter[str] = field(default_factory=Counter)
    latest_s: float = 0.0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the verdict is found from.

    Attributes:
        owed: when, by receiver and milestone, in seconds since 1970.
        lease_s: how long a delivery is taken for.
        ahead: how far the clock of the nodes was ahead of the true one, at an instant; the most of it
            around that instant.
        loses_commits: the ledger may lose what was committed (asynchronous replication).
        fallback: the receiver of what could not be delivered to another.
    """

    owed: Mapping[tuple[str, str], float]
    receipts: Sequence[Receipt]
    faults: Sequence[Fault]
    books: Books
    lease_s: float
    ahead: Sequence[tuple[float, float]] = ()
    loses_commits: bool = False
    fallback: str = ""


def verdict(evidence: Evidence) -> Verdict:
    found = Verdict(owed=len(evidence.owed))
    accepted = {(one.receiver, name) for one in evidence.receipts if one.accepted for name in one.milestones}
    found.accepted = len(accepted & evidence.owed.keys())
    _missing(evidence, accepted, found)
    _early(evidence, found)
    _copies(evidence, found)
    _balance(evidence, accepted, found)
    return found


def _missing(evidence: Evidence, accepted: set[tuple[str, str]], found: Verdict) -> None:
    told = " ".join(one.text for one in evidence.receipts if one.accepted and one.text)
    books = evidence.books
    dead = {
        member
        for name, (channel, state, _) in books.deliveries.items()
        if state == "dead" and (name in told or channel in books.counted.values())
        for member in books.members.get(name, ())
    }
    for key in sorted(evidence.owed.keys() - accepted):
        state, reason = evidence.books.owed.get(key, ("nowhere", ""))
        if key in dead:
            found.dead += 1
        elif state in {"expired", "superseded"} and reason:
            found.expired += 1
        else:
            found.lost += 1
            if found.lost <= 5:
                found.failures.append(f"lost: {key}, which the ledger calls {state} {reason}".rstrip())
    if found.lost > 5:
        found.failures.append(f"lost: {found.lost} in all")


def _early(evidence: Evidence, found: Verdict) -> None:
    for one in evidence.receipts:
        for name in one.milestones:
            due = _due(evidence, one.receiver, name)
            if due is None:
                found.failures.append(f"nobody owes {one.receiver} {name}, and it came as {one.id}")
                continue
            ahead = ahead_at(evidence.ahead, one.at)
            if one.at + ahead + CLOCK_S < due:
                found.early += 1
                found.failures.append(f"early by {due - one.at - ahead:.3f} s: {one.receiver} {name}")
    firsts: dict[tuple[str, str], float] = {}
    for one in sorted(evidence.receipts, key=lambda one: one.at):
        for name in one.milestones if one.accepted else ():
            firsts.setdefault((one.receiver, name), one.at)
    lates = [at - evidence.owed[key] for key, at in firsts.items() if key in evidence.owed]
    found.latest_s = max(lates, default=0.0)


def _due(evidence: Evidence, receiver: str, milestone: str) -> float | None:
    """When it is owed; to the fallback receiver, when it is owed to somebody who could not be reached."""
    if receiver == evidence.fallback:
        failed = [at for (_, name), at in evidence.owed.items() if name == milestone]
        return min(failed, default=None)
    return evidence.owed.get((receiver, milestone))


def ahead_at(ahead: Sequence[tuple[float, float]], at: float) -> float:
    """The most that the clock may have been ahead at ``at``; ``ahead`` is of changes, in order.

    A process looks at its new clock once a second, and what it has decided by the old one takes a moment.
    """
    standing = [by for since, by in ahead if since <= at - STEP_SEEN_S][-1:]
    return max((*standing, *(by for since, by in ahead if at - STEP_SEEN_S < since <= at)), default=0.0)


def _copies(evidence: Evidence, found: Verdict) -> None:
    by_id: dict[str, list[Receipt]] = {}
    ids: dict[tuple[str, str], dict[str, float]] = {}
    for one in sorted(evidence.receipts, key=lambda one: one.at):
        by_id.setdefault(one.id, []).append(one)
        for name in one.milestones:
            ids.setdefault((one.receiver, name), {}).setdefault(one.id, one.at)
    for same in by_id.values():
        for before, after in pairwise(same):
            why = explained(before, after, evidence)
            if why is None:
                found.copies["not explained"] += 1
                found.failures.append(f"not explained: {before.id} came twice: {before} {after}")
            else:
                found.copies[why] += 1
    for key, names in ids.items():
        if len(names) <= _deliveries_of(evidence, *key):
            continue
        if evidence.loses_commits and _across_failover(evidence.faults, sorted(names.values())):
            found.copies[REBOUND] += len(names) - 1
        else:
            found.copies["under another id"] += len(names) - 1
            found.failures.append(f"under another id: {key} came as {sorted(names)}")


def _deliveries_of(evidence: Evidence, receiver: str, milestone: str) -> int:
    """How many deliveries may carry it: one, but to the fallback one for each that it stands in for."""
    if receiver != evidence.fallback:
        return 1
    books = evidence.books
    dead = [name for name, (_, state, _) in books.deliveries.items() if state == "dead"]
    return max(1, sum(milestone in [member[1] for member in books.members.get(name, ())] for name in dead))


LEASE_LOST = describe_reason(PlainReason.LEASE_LOST)


def explained(before: Receipt, after: Receipt, evidence: Evidence) -> str | None:
    """What explains that the same delivery came again; None: nothing does."""
    if not before.accepted:
        return NO_ANSWER
    outcome, why = evidence.books.attempts.get((before.id, before.attempt), ("", ""))
    # The attempt of a lost lease is written later, by whoever leases the delivery again. It explains nothing.
    if before.attempt and after.attempt > before.attempt and why != LEASE_LOST:
        return ANSWER_LOST if outcome == "unknown" else None
    for fault in evidence.faults:
        if fault.pid and before.pid and fault.pid != before.pid:
            continue
        lasts = RECOVERED_S if fault.kind is Kind.LEDGER else 0.0
        in_time = (
            fault.begins - SETTLED_S <= before.at <= fault.ends + lasts + NOTICED_S
            and after.at >= fault.begins - NOTICED_S
        )
        # Whoever takes it again has waited for the lease to run out, and that was not older when it was sent
        # than it may be. A failover may have lost the lease too.
        waits_s = evidence.lease_s * SEND_SHARE - NOTICED_S / 2
        waited = fault.kind is Kind.FAILOVER or after.at - before.at >= waits_s
        if in_time and waited:
            return fault.kind.value
    return None


def _across_failover(faults: Sequence[Fault], instants: Sequence[float]) -> bool:
    return any(
        fault.kind is Kind.FAILOVER
        and instants[0] - NOTICED_S <= fault.ends
        and fault.begins - SETTLED_S <= instants[-1]
        for fault in faults
    )


def _balance(evidence: Evidence, accepted: set[tuple[str, str]], found: Verdict) -> None:
    """Nothing in the sink that the ledger does not know, nothing sent that the sink does not know."""
    books = evidence.books
    received = {one.id for one in evidence.receipts if one.accepted}
    unknown = {one.id for one in evidence.receipts} - books.deliveries.keys()
    if unknown and not evidence.loses_commits:
        found.failures.append(f"the ledger knows nothing of {sorted(unknown)[:5]}")
    sent = {name for name, (_, state, _) in books.deliveries.items() if state == "sent"}
    if sent - received:
        found.failures.append(f"called sent, and no receipt: {sorted(sent - received)[:5]}")
    ready = {name for name, (_, state, _) in books.deliveries.items() if state == "ready"}
    still = ready - books.counted.keys()
    if still:
        found.failures.append(f"still to be sent: {sorted(still)[:5]}")
    pending = [key for key, (state, _) in books.owed.items() if state == "pending"]
    if pending:
        found.failures.append(f"still pending: {pending[:5]}")

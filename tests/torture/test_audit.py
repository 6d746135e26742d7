"""The verdict finds what it is there for: a run that nothing can fail shows nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from tests.torture.audit import ANSWER_LOST, NO_ANSWER, Evidence, Verdict, verdict
from tests.torture.faults import Fault, Kind
from tests.torture.ledger import Books
from tests.torture.receipts import ACCEPTED, Receipt

DUE = 1_000.0
KEY = ("desk", "t/m")
FIRST = Receipt(
    at=DUE + 0.1, receiver="desk", id="msg_1", attempt=1, pid=7, milestones=("t/m",), answer=ACCEPTED
)
NOTICE = Receipt(
    at=DUE + 1,
    receiver="ops",
    id="msg_9",
    attempt=1,
    pid=7,
    milestones=(),
    answer=ACCEPTED,
    text="msg_1 is dead",
)


def judged(
    *receipts: Receipt,
    faults: tuple[Fault, ...] = (),
    state: str = "sent",
    outcome: str = "sent",
    loses: bool = False,
    counted: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """The verdict on one reminder, with these receipts."""
    owed_state = state if state in {"expired", "pending"} else "bound"
    deliveries = (
        {one.id: ("desk/webhook", state, "") for one in (*receipts, FIRST)} if state != "pending" else {}
    )
    if any(one.receiver == "ops" for one in receipts):
        deliveries[NOTICE.id] = ("ops/webhook", "sent", "")
    for name in counted:
        deliveries[name] = ("ops/webhook", "ready", "")
    books = Books(
        owed={KEY: (owed_state, "36 days late")},
        deliveries=deliveries,
        members={"msg_1": [KEY]},
        attempts={("msg_1", 1): (outcome, "")},
        counted=counted,
    )
    evidence = Evidence(
        owed={KEY: DUE}, receipts=receipts, faults=faults, books=books, lease_s=4.0, loses_commits=loses
    )
    return verdict(evidence)


def again(after_s: float, **changes: object) -> Receipt:
    return replace(FIRST, at=FIRST.at + after_s, **changes)  # type: ignore[arg-type]


def fault(kind: Kind, pid: int = 0, after_s: float = 0.0) -> Fault:
    return Fault(kind=kind, begins=FIRST.at + after_s, ends=FIRST.at + after_s, pid=pid)


def test_a_run_in_which_all_is_well() -> None:
    found = judged(FIRST)

    assert (found.accepted, found.lost, found.early, found.copies, found.failures) == (1, 0, 0, Counter(), [])


def test_what_never_came_is_lost() -> None:
    found = judged(replace(FIRST, answer="no answer"), state="ready")

    assert found.lost == 1
    assert found.failures[0] == "lost: ('desk', 't/m'), which the ledger calls bound 36 days late"


def test_what_is_dead_counts_once_the_operator_was_told() -> None:
    told, untold = judged(NOTICE, state="dead"), judged(state="dead")

    assert (told.lost, told.dead) == (0, 1)
    counted = judged(state="dead", counted={"msg_8": "desk/webhook"})
    assert (counted.lost, counted.dead, counted.failures) == (0, 1, [])
    assert (untold.lost, untold.dead) == (1, 0)


def test_what_expired_says_so() -> None:
    assert (judged(state="expired").lost, judged(state="expired").expired) == (0, 1)


def test_a_reminder_before_its_instant_is_early() -> None:
    found = judged(again(-0.2))

    assert found.early == 1
    assert found.failures == ["early by 0.100 s: desk t/m"]


def test_what_nobody_is_owed_fails() -> None:
    found = judged(FIRST, again(0.0, id="msg_2", milestones=("t/other",)))

    assert found.failures == ["nobody owes desk t/other, and it came as msg_2"]


# Each copy with what was done, how its try was settled, and what explains it; None: nothing does.
COPIES = [
    ((), again(4.0), "sent", None),
    # The receiver gave no answer: told by the first receipt.
    ((fault(Kind.KILLED, pid=7),), again(4.0), "sent", Kind.KILLED),
    # Another process was killed, which explains nothing.
    ((fault(Kind.KILLED, pid=8),), again(4.0), "sent", None),
    # It was killed long after it must have written down the end.
    ((fault(Kind.KILLED, pid=7, after_s=60.0),), again(64.0), "sent", None),
    # Nobody may have it before the lease has run out.
    ((fault(Kind.KILLED, pid=7),), again(0.5), "sent", None),
    ((fault(Kind.STALLED, pid=7),), again(4.0, pid=8), "sent", Kind.STALLED),
    ((fault(Kind.LEDGER),), again(4.0), "sent", Kind.LEDGER),
    ((fault(Kind.FAILOVER),), again(0.5), "sent", Kind.FAILOVER),
    # The try was settled as unknown, and the next one has the next number.
    ((), again(5.0, attempt=2), "unknown", ANSWER_LOST),
    # It was settled as sent, and comes again all the same.
    ((), again(5.0, attempt=2), "sent", None),
]


@pytest.mark.parametrize(("faults", "copy", "outcome", "why"), COPIES)
def test_copies_are_explained_or_fail(
    faults: tuple[Fault, ...], copy: Receipt, outcome: str, why: str | None
) -> None:
    found = judged(FIRST, copy, faults=faults, outcome=outcome)

    assert found.copies == Counter([why or "not explained"])
    assert len(found.failures) == (why is None)


def test_no_answer_explains_a_copy() -> None:
    found = judged(replace(FIRST, answer="no answer"), again(5.0, attempt=2), outcome="unknown")

    assert found.copies == Counter([NO_ANSWER])
    assert found.failures == []


@pytest.mark.parametrize(
    ("loses", "faults", "fails"),
    [(False, (fault(Kind.FAILOVER),), True), (True, (), True), (True, (fault(Kind.FAILOVER),), False)],
)
def test_another_id_for_the_same_thing_fails(loses: bool, faults: tuple[Fault, ...], fails: bool) -> None:
    """Only where commits may be lost, and only around a failover, is it merely counted."""
    found = judged(FIRST, again(2.0, id="msg_2"), faults=faults, loses=loses)

    assert any(text.startswith("under another id") for text in found.failures) == fails
    assert found.copies.total() == 1


def test_books_that_do_not_balance_fail() -> None:
    """What is called sent has a receipt, and nothing is left over."""
    assert judged().failures[-1] == "called sent, and no receipt: ['msg_1']"
    assert judged(FIRST, state="ready").failures == ["still to be sent: ['msg_1']"]
    assert judged(FIRST, state="pending").failures[-1] == "still pending: [('desk', 't/m')]"

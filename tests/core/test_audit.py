"""The self-audit: what it reports, what it ignores, and that every kind of finding can occur."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alertd.core.ledger.file import FileFault, FileLoss
from alertd.core.ledger.records import Delivery, Notice
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.planning.audit import (
    LASTING,
    Audit,
    AuditFault,
    AuditFinding,
    Stray,
    Waiting,
    audit,
    find_unreached,
    list_expected,
    list_notices,
    make_dead_slot,
    report_clock_difference,
    report_clock_doubt,
    report_damage,
    report_displaced,
    report_lost_leases,
    report_stray,
    report_undecidable,
    report_unplannable,
    report_unreadable,
    report_unsigned,
    report_vanished,
)
from alertd.core.planning.decide import make_delivery_id
from alertd.core.planning.plan import plan
from alertd.core.routing.route import Route
from tests.core.builders import contested, utc
from tests.scene import a_config

NOW = utc("2026-09-22T12:00")
LEASE = timedelta(minutes=5)
ROUTE = Route(receiver="desk", path="route")
DEAF = "unreached: there is no way to tell"
UNWRITABLE = AuditFinding(fault=AuditFault.UNWRITABLE, detail="the ledger cannot be written")
FOR_PEOPLE = [
    report_vanished(["t"]),
    report_clock_difference(timedelta(hours=1)),
    report_clock_doubt(timedelta(hours=1)),
    report_unreadable([Unreadable(table="owed", key="k", why="its state is 'gone'")]),
    report_unplannable(["t/m"]),
    report_undecidable(["t/m for desk"]),
    AuditFinding(fault=AuditFault.CONFIGURATION, detail="alertd.yaml has a problem"),
    AuditFinding(fault=AuditFault.FILE, detail="a folder does not answer"),
    AuditFinding(fault=AuditFault.LAGGING, detail="the loop has woken late"),
    AuditFinding(fault=AuditFault.UNHEARD, detail="the address is in use"),
    AuditFinding(fault=AuditFault.UNREACHED, detail="there is no way to tell anybody"),
    AuditFinding(fault=AuditFault.UNAUDITED, detail="the audit failed"),
    AuditFinding(fault=AuditFault.LATE, detail="what is due has not been sent"),
    AuditFinding(fault=AuditFault.STUCK, detail="the loop has not finished anything"),
    UNWRITABLE,
    report_displaced(FileLoss(fault=FileFault.DELETED, path="ledger.db")),
    report_damage("pages of the table history are damaged"),
    report_lost_leases({"msg_1": 2}),
    report_unsigned("PermissionError"),
    report_stray(Stray(receiver="gone", reminders=1, deliveries=2, since=NOW), NOW),
]


def looked(waiting: Waiting = Waiting(), **found: object) -> Audit:  # noqa: B008  frozen
    known: dict[str, object] = {"planned_at": NOW, "lease_for": LEASE, **found}
    return audit(waiting, NOW, **known)  # type: ignore[arg-type]


def test_nothing_wrong_passes() -> None:
    """An empty ledger and a busy one both pass the audit while the daemon processes everything."""
    busy = Waiting(
        undecided=NOW - timedelta(minutes=1), untaken=NOW - timedelta(minutes=9), lease=NOW + LEASE
    )

    assert looked().passed
    assert looked(busy).passed


@pytest.mark.parametrize(
    ("waiting", "found", "said"),
    [
        # a reminder fell due, and alertd did not decide about it
        (
            Waiting(undecided=NOW - timedelta(minutes=6)),
            {},
            "undecided: a reminder fell due 6 minutes ago and was not looked at",
        ),
        # a delivery is ready, and no node leases it
        (
            Waiting(untaken=NOW - timedelta(hours=2)),
            {},
            "untaken: a delivery has been ready for 2 hours and was not taken",
        ),
        # the clock was wrong when the delivery was leased
        (
            Waiting(lease=NOW + timedelta(days=3)),
            {},
            "endless lease: a delivery is held for 3 days to come",
        ),
        # the plan is not extended
        (Waiting(), {"planned_at": NOW - timedelta(days=2)}, "unplanned: the plan was last made 2 days ago"),
        # a planned reminder is not in the ledger
        (
            Waiting(),
            {"missing": ["a/b -1d for desk", "c", "d", "e"]},
            "missing: a/b -1d for desk, c, d and 1 more: not in the ledger",
        ),
        # alertd did not report a dead delivery to the operator
        (Waiting(), {"untold": ["msg_1"]}, "untold: msg_1: dead without notice"),
        # no definition file is left
        (
            Waiting(),
            {"open_findings": [report_vanished(["a", "b", "c", "d"])]},
            "vanished: milestones/ holds no file, and a, b, c and 1 more stays as it was",
        ),
        # the clocks differ
        (
            Waiting(),
            {"open_findings": [report_clock_difference(timedelta(seconds=12.3))]},
            "differs: this node's clock is 12 seconds ahead of the ledger's",
        ),
        (
            Waiting(),
            {"open_findings": [report_clock_difference(timedelta(hours=-2))]},
            "differs: this node's clock is 2 hours behind the ledger's",
        ),
    ],
)
def test_each_fault_is_found_and_worded(waiting: Waiting, found: dict[str, object], said: str) -> None:
    """A single fault makes a single finding, which names the fault and its duration."""
    result = looked(waiting, **found)

    assert [str(finding) for finding in result.findings] == [said]
    assert not result.passed


def test_all_faults_have_a_finding() -> None:
    """The audit reports all faults at once."""
    ago, ahead = NOW - timedelta(days=9), NOW + timedelta(days=9)

    result = looked(
        Waiting(undecided=ago, untaken=ago, lease=ahead),
        planned_at=ago,
        missing=["x"],
        untold=["y"],
        open_findings=FOR_PEOPLE,
    )

    assert {finding.fault for finding in result.findings} == set(AuditFault)


def test_what_no_restart_mends_is_found_and_leaves_the_daemon_sound() -> None:
    """The daemon stays sound with faults that only a person can fix, but the audit reports them."""
    for_people = looked(open_findings=FOR_PEOPLE)
    both = looked(open_findings=[report_vanished(["t"])], untold=["y"])

    assert {finding.fault for finding in for_people.findings} == LASTING
    assert (for_people.passed, for_people.is_sound) == (False, True)
    assert (both.passed, both.is_sound) == (False, False)


def test_what_follows_from_an_unwritable_ledger_causes_no_restart() -> None:
    """A reminder that cannot be decided about is the disk's fault, and a restart would lose outcomes."""
    overlooked = Waiting(undecided=NOW - timedelta(hours=1))

    assert not looked(overlooked).is_sound
    assert looked(overlooked, open_findings=[UNWRITABLE]).is_sound


def test_a_receiver_that_does_not_answer_is_a_finding_when_nobody_hears_of_it() -> None:
    """alertd tells the operator about other receivers, but only the audit reports the operator's own.

    Without an operator, the audit reports that no channel is left.
    """
    with_operator = a_config("desk", "ops", operator="ops")
    nobody = a_config("desk", "leads")

    assert find_unreached(with_operator, ["desk/hook"]) is None
    assert str(find_unreached(with_operator, ["ops/hook"])) == f"{DEAF} the operator, by ops/hook"
    assert find_unreached(nobody, ["desk/hook"]) is None
    assert str(find_unreached(nobody, ["leads/hook", "desk/hook"])) == f"{DEAF} anybody"


def test_expected_is_the_plan_of_a_day() -> None:
    """The expected keys are those of the plan."""
    milestone = contested()

    wanted = list_expected([milestone], ROUTE, NOW)

    planned = plan([milestone], ROUTE, NOW, NOW + timedelta(days=1))
    assert set(wanted) == {one.key for one in planned} != set()
    assert all(name.endswith(" for desk") for name in wanted.values())


def test_what_has_just_fallen_due_is_expected_too() -> None:
    """Reminders of the last day are expected too, or of the catch-up time if that is shorter."""
    milestone, day = contested(), timedelta(days=1)

    wanted = list_expected([milestone], ROUTE, NOW + day, timedelta(days=35))

    due = plan([milestone], ROUTE, NOW, NOW + day)
    assert {one.key for one in due} <= set(wanted)
    assert due
    assert not {one.key for one in due} & set(list_expected([milestone], ROUTE, NOW + day, timedelta()))


def test_every_death_but_the_operators_own_needs_a_notice() -> None:
    """The notice's id is derived from the dead delivery. Notices and the operator's deliveries need none."""
    died = delivery("desk")
    own = delivery("ops")
    notice = delivery("desk", notice=Notice(slot="x", headline="x"))

    wanted = list_notices([died, own, notice], "ops", ["mail", "hook"])

    assert wanted == {make_delivery_id("ops", "mail", ("notice", make_dead_slot(died))): died.id}


def delivery(receiver: str, notice: Notice | None = None) -> Delivery:
    return Delivery(
        id=f"msg_{receiver}{'n' if notice else ''}",
        receiver=receiver,
        notifier="hook",
        members=("k",),
        bound_at=NOW,
        next_at=NOW,
        attempts=3,
        notice=notice,
    )

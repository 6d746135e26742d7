"""Dates that move: who is told, once, from what to what; and what is no move."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.core.config import Config
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.core.ledger.records import Value
from alertd.core.milestones.milestone import Claim, Milestone, Rank
from alertd.core.milestones.policy import Contested, Policy
from alertd.core.milestones.status import ActionKind
from alertd.ports import Ledger
from tests.scene import (
    MINISTER,
    REUTERS,
    ROOT,
    Scene,
    a_claim,
    a_config,
    a_ledger,
    a_milestone,
    offsets,
    route_to,
    when,
)

M = "t/m"
A, B, C = "2026-09-30", "2026-10-31", "2026-12-31"
HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def told_of(ledger: Ledger, *milestones: Milestone, config: Config | None = None) -> Scene:
    """A scene in which the seven days before A were told of on 24 September."""
    scene = Scene(ledger, at="2026-09-24", config=config)
    scene.define(*(milestones or (a_milestone(M, A),)))
    await scene.reconcile()
    await scene.turn()
    return scene


async def moves(scene: Scene, receiver: str = "desk") -> list[str]:
    """All moves that a receiver was told of: when, from what, to what."""
    told = [
        (one.told_at, one.move)
        for one in await scene.ledger.read_owed(M)
        if one.receiver == receiver and one.told_at is not None and one.move is not None
    ]
    return [
        f"{at:%d %H:%M} {edtf(move.before)} > {edtf(move.after)}"
        for at, move in sorted(told, key=lambda one: one[0])
    ]


def edtf(values: tuple[Value, ...]) -> str:
    return " ".join(value.edtf for value in values)


async def test_move_cancels_the_old_ladder_and_arms_the_new_one(ledger: Ledger) -> None:
    """What is pending of the old window is cancelled, the new window's is armed, what was sent stays."""
    scene = await told_of(ledger)

    report = await scene.change("2026-09-25", a_milestone(M, B))

    states = await scene.states(M)
    old, new = "2026-09-30/2026-10-01", "2026-10-31/2026-11-01"
    assert report.moved == [M]
    assert [states[f"{old} {one}"] for one in ("-7d", "-1d", "0d", "+28d")] == ["bound"] + ["cancelled"] * 3
    assert [states[f"{new} {one}"] for one in ("-30d", "-7d", "0d")] == ["pending"] * 3
    assert states["moved"] == "pending"


@pytest.mark.wording
async def test_whoever_was_told_is_told_once_from_what_to_what(ledger: Ledger) -> None:
    """One moved message, after the damping time: from, to, by how much, on whose word."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M, a_claim(B, REUTERS)))
    await scene.until("2026-10-26")

    headline = next(one.message.items[0].headline for one in scene.log if one.lines()[0].endswith("moved"))
    assert await moves(scene) == [f"25 01:00 {A} > {B}"]
    assert all(
        part in headline for part in ("30 September 2026", "31 October 2026", "31 days later", "Reuters")
    )
    assert scene.told("desk", since="2026-09-25") == [
        "2026-09-25T01:00 t/m moved",
        "2026-10-01T09:00 t/m -30d",
        "2026-10-24T09:00 t/m -7d",
    ]
    assert [one.kind for one in await ledger.read_history(M)] == ["moved", "loaded"]
    assert (await ledger.read_history(M))[0].facts == {
        "from": "by 30 September 2026",
        "to": "by 31 October 2026",
        "from_windows": "2026-09-30/2026-10-01",
        "to_windows": "2026-10-31/2026-11-01",
    }


async def test_move_is_told_in_place_of_what_is_past_of_the_new_ladder(ledger: Ledger) -> None:
    """A moved message says where the new date stands: what is past of its ladder is not sent as well."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M, "2026-09-27"))
    await scene.until("2026-09-26T12:00")

    assert offsets(scene.told("desk")) == ["-7d", "moved", "-1d"]
    assert (await scene.states(M))["2026-09-27/2026-09-28 -7d"] == "superseded"


@pytest.mark.parametrize(
    ("first", "then", "count"),
    [
        ("2028-09-30", "2028-10-31", 0),  # neither is near
        ("2028-09-30", "2026-11-30", 1),  # the new one is
        ("2026-12-20", "2028-10-31", 1),  # the old one is
    ],
)
async def test_untold_move_is_news_within_the_horizon_only(
    ledger: Ledger, first: str, then: str, count: int
) -> None:
    """Where nobody was told anything, a move is told only if either date is within the policy's reach."""
    scene = Scene(ledger, at="2026-09-21")
    scene.define(a_milestone(M, first))
    await scene.reconcile()

    # No turn in between: what fell due has not been looked at yet.
    scene.define(a_milestone(M, then))
    await scene.reconcile(at="2026-09-22")
    await scene.until("2026-09-23")

    assert len(await moves(scene)) == count


async def test_flip_back_within_the_damping_time_says_nothing(ledger: Ledger) -> None:
    """A window that comes back before the damping time is over says nothing, and is armed as before."""
    scene = await told_of(ledger)
    before = {key: state for key, state in (await scene.states(M)).items() if key != "moved"}

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:30", a_milestone(M, A))
    await scene.until("2026-09-30T12:00")

    assert await moves(scene) == []
    assert offsets(scene.told("desk")) == ["-7d", "-1d", "0d"]
    after = await scene.states(M)
    assert all(after[key] in (state, "bound") for key, state in before.items())


async def test_flip_back_of_what_was_reminded_of_in_between_is_told(ledger: Ledger) -> None:
    """Whoever was reminded of the date that was there for a moment hears that it is another one, once."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25T08:50", a_milestone(M, "2026-09-26"))
    await scene.until("2026-09-25T09:05")
    assert offsets(scene.told("desk"))[-1] == "-1d"

    await scene.change("2026-09-25T09:10", a_milestone(M, A))
    await scene.until("2026-09-28")

    assert await moves(scene) == ["25 10:10 2026-09-26 > 2026-09-30"]


async def test_flip_back_is_sent_what_fell_due_in_between(ledger: Ledger) -> None:
    """What fell due while the file said something else for a moment is not lost."""
    scene = await told_of(ledger)

    await scene.change("2026-09-29T08:45", a_milestone(M, B))
    await scene.change("2026-09-29T09:15", a_milestone(M, A))
    await scene.until("2026-09-29T12:00")

    assert scene.told("desk") == ["2026-09-24T00:00 t/m -7d", "2026-09-29T09:15 t/m -1d"]


async def test_several_moves_within_the_damping_time_are_told_as_one(ledger: Ledger) -> None:
    """A, B, C within the damping time are told as A to C, once, an hour after the first of them."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:50", a_milestone(M, C))
    await scene.until("2026-09-26")

    assert await moves(scene) == [f"25 01:00 {A} > {C}"]


async def test_move_back_that_was_told_is_told(ledger: Ledger) -> None:
    """After B was told, going back to A is a move like any other; so is B again after that."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T02:00", a_milestone(M, A))
    await scene.change("2026-09-25T04:00", a_milestone(M, B))
    await scene.until("2026-09-26")

    assert await moves(scene) == [f"25 01:00 {A} > {B}", f"25 03:00 {B} > {A}", f"25 05:00 {A} > {B}"]


async def test_each_receiver_is_told_from_what_it_knows(ledger: Ledger) -> None:
    """When one receiver heard of B and another could not, each is told of the next date from its own last."""
    config = a_config(
        "desk", "leads", route=replace(ROOT, routes=(route_to("desk", go_on=True), route_to("leads")))
    )
    scene = await told_of(ledger, config=config)
    await scene.change("2026-09-25", a_milestone(M, B))
    scene.recorder("leads/hook").answers = [Rejected(reason="gone")]
    await scene.until("2026-09-25T02:00")

    await scene.change("2026-09-26", a_milestone(M, C))
    await scene.until("2026-09-27")

    assert await moves(scene, "desk") == [f"25 01:00 {A} > {B}", f"26 01:00 {B} > {C}"]
    assert await moves(scene, "leads") == [f"26 01:00 {A} > {C}"]


async def test_move_back_while_the_news_is_on_its_way_is_told(ledger: Ledger) -> None:
    """When nobody knows whether B has arrived, going back to A is told: silence could leave B standing."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25", a_milestone(M, B))
    scene.recorder().answers = [Retry(reason="no answer", unknown=True)]
    await scene.until("2026-09-25T01:00")

    scene.define(a_milestone(M, A))
    await scene.reconcile()
    await scene.until("2026-09-26")

    assert await moves(scene) == [f"25 02:00 {B} > {A}"]


async def test_move_is_told_though_the_old_date_was_acknowledged(ledger: Ledger) -> None:
    """An acknowledgement was given to a date: the move is told, and the new date reminds."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.ACK, M, until="2026-12-01")

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.until("2026-10-02")

    assert offsets(scene.told("desk")) == ["-7d", "moved", "-30d"]


async def test_news_is_told_to_whoever_was_told_though_no_route_names_them(ledger: Ledger) -> None:
    """A receiver that was told of the old date hears of the move even when routes keep moves from it."""
    other = replace(route_to("leads"), matchers=route_to("x", 'cause="moved"').matchers)
    config = a_config("desk", "leads", route=replace(ROOT, routes=(other,)))
    scene = await told_of(ledger, config=config)

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.until("2026-09-26")

    assert await moves(scene, "desk") == await moves(scene, "leads") == [f"25 01:00 {A} > {B}"]


@pytest.mark.parametrize(
    ("claims", "after"),
    [
        # one more claim of the best rank
        ([a_claim(A), a_claim(B, REUTERS)], f"{A} {B}"),
        # a claim that is preferred takes the others' place
        ([a_claim(A), a_claim(C, REUTERS, Rank.PREFERRED)], C),
        # the only live claim is deprecated, and another one given
        ([a_claim(A, MINISTER, Rank.DEPRECATED), a_claim(B, REUTERS)], B),
    ],
)
async def test_change_of_claims_is_a_move(ledger: Ledger, claims: list[Claim], after: str) -> None:
    """A claim that comes, or a rank that changes which claims are live, is told as what it is."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M, *claims))
    await scene.until("2026-09-25T02:00")

    assert await moves(scene) == [f"25 01:00 {A} > {after}"]


async def test_claim_that_is_taken_back_is_told(ledger: Ledger) -> None:
    """A contested claim that goes is told once, and its reminders go with it."""
    scene = await told_of(ledger, a_milestone(M, A, B))

    await scene.change("2026-09-25", a_milestone(M, A))
    await scene.until("2026-12-01")

    assert await moves(scene) == [f"25 01:00 {A} {B} > {A}"]
    assert offsets(scene.told("desk")) == ["-7d", "moved", "-1d", "0d", "+1d", "+7d", "+14d", "+28d"]


async def test_all_claims_taken_back_leave_no_date(ledger: Ledger) -> None:
    """A milestone without any claim owes nothing but the news of it."""
    scene = await told_of(ledger)

    await scene.change("2026-09-25", a_milestone(M))
    await scene.until("2027-01-01")

    assert offsets(scene.told("desk")) == ["-7d", "moved"]
    assert await ledger.find_next_wake(scene.now) is None


async def test_other_rule_for_contested_claims_is_no_move(ledger: Ledger) -> None:
    """A policy that picks other windows of the same claims changes what reminds: nobody said anything new."""
    scene = await told_of(ledger, a_milestone(M, A, C))

    report = await scene.change(
        "2026-09-25", a_milestone(M, A, C, policy=Policy(contested=Contested.EARLIEST))
    )
    await scene.until("2027-03-01")

    assert report.moved == []
    assert await moves(scene) == []
    assert offsets(scene.told("desk")) == ["-7d", "-1d", "0d", "+1d", "+7d", "+14d", "+28d"]
    assert (await scene.states(M))["2026-12-31/2027-01-01 -1d"] == "cancelled"


@pytest.mark.parametrize("moved_on", [False, True])
async def test_withdrawal_within_the_damping_time_swallows_no_news(ledger: Ledger, *, moved_on: bool) -> None:
    """A milestone that goes and comes back still owes whoever knows the old date the new one."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:30")

    await scene.change("2026-09-26", a_milestone(M, C if moved_on else B))
    await scene.until("2026-09-27")

    assert await moves(scene) == [f"26 00:00 {A} > {C if moved_on else B}"]


async def test_what_was_told_counts_and_not_what_a_withdrawal_called_off(ledger: Ledger) -> None:
    """After a move that was withdrawn and another that was told, the next ones start from what was told."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:10")
    await scene.change("2026-09-25T00:20", a_milestone(M, C))

    await scene.change("2026-09-25T02:00", a_milestone(M, B))
    await scene.change("2026-09-25T04:00", a_milestone(M, A))
    await scene.until("2026-09-26")

    assert await moves(scene) == [f"25 01:00 {A} > {C}", f"25 03:00 {C} > {B}", f"25 05:00 {B} > {A}"]


async def test_going_and_coming_twice_swallows_no_news(ledger: Ledger) -> None:
    """However often it goes and comes back with another date, the last one is told once it stays."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:10")
    await scene.change("2026-09-25T02:00", a_milestone(M, C))
    await scene.reconcile()
    scene.define()
    await scene.reconcile()

    await scene.change("2026-09-25T04:00", a_milestone(M, C))
    await scene.until("2026-09-26")

    assert await moves(scene) == [f"25 04:00 {A} > {C}"]


async def test_moved_and_returned_to_the_old_date_is_no_news(ledger: Ledger) -> None:
    """What returns from a withdrawal with the date that was told says nothing of the one in between."""
    scene = await told_of(ledger)
    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.change("2026-09-25T00:30")

    await scene.change("2026-09-26", a_milestone(M, A))
    await scene.until("2026-09-29T12:00")

    assert offsets(scene.told("desk")) == ["-7d", "-1d"]


@pytest.mark.parametrize("kind", [ActionKind.DONE, ActionKind.CANCEL])
async def test_move_of_what_is_closed_is_no_news(ledger: Ledger, kind: ActionKind) -> None:
    """The date of what is done or cancelled may move without a word."""
    scene = await told_of(ledger)
    more = {"done_on": "2026-09-24"} if kind is ActionKind.DONE else {}
    await scene.act(kind, M, **more)

    await scene.change("2026-09-25", a_milestone(M, B))
    await scene.until("2027-01-01")

    assert await moves(scene) == []


async def test_revision_counts_the_values(ledger: Ledger) -> None:
    """A record's revision is raised by one with each change of its windows, there and back."""
    scene = await told_of(ledger)
    records = []

    for minute, deadline in enumerate((B, A, A, C)):
        await scene.change(f"2026-09-25T00:{minute:02d}", a_milestone(M, deadline))
        records += [one for one in await ledger.read_records() if one.id == M]

    assert [one.revision for one in records] == [2, 3, 3, 4]
    assert records[-1].changed_at == when("2026-09-25T00:03")
    assert records[-1].loaded_at == when("2026-09-24")


# -- closed, and opened again


async def test_move_of_what_is_done_is_told_when_it_is_reopened(ledger: Ledger) -> None:
    """While it is done nobody wants to know; reopening brings the news, from what was known to what is."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.DONE, M, done_on="2026-09-24")
    await scene.change("2026-09-26", a_milestone(M, B))
    await scene.change("2026-09-28", a_milestone(M, C))
    await scene.until("2026-09-29")
    assert await moves(scene) == []

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-09-30")
    await scene.reconcile()
    await scene.until("2026-10-05")

    assert await moves(scene) == [f"29 00:00 {A} > {C}"]
    assert not scene.log[-1].message.items[0].late


async def test_cancelled_and_moved_back_is_no_news_when_it_is_reopened(ledger: Ledger) -> None:
    """The date is what everybody knows it to be."""
    scene = await told_of(ledger)
    await scene.act(ActionKind.CANCEL, M)
    await scene.change("2026-09-26", a_milestone(M, B))
    await scene.change("2026-09-28", a_milestone(M, A))

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-10-02")

    assert await moves(scene) == []


async def test_move_that_was_stopped_by_done_is_told_when_that_is_taken_back(ledger: Ledger) -> None:
    """It waited for the damping time when somebody said done by mistake."""
    scene = await told_of(ledger)
    await scene.change("2026-09-26", a_milestone(M, B))
    await scene.act(ActionKind.DONE, M, done_on="2026-09-26")
    await scene.until("2026-09-26T02:00")

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-09-28")

    assert await moves(scene) == [f"26 02:00 {A} > {B}"]


async def test_move_after_one_that_done_stopped_is_told_from_what_is_known(ledger: Ledger) -> None:
    """Nobody has heard of B: the message on reopening says A and C."""
    scene = await told_of(ledger)
    await scene.change("2026-09-26", a_milestone(M, B))
    await scene.act(ActionKind.DONE, M, done_on="2026-09-26")
    await scene.change("2026-09-27", a_milestone(M, C))

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-09-28")

    assert await moves(scene) == [f"27 01:00 {A} > {C}"]


async def test_retry_that_done_stopped_is_told_when_that_is_taken_back(ledger: Ledger) -> None:
    """It had been bound and not got through; its delivery was suppressed."""
    scene = await told_of(ledger)
    scene.recorder().answers += [Retry(reason="busy", after=HOUR)]
    await scene.change("2026-09-26", a_milestone(M, B))
    await scene.until("2026-09-26T01:30")
    await scene.act(ActionKind.DONE, M, done_on="2026-09-26")
    await scene.until("2026-09-26T03:00")

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-09-28")

    assert await moves(scene) == [f"26 03:00 {A} > {B}"]


async def test_reopening_what_was_never_told_says_nothing(ledger: Ledger) -> None:
    """A date years ahead moved while it was cancelled: nobody had heard of it, and nobody does."""
    scene = Scene(ledger, at="2026-09-24")
    scene.define(a_milestone(M, "2030-09-30"))
    await scene.reconcile()
    await scene.act(ActionKind.CANCEL, M)
    await scene.change("2026-09-26", a_milestone(M, "2031-09-30"))

    await scene.act(ActionKind.REOPEN, M)
    await scene.until("2026-10-02")

    assert scene.log == []


ALONE = a_config("desk")
WITH_LEADS = a_config(
    "desk", "leads", route=replace(ROOT, routes=(route_to("leads", go_on=True), route_to("desk")))
)


async def test_whoever_was_told_hears_of_a_move_that_an_older_configuration_found(ledger: Ledger) -> None:
    """In a rolling deploy the leader may not know who was told the old date. They are owed the news."""
    scene = await told_of(ledger, config=WITH_LEADS)
    scene.config = ALONE

    await scene.change("2026-09-25", a_milestone(M, B))
    scene.config = WITH_LEADS
    await scene.until("2026-09-25T02:00")

    assert await moves(scene, "leads") == [f"25 01:00 {A} > {B}"]
    assert await moves(scene, "desk") == [f"25 01:00 {A} > {B}"]


async def test_news_that_waits_is_not_called_off_by_a_configuration_without_its_receiver(
    ledger: Ledger,
) -> None:
    """The first move still waits when a leader that does not know the receiver finds a second one."""
    scene = Scene(ledger, at="2026-09-20", config=WITH_LEADS)
    scene.define(a_milestone(M, "2026-12-20"))
    await scene.reconcile()
    await scene.turn()
    await scene.change("2026-09-25", a_milestone(M, A))
    scene.config = ALONE

    await scene.change("2026-09-25T00:20", a_milestone(M, B))
    scene.config = WITH_LEADS
    await scene.until("2026-09-25T02:00")

    assert await moves(scene, "leads") == [f"25 01:00 2026-12-20 > {B}"]


async def test_whoever_was_told_hears_that_it_is_done_from_an_older_configuration(ledger: Ledger) -> None:
    """The person who says that it is done may do so on a machine whose files do not have the receiver."""
    scene = await told_of(ledger, config=WITH_LEADS)
    scene.config = ALONE

    await scene.act(ActionKind.DONE, M, done_on="2026-09-24")
    scene.config = WITH_LEADS
    await scene.turn()

    assert offsets(scene.told("leads")) == ["-7d", "done"]

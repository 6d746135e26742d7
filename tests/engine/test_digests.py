"""Digests, from the definitions to the message: what waits, what is shown, what an outage and a crash do."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.core.message.digest import HEADINGS
from alertd.core.message.message import Kind, Message
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import AwaitedDigest, PlainReason
from alertd.core.routing.digest import Digest
from alertd.core.routing.route import Quiet, Route
from alertd.core.time.duration import Duration
from alertd.core.time.interval import NamedInterval, Range, TimeInterval
from alertd.errors import LedgerError
from alertd.ports import Ledger
from tests.scene import (
    ROOT,
    UTC_ZONE,
    Scene,
    a_config,
    a_ledger,
    a_milestone,
    offsets,
    route_to,
    when,
)

M = "t/m"
A_DAY = Duration(days=1)
MONDAYS = Digest(weekdays=(0,), at=time(8), zone=UTC_ZONE)
DAILY = replace(MONDAYS, weekdays=tuple(range(7)))
WEEKLY_ROOT = replace(ROOT, digest=MONDAYS)


@pytest.fixture(params=["memory", "sql"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(request.param, tmp_path) as made:
        yield made


async def a_scene(
    ledger: Ledger, at: str, *milestones: Any, route: Route = WEEKLY_ROOT, loaded: str = "", **more: Any
) -> Scene:
    """Loaded in August and played to ``at``; what was told till then is not looked at."""
    scene = Scene(ledger, at=loaded or min(at, "2026-08-17T08:30"), config=a_config(route=route, **more))
    scene.define(*milestones)
    await scene.reconcile()
    await scene.until(at)
    scene.log.clear()
    return scene


def read(message: Message) -> list[str]:
    """``section: milestone offset`` of each item."""
    by_heading = {heading: section.value for section, heading in HEADINGS.items()}
    return [f"{by_heading[item.section]}: {item.milestone} {item.offset}" for item in message.items]


def at_of(scene: Scene) -> list[str]:
    return [f"{one.at:%Y-%m-%dT%H:%M}" for one in scene.log]


# -- what waits, and what is in it


async def test_reminders_wait_for_the_digest_and_come_as_one(ledger: Ledger) -> None:
    """What falls due in the week goes out on Monday, in one message, of each milestone the tightest."""
    a, b = a_milestone("t/a", "2026-10-01"), a_milestone("s/b", "2026-10-07")
    scene = await a_scene(ledger, "2026-09-28T08:30", a, b)

    await scene.until("2026-10-05T07:59")
    assert scene.told() == []
    waiting = next(one for one in await ledger.read_owed("t/a") if one.offset == "+1d")
    assert waiting.reason == AwaitedDigest(digest=MONDAYS.name)
    assert waiting.wake_at == when("2026-10-05T08:00")

    await scene.until("2026-10-05T08:00")

    (told,) = scene.log
    assert told.message.kind is Kind.DIGEST
    assert read(told.message) == ["overdue: t/a +1d", "coming: s/b -7d"]
    assert await scene.offsets("t/a", "superseded") == ["-1d", "0d"]
    assert [one.told_at for one in await ledger.read_owed("t/a") if one.offset == "+1d"] == [scene.now]


async def test_overview_shows_what_has_no_reminder_of_its_own(ledger: Ledger) -> None:
    """A digest shows the whole picture: also what is overdue and told already, and what comes."""
    late = a_milestone("t/late", "2026-08-20")
    near = a_milestone("t/near", "2026-10-15")
    far = a_milestone("t/far", "2026-10-20")
    scene = await a_scene(ledger, "2026-09-28T08:30", late, near, far)

    await scene.until("2026-10-05T08:00")

    (told,) = scene.log
    assert read(told.message) == ["overdue: t/late +28d", "coming: t/near -30d"]
    assert all(not item.keys and not item.late for item in told.message.items)


@pytest.mark.wording
async def test_the_words_of_a_digest(ledger: Ledger) -> None:
    """Its subject counts what is in it, and each item says why it is there and what comes next."""
    late, near = a_milestone("t/late", "2026-08-20"), a_milestone("t/near", "2026-10-15")
    scene = await a_scene(ledger, "2026-09-28T08:30", late, near)

    await scene.until("2026-10-05T08:00")

    (told,) = scene.log
    assert told.message.subject == "Digest: 1 overdue, 1 coming up"
    assert told.message.items[0].why == (
        "Sent to desk by the root route, which takes everything: it is overdue."
    )
    assert (
        told.message.items[1].next
        == "Next reminder: 8 October 2026, 09:00 (UTC), 7 days before the deadline."
    )
    assert told.message.intro == (
        "What is overdue, what comes in the next 14 days, and what has changed since 28 September 2026."
    )


async def test_every_digest_repeats_what_is_still_overdue(ledger: Ledger) -> None:
    """Each one shows the whole picture again, under an id of its own, until it is done."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-08-20"))

    await scene.until("2026-10-13")
    await scene.act(ActionKind.DONE, M, done_on="2026-10-12")
    await scene.until("2026-10-27")

    assert [(f"{one.at:%m-%dT%H}", *read(one.message)) for one in scene.log] == [
        ("10-05T08", "overdue: t/m +28d"),
        ("10-12T08", "overdue: t/m +28d"),
        ("10-19T08", "done: t/m done"),
    ]
    assert len({one.message.id for one in scene.log}) == 3


@pytest.mark.wording
async def test_no_message_when_there_is_nothing_to_say(ledger: Ledger) -> None:
    """An empty digest is not sent, unless the route asks for it."""
    milestone = a_milestone(M, "2027-09-01")
    quiet = await a_scene(ledger, "2026-09-28", milestone)
    await quiet.until("2026-10-27")
    assert quiet.log == []

    asked = replace(ROOT, digest=replace(MONDAYS, even_if_empty=True))
    quiet.config = a_config(route=asked)
    await quiet.reconcile()
    await quiet.until("2026-11-03")

    (told,) = quiet.log
    assert (told.message.kind, told.message.items) == (Kind.DIGEST, ())
    (line,) = told.message.lines
    assert line == (
        "Nothing is overdue, nothing comes in the next 14 days, "
        "and nothing has changed since 26 October 2026."
    )


async def test_what_moved_and_what_is_done_wait_too(ledger: Ledger) -> None:
    """News of a digest's route is in the digest: where it was and where it is, and what came about."""
    a, b = a_milestone("t/a", "2026-10-30"), a_milestone("t/b", "2026-10-20")
    scene = await a_scene(ledger, "2026-09-21T08:30", a, b)
    await scene.until("2026-09-29")
    await scene.change("2026-09-30", a_milestone("t/a", "2026-12-30"), b)
    await scene.act(ActionKind.DONE, "t/b", done_on="2026-09-30")

    await scene.until("2026-10-05T08:00")

    assert read(scene.log[-1].message) == ["moved: t/a moved", "done: t/b done"]
    assert at_of(scene) == ["2026-10-05T08:00"]


async def test_acknowledged_and_snoozed_are_left_out(ledger: Ledger) -> None:
    """Who has said that he knows is not told again; when it expires, it is back in the next digest."""
    a, b = a_milestone("t/a", "2026-08-20"), a_milestone("t/b", "2026-08-20")
    scene = await a_scene(ledger, "2026-09-28T08:30", a, b)
    await scene.act(ActionKind.ACK, "t/a", until="2026-10-10")
    await scene.act(ActionKind.SNOOZE, "t/b", until="2026-10-06")

    await scene.until("2026-10-13")

    assert at_of(scene) == ["2026-10-12T08:00"]
    assert read(scene.log[0].message) == ["overdue: t/a +28d", "overdue: t/b +28d"]


async def test_what_was_over_long_before_it_was_loaded_is_history(ledger: Ledger) -> None:
    """Importing last year's milestones fills no digest."""
    scene = await a_scene(
        ledger, "2026-09-28T08:30", *(a_milestone(f"t/m{n}", "2025-06-01") for n in range(9))
    )

    await scene.until("2026-10-06")

    assert scene.log == []


async def test_of_a_series_the_last_that_has_passed_is_shown(ledger: Ledger) -> None:
    """A monthly duty that nobody ticks off is one line, not one for each month that has passed."""
    series = a_milestone(M, "2026-06-01", every="FREQ=MONTHLY;BYMONTHDAY=1", policy=Policy(after=(A_DAY,)))
    scene = await a_scene(ledger, "2026-06-01T08:30", series)

    await scene.until("2026-11-02T08:00")

    sections = [line for line in read(scene.log[-1].message) if "overdue" in line]
    assert [line.split()[1] for line in sections] == ["t/m@2026-11-01"]
    assert len(await ledger.read_windows("desk", scene.now)) > 5


# -- who gets what


async def test_only_what_its_route_takes_is_in_it(ledger: Ledger) -> None:
    """What is overdue goes to the boss at once; the desk's digest has its own reminders, and none of that."""
    root = replace(
        WEEKLY_ROOT,
        routes=(route_to("boss", 'cause="overdue"'),),
    )
    scene = await a_scene(
        ledger, "2026-09-28T08:30", a_milestone("t/a", "2026-10-01"), a_milestone("t/b", "2026-10-12"),
        route=root, receivers=a_config("desk", "boss").receivers,
    )  # fmt: skip

    await scene.until("2026-10-05T08:00")

    assert scene.told("boss") == ["2026-10-02T09:00 t/a +1d"]
    assert read(scene.log[-1].message) == ["overdue: t/a 0d", "coming: t/b -30d"]

    await scene.until("2026-10-12T08:00")

    assert read(scene.log[-1].message) == ["coming: t/b -1d"]


async def test_routes_of_one_receiver_with_one_schedule_share_a_digest(ledger: Ledger) -> None:
    """Two routes whose digests come at the same times are one message, which looks as far as either."""
    root = replace(
        ROOT,
        routes=(
            route_to("desk", 'timeline="s"', digest=replace(MONDAYS, ahead=timedelta(days=2))),
            route_to("desk", 'timeline="t"', digest=MONDAYS),
        ),
    )
    scene = await a_scene(
        ledger, "2026-09-28T08:30", a_milestone("s/a", "2026-10-15"), a_milestone("t/b", "2026-10-15"),
        route=root,
    )  # fmt: skip

    await scene.until("2026-10-05T08:00")

    assert [read(one.message) for one in scene.log] == [["coming: s/a -30d", "coming: t/b -30d"]]


# -- when


async def test_what_falls_due_at_its_very_instant_is_in_it(ledger: Ledger) -> None:
    """A reminder of Monday, 08:00, is in the digest of Monday, 08:00, and not in the next."""
    milestone = a_milestone(M, "2026-10-12")
    at_eight = replace(milestone, policy=replace(milestone.policy, at=time(8)))
    scene = await a_scene(ledger, "2026-09-28T08:30", at_eight)

    await scene.until("2026-10-05T08:00")

    assert scene.told("desk") == ["2026-10-05T08:00 t/m -7d"]
    assert scene.log[0].message.items[0].keys


@pytest.mark.wording
async def test_an_outage_makes_one_digest_of_all_that_were_missed(ledger: Ledger) -> None:
    """Three Mondays missed are one digest, that says how late it is; the next comes on its own day."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-12"))
    scene.clock.advance(when("2026-10-21T10:00"))

    await scene.until("2026-10-26T08:00")

    assert [(line, one.message.kind) for one in scene.log for line in one.lines()] == [
        ("2026-10-21T10:00 desk t/m +7d", Kind.DIGEST),
        ("2026-10-26T08:00 desk t/m +7d", Kind.DIGEST),
    ]
    assert (
        "This digest was due on 5 October 2026, 08:00 (UTC) and comes 16 days late."
        in scene.log[0].message.intro
    )
    assert scene.log[0].message.items[0].keys
    assert not scene.log[1].message.items[0].keys


async def test_midnight_that_does_not_exist_is_no_day_without_a_digest(ledger: Ledger) -> None:
    """In Cairo the clocks went from 24 April 2026, 00:00 to 01:00: the digest of midnight comes then."""
    midnight = replace(DAILY, at=time(0), zone=ZoneInfo("Africa/Cairo"))
    scene = await a_scene(
        ledger, "2026-04-22T00:00", a_milestone(M, "2026-03-30"), route=replace(ROOT, digest=midnight)
    )

    await scene.until("2026-04-26T00:00")

    assert at_of(scene) == ["2026-04-22T22:00", "2026-04-23T22:00", "2026-04-24T21:00", "2026-04-25T21:00"]


async def test_quiet_hours_move_a_digest_or_leave_it_to_the_next(ledger: Ledger) -> None:
    """On a quiet weekend a daily digest is left out: Monday's says it all."""
    weekend = NamedInterval(
        name="all Saturday and Sunday (UTC)",
        intervals=(TimeInterval(weekdays=(Range(first=6, last=6), Range(first=0, last=0))),),
    )
    root = replace(ROOT, digest=DAILY, quiet={"desk": Quiet(hours=weekend)})
    scene = await a_scene(ledger, "2026-10-02T08:30", a_milestone(M, "2026-09-20"), route=root)

    await scene.until("2026-10-06T07:00")

    assert at_of(scene) == ["2026-10-05T08:00"]

    saturdays = replace(root, digest=replace(MONDAYS, weekdays=(5,)))
    scene.config = a_config(route=saturdays)
    await scene.reconcile()
    await scene.until("2026-10-13")

    assert at_of(scene)[1:] == ["2026-10-12T00:00"]


async def test_reminder_of_a_snoozed_milestone_waits_for_the_digest_after(ledger: Ledger) -> None:
    """The end of a snooze is not the end of waiting: it goes out with the next digest."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-05"))
    await scene.act(ActionKind.SNOOZE, M, until="2026-10-07")

    await scene.until("2026-10-12T08:00")

    assert scene.told("desk") == ["2026-10-12T08:00 t/m +1d"]


# -- the configuration changes


async def test_without_its_digest_what_waited_goes_out(ledger: Ledger) -> None:
    """When a route has no digest any more, what waited for it is sent at once, and nothing on Monday."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-01"))
    await scene.until("2026-09-30T12:00")
    scene.config = a_config()

    await scene.reconcile()
    await scene.until("2026-10-06T08:00")

    assert offsets(scene.told("desk")) == ["-1d", "0d", "+1d"]
    assert await ledger.read_digests() == []


async def test_another_schedule_takes_over_what_waited(ledger: Ledger) -> None:
    """Daily instead of weekly: what waited for Monday is in tomorrow's."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-01"))
    await scene.until("2026-09-30T12:00")
    scene.config = a_config(route=replace(ROOT, digest=DAILY))

    await scene.reconcile()
    await scene.until("2026-10-01T08:00")

    assert scene.told("desk") == ["2026-10-01T08:00 t/m -1d"]


async def test_reconciling_again_changes_nothing(ledger: Ledger) -> None:
    """What is owed next stays, however often the files are read."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-01"))
    before = await ledger.read_digests()

    await scene.until("2026-10-02")
    await scene.reconcile()

    assert await ledger.read_digests() == before
    assert [(one.at, one.since) for one in before] == [(when("2026-10-05T08:00"), when("2026-09-28T08:00"))]


# -- the promise


async def test_retry_says_what_is_true_by_then_under_the_same_id(ledger: Ledger) -> None:
    """A digest that is tried again keeps its id and its reminders; what is done meanwhile is left out."""
    a, b = a_milestone("t/a", "2026-10-01"), a_milestone("t/b", "2026-08-20")
    scene = await a_scene(ledger, "2026-09-28T08:30", a, b)
    scene.recorder().answers += [Retry(reason="busy", after=timedelta(hours=1))]
    await scene.until("2026-10-05T08:30")
    await scene.act(ActionKind.DONE, "t/b", done_on="2026-10-05")

    await scene.until("2026-10-05T12:00")

    first, second = scene.log
    assert first.message.id == second.message.id
    assert read(first.message) == ["overdue: t/b +28d", "overdue: t/a +1d"]
    assert read(second.message) == ["overdue: t/a +1d"]


async def test_digest_of_which_nothing_is_true_any_more_is_not_sent(ledger: Ledger) -> None:
    """All that it showed is done before it got through: it is suppressed, with the reason."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-08-20"))
    scene.recorder().answers += [Retry(reason="busy", after=timedelta(hours=1))]
    await scene.until("2026-10-05T08:30")
    await scene.act(ActionKind.DONE, M, done_on="2026-10-05")

    await scene.until("2026-10-05T12:00")

    delivery, _, _ = (await ledger.find_deliveries())[0]
    assert (delivery.state, delivery.reason) == ("suppressed", PlainReason.NOTHING_LEFT)


@pytest.mark.wording
async def test_dead_digest_goes_to_the_fallback(ledger: Ledger) -> None:
    """With all that it shows."""
    receivers = a_config("desk", "post").receivers
    scene = await a_scene(
        ledger, "2026-09-28T08:30", a_milestone("t/a", "2026-10-01"), a_milestone("t/b", "2026-08-20"),
        receivers=receivers, fallback_receiver="post",
    )  # fmt: skip
    scene.recorder().answers += [Rejected(reason="no")]

    await scene.until("2026-10-05T08:00")

    message = scene.log[-1].message
    assert (message.receiver, message.kind) == ("post", Kind.DIGEST)
    assert read(message) == ["overdue: t/b +28d", "overdue: t/a +1d"]
    assert message.intro.startswith("You get this in place of desk/hook")


@pytest.mark.wording
async def test_operator_hears_of_a_dead_digest(ledger: Ledger) -> None:
    """Also of one that carried no reminder: which it was, and how to send it again."""
    scene = await a_scene(
        ledger, "2026-09-28T08:30", a_milestone("t/b", "2026-08-20"),
        receivers=a_config("desk", "ops").receivers, operator="ops",
    )  # fmt: skip
    scene.recorder().answers += [Rejected(reason="no")]

    await scene.until("2026-10-05T08:00")

    assert scene.log[-1].message.lines[2] == "It was the digest of 5 October 2026."


async def test_many_reminders_are_several_messages(ledger: Ledger) -> None:
    """A message carries 200 at most; the first one shows the rest of the picture too. None is lost."""
    scene = await a_scene(
        ledger, "2026-09-28T08:30", *(a_milestone(f"t/m{n:03}", "2026-10-01") for n in range(450)),
        a_milestone("t/old", "2026-08-20"),
    )  # fmt: skip

    await scene.until("2026-10-05T08:00")

    assert sorted(len(one.message.items) for one in scene.log) == [50, 200, 201]
    assert len({item.milestone for one in scene.log for item in one.message.items}) == 451


class Crash(Exception):
    """The process dies."""


class Crashing:
    """A ledger that dies at one call of a method, before or after that has been done."""

    def __init__(self, ledger: Ledger, name: str, *, after: bool) -> None:
        self._ledger, self._name, self._after = ledger, name, after
        self.died = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)
        if name != self._name or self.died:
            return method

        async def dies(*args: Any, **more: Any) -> Any:
            self.died = True
            if self._after:
                await method(*args, **more)
            raise Crash

        return dies


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "name", ["read_digests", "read_windows", "read_records_by_id", "read_held", "bind", "lease", "settle"]
)
async def test_a_crash_anywhere_loses_no_digest(ledger: Ledger, name: str, after: bool) -> None:
    """Whatever call the process dies in, the digest is sent, and always under one id."""
    scene = await a_scene(
        ledger, "2026-09-28T08:30", a_milestone("t/a", "2026-10-01"), a_milestone("t/b", "2026-08-20")
    )
    await scene.until("2026-10-05T07:59")
    scene.clock.advance(when("2026-10-05T08:00"))
    crashing = Crashing(ledger, name, after=after)
    scene.ledger = crashing

    with pytest.raises(Crash):
        await scene.turn()
    scene.clock.advance(when("2026-10-05T08:10"))
    await scene.turn()

    assert crashing.died
    assert {one.message.id for one in scene.log} == {scene.log[0].message.id}
    assert len(scene.log) == (2 if name == "settle" and not after else 1)
    assert read(scene.log[-1].message) == ["overdue: t/b +28d", "overdue: t/a +1d"]


async def test_of_two_nodes_one_makes_it(ledger: Ledger) -> None:
    """Both find it due; the second finds that it has been made."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-01"))
    await scene.until("2026-10-05T07:59")
    scene.clock.advance(when("2026-10-05T08:00"))
    one, two = scene.binder(), scene.binder()
    (owed,) = await ledger.read_digests()

    first = await one._bind_digest(owed, scene.now)
    second = await two._bind_digest(owed, scene.now)

    assert (len(first.deliveries), len(second.deliveries)) == (1, 0)
    assert second.more
    await scene.turn()
    assert len(scene.log) == 1


async def test_digest_in_the_ledger_is_not_lost_with_a_failing_reconcile(ledger: Ledger) -> None:
    """A ledger that fails while files are read leaves what is owed next as it was."""
    scene = await a_scene(ledger, "2026-09-28T08:30", a_milestone(M, "2026-10-01"))

    class Failing:
        def __getattr__(self, name: str) -> Any:
            if name != "read_digests":
                return getattr(ledger, name)

            async def fails() -> Any:
                raise LedgerError("no disk")

            return fails

    scene.ledger = Failing()
    scene.config = a_config(route=replace(ROOT, digest=DAILY))
    with pytest.raises(LedgerError):
        await scene.reconcile()

    assert [one.name for one in await ledger.read_digests()] == [MONDAYS.name]

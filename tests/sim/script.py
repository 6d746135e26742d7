"""What goes on around the machines: files edited, things said, plugs pulled, clocks set; all by the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from tests.sim.expected import rungs_of
from tests.sim.facts import Outage
from tests.sim.people import Person
from tests.sim.profile import Profile
from tests.sim.spec import CHANNELS, DESK, OPS, Files, Follower, Spec, days_of

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import SimWorld

ZONES = ("Asia/Baghdad", "Asia/Baghdad", "Europe/Berlin", "America/New_York")
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
GLIMPSE_S = 200.0
"""Less than it takes to confirm a step of the clock."""


def first_files(luck: random.Random, profile: Profile, start: datetime) -> Files:
    """The folder as it is when everything begins."""
    specs = []
    for number in range(profile.milestones):
        spec = Spec(
            id=f"{'ab'[number % 2]}/m{number}",
            deadlines=_deadlines(luck, start.date(), profile),
            zone=luck.choice(ZONES),
            ladder=luck.choice(profile.ladders),
        )
        specs.append(spec)
    specs = sorted(specs, key=lambda one: one.id)
    followers = tuple(
        Follower(id=f"c/r{number}", base=specs[number % len(specs)].id, days=3 + 9 * number)
        for number in range(profile.followers)
    )
    return Files(specs=tuple(specs), followers=followers, rules=profile.rules)


def _deadlines(luck: random.Random, start: date, profile: Profile) -> tuple[str, ...]:
    made = [_deadline(luck, start, profile)]
    if luck.random() < 0.25:
        made.append(_deadline(luck, start, profile))
    return tuple(dict.fromkeys(made))


def _deadline(luck: random.Random, start: date, profile: Profile) -> str:
    day = start + timedelta(days=luck.randint(-10, profile.days))
    return day.isoformat() if luck.random() < 0.7 else day.isoformat()[:7]


class Script:
    """Draws when and what, and does it."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._luck = world.random
        self._person = Person(world)

    def schedule(self) -> None:
        world, profile = self._world, self._world.profile
        for _ in range(profile.edits):
            world.at(self._moment(), self._edit)
        for _ in range(profile.people):
            world.at(self._moment(), self._person.speak)
        for _ in range(profile.kills):
            node = self._luck.choice(world.nodes)
            world.at(self._moment(), lambda node=node: self._kill([node]))  # type: ignore[misc]
        for _ in range(profile.outages):
            world.at(self._moment(), lambda: self._kill(list[object](world.nodes)))
        for _ in range(profile.silences):
            world.at(self._moment(), self._silence)
        for _ in range(profile.hangings):
            world.at(self._moment(), self._hang_channel)
        for _ in range(profile.reloads):
            world.at(self._moment_before(), self._plan_all_again)
        for _ in range(profile.steps):
            world.at(self._moment(), self._step)
        for _ in range(profile.glimpses):
            world.at(self._moment(), self._glimpse)
        for _ in range(profile.dead_ledgers):
            world.at(self._moment(), self._cut_off)
        for _ in range(profile.full_ledgers):
            world.at(self._moment(), self._fill)
        for _ in range(profile.deploys):
            node = self._luck.choice(world.nodes[1:])
            world.at(self._moment(), node.deploy)
        for _ in range(profile.forgettings):
            world.at(self._moment_for_leads(), self._forget)
        for _ in range(profile.hangs):
            world.at(self._moment(), self._hang)
        for _ in range(profile.zone_gaps):
            world.at(self._moment(), self._lose_zone)
        if profile.poison:
            spec = self._luck.choice(world.files.specs)
            world.poison = spec.id, self._luck.choice(CHANNELS[DESK])
            world.facts.poison = world.poison
        for _ in range(profile.freezes):
            world.at(self._moment(), self._freeze)
        for _ in range(profile.deafness):
            world.at(self._moment(), self._deafen)
        if profile.restarts:
            self._restart_again_and_again(profile.restarts)

    def interrupt(self, node: Node, milestones: list[str]) -> None:
        """Do something to what a node has just leased ahead, within the time for which it waits."""
        world, luck = self._world, self._luck
        if luck.random() < 0.3:
            world.later(luck.uniform(0.0, 0.1), node.ask_to_stop)
            world.later(luck.uniform(30.0, 300.0), node.switch_on)
        else:
            name = luck.choice(milestones)
            world.later(luck.uniform(0.0, 0.2), lambda: self._person.speak(name))

    def _moment(self) -> datetime:
        """Any time at all, or just before or after a reminder is due, or right in the middle of it."""
        facts, luck = self._world.facts, self._luck
        span_s = (facts.heals - facts.begins).total_seconds() - 2 * DAY_S
        anywhere = facts.begins + timedelta(seconds=DAY_S + luck.random() * span_s)
        if luck.random() < 0.4:
            return anywhere
        due = [
            rung.at
            for spec in self._world.files.specs
            for rung in rungs_of(spec)
            if facts.begins + timedelta(days=1) < rung.at < facts.heals - timedelta(days=1)
        ]
        if not due:
            return anywhere
        spread_s = luck.choice((0.2, 3.0, 60.0, 1800.0))
        return luck.choice(due) + timedelta(seconds=luck.gauss(0.0, spread_s))

    def _moment_before(self) -> datetime:
        """So shortly before something is due that it falls due while all is planned again."""
        profile = self._world.profile
        takes_s = profile.planning_s * profile.milestones
        facts, luck = self._world.facts, self._luck
        due = [
            rung.at
            for spec in self._world.files.specs
            for rung in rungs_of(spec)
            if facts.begins + timedelta(days=1) < rung.at < facts.heals - timedelta(hours=1)
        ]
        return luck.choice(due) - timedelta(seconds=luck.uniform(0.0, takes_s)) if due else self._moment()

    def _moment_for_leads(self) -> datetime:
        """Some time before something is due for the leads, or any time at all."""
        facts, luck = self._world.facts, self._luck
        due = [
            rung.at
            for spec in self._world.files.specs
            for rung in rungs_of(spec)
            if rung.cause == "overdue"
            and facts.begins + timedelta(days=2) < rung.at < facts.heals - timedelta(days=2)
        ]
        before = timedelta(seconds=luck.choice((60.0, 600.0, 1800.0)))
        return luck.choice(due) - before if due else self._moment()

    # -- files

    def _plan_all_again(self) -> None:
        """Have everything planned again: because the configuration, or the titles have changed, while running or while off."""
        world, luck = self._world, self._luck
        files = world.files
        if luck.random() < 0.35:
            self._move_all_and_back()
            return
        if luck.random() < 0.3:
            retitled = tuple(replace(one, title=one.title + "!") for one in files.specs)
            world.write(replace(files, specs=retitled), "all titled")
            return
        node = luck.choice(world.nodes)
        if luck.random() < 0.3 and node.is_idle:
            self._kill([node], down_s=luck.uniform(0.1, 20.0))
        rules = replace(files.rules, edition=files.rules.edition + 1)
        world.write(replace(files, rules=rules), f"edition {rules.edition}")

    def _move_all_and_back(self) -> None:
        """All dates of a timeline move. While that is planned the files are as they were again, perhaps after a kill."""
        world, luck = self._world, self._luck
        timeline = luck.choice("ab")
        before = [spec for spec in world.files.specs if spec.timeline == timeline]
        moved = [replace(spec, deadlines=(self._other(spec), *spec.deadlines[1:])) for spec in before]
        self._write_all(moved, f"all of {timeline} moved")
        node = luck.choice(world.nodes)

        def take_back() -> None:
            if node.is_idle and luck.random() < 0.7:
                self._kill([node], down_s=luck.uniform(0.1, 20.0))
            self._write_all(before, f"all of {timeline} moved back")

        world.later(luck.uniform(3.0, world.profile.planning_s * world.profile.milestones), take_back)

    def _edit(self) -> None:
        luck, files = self._luck, self._world.files
        edits = (
            self._move, self._move, self._move, self._flip, self._flip, self._withdraw, self._claim, self._title,
            self._ladder, self._route, self._half_write, self._break, self._zone,
        )  # fmt: skip
        if not files.specs:
            return
        luck.choice(edits)(luck.choice(files.specs))

    def _move(self, spec: Spec) -> None:
        self._write(replace(spec, deadlines=(self._other(spec), *spec.deadlines[1:])), "moved")

    def _flip(self, spec: Spec) -> None:
        """There, and back again: within the damping time, or after it."""
        self._move(spec)
        back_s = self._luck.choice((3.0, 20.0, 1200.0, 3500.0, 3700.0, 3 * DAY_S))
        self._world.later(back_s, lambda: self._write(spec, "flipped back"))

    def _withdraw(self, spec: Spec) -> None:
        world = self._world
        if any(one.base == spec.id for one in world.files.followers):
            # A file whose deadlines count from what is nowhere would be refused.
            return
        world.write(world.files.without(spec.id), f"{spec.id} withdrawn")
        if self._luck.random() < 0.7:
            returns_s = self._luck.choice((30.0, 1800.0, 5 * DAY_S))
            self._world.later(returns_s, lambda: self._write(spec, "returned"))

    def _claim(self, spec: Spec) -> None:
        if len(spec.deadlines) > 1:
            self._write(replace(spec, deadlines=spec.deadlines[self._luck.randint(0, 1) :][:1]), "settled")
        else:
            self._write(replace(spec, deadlines=(*spec.deadlines, self._other(spec))), "contested")

    def _title(self, spec: Spec) -> None:
        self._write(replace(spec, title=spec.title + "!"), "titled")

    def _ladder(self, spec: Spec) -> None:
        ladders = dict.fromkeys(self._world.profile.ladders)
        self._write(replace(spec, ladder=self._luck.choice([*ladders])), "ladder")

    def _zone(self, spec: Spec) -> None:
        if spec.zone == "Asia/Baghdad":
            self._write(
                replace(spec, shift_min=0 if spec.shift_min else self._luck.choice((-60, 60, 30))), "tzdata"
            )

    def _route(self, _spec: Spec) -> None:
        files = self._world.files
        rules = replace(files.rules, leads=not files.rules.leads)
        self._world.write(replace(files, rules=rules), f"routes leads={rules.leads}")

    def _half_write(self, spec: Spec) -> None:
        """An editor that takes its time: the file cannot be read until it is whole."""
        world = self._world
        world.write(
            replace(world.files, broken=world.files.broken | {spec.timeline}), f"{spec.timeline} half written"
        )
        world.later(self._luck.choice((0.5, 1.5, 8.0)), lambda: self._mend(spec))
        self._move(spec)

    def _break(self, spec: Spec) -> None:
        world = self._world
        if self._luck.random() < 0.3:
            world.write(replace(world.files, config_broken=True), "alertd.yaml broken")
        else:
            broken = world.files.broken | {spec.timeline}
            world.write(replace(world.files, broken=broken), f"{spec.timeline} broken")
        world.later(self._luck.choice((60.0, 6 * HOUR_S)), lambda: self._mend(spec))

    def _mend(self, spec: Spec) -> None:
        world = self._world
        whole = replace(world.files, broken=world.files.broken - {spec.timeline}, config_broken=False)
        world.write(whole, f"{spec.timeline} mended")

    def _write(self, spec: Spec, what: str) -> None:
        self._world.write(self._world.files.with_spec(spec), f"{spec.id} {what} {', '.join(spec.deadlines)}")

    def _write_all(self, specs: Sequence[Spec], what: str) -> None:
        files = self._world.files
        for spec in specs:
            files = files.with_spec(spec)
        self._world.write(files, what)

    def _other(self, spec: Spec) -> str:
        """Another date: often near, so that old and new reminders are close to each other."""
        luck = self._luck
        today = self._world.now().date()
        _, last = days_of(spec.deadlines[0])
        for _ in range(20):
            base = luck.choice((today, last))
            day = base + timedelta(days=luck.choice((-20, -8, -1, 1, 2, 7, 12, 30, 60)))
            text = day.isoformat() if luck.random() < 0.75 else day.isoformat()[:7]
            if text not in spec.deadlines:
                return text
        return (today + timedelta(days=77)).isoformat()

    # -- machines

    def _kill(self, nodes: list[object], down_s: float = 0.0) -> None:
        luck = self._luck
        if not down_s and len(nodes) == len(self._world.nodes):
            down_s = luck.choice((60.0, HOUR_S, 3 * DAY_S, 12 * DAY_S, 45 * DAY_S)) * luck.uniform(0.5, 1.2)
        elif not down_s:
            down_s = luck.choice((1.0, 30.0, HOUR_S, DAY_S))
        for node in self._world.nodes:
            if node in nodes:
                node.switch_off()
                self._world.later(down_s, node.switch_on)

    def _trouble_s(self) -> float:
        return self._luck.choice((120.0, 1500.0, 5 * HOUR_S))

    def _until(self, after_s: float) -> datetime:
        """So much later, and not later than everything heals."""
        return min(self._world.now() + timedelta(seconds=after_s), self._world.facts.heals)

    def _cut_off(self) -> None:
        """Disk full, database gone: nothing can be read or written."""
        world = self._world
        if world.ledger_is_dead:
            return
        ends = self._until(self._trouble_s())
        world.ledger_is_dead = True
        world.trace.add("ledger", "dead", f"until {ends}")
        world.facts.troubles.append(Outage(begins=world.now(), ends=ends))
        world.facts.unusable.append(Outage(begins=world.now(), ends=ends))
        world.at(ends, self._mend_ledger)

    def _mend_ledger(self) -> None:
        self._world.ledger_is_dead = False
        self._world.trace.add("ledger", "mended")

    def _fill(self) -> None:
        """Disk full: everything can be read, and nothing written."""
        world = self._world
        if world.ledger_is_full:
            return
        ends = self._until(self._trouble_s())
        world.ledger_is_full = True
        world.trace.add("ledger", "full", f"until {ends}")
        world.facts.troubles.append(Outage(begins=world.now(), ends=ends))
        world.facts.unwritable.append(Outage(begins=world.now(), ends=ends))
        world.at(ends, self._make_room)

    def _make_room(self) -> None:
        self._world.ledger_is_full = False
        self._world.trace.add("ledger", "has room")

    def _lose_zone(self) -> None:
        """A machine with an older zone database, until somebody installs a newer one."""
        world, luck = self._world, self._luck
        node = luck.choice(world.nodes[1:] or world.nodes)
        if node.lacks or not world.files.specs:
            return
        zone = luck.choice(world.files.specs).zone
        ends = self._until(luck.choice((60.0, 5 * HOUR_S, 4 * DAY_S)))
        node.lose_zone(zone)
        world.facts.zone_gaps.append((node.name, zone, world.now(), ends))
        world.attend(ends)
        world.at(ends, lambda: node.lose_zone(""))

    def _forget(self) -> None:
        """The files from before are put on all machines, and those of today come back on the first one.

        Mostly the timelines cannot be read meanwhile, so that nobody can plan anew what is owed to the leads."""
        world = self._world
        if world.nodes[0].is_old:
            return
        ends = self._until(self._luck.choice((3 * HOUR_S, 3 * HOUR_S, 30 * HOUR_S)))
        for node in world.nodes:
            if not node.is_old:
                node.deploy()
        if self._luck.random() < 0.8:
            world.write(replace(world.files, broken=frozenset("ab")), "all timelines broken")
            world.at(
                ends, lambda: world.write(replace(world.files, broken=frozenset()), "all timelines mended")
            )
        world.facts.strangers.append(Outage(begins=world.now(), ends=ends))
        world.attend(ends)
        world.at(ends, world.nodes[0].learn)

    def _hang(self) -> None:
        """The folder is on a mount that hangs: whatever asks it waits until it answers."""
        world = self._world
        if world.files_hang:
            return
        ends = self._until(self._trouble_s())
        world.files_hang = True
        world.trace.add("files", "hang", f"until {ends}")
        world.facts.hangs.append(Outage(begins=world.now(), ends=ends))
        # The real one asks the folder every two seconds.
        world.notice_files()
        world.attend(ends)
        world.at(ends, self._answer)

    def _answer(self) -> None:
        world = self._world
        world.files_hang = False
        world.trace.add("files", "answer")
        for node in world.nodes:
            node.worker.answer()

    def _freeze(self) -> None:
        """One node stands still."""
        world, node = self._world, self._luck.choice(self._world.nodes)
        ends = self._until(self._trouble_s())
        node.freeze((ends - world.now()).total_seconds())
        world.facts.troubles.append(Outage(begins=world.now(), ends=ends))

    def _deafen(self) -> None:
        """The network is gone: no channel takes anything, the operator's neither."""
        world = self._world
        if world.is_deaf:
            return
        ends = self._until(self._luck.choice((3.0, 8.0)) * HOUR_S)
        world.is_deaf = True
        world.trace.add("sink", "deaf", f"until {ends}")
        world.facts.deafness.append(Outage(begins=world.now(), ends=ends))
        world.at(ends, self._hear)

    def _hear(self) -> None:
        self._world.is_deaf = False
        self._world.trace.add("sink", "hears")

    def _restart_again_and_again(self, times: int) -> None:
        """While nothing is due: half of them are told to stop, the others killed."""
        world, facts, luck = self._world, self._world.facts, self._luck
        dues = [rung.at for spec in world.files.specs for rung in rungs_of(spec)]
        step_s = 40.0
        lasts = timedelta(seconds=times * step_s + HOUR_S)
        begins = facts.begins + timedelta(hours=30)
        while any(begins - timedelta(hours=1) < due < begins + lasts + timedelta(hours=1) for due in dues):
            begins += timedelta(hours=1)
        for number in range(times):
            at = begins + timedelta(seconds=number * step_s)
            for node in world.nodes:
                how = node.switch_off if luck.random() < 0.5 else node.ask_to_stop
                world.at(at, how)
                world.at(at + timedelta(seconds=luck.uniform(0.01, 30.0)), node.switch_on)
            facts.restarts.append(at)
        facts.restarts.append(begins + lasts)

    def _silence(self) -> None:
        world, luck = self._world, self._luck
        channel = luck.choice([one for name, ones in CHANNELS.items() if name != OPS for one in ones])
        for_s = luck.choice((600.0, 5 * HOUR_S, 2 * DAY_S, 4 * DAY_S))
        world.silent.add(channel)
        world.facts.silences.append((channel, world.now(), world.now() + timedelta(seconds=for_s)))
        world.trace.add("sink", "silent", f"{channel} for {for_s:.0f} s")
        world.later(for_s, lambda: world.silent.discard(channel))

    def _hang_channel(self) -> None:
        """A receiver that takes every request and answers none."""
        world, luck = self._world, self._luck
        channel = luck.choice([one for name, ones in CHANNELS.items() if name != OPS for one in ones])
        for_s = luck.choice((600.0, HOUR_S, 5 * HOUR_S))
        world.hanging.add(channel)
        world.facts.hangings.append((channel, world.now(), world.now() + timedelta(seconds=for_s)))
        world.trace.add("sink", "hangs", f"{channel} for {for_s:.0f} s")
        world.later(for_s, lambda: world.hanging.discard(channel))

    def _glimpse(self) -> None:
        luck, world = self._luck, self._world
        node = luck.choice(world.nodes)
        by = luck.choice((-1, 1)) * timedelta(hours=luck.choice((1, 30, 20 * 24, 400 * 24, 20_000 * 24)))
        node.step(by)
        world.later(luck.uniform(6.0, GLIMPSE_S), lambda: node.step(-by))

    def _step(self) -> None:
        luck, profile = self._luck, self._world.profile
        node = luck.choice(self._world.nodes)
        longest_s = profile.longest_step_h * HOUR_S
        by_s = luck.choice((-1.0, 1.0)) * min(longest_s, luck.choice((1.0, 90.0, HOUR_S, DAY_S, 2 * DAY_S)))
        if luck.random() < 0.3:
            node.set_right()
            return
        by = timedelta(seconds=by_s)
        if abs((node.clock.off + by).total_seconds()) > longest_s:
            by = -by
        node.step(by)
        facts = self._world.facts
        facts.largest_step_s = max(facts.largest_step_s, abs(node.clock.off.total_seconds()), abs(by_s))

"""Which misfortunes a run meets, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from alertd.engine.backpressure import LIMITS, SenderLimits
from tests.sim.spec import Rules

FEW_PLACES = SenderLimits(per_channel=1, per_fast_channel=2, begun=1, begun_fast=1, ahead_at_least=12)
"""What is due beside another is leased ahead, however little a node sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of weather.

    Attributes:
        days: how long it lasts; in the last ``calm_days`` nothing goes wrong any more.
        store, crash, stall: how likely a call of the ledger fails, kills the node, or freezes it.
        send: how likely a send fails in one way or another.
        edits, people: changes of files, and things that people say.
        kills: nodes switched off for a while; ``outages``: all of them at once.
        silences: channels that do not work for hours or days.
        steps: times that a wall clock is set, ``longest_step_h`` at the most.
        glimpses: times that a wall clock shows another time, up to years away, for less than five minutes.
        dead_ledgers: times that no node can use the ledger at all, for minutes or hours.
        full_ledgers: times that the ledger can be read and not written, as long: a full disk.
        freezes: times that a node stands still as long.
        deafness: times that no channel takes anything, the operator's neither.
        restarts: how often all nodes are restarted, one time after the other, while nothing is due.
        deploys: times that a node, never the first, changes between files that know a receiver and older ones
            that do not.
        forgettings: times that all nodes have those older ones at once, for hours or days.
        hangs: times that the folder of the files does not answer, for minutes or hours.
        ladders: the policies that milestones have.
        zone_gaps: times that a node's zone database lacks a zone, so that it can read neither the files nor the
            records that have it; where there are several, never the first.
        poison: whether one milestone's messages to one channel end the process of whoever sends them.
        watched: whether the nodes audit themselves every minute, and are looked at as often.
        limits: how much a node sends and leases at once.
        followers: milestones whose deadlines count from others.
        planning_s: how long a node computes for each milestone that it plans, with nothing else done meanwhile.
        reading_s: how long a file takes to be read.
        plan_at_once: how many milestones are planned and written in one transaction.
        reloads: times that all is planned again shortly before something is due.
        hangings: channels that do not answer for minutes or hours.
        send_s: how long a send takes at the most where nothing goes wrong.
        interruptions: how likely, each time that a node has leased ahead, somebody acts on what it has leased
            or the node is told to stop.
        share: how many seeds every test run plays of it; more are spread alike.
    """

    name: str
    nodes: int = 1
    days: int = 120
    calm_days: int = 6
    milestones: int = 4
    store: float = 0.0
    crash: float = 0.0
    stall: float = 0.0
    send: float = 0.0
    edits: int = 0
    people: int = 0
    kills: int = 0
    outages: int = 0
    silences: int = 0
    steps: int = 0
    longest_step_h: float = 48.0
    glimpses: int = 0
    dead_ledgers: int = 0
    full_ledgers: int = 0
    deploys: int = 0
    forgettings: int = 0
    hangs: int = 0
    ladders: tuple[str, ...] = ("default", "default", "nagging", "short")
    zone_gaps: int = 0
    poison: bool = False
    freezes: int = 0
    deafness: int = 0
    restarts: int = 0
    watched: bool = False
    limits: SenderLimits = LIMITS
    followers: int = 0
    planning_s: float = 0.0
    reading_s: float = 0.0
    plan_at_once: int = 100
    reloads: int = 0
    hangings: int = 0
    send_s: float = 0.0
    interruptions: float = 0.0
    share: int = 10
    rules: Rules = Rules()

    @property
    def is_faultless(self) -> bool:
        """Nothing of ours or the receivers' ever fails: each reminder comes at its time and once."""
        return not (
            self.store or self.crash or self.stall or self.send
            or self.kills or self.outages or self.silences or self.steps or self.glimpses
            or self.dead_ledgers or self.full_ledgers or self.freezes or self.deafness or self.poison
            or self.hangings
        )  # fmt: skip

    @property
    def is_ambiguous(self) -> bool:
        """It can happen that nobody knows whether a message arrived."""
        return bool(
            self.store or self.crash or self.stall or self.send or self.kills or self.outages
            or self.silences or self.dead_ledgers or self.full_ledgers or self.freezes or self.deafness
            or self.poison or self.hangings
        )  # fmt: skip


PROFILES: dict[str, Profile] = {
    one.name: one
    for one in (
        Profile(name="calm", days=120, share=12),
        Profile(name="moving", days=120, edits=14, people=10, share=40),
        Profile(name="muted", days=120, edits=8, people=10, rules=Rules(mute_weekends=True), share=28),
        Profile(
            name="faulty",
            store=0.02,
            crash=0.003,
            send=0.3,
            edits=4,
            people=4,
            kills=2,
            outages=1,
            silences=2,
            share=38,
        ),
        Profile(
            name="violent",
            nodes=2,
            days=90,
            share=4,
            store=0.06,
            crash=0.012,
            stall=0.006,
            send=0.5,
            edits=12,
            people=10,
            kills=6,
            outages=2,
            silences=4,
            steps=2,
            rules=Rules(mute_weekends=True),
        ),
        Profile(name="clocky", share=33, days=120, steps=14, edits=3, people=3),
        Profile(name="glimpsed", share=6, days=90, glimpses=20, edits=4, people=4),
        Profile(name="off", days=160, share=14, outages=5, edits=4, people=4),
        Profile(
            name="many",
            nodes=3,
            days=90,
            share=3,
            store=0.02,
            crash=0.004,
            stall=0.004,
            send=0.3,
            edits=8,
            people=8,
            kills=4,
            steps=3,
            silences=2,
        ),
        Profile(name="restarted", days=40, milestones=6, restarts=100, share=3),
        Profile(
            name="burst",
            days=9,
            calm_days=4,
            milestones=24,
            send=0.1,
            silences=3,
            rules=Rules(rate="6/min"),
            share=3,
        ),
        Profile(
            name="ahead",
            days=8,
            calm_days=4,
            milestones=40,
            edits=6,
            outages=2,
            limits=FEW_PLACES,
            interruptions=0.6,
            share=4,
        ),
        Profile(
            name="ahead-faulty",
            nodes=2,
            days=12,
            calm_days=4,
            milestones=16,
            store=0.02,
            crash=0.003,
            stall=0.002,
            send=0.2,
            edits=6,
            people=4,
            kills=2,
            steps=2,
            limits=FEW_PLACES,
            interruptions=0.3,
            share=3,
        ),
        Profile(
            name="relative",
            days=90,
            milestones=3,
            followers=4,
            edits=4,
            people=24,
            outages=6,
            share=3,
        ),
        Profile(
            name="planning",
            days=12,
            calm_days=3,
            milestones=40,
            planning_s=1.5,
            reading_s=1.0,
            plan_at_once=5,
            reloads=14,
            edits=4,
            people=2,
            share=2,
        ),
        Profile(
            name="planning-faulty",
            nodes=2,
            days=16,
            calm_days=4,
            milestones=16,
            followers=3,
            planning_s=1.5,
            reading_s=1.0,
            plan_at_once=5,
            reloads=10,
            store=0.02,
            crash=0.002,
            stall=0.002,
            send=0.2,
            edits=8,
            people=6,
            kills=3,
            steps=2,
            limits=FEW_PLACES,
            interruptions=0.2,
            share=2,
        ),
        Profile(
            name="crowded",
            days=8,
            calm_days=3,
            milestones=40,
            hangings=5,
            send_s=1.0,
            limits=SenderLimits(in_flight=3, per_channel=3, per_fast_channel=3),
            rules=Rules(each_alone=True),
            share=2,
        ),
        Profile(
            name="watched",
            days=4,
            calm_days=1,
            milestones=4,
            dead_ledgers=1,
            freezes=1,
            deafness=1,
            silences=1,
            rules=Rules(heartbeat=True),
            watched=True,
            share=2,
        ),
        Profile(
            name="unwritable",
            days=4,
            calm_days=1,
            full_ledgers=3,
            rules=Rules(heartbeat=True),
            watched=True,
            share=1,
        ),
        Profile(name="mixed", nodes=3, days=90, deploys=12, forgettings=2, edits=6, people=6, share=4),
        Profile(name="zoneless", nodes=2, days=90, zone_gaps=6, edits=6, people=6, share=4),
        Profile(name="alone-zoneless", days=90, zone_gaps=4, edits=3, people=3, share=4),
        Profile(name="poisoned", nodes=2, days=60, poison=True, edits=3, people=3, share=4),
        Profile(name="hung-files", days=60, hangs=6, edits=10, people=4, share=4),
        Profile(name="daily", nodes=2, days=40, send=0.2, edits=6, people=4, ladders=("daily",), share=2),
    )
}

SHARES = sum(one.share for one in PROFILES.values())
"""The seeds that every test run plays."""

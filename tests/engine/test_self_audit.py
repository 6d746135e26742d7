"""Silence is loud: the audits of a running node, the watchdog that they feed, the switch that they tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from alertd.core.config import Heartbeat
from alertd.core.milestones.milestone import Milestone
from alertd.engine.self_audit import STALE_AFTER_S
from alertd.testing import Answer, Fault, HttpSink
from tests.contract.samples import NOW, an_owed
from tests.engine.auditing import Stage
from tests.scene import a_milestone

LIMIT_S = 10
OVERLOOKED = an_owed("k1", at=NOW - timedelta(hours=1))


@asynccontextmanager
async def staged(*milestones: Milestone, url: str = "") -> AsyncIterator[Stage]:
    stage = Stage(*milestones, heartbeat=Heartbeat(url=url) if url else None)
    try:
        yield stage
    finally:
        await stage.close()


async def test_passing_audit_is_silent() -> None:
    """An empty ledger is well, and nothing is logged about it."""
    async with staged() as stage:
        await stage.look()

        assert stage.audit.is_well()
        assert (stage.audit.findings, stage.events) == ((), [])


async def test_finding_is_not_well_is_logged_once_and_ends() -> None:
    """A reminder that nobody looked at: said once; when it is gone, that is said too."""
    async with staged() as stage:
        await stage.owe(OVERLOOKED)

        await stage.look()
        await stage.look()
        failed, well = stage.audit.findings, stage.audit.is_well()
        await stage.cancel("k1")
        await stage.look()

        assert failed == ("undecided: a reminder fell due 1 hour ago and was not looked at",)
        assert not well
        assert stage.audit.is_well()
        assert [one["event"] for one in stage.events] == ["audit.failed", "audit.passed"]


async def test_plan_without_a_row_is_found() -> None:
    """What falls due within a day must be in the ledger: a node that leads answers for its plan."""
    async with staged(a_milestone("t/m", "2026-09-02")) as stage:
        await stage.look()

        assert stage.audit.findings == ("missing: t/m -1d for desk: not in the ledger",)


async def test_reminder_that_is_due_without_a_row_is_found() -> None:
    """Also when its instant has gone by, as it has once somebody asks why nothing came."""
    async with staged(a_milestone("t/m", "2026-09-02")) as stage:
        stage.later(timedelta(days=1))
        await stage.look()

        assert "t/m -1d for desk" in stage.audit.findings[0]


async def test_stale_audit_is_not_well() -> None:
    """A loop that goes on and audits nothing is not well; for ten minutes an audit counts."""
    async with staged() as stage:
        await stage.look()

        stage.later(timedelta(seconds=STALE_AFTER_S - 1))
        shortly_before = stage.audit.is_well()
        stage.later(timedelta(seconds=1))

        assert shortly_before
        assert not stage.audit.is_well()


@pytest.mark.server
async def test_switch_is_told_that_all_is_well_and_what_is_not() -> None:
    """A post to the address while the audit passes; to its /fail with the findings while it does not."""
    async with HttpSink() as sink, staged(url=f"{sink.url}/ping?key=canary") as stage:
        await stage.look()
        await stage.told()
        await stage.owe(OVERLOOKED)
        await stage.look()
        await stage.told()

        well, failing = sink.requests
        assert (well.method, well.path, well.body) == ("POST", "/ping?key=canary", b"")
        assert failing.path == "/ping/fail?key=canary"
        assert failing.body == b"undecided: a reminder fell due 1 hour ago and was not looked at"


@pytest.mark.server
async def test_switch_that_cannot_be_told_is_logged_once_without_its_address() -> None:
    """The same failure again says nothing; the address is a secret."""
    async with HttpSink(Answer(status=500)) as sink, staged(url=f"{sink.url}/ping/canary") as stage:
        for _ in range(2):
            await stage.look()
            await stage.told()

        assert len(sink.requests) == 2
        assert [one["event"] for one in stage.events] == ["heartbeat.failed"]
        assert "canary" not in str(stage.events)
        assert stage.audit.is_well()


@pytest.mark.server
async def test_switch_that_hangs_gets_no_second_request_and_holds_up_nothing() -> None:
    """An audit never waits for the address outside."""
    async with HttpSink(Answer(fault=Fault.HANG)) as sink, staged(url=sink.url) as stage:
        async with asyncio.timeout(LIMIT_S):
            for _ in range(3):
                await stage.look()
                await stage.asking.wait()

        assert stage.asked == 1
        assert stage.audit.is_well()

"""The real daemon without the streams that it writes to: closed before it began, or while it runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.system.clock import SystemClock
from alertd.testing import HttpSink
from tests.e2e.stage import LIMIT_S, Bell, Ringing

CONFIG = """\
timezone: UTC
route: {{receiver: desk}}
receivers:
  - name: desk
    notifiers: [{{type: webhook, url: "{url}"}}]
"""
TIMELINE = """\
timeline: t
title: T
sources: {{m: {{who: A. Minister}}}}
policy: {{before: [1h], on_day: false, after: [], opens: false}}
milestones: [{{id: m, title: It comes about, deadline: "{deadline}", source: m}}]
"""
ALERTD = (sys.executable, "-m", "alertd", "run")


@pytest.mark.parametrize("how", ["closed before", "all closed before", "reader gone"])
async def test_daemon_runs_on_when_nobody_reads_its_log(how: str, tmp_path: Path) -> None:
    """It sends, and it ends as it should."""
    async with HttpSink() as sink:
        (tmp_path / "milestones").mkdir()
        (tmp_path / "alertd.yaml").write_text(CONFIG.format(url=f"{sink.url}/hook"))
        deadline = SystemClock().now() + timedelta(hours=1, seconds=1)
        (tmp_path / "milestones" / "t.yaml").write_text(
            TIMELINE.format(deadline=f"{deadline:%Y-%m-%dT%H:%M:%S}")
        )
        bell = Bell()
        sink.requests = Ringing(bell)
        database = f"sqlite:///{tmp_path}/ledger.sqlite3"
        environment = {**os.environ, "ALERTD_CONFIG": str(tmp_path), "ALERTD_DATABASE": database}
        command = {
            "closed before": ("sh", "-c", 'exec "$@" 2>&-', "sh", *ALERTD),
            "all closed before": ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *ALERTD),
            "reader gone": ALERTD,
        }[how]
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
        try:
            if how == "reader gone":
                # It goes while the daemon has only begun.
                process._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
            await bell.until(lambda: bool(sink.requests))
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(LIMIT_S):
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert status == 0
    assert len(sink.requests) == 1

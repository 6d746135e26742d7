"""The timeline page with many milestones: how large it is, how long it takes to make, and to paint.

``python -m bench.page [ROUNDS] [MILESTONES ...]`` prints one line a case; the median of the rounds counts.
the daemon's loop waited meanwhile. ``painted`` is the browser's first contentful paint, counted from the
the daemon's loop waited meanwhile. ``painted`` is the browser's own first contentful paint, counted from the
click, where there is a browser (CHROMIUM=... names it).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
from playwright.async_api import async_playwright

from alertd.core.config import Definitions
from alertd.ports import NodeReport
from tests.scene import Scene, a_ledger, a_milestone
from tests.web.example import NOW
from tests.web.stage import Stage, a_stage

SIZES = (15, 5_000, 50_000)
ROUNDS = 5
PATH = "/?zoom=all"
PAINT = """new Promise((done) => new PerformanceObserver((found) => {
  const one = found.getEntries().find((entry) => entry.name === "first-contentful-paint");
  if (one) done(one.startTime);
}).observe({type: "paint", buffered: true}))"""
TICK_S = 0.001


async def filled(stage: Stage, number: int) -> None:
    """As many milestones, every third of them contested, over some three years."""
    scene = Scene(stage.ledger, "2026-11-01")
    scene.define(
        *(
            a_milestone(f"t{one % 40:02}/m{one:05}", *_deadlines(one), title=f"Promise number {one}")
            for one in range(number)
        )
    )
    await scene.reconcile()
    # Of the daemon's own copy of the files the page has no need; what it costs is not the page's.
    stage.definitions = Definitions(config=scene.config)


def _deadlines(number: int) -> list[str]:
    month = f"{2025 + number % 36 // 12}-{number % 12 + 1:02}"
    return [month, f"{month}-28"] if number % 3 == 0 else [month]


async def longest_wait(stopped: asyncio.Event) -> float:
    """How long the loop was busy with one thing at the most, in seconds."""
    worst, before = 0.0, time.perf_counter()
    while not stopped.is_set():
        await asyncio.sleep(TICK_S)
        now = time.perf_counter()
        worst, before = max(worst, now - before - TICK_S), now
    return worst


async def measured(number: int, rounds: int, chromium: str | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with a_stage(Path(folder), at=NOW) as stage:
            await filled(stage, number)
            read, made, blocked = [], [], []
            async with httpx.AsyncClient(base_url=stage.url, timeout=120) as client:
                size = 0
                for _ in range(rounds):
                    await _changed(stage)
                    stopped = asyncio.Event()
                    watch = asyncio.create_task(longest_wait(stopped))
                    for times in (read, made):
                        began = time.perf_counter()
                        size = len((await client.get(PATH)).content)
                        times.append(time.perf_counter() - began)
                    stopped.set()
                    blocked.append(await watch)
            painted = await _painted(stage, rounds, chromium) if chromium else []
    parts = [f"{number:>7,} milestones", f"{size / 1000:>6.0f} kB"]
    for name, times in (("read", read), ("made", made), ("blocked", blocked), ("painted", painted)):
        if times:
            parts.append(f"{name} {statistics.median(times) * 1000:>6.0f} ms")
    return "  ".join(parts)


async def _changed(stage: Stage) -> None:
    """The daemon has written something, long enough after the last look that all is read again."""
    async with a_ledger("file", stage.folder) as daemons:
        await daemons.report(NodeReport(node="n", version="1", started_at=NOW, seen_at=stage.clock.at))
    stage.clock.advance(stage.clock.at + timedelta(hours=1))


async def _painted(stage: Stage, rounds: int, chromium: str) -> list[float]:
    times = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(rounds):
            page = await browser.new_page(viewport={"width": 1280, "height": 900})
            await page.goto(stage.url + PATH)
            times.append(await page.evaluate(PAINT) / 1000)
            await page.close()
        await browser.close()
    return times


async def main(rounds: int = ROUNDS, sizes: tuple[int, ...] = SIZES) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    for number in sizes:
        print(await measured(number, rounds, chromium))


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    asyncio.run(main(*given[:1], **({"sizes": tuple(given[1:])} if given[1:] else {})))

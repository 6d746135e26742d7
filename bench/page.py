"""Measures the timeline page with many milestones: its size, and the times to make it and to paint it.

``python -m bench.page [ROUNDS] [MILESTONES ...]`` prints a line for each number of milestones. Each time is
the median of the rounds. ``read`` is the first request after the ledger has changed, and ``made`` is the
request after that. ``blocked`` is the longest time for which the event loop was blocked during both requests.
``painted`` is the browser's first contentful paint, counted from the click. It is measured only if there is a
browser (CHROMIUM=... names it).
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


async def fill(stage: Stage, number: int) -> None:
    """Fill the ledger with ``number`` milestones within three years. Every third milestone is contested."""
    scene = Scene(stage.ledger, "2026-11-01")
    scene.define(
        *(
            a_milestone(f"t{index % 40:02}/m{index:05}", *_deadlines(index), title=f"Promise number {index}")
            for index in range(number)
        )
    )
    await scene.reconcile()
    # The page does not use the daemon's copy of the definitions, so the copy would only distort the result.
    stage.definitions = Definitions(config=scene.config)


def _deadlines(number: int) -> list[str]:
    month = f"{2025 + number % 36 // 12}-{number % 12 + 1:02}"
    return [month, f"{month}-28"] if number % 3 == 0 else [month]


async def measure_longest_block(stopped: asyncio.Event) -> float:
    """Return the longest time in seconds for which the event loop was blocked, until ``stopped`` is set."""
    worst, before = 0.0, time.perf_counter()
    while not stopped.is_set():
        await asyncio.sleep(TICK_S)
        now = time.perf_counter()
        worst, before = max(worst, now - before - TICK_S), now
    return worst


async def measure(number: int, rounds: int, chromium: str | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with a_stage(Path(folder), at=NOW) as stage:
            await fill(stage, number)
            read, made, blocked = [], [], []
            async with httpx.AsyncClient(base_url=stage.url, timeout=120) as client:
                size = 0
                for _ in range(rounds):
                    await _change_ledger(stage)
                    stopped = asyncio.Event()
                    watch = asyncio.create_task(measure_longest_block(stopped))
                    for times in (read, made):
                        began = time.perf_counter()
                        size = len((await client.get(PATH)).content)
                        times.append(time.perf_counter() - began)
                    stopped.set()
                    blocked.append(await watch)
            painted = await _measure_paint(stage, rounds, chromium) if chromium else []
    parts = [f"{number:>7,} milestones", f"{size / 1000:>6.0f} kB"]
    for name, times in (("read", read), ("made", made), ("blocked", blocked), ("painted", painted)):
        if times:
            parts.append(f"{name} {statistics.median(times) * 1000:>6.0f} ms")
    return "  ".join(parts)


async def _change_ledger(stage: Stage) -> None:
    """Write to the ledger and advance the clock, so that the page has to read everything again."""
    async with a_ledger("file", stage.folder) as daemons:
        await daemons.report(NodeReport(node="n", version="1", started_at=NOW, seen_at=stage.clock.at))
    stage.clock.advance(stage.clock.at + timedelta(hours=1))


async def _measure_paint(stage: Stage, rounds: int, chromium: str) -> list[float]:
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
        print(await measure(number, rounds, chromium))


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*given[:1], **({"sizes": tuple(given[1:])} if given[1:] else {})))

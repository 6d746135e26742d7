"""Runs a real browser for each test, and the real server with the whole example."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.web import example
from tests.web.stage import Stage

WANTED = "no chromium: install Debian's package chromium, or name one in CHROMIUM"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find Chromium. If it is missing, skip the test, but in CI fail it."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(WANTED)
        pytest.skip(WANTED)
    return found


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        await made.close()


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(example.play_in(tmp_path_factory.mktemp("played")))


@pytest.fixture
async def stage(played: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    async with example.a_played_stage(played, tmp_path) as made:
        yield made

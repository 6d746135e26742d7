"""Runs one real browser for all tests, and for each test the real server with the whole example.

The browser belongs to the event loop in which it was started, so all tests of this folder and their fixtures
share the loop of the session. Each test opens a browser context of its own, which has no cookies or storage.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        await made.close()


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(example.play_in(tmp_path_factory.mktemp("played")))


@pytest_asyncio.fixture(loop_scope="session")
async def stage(played: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    async with example.a_played_stage(played, tmp_path) as made:
        yield made

"""A badge and a countdown in the page of another site, in a real browser without JavaScript."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, FrameLocator, Page, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.web.server.access import require_scope
from tests.browser.test_browser_pages import WCAG
from tests.web import example
from tests.web.stage import Stage, a_stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def within(browser: Browser, folder: Path, stage: Stage, *, named: bool) -> AsyncIterator[Page]:
    """Open a page of another site that shows both; ``named``: whether the configuration allows that site."""

    @require_scope(Scope.PUBLIC)
    async def wiki(_request: Request) -> Response:
        body = (
            f"<!doctype html><title>Wiki</title><p><img src='{stage.url}/badges/{example.PHASE_2}.svg'></p>"
            f"<iframe title='Countdown' src='{stage.url}/embed/{example.PHASE_2}'></iframe>"
        )
        return HTMLResponse(body, headers={"content-security-policy": "script-src 'none'"})

    async with a_stage(folder, routes=[Route("/wiki", wiki)]) as site:
        embed(stage, site.url if named else "http://wiki.example")
        context = await browser.new_context(java_script_enabled=False)
        try:
            page = await context.new_page()
            await page.goto(f"{site.url}/wiki")
            yield page
        finally:
            await context.close()


def countdown(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


async def test_named_site_has_both_in_its_page(browser: Browser, stage: Stage, other: Path) -> None:
    """The countdown has its style without JavaScript, and the badge has the width that it declares."""
    async with within(browser, other, stage, named=True) as page:
        value = countdown(page).locator(".value").first
        await expect(value).to_have_text("55 days past")
        await expect(value).to_have_css("font-size", "24px")
        box = await page.locator("img").bounding_box()

    assert box is not None
    assert (box["height"], box["width"] > 300) == (20, True)


async def test_other_site_has_not(browser: Browser, stage: Stage, other: Path) -> None:
    """Another site can still show the badge, because that is an image."""
    async with within(browser, other, stage, named=False) as page:
        await expect(countdown(page).locator(".value")).to_have_count(0)
        box = await page.locator("img").bounding_box()

    assert box is not None
    assert box["width"] > 300


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("other")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_countdown_has_no_barrier(browser: Browser, stage: Stage, scheme: str) -> None:
    context = await browser.new_context(base_url=stage.url, color_scheme=scheme)  # type: ignore[arg-type]
    page = await context.new_page()
    told = []
    for name in (example.PHASE_2, "data-centre/notice", "duties/review", "data-centre/lease"):
        await page.goto(f"/embed/{name}")
        found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
        told += [f"{name}: {violation['id']}" for violation in found.response["violations"]]
    await context.close()

    assert told == []


def embed(stage: Stage, site: str) -> None:
    """Put a configuration in force that allows the site to show the countdown."""
    found = stage.definitions
    assert found is not None
    assert found.config is not None
    config = replace(found.config, web=replace(found.config.web, embed=(site,)))
    stage.definitions = replace(found, config=config)

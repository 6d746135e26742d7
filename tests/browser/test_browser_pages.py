"""The pages in a real browser: their look, screen readers, keyboard, no JavaScript, and live updates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.status import Action, ActionKind
from alertd.ports import Changes
from tests.scene import a_ledger
from tests.web import example
from tests.web.stage import Stage

MILESTONE = f"/milestones/{example.PHASE_2}"
MOVED = "/milestones/data-centre/databases"
PATHS = (
    "/",
    "/?zoom=year&state=overdue&label=x%3D~y",
    "/?text=nothing",
    MILESTONE,
    MOVED,
    "/deliveries",
    "dead",
    "/unsubscribe",
)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def seen(browser: Browser, stage: Stage, path: str, **options: Any) -> AsyncIterator[Page]:
    """Open a page. At the end, check that it logged no errors and contacted no other site."""
    context = await browser.new_context(base_url=stage.url, **options)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(stage.url) else troubles.append(asked.url))
    if path == "dead":
        ((dead, _, _),) = await stage.ledger.find_deliveries(state=DeliveryState.DEAD)
        path = f"/deliveries/{dead.id}"
    try:
        await page.goto(path)
        yield page
    finally:
        await context.close()
    assert troubles == []


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS)
async def test_page_has_no_barrier(browser: Browser, stage: Stage, path: str) -> None:
    """axe-core finds no violation of WCAG 2.2 AA or of its own advice, in light or dark, on desk or phone."""
    told = []
    async with seen(browser, stage, path) as page:
        await page.evaluate("for (const section of document.querySelectorAll('details')) section.open = true")
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.set_viewport_size({"width": width, "height": 900})
            found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
            for violation in found.response["violations"]:
                told.append(
                    (scheme, width, violation["id"], [node["html"][:120] for node in violation["nodes"]])
                )

    assert told == []


@pytest.mark.parametrize("path", PATHS)
async def test_page_fits_a_small_phone(browser: Browser, stage: Stage, path: str) -> None:
    """At a width of 320 pixels, no content needs horizontal scrolling (WCAG 1.4.10)."""
    async with seen(browser, stage, path, viewport={"width": 320, "height": 640}) as page:
        width = await page.evaluate("document.documentElement.scrollWidth")

    assert width == 320


async def test_everything_works_without_script(browser: Browser, stage: Stage) -> None:
    """The filter, the zoom, a milestone and its delivery work with links and forms alone."""
    async with seen(browser, stage, "/", java_script_enabled=False) as page:
        await page.get_by_label("Text", exact=True).fill("kurdish")
        await page.get_by_label("State").select_option("contested")
        await page.get_by_role("button", name="Filter").click()
        assert "text=kurdish&label=&state=contested" in page.url
        await page.get_by_role("link", name="A year").click()
        assert await page.locator(".rows li").count() == 1
        await page.get_by_role("heading", name="Forces stationed").get_by_role("link").click()
        assert page.url.endswith(MILESTONE)
        await page.get_by_role("link", name="2026-10-28").click()

        await expect(page.locator("pre")).to_contain_text("Passed 28 days ago by the minister's account")


async def test_bars_are_as_wide_as_their_windows(browser: Browser, stage: Stage) -> None:
    """The browser draws September and today at the places that the axis computes."""
    view = {"width": 1200, "height": 900}
    async with seen(browser, stage, "/?zoom=year&from=2026-07-01&text=phase-2", viewport=view) as page:
        boxes = await page.evaluate(
            """() => {
              const strip = document.querySelector(".rows .strip").getBoundingClientRect();
              const at = (x) => (x - strip.x) / strip.width * 366;
              const box = (element) => element.getBoundingClientRect();
              const bars = [...document.querySelectorAll(".rows .bar")].map(box);
              const now = document.querySelector(".axis text.now").getBoundingClientRect();
              return [...bars.map((bar) => [at(bar.left), at(bar.right)]), [at(now.left + now.width / 2)]];
            }"""
        )

    def days(places: list[float]) -> list[float]:
        return [round(place, 1) for place in places]

    september, year, today = map(days, boxes)
    # The axis begins on 1 July. Baghdad's September begins an hour before Berlin's, and a line has a width.
    assert september == pytest.approx([62, 92], abs=0.8)
    assert year == pytest.approx([0, 184], abs=0.8)
    assert today == pytest.approx([146.5], abs=0.8)


async def test_page_is_used_by_keyboard(browser: Browser, stage: Stage) -> None:
    """The first Tab skips the header, and the focus is always visible."""
    async with seen(browser, stage, "/") as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator("#asof a")).to_be_focused()
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")

        assert outline == "solid"
        await expect(page.get_by_text("a day, or a time of day")).to_be_visible()


async def test_delivery_appears_live(browser: Browser, stage: Stage) -> None:
    """A delivery that is sent while the page is open appears on it without a reload by hand."""
    async with seen(browser, stage, "/deliveries?state=sent") as page:
        await page.evaluate("window.untouched = true")
        await expect(page.locator("#live")).to_have_text("Up to date")
        ((last, _, _), *_) = await stage.ledger.find_deliveries(state=DeliveryState.SENT, limit=1)
        again = example.another(last)

        # Send over a second connection, as the daemon does.
        async with a_ledger("file", stage.folder) as daemons:
            await daemons.apply(Changes(deliveries=(again,)))

        await expect(page.locator(f"a[href$='{again.id}']")).to_be_visible(timeout=20_000)
        assert await page.evaluate("window.untouched")


async def test_live_page_leaves_people_alone(browser: Browser, stage: Stage) -> None:
    """An update keeps unfolded sections and the focus, and waits while somebody types."""
    async with seen(browser, stage, "/") as page:
        await expect(page.locator("#live")).to_have_text("Up to date")
        await page.locator("summary").click()
        await page.get_by_label("Text", exact=True).fill("half a wor")
        action = Action(kind=ActionKind.CANCEL, milestone=example.PHASE_2, at=example.NOW, by="ada")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        await stage.ledger.act(action, ())
        other = await page.context.new_page()
        await other.goto("/")
        await expect(other.get_by_text("2 cancelled")).to_be_visible()
        assert asked == []
        await page.get_by_label("Text", exact=True).fill("")
        await page.locator("summary").focus()

        await expect(page.get_by_text("2 cancelled")).to_be_visible(timeout=20_000)
        await expect(page.locator("summary")).to_be_focused()
        await expect(page.get_by_text("a day, or a time of day")).to_be_visible()


async def test_page_says_that_nothing_new_can_come(browser: Browser, stage: Stage) -> None:
    """The page shows that the server is gone, so that its content is not taken for current."""
    context = await browser.new_context(base_url=stage.url)
    page = await context.new_page()
    await page.goto("/")
    await expect(page.locator("#live")).to_have_text("Up to date")

    await stage.serving.close()

    await expect(page.locator("#live")).to_contain_text("Not up to date since", timeout=20_000)
    await context.close()

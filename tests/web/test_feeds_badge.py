"""The badge and the countdown for other pages: their content, and what their headers allow."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from alertd.core.milestones.milestone import Milestone, Rank
from alertd.core.milestones.status import ActionKind
from alertd.notify.render.palette import NEUTRAL, PALETTES
from tests.scene import Scene, a_claim, a_ledger, a_milestone, when
from tests.web.stage import Stage, a_stage

SVG = "{http://www.w3.org/2000/svg}"
NOW = "2026-11-24T12:00"
CALM, SOON, LATE, MOVED, DONE = (look.strong for look in PALETTES.values())
EMBED = "auth: none, embed: ['https://wiki.example', 'http://127.0.0.1:8000']"


@asynccontextmanager
async def a_scene(
    folder: Path, *milestones: Milestone, web: str = "", at: str = NOW
) -> AsyncIterator[tuple[Stage, Scene]]:
    async with a_stage(folder, web, at=when(at)) as stage, a_ledger("file", folder) as ledger:
        scene = Scene(ledger, at)
        scene.clock = stage.clock
        scene.define(*milestones)
        await scene.reconcile()
        yield stage, scene


async def read(stage: Stage, query: str = "") -> ET.Element:
    answer = await stage.get(f"/badges/t/m.svg{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/svg+xml"
    assert not re.search(r"<script|\son[a-z]+=|href|style", answer.text)
    return ET.fromstring(answer.content)


def texts(badge: ET.Element) -> list[str]:
    return [text.text or "" for text in badge.iter(f"{SVG}text")]


def colour(badge: ET.Element) -> str:
    return [path.attrib["fill"] for path in badge.iter(f"{SVG}path")][-1]


@pytest.mark.parametrize(
    ("deadlines", "value", "by_date", "looks"),
    [
        (("2026-12-31",), "37 days", "31 December 2026", CALM),
        (("2026-12",), "37 days", "December 2026", CALM),
        (("2026-12-01",), "7 days", "1 December 2026", SOON),
        (("2026-11-25",), "tomorrow", "25 November 2026", SOON),
        (("2026-11",), "6 days", "November 2026", SOON),
        (("2026-11-24",), "today", "24 November 2026", SOON),
        (("2026-11-23",), "1 day past", "23 November 2026", LATE),
        (("2026-09",), "55 days past", "September 2026", LATE),
        (("2026-09?",), "55 days past, not confirmed", "September 2026 (uncertain)", LATE),
        (("2026-12~",), "about 37 days", "about December 2026", CALM),
        (("2026-11-24T15:00",), "3 hours", "24 November 2026, 15:00", SOON),
        (("2026-12/..",), "from December 2026, no end given", "from December 2026, no end given", CALM),
        (("2026-09", "2026"), "55 days past / 37 days", "September 2026 / 2026", LATE),
        (("2027-01", "2027-02", "2027-03"), "68 days / 96 days and 1 more", "", CALM),
        ((), "no date", "no date", NEUTRAL.strong),
    ],
)
async def test_badge_says_how_far_away_it_is(
    tmp_path: Path, deadlines: tuple[str, ...], value: str, by_date: str, looks: str
) -> None:
    """The badge has a text and a colour; with ``show=date`` it shows the date as it was given."""
    async with a_scene(tmp_path, a_milestone("t/m", *deadlines)) as (stage, _):
        badge, dated = await read(stage), await read(stage, "?show=date")

    assert texts(badge) == ["It comes about", value]
    assert colour(badge) == looks
    if by_date:
        assert texts(dated) == ["It comes about", by_date]


@pytest.mark.parametrize(
    ("kind", "more", "value", "looks"),
    [
        (ActionKind.DONE, {"done_on": "2026-11-20"}, "done", DONE),
        (ActionKind.CANCEL, {}, "cancelled", NEUTRAL.strong),
        (None, {}, "withdrawn", NEUTRAL.strong),
    ],
)
async def test_badge_says_what_people_said(
    tmp_path: Path, kind: ActionKind | None, more: dict[str, Any], value: str, looks: str
) -> None:
    async with a_scene(tmp_path, a_milestone("t/m", "2026-09"), a_milestone("t/other", "2027")) as (
        stage,
        scene,
    ):
        if kind is None:
            scene.define(a_milestone("t/other", "2027"))
            await scene.reconcile()
        else:
            await scene.act(kind, "t/m", **more)
        badge = await read(stage)
        page = (await stage.get("/embed/t/m")).text

    assert texts(badge)[1] == value
    assert colour(badge) == looks
    assert value in page


async def test_badge_can_be_heard(tmp_path: Path) -> None:
    """The image has a name for screen readers, with each date, its source and its status."""
    deprecated = a_claim("2027-09~", rank=Rank.DEPRECATED)
    milestone = a_milestone("t/m", "2026-09", "2026", deprecated)
    async with a_scene(tmp_path, milestone) as (stage, _):
        badge = await read(stage, "?text=")

    words = (
        "It comes about: by September 2026 – the minister: 55 days past;"
        " by the end of 2026 – Reuters: 37 days"
    )
    assert badge.attrib["role"] == "img"
    assert badge.attrib["aria-label"] == words
    assert badge.findtext(f"{SVG}title") == words
    assert texts(badge) == ["55 days past / 37 days"]


async def test_no_text_is_markup(tmp_path: Path) -> None:
    evil = "\"><script>alert(1)</script>'&amp; 漢字 \x00\n"
    async with a_scene(tmp_path, a_milestone("t/m", "2026-12-31", title=evil), web=EMBED) as (stage, _):
        badge = await read(stage)
        other = await read(stage, "?text=%22%3E%3Cscript%3E" + "x" * 500)
        page = (await stage.get("/embed/t/m")).text

    assert texts(badge)[0] == "\"><script>alert(1)</script>'&amp; 漢字"
    assert len(texts(other)[0]) == 60
    assert "<script" not in page


async def test_badge_is_kept_for_a_short_while(tmp_path: Path) -> None:
    """Other pages may show the badge, and a client that has it gets 304 until a day has passed."""
    async with a_scene(tmp_path, a_milestone("t/m", "2026-12-31")) as (stage, _):
        first = await stage.get("/badges/t/m.svg")
        tag = {"if-none-match": first.headers["etag"]}
        again = await stage.get("/badges/t/m.svg", **tag)
        stage.clock.advance(when("2026-11-25T12:00"))
        later = await stage.get("/badges/t/m.svg", **tag)
        unknown = await stage.get("/badges/t/none.svg")
        wrong = await stage.get("/badges/t/m.svg?show=hours")

    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "set-cookie" not in first.headers
    assert (again.status_code, later.status_code) == (304, 200)
    assert (unknown.status_code, wrong.status_code) == (404, 400)


async def test_countdown_says_each_date(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("t/m", "2026-09", "2026"), web=EMBED) as (stage, _):
        page = (await stage.get("/embed/t/m")).text

    text = " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main>")[2]).split())
    assert text == (
        "It comes about 55 days past by September 2026 – the minister"
        " 37 days by the end of 2026 – Reuters As of 24 November 2026"
    )


@pytest.mark.parametrize(
    ("web", "sites"), [("", "'none'"), (EMBED, "https://wiki.example http://127.0.0.1:8000")]
)
async def test_countdown_is_within_the_named_sites_alone(tmp_path: Path, web: str, sites: str) -> None:
    """The countdown has no script, no form and nothing of other sites. No other page may be in a frame."""
    async with a_scene(tmp_path, a_milestone("t/m", "2026-12-31"), web=web) as (stage, _):
        answer, page = await stage.get("/embed/t/m"), await stage.get("/milestones/t/m")

    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {sites}"
    )
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<form|\son[a-z]+=|\sstyle=", answer.text)
    assert re.findall(r'(?:src|href)="([^"]+)"', answer.text) == [
        found for found in re.findall(r'href="([^"]+)"', answer.text) if found.startswith("/static/embed.")
    ]

"""The Atom feed of sent reminders and moves, checked against RFC 4287 by hand: no library here is strict."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.status import ActionKind
from alertd.web.feeds.atom import MOST
from tests.scene import Scene, a_ledger, a_milestone, when
from tests.web import example
from tests.web.stage import Stage, a_stage

ATOM = "{http://www.w3.org/2005/Atom}"
WEB = "external_url: 'https://alertd.example', auth: {tokens_file: tokens, anonymous: feed}"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(example.play_in(tmp_path_factory.mktemp("played")))


@pytest.fixture
async def stage(played: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    async with example.a_played_stage(played, tmp_path, web=WEB) as made:
        yield made


async def read(stage: Stage, path: str = "/feeds/all.atom") -> ET.Element:
    answer = await stage.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = ET.fromstring(answer.content)
    hold(feed)
    return feed


def said(element: ET.Element, name: str) -> str:
    """Return the text of the only child with that name."""
    (found,) = element.findall(ATOM + name)
    return found.text or ""


def instant(text: str) -> datetime:
    """Read an RFC 3339 date-time in UTC."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def hold(feed: ET.Element) -> None:
    """Check the requirements of RFC 4287, sections 3.3, 4.1.1, 4.1.2, 4.2.6 and 4.2.7."""
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    for element in (feed, *entries):
        assert all(child.tag.startswith(ATOM) for child in element)
        assert said(element, "id").startswith("tag:")
        assert said(element, "title")
        instant(said(element, "updated"))
        for link in element.findall(f"{ATOM}link"):
            assert link.attrib["href"].startswith("https://alertd.example/")
            assert link.attrib["rel"] in ("self", "alternate")
    assert said(feed.findall(f"{ATOM}author")[0], "name") == "alertd"
    assert len([link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]) <= 1
    ids = [said(entry, "id") for entry in entries]
    assert len(set(ids)) == len(ids)
    assert all(entry.findall(f"{ATOM}content")[0].attrib == {"type": "text"} for entry in entries)
    updated = [instant(said(entry, "updated")) for entry in entries]
    assert updated == sorted(updated, reverse=True)
    if updated:
        assert instant(said(feed, "updated")) == updated[0]


def titles(feed: ET.Element) -> list[str]:
    return [said(entry, "title") for entry in feed.findall(f"{ATOM}entry")]


async def test_what_was_sent_and_what_moved_is_told(stage: Stage) -> None:
    """The feed has the title, link and sources of each entry. Retrying and dead deliveries are not in it."""
    feed = await read(stage)
    found = titles(feed)

    moved = "Moved from October 2026 to December 2026, 61 days later, on the word of Jana Okafor"
    assert said(feed, "title") == "Reminders and moves"
    assert found.count(f"{moved}: All databases run in the new place") >= 2, "sent to both, and as it moved"
    assert "Done: Notice is given to the landlord" in found
    assert "7 days before the deadline, by 15 November 2026: The travel policy is reviewed" in found
    assert any(title.startswith("2 deadlines: ") for title in found)
    entry = next(
        candidate for candidate in feed.findall(f"{ATOM}entry") if "alertd/move/" in said(candidate, "id")
    )
    assert said(entry, "content") == f"{moved}.\nSeen on 5 October 2026, 16:10 (Europe/Berlin)."
    assert [link.attrib["href"] for link in entry.findall(f"{ATOM}link")] == [
        "https://alertd.example/milestones/data-centre/databases"
    ]


async def test_feed_of_one_timeline_has_no_other(stage: Stage) -> None:
    feed = await read(stage, "/feeds/timelines/duties.atom")

    about = {category.attrib["term"] for category in feed.iter(f"{ATOM}category")}
    assert said(feed, "title") == "Duties and certificates"
    assert about == {"duties"}
    assert said(feed, "id").endswith("alertd/feed/duties")
    assert said(await read(stage), "id").endswith("alertd/feed/")
    assert (await stage.get("/feeds/timelines/nothing.atom")).status_code == 404


async def test_where_it_stands_is_told_but_no_secret(stage: Stage) -> None:
    secret = stage.token("reader", "feed")
    open_one = await read(stage)
    secret_one = await read(stage, f"/feeds/{secret}/all.atom")

    (own,) = [link for link in open_one.findall(f"{ATOM}link") if link.attrib["rel"] == "self"]
    assert own.attrib["href"] == "https://alertd.example/feeds/all.atom"
    assert not [link for link in secret_one.findall(f"{ATOM}link") if link.attrib["rel"] == "self"]
    assert secret.encode() not in ET.tostring(secret_one)
    assert titles(secret_one) == titles(open_one)


@asynccontextmanager
async def a_scene(folder: Path, *milestones: Milestone) -> AsyncIterator[tuple[Stage, Scene]]:
    """Run the server, and the daemon's work over a second connection to the same ledger."""
    async with a_stage(folder, WEB, at=when("2026-09-01")) as stage, a_ledger("file", folder) as ledger:
        scene = Scene(ledger, "2026-09-01")
        scene.clock = stage.clock
        scene.define(*milestones)
        await scene.reconcile()
        yield stage, scene


async def test_ids_stay_and_what_is_new_comes_first(tmp_path: Path) -> None:
    """A reader that has the current feed gets 304, until something is sent."""
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, scene):
        empty = await read(stage)
        await scene.until("2026-09-23T10:00")
        first = await stage.get("/feeds/all.atom")
        again = await stage.get("/feeds/all.atom", **{"if-none-match": first.headers["etag"]})
        await scene.act(ActionKind.DONE, "iraq/a", done_on="2026-09-23")
        await scene.turn()
        second = await read(stage)

    assert not titles(empty)
    assert instant(said(empty, "updated")) == when("2026-09-01")
    assert again.status_code == 304
    before = [said(entry, "id") for entry in ET.fromstring(first.content).findall(f"{ATOM}entry")]
    after = [said(entry, "id") for entry in second.findall(f"{ATOM}entry")]
    assert before == after[1:]
    assert titles(second)[0] == "Done: It comes about"


async def test_no_text_is_markup(tmp_path: Path) -> None:
    """Text contains no markup, and no characters that XML does not allow."""
    evil = "]]><script>alert(1)</script> &amp; \x00\x0b\ufffe\U0001f680 \"'"
    odd = a_milestone("iraq/a", "2026-09-30", title=evil, timeline_title=evil)
    async with a_scene(tmp_path, odd) as (stage, scene):
        await scene.until("2026-09-23T10:00")
        raw = (await stage.get("/feeds/timelines/iraq.atom")).text
        feed = await read(stage, "/feeds/timelines/iraq.atom")

    assert "<script" not in raw
    text = "]]><script>alert(1)</script> &amp; \U0001f680 \"'"
    assert said(feed, "title").replace("  ", " ") == text
    assert titles(feed)[0].endswith(f": {text}")


async def test_it_is_bounded(tmp_path: Path) -> None:
    """The feed has the newest entries of each kind, also those about withdrawn milestones."""
    names = [f"iraq/m{number}" for number in range(MOST + 5)]
    async with a_scene(tmp_path, *(a_milestone(name, "2026-09-30") for name in names)) as (stage, scene):
        scene.define(*(a_milestone(name, "2026-12-31") for name in names))
        await scene.reconcile()
        scene.define()
        await scene.reconcile()
        feed = await read(stage)

    assert (
        len([entry for entry in feed.findall(f"{ATOM}entry") if "alertd/move/" in said(entry, "id")]) == MOST
    )
    assert instant(said(feed, "updated")) == when("2026-09-01")

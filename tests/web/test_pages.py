"""The pages as a browser without JavaScript gets them, from a real server over a real ledger."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from alertd.core.config import Definitions
from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.planning.audit import Audit, AuditFault, AuditFinding
from alertd.ports import Changes, Ledger
from alertd.store import open_ledger
from alertd.web.pages.live import MOST_STREAMS, Live
from alertd.web.timeline.cache import REST, MilestoneCache
from tests.postgres import make_template, server
from tests.scene import Scene, a_config, a_milestone, when
from tests.web import example
from tests.web.stage import Stage, a_stage

HOSTILE = "\"><script>alert(1)</script>'{{7*7}}&"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(example.play_in(tmp_path_factory.mktemp("played")))


@pytest.fixture
async def stage(played: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """Run a server with the whole example."""
    async with example.a_played_stage(played, tmp_path) as made:
        yield made


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, at=example.NOW) as made:
        yield made


class Balance(HTMLParser):
    """A parser that fails at the first element that another element's end tag closes."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "option"})

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Accept an element that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag, f"{self.getpos()}: </{tag}>"


async def text_of(stage: Stage, path: str) -> str:
    """Return the text of a page without markup, with single spaces."""
    answer = await stage.get(path)
    assert answer.status_code == 200, answer.text
    return said(answer)


def said(answer: httpx.Response) -> str:
    main = answer.text.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    text = re.sub(r"<[^>]*>", " ", main).replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&")
    return re.sub(r"\s+([,.;:])", r"\1", " ".join(text.split()))


# -- the timeline


async def test_timeline_says_what_it_draws(stage: Stage) -> None:
    """The page has each claim in words, with its source and its status, and the moves and the actions."""
    text = await text_of(stage, "/")

    for part in (
        "As of 24 November 2026, 13:03 (Europe/Berlin).",
        "Next reminder: ",
        "4 overdue",
        "by September 2026 – the minister passed 55 days ago",
        "by the end of 2026 – Reuters due in 37 days",
        "by about September 2027 – the minister never reminds",
        "moved on 5 October 2026 by December 2026 – Jana Okafor due in 37 days",
        "by October 2026 (uncertain) – The board passed 24 days ago, not confirmed",
        "by 30 September 2026 – the landlord done 13 days before",
        "acknowledged until 2 December 2026",
        "The travel policy is reviewed cancelled",
        "from November 2026, no end given",
    ):
        assert part in text


@pytest.mark.parametrize(
    "path",
    ["/", "/?zoom=30d", "/?state=done", f"/milestones/{example.PHASE_2}", "/deliveries", "/unsubscribe"],
)
async def test_page_is_whole_and_holds_no_script_of_its_own(stage: Stage, path: str) -> None:
    """All elements are closed, all ids are unique, and the page works under its content security policy."""
    html = (await stage.get(path)).text

    Balance().feed(html)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style", html)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", html))
    assert not re.search(r'(src|href)="(https?:)?//(?!wiki\.example)', html), (
        "a page loads nothing from other sites"
    )


async def test_filters_are_in_the_address(stage: Stage) -> None:
    """The form shows the filter again, and the links to other zooms keep it."""
    html = (await stage.get("/?text=lease&label=team%3Doperations&order=date")).text

    assert 'value="lease"' in html
    assert 'value="team=operations"' in html
    assert "1 of 16 milestones" in " ".join(html.split())
    assert 'href="?text=lease&amp;label=team%3Doperations&amp;order=date&amp;zoom=year"' in html


async def test_what_cannot_be_read_is_said(stage: Stage) -> None:
    text = await text_of(stage, "/?label=country%3D~x&state=gone")

    assert "A label is asked for by = or !=" in text
    assert "There is no state 'gone'" in text


async def test_nothing_asked_for_lies_in_this_time(stage: Stage) -> None:
    """The page says that nothing is in this range, and links to a range with milestones."""
    html = (await stage.get("/?zoom=30d&from=1999-01-01&text=lease")).text

    assert "Nothing of what is asked for lies in this time" in html
    assert 'href="?text=lease&amp;zoom=all">see all 1</a>' in html


async def test_empty_ledger_has_a_page(empty: Stage) -> None:
    text = await text_of(empty, "/")

    assert "No milestone is loaded yet." in text
    assert "No reminder is planned." in text
    assert "Nothing was sent yet." in await text_of(empty, "/deliveries")


async def test_what_people_wrote_is_only_text(empty: Stage) -> None:
    """Titles, sources, reasons and addresses never become markup, on any page."""
    scene = Scene(empty.ledger, "2026-11-01")
    milestone = a_milestone("t/m", "2026-12-01", title=HOSTILE, description=HOSTILE, labels={"a": HOSTILE})
    source = replace(milestone.claims[0].sources[0], who=HOSTILE, short=HOSTILE, publisher=HOSTILE)
    claim = replace(milestone.claims[0], sources=(source,), note=HOSTILE)
    scene.define(replace(milestone, claims=(claim,), timeline_title=HOSTILE))
    await scene.reconcile()
    await scene.until("2026-11-24T12:00")
    empty.definitions = Definitions(config=scene.config, timelines=scene.timelines)
    ((sent, _, _), *_) = await empty.ledger.find_deliveries()

    for path in (
        "/",
        f"/?text={HOSTILE}&label={HOSTILE}",
        "/milestones/t/m",
        "/deliveries",
        f"/deliveries/{sent.id}",
    ):
        html = (await empty.get(path)).text
        assert "<script>alert" not in html
        assert "{{7*7}}" in html


@pytest.mark.long(15)
async def test_page_of_five_thousand_is_small(empty: Stage) -> None:
    """A page shows 100 milestones and a histogram of all of them in less than a megabyte."""
    scene = Scene(empty.ledger, "2026-11-01", a_config())
    scene.define(
        *(
            a_milestone(f"t{number % 9}/m{number:04}", f"2026-{number % 12 + 1:02}", "2027")
            for number in range(5_000)
        )
    )
    await scene.reconcile()

    answer = await empty.get("/?zoom=all")

    assert "1 to 100 of 5,000 of 5,000 milestones" in said(answer)
    assert "Page 1 of 50" in said(answer)
    assert 'class="bucket"' in answer.text
    assert len(answer.content) < 300_000


# -- the state of the daemon


async def test_page_says_what_is_wrong_with_alertd(stage: Stage) -> None:
    finding = AuditFinding(fault=AuditFault.UNDECIDED, detail="a reminder was not looked at")
    stage.daemon_status = replace(
        stage.daemon_status,
        audit=Audit(at=example.NOW, findings=(finding,)),
        is_well=False,
        paused=("desk/slack",),
    )

    text = await text_of(stage, "/")

    assert "which may no longer be so" in text
    assert "Something is wrong with alertd itself" in text
    assert "a reminder was not looked at" in text
    assert "desk/slack does not answer." in text


async def test_page_says_that_the_ledger_cannot_be_written(stage: Stage) -> None:
    """The last audit found nothing: it was before that."""
    full = AuditFinding(fault=AuditFault.UNWRITABLE, detail="the ledger cannot be written since 12:00Z: full")
    stage.daemon_status = replace(stage.daemon_status, current=(full,))

    text = await text_of(stage, "/")

    assert "which may no longer be so" in text
    assert "the ledger cannot be written since 12:00Z" in text


async def test_shelf_is_read_again_only_when_the_ledger_has_changed(stage: Stage) -> None:
    """Reading is limited in time even if the ledger changes, but an action on this node shows at once."""
    cache = MilestoneCache(stage.site)
    first = await cache.get()
    stage.clock.advance(when("2026-11-24T12:10"))

    same = await cache.get()
    action = Action(
        kind=ActionKind.CANCEL, milestone=example.PHASE_2, at=stage.clock.now(), by="ada", why="it is over"
    )
    await stage.ledger.act(action, ())
    changed = await cache.get()
    cache.forget()
    again = await cache.get()

    assert same.entries is first.entries
    assert (first.as_of, same.as_of) == (example.NOW, stage.clock.now())
    assert {entry.id for entry in changed.entries if entry.status.cancelled} == {
        example.PHASE_2,
        "duties/review",
    }
    assert again.entries is not changed.entries
    assert REST > 1


async def test_summaries_follow_definitions_that_were_read_with_new_rules_of_a_zone(stage: Stage) -> None:
    """The windows of milestones move although nothing is written to the ledger."""
    cache = MilestoneCache(stage.site)
    first = await cache.get()
    assert stage.definitions is not None
    stage.definitions = replace(stage.definitions, fingerprint="read with new rules")
    stage.clock.advance(when("2026-11-24T12:10"))

    changed = await cache.get()
    same = await cache.get()

    assert changed.entries is not first.entries
    assert same.entries is changed.entries


# -- the page of a milestone


async def test_milestone_says_everything(stage: Stage) -> None:
    """The page has the claims with their sources, each reminder and its fate, deliveries and history."""
    text = await text_of(stage, f"/milestones/{example.PHASE_2}")

    for part in (
        "passed by some",
        "Passed 55 days ago by the minister's account; due in 37 days by Reuters' account.",
        "Tentative: agreed but not signed.",
        "Next: 1 December 2026, 09:00 (Asia/Baghdad): 30 days before the deadline, by the end of 2026",
        "by about September 2027 2027-09~ deprecated never reminds",
        "Sabit al-Abassi, Iraqi Minister of Defence, Al-Hadath, 8 September 2024",
        "a third year, which Lloyd Austin proposed and the minister refused",
        "2026-10-01 00:00 +03:00 = 2026-09-30 21:00 UTC, exclusive",
        "2026-09-23 09:00 +03:00 7 days before desk sent",
        "2026-12-01 09:00 +03:00 30 days before desk next",
        "expired: 180 days late when it was loaded",
        "desk gets all reminders: route takes what no other route has taken.",
        "loaded deadline: by September 2026; by the end of 2026",
    ):
        assert part in text


async def test_milestone_keeps_the_dates_that_it_had(stage: Stage) -> None:
    """After a move, the page shows the old date, its reminders, and who was told about the move."""
    html = (await stage.get("/milestones/data-centre/databases")).text
    text = await text_of(stage, "/milestones/data-centre/databases")

    assert "moved from by October 2026 to by December 2026" in text
    assert "Opens by October 2026 operations sent" in text
    assert "28 days after by October 2026 operations cancelled" in text
    assert "Because it moved operations sent" in text
    assert 'class="ghost"' in html
    assert 'class="arrow"' in html


async def test_withdrawn_milestone_keeps_its_page(stage: Stage) -> None:
    record = await stage.ledger.read_record(example.PHASE_2)
    assert record is not None
    await stage.ledger.apply(Changes(records=(replace(record, withdrawn=True),)))

    assert "It is no longer in the files" in await text_of(stage, f"/milestones/{example.PHASE_2}")
    assert "Kurdish" not in await text_of(stage, "/")


@pytest.mark.parametrize(
    "path", ["/milestones/t/none", "/milestones/t/%22%3E%3Cb%3E", "/deliveries/msg_none"]
)
async def test_what_is_not_known_is_not_found(stage: Stage, path: str) -> None:
    answer = await stage.get(path, accept="text/html")

    assert answer.status_code == 404
    assert "<b>" not in answer.text


# -- the deliveries


async def test_deliveries_are_listed_and_filtered(stage: Stage) -> None:
    everything = await text_of(stage, "/deliveries")
    dead = await text_of(stage, "/deliveries?state=dead")
    retrying = await text_of(stage, "/deliveries?state=ready&receiver=operations")
    searched = await text_of(stage, "/deliveries?text=phase-2")

    assert "dead operations/webhook" in everything
    assert "1 attempt: HTTP 410 Gone: this hook was deleted" in dead
    assert " sent " not in dead.partition("Attempts")[2]
    assert "retrying operations/webhook The shelves are sold, 7 days before" in retrying
    assert "no answer within 10 s" in retrying
    assert searched.count("Kurdish autonomous region leave,") == 11
    assert "There is no such delivery." in await text_of(stage, "/deliveries?text=nothing")


async def test_deliveries_are_paged(empty: Stage) -> None:
    """Each delivery is on one page, and the last page has no link to older ones."""
    scene = Scene(empty.ledger, "2026-01-01")
    scene.define(*(a_milestone(f"t/m{number:02}", f"2026-02-{number % 28 + 1:02}") for number in range(60)))
    await scene.reconcile()
    await scene.until("2026-05-01")
    every = [delivery.id for delivery, _, _ in await empty.ledger.find_deliveries(limit=1_000)]
    path, seen = "/deliveries", []

    for _ in range(9):
        html = (await empty.get(path)).text
        seen += re.findall(r'href="/deliveries/(msg_\w+)"', html)
        older = re.search(r'rel="next" href="([^"]+)"', html)
        if older is None:
            break
        path = "/deliveries" + older[1].replace("&amp;", "&")

    assert len(every) > 50
    assert seen == every


async def test_delivery_shows_its_message_as_it_was(stage: Stage) -> None:
    """The message is composed as of the attempt, so its days count from then and not from today."""
    found = await stage.ledger.find_deliveries(text=example.PHASE_2, limit=3)
    ((sent, _, members),) = [candidate for candidate in found if candidate[2][0].offset == "+14d"]

    text = await text_of(stage, f"/deliveries/{sent.id}")

    assert "Passed 14 days ago by the minister's account" in text
    assert "Sent, to desk/console." in text
    assert "1 2026-10-14 08:00 +02:00 sent" in text
    assert members[0].told_at == sent.settled_at


async def test_delivery_that_waits_is_shown_as_it_would_be_now(stage: Stage) -> None:
    ((delivery, tries, _), *_) = await stage.ledger.find_deliveries(state=DeliveryState.READY)

    text = await text_of(stage, f"/deliveries/{delivery.id}")

    assert len(tries) > 2
    assert "Retrying, to operations/webhook" in text
    assert "It is tried again at 2026-11-24" in text
    assert "no answer within 10 s" in text
    assert "The shelves are sold" in text


async def test_delivery_that_is_dead_says_how_to_send_it_again(stage: Stage) -> None:
    ((delivery, _, _),) = await stage.ledger.find_deliveries(state=DeliveryState.DEAD)

    assert f"alertd retry {delivery.id}" in await text_of(stage, f"/deliveries/{delivery.id}")


# -- access, and live updates


async def test_only_who_may_read_sees_anything(tmp_path: Path) -> None:
    """Every page needs the scope to read, except the page that mails link to, which reveals nothing."""
    async with a_stage(tmp_path, "auth: {tokens_file: tokens}") as stage:
        stage.token("reader", "read")
        for path in ("/", "/milestones/t/m", "/deliveries", "/deliveries/msg_x", "/live"):
            assert (await stage.get(path)).status_code == 401
        open_to_all = await stage.get("/unsubscribe")

    assert open_to_all.status_code == 200
    assert "There is nothing to click here" in open_to_all.text
    assert "Deliveries" not in open_to_all.text


async def test_live_tells_that_something_changed(stage: Stage) -> None:
    """The stream also reports the actions of a person on this node, and it ends with the server."""
    async with stage.client().stream("GET", "/live", timeout=30) as answer:
        lines = answer.aiter_lines()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await anext(lines) == "retry: 5000"
        assert [line async for line in _until(lines, "event: begun")]
        action = Action(kind=ActionKind.CANCEL, milestone=example.PHASE_2, at=example.NOW, by="ada")
        await stage.ledger.act(action, ())

        told = [line async for line in _until(lines, "event: changed")]
        stage.site.closing.set()
        rest = [line async for line in lines]

    assert told[-1] == "event: changed"
    assert rest[-1:] in ([], [""], ["data: -"])


async def _until(lines: AsyncIterator[str], wanted: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == wanted:
            return


async def test_live_beats_while_nothing_changes(empty: Stage) -> None:
    """An idle stream sends comments, so that no proxy closes it."""
    stream = Live(empty.site, beat_every_s=0.01).stream()

    told = [await anext(stream) for _ in range(3)]
    await stream.aclose()  # type: ignore[attr-defined]

    assert told[0].startswith(b"retry:")
    assert told[1:] == [b": still here\n\n"] * 2


async def test_streams_are_few(empty: Stage) -> None:
    """A stream beyond the limit is refused, and a stream that ends makes room."""
    live = Live(empty.site)
    streams = [live.stream() for _ in range(MOST_STREAMS)]
    for stream in streams:
        await anext(stream)

    full = live.is_full
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]

    assert full
    assert not live.is_full


# -- several nodes


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[Stage, Stage]]:
    """Run two servers, each with its own connection to one PostgreSQL database."""
    with server() as postgres:
        make_template(postgres)
        with postgres.database() as url:
            async with (
                a_stage(folder / "one", at=example.NOW) as first,
                a_stage(folder / "two", at=example.NOW) as two,
            ):
                books = [await open_ledger(url), await open_ledger(url)]
                for stage, book in ((first, books[0]), (two, books[1])):
                    _use(stage, book)
                try:
                    yield first, two
                finally:
                    for book in books:
                        await book.close()


def _use(stage: Stage, ledger: Ledger) -> None:
    stage.ledger = ledger
    object.__setattr__(stage.site, "ledger", ledger)


async def without_csrf(stage: Stage, path: str) -> str:
    """Return a page without its CSRF tokens, which differ for each browser."""
    return re.sub(r'name="csrf" value="[^"]+"', "", (await stage.get(path)).text)


async def test_any_node_shows_the_same(tmp_path: Path) -> None:
    """Everything is in the ledger, so each node shows what another node has done."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with two_nodes(tmp_path) as (first, two):
        found = await example.play(first.ledger, tmp_path / "config")
        first.definitions = two.definitions = found
        ((sent, _, _), *_) = await first.ledger.find_deliveries()
        paths = (
            "/",
            "/?zoom=year&state=moved",
            f"/milestones/{example.PHASE_2}",
            "/deliveries",
            f"/deliveries/{sent.id}",
        )

        pages = [[await without_csrf(stage, path) for path in paths] for stage in (first, two)]
        action = Action(kind=ActionKind.CANCEL, milestone=example.PHASE_2, at=example.NOW, by="ada")
        await two.ledger.act(action, ())
        after = await text_of(first, f"/milestones/{example.PHASE_2}")

    assert pages[0] == pages[1]
    assert "Cancelled by ada: no further reminder." in after

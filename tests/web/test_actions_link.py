"""The links in messages: a link shows a form, and only sending the form acts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from alertd.core.message.links import LASTS, LinkKind, Links
from alertd.core.milestones.status import NO_ACTIONS, ActionKind
from tests.scene import when
from tests.web.acting import NAME, Acting, acting

AUTH = "auth: {tokens_file: tokens}"
SENT = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def act(tmp_path: Path) -> AsyncIterator[Acting]:
    async with acting(tmp_path, AUTH) as made:
        yield made


async def test_link_opens_a_form_and_changes_nothing(act: Acting) -> None:
    """A GET request never acts, however often a mail scanner follows the link, and needs no login."""
    before = await act.stage.ledger.read_history()
    path = f"/act/{act.token()}"

    answers = [await act.stage.client().request(method, path) for method in ("GET", "HEAD", "GET", "OPTIONS")]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 405]
    page = answers[0].text
    assert "The &lt;bridge&gt; opens" in page
    assert "by 30 September 2026" in page
    assert 'value="2026-09-15"' in page  # in fourteen days
    assert "What is due before then is dropped" in page
    assert await act.read_status() == NO_ACTIONS
    assert await act.stage.ledger.read_history() == before


async def test_form_page_is_kept_and_found_by_nobody(act: Acting) -> None:
    answer = await act.stage.get(f"/act/{act.token()}")

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


async def test_sending_the_form_acknowledges(act: Acting) -> None:
    """The history records the actor and the link, and the page shows the new state."""
    path = f"/act/{act.token()}"

    answer = await act.stage.client().post(
        path, data={"until": "2026-09-20", "by": "Grace", "why": "on it"}, headers=SENT
    )
    page = await act.follow(answer)

    status = await act.read_status()
    assert status.ack_until == when("2026-09-20T09:00")
    assert status.ack_by == "Grace, by a link to desk"
    (entry,) = await act.said()
    assert (entry.kind, entry.why, entry.facts["how"]) == ("ack", "on it", "link:desk")
    assert "Acknowledged t/m: no reminder until" in page.text
    assert "Undo" in page.text
    assert "<input" not in page.text
    (event,) = [candidate for candidate in act.stage.events if candidate["event"] == "action.recorded"]
    assert (event["by"], event["how"]) == ("Grace, by a link to desk", "link:desk")


async def test_sending_it_twice_says_it_once(act: Acting) -> None:
    path, fields = f"/act/{act.token()}", {"until": "2026-09-20"}

    answers = [await act.stage.client().post(path, data=fields, headers=SENT) for _ in range(2)]
    pages = [await act.follow(answer) for answer in answers]

    assert len(await act.said()) == 1
    assert "Nothing is new." in pages[1].text
    assert "Undo" in pages[1].text


async def test_undo_takes_it_back_once(act: Acting) -> None:
    answer = await act.stage.client().post(
        f"/act/{act.token(LinkKind.DONE)}", data={"evidence": "seen"}, headers=SENT
    )
    undo = f"/act/{parse_qs(urlsplit(answer.headers['location']).query)['undo'][0]}"
    done = await act.read_status()

    answers = [await act.stage.client().post(undo, data={"by": "Grace"}, headers=SENT) for _ in range(2)]

    assert done.done_on == date(2026, 9, 1)
    assert [answer.status_code for answer in answers] == [303, 303]
    assert "Open again: t/m." in (await act.follow(answers[0])).text
    assert "It was taken back already." in (await act.follow(answers[1])).text
    assert await act.read_status() == NO_ACTIONS
    assert [entry.kind for entry in await act.said()] == ["done", "reopen"]


async def test_undo_takes_back_nothing_that_others_have_said_since(act: Acting) -> None:
    answer = await act.stage.client().post(f"/act/{act.token()}", data={"until": "7d"}, headers=SENT)
    undo = f"/act/{parse_qs(urlsplit(answer.headers['location']).query)['undo'][0]}"
    act.scene.clock.advance(act.scene.now + timedelta(minutes=5))
    await act.scene.act(ActionKind.CANCEL, NAME)

    refused = await act.stage.client().post(undo, data={"by": ""}, headers=SENT)

    assert refused.status_code == 409
    assert "something else has been said of it since" in refused.text.lower()
    assert (await act.read_status()).cancelled


async def test_undo_of_a_link_ends_after_an_hour(act: Acting) -> None:
    answer = await act.stage.client().post(f"/act/{act.token()}", data={"until": "7d"}, headers=SENT)
    undo = f"/act/{parse_qs(urlsplit(answer.headers['location']).query)['undo'][0]}"
    act.stage.clock.advance(act.stage.clock.now() + timedelta(hours=1))

    refused = await act.stage.client().post(undo, data={"by": ""}, headers=SENT)

    assert refused.status_code == 410


async def test_link_that_has_expired_says_nothing_of_the_milestone(act: Acting) -> None:
    token = act.token()
    act.stage.clock.advance(act.stage.clock.now() + timedelta(days=1))

    answers = [
        await act.stage.client().request(how, f"/act/{token}", headers=SENT) for how in ("GET", "POST")
    ]

    for answer in answers:
        assert answer.status_code == 410
        assert "This link has expired" in answer.text
        assert "bridge" not in answer.text
        assert NAME not in answer.text
    assert await act.read_status() == NO_ACTIONS


@pytest.mark.parametrize("spoil", ["x{}", "{}x", "A.{}", "nonsense", "{}.{}"])
async def test_link_that_is_forged_says_nothing_at_all(act: Acting, spoil: str) -> None:
    token = spoil.format(act.token(), act.token())

    answers = [
        await act.stage.client().request(how, f"/act/{token}", headers=SENT) for how in ("GET", "POST")
    ]

    for answer in answers:
        assert answer.status_code == 404
        assert "bridge" not in answer.text
        assert NAME not in answer.text
    assert await act.read_status() == NO_ACTIONS


async def test_link_of_another_server_is_forged(act: Acting) -> None:
    links = Links(base="https://elsewhere.example", key=b"another key, of 32 bytes at least")
    (first, *_) = links.make_actions(NAME, "desk", when("2026-09-01"))

    answer = await act.stage.get(f"/act/{first.url.rpartition('/')[2]}")

    assert answer.status_code == 404


async def test_link_does_one_thing_to_one_milestone(act: Acting) -> None:
    """Other values in the form change neither the action nor the milestone."""
    token = act.token(LinkKind.SNOOZE)

    fields = {"until": "2d", "on": "2026-08-31", "kind": "done", "milestone": "t/other", "receiver": "leads"}
    await act.stage.client().post(f"/act/{token}", data=fields, headers=SENT)

    status = await act.read_status()
    assert status.snooze_until == when("2026-09-03T12:00")
    assert not status.closed
    assert [entry.facts["how"] for entry in await act.said()] == ["link:desk"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    ],
)
async def test_form_of_another_site_is_refused(act: Acting, headers: dict[str, str]) -> None:
    answer = await act.stage.client().post(f"/act/{act.token()}", data={"until": "7d"}, headers=headers)

    assert answer.status_code == 403
    assert await act.read_status() == NO_ACTIONS


async def test_what_is_no_form_is_refused(act: Acting) -> None:
    path = f"/act/{act.token()}"
    client = act.stage.client()

    answers = [
        await client.post(path, headers=SENT),
        await client.post(path, json={"until": "7d"}, headers=SENT),
        await client.post(path, files={"until": b"7d"}, headers=SENT),
    ]

    assert [answer.status_code for answer in answers] == [415] * 3
    assert await act.read_status() == NO_ACTIONS


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        (LinkKind.ACKNOWLEDGE, {"until": "soon"}, "is none of a date"),
        (LinkKind.ACKNOWLEDGE, {"until": "2026-08-01"}, "is not in the future"),
        (LinkKind.SNOOZE, {"until": ""}, "Say until when"),
        (LinkKind.DONE, {"on": "2027-01-01"}, "has not come yet"),
        (LinkKind.DONE, {"on": "yesterday"}, "is no date"),
        (LinkKind.DONE, {"evidence": "x" * 1001}, "Longer than 1,000 characters"),
    ],
)
async def test_what_cannot_be_is_said_at_its_field(
    act: Acting, kind: LinkKind, fields: dict[str, str], wrong: str
) -> None:
    """The form keeps what was entered."""
    sent = {**fields, "why": 'because "so"'}

    answer = await act.stage.client().post(f"/act/{act.token(kind)}", data=sent, headers=SENT)

    assert answer.status_code == 422
    assert wrong in re.sub(r"&#?\w+;", "", answer.text)
    assert answer.text.count('aria-invalid="true"') == 1
    assert 'value="because &#34;so&#34;"' in answer.text
    assert await act.read_status() == NO_ACTIONS


async def test_link_to_what_is_done_asks_for_nothing_more(act: Acting) -> None:
    await act.scene.act(ActionKind.DONE, NAME, done_on="2026-08-31")

    page = await act.stage.get(f"/act/{act.token()}")
    sent = await act.stage.client().post(f"/act/{act.token()}", data={"until": "7d"}, headers=SENT)

    assert "<form" not in page.text
    assert "Done on 31 August 2026" in page.text
    assert sent.status_code == 409


async def test_page_says_nothing_that_an_address_has_made_up(act: Acting) -> None:
    path = f"/act/{act.token()}"

    answer = await act.stage.client().get(path, params={"told": "SGVsbG8.1788264000.AAAA", "undo": "x"})

    assert "Hello" not in answer.text
    assert "<form" in answer.text


async def test_token_is_in_no_log(act: Acting) -> None:
    token = act.token()
    client = act.stage.client()
    await client.post(f"/act/{token}", data={"until": "7d"}, headers=SENT)
    await act.stage.ledger.close()
    failed = await client.get(f"/act/{token}")

    assert failed.status_code >= 500
    assert token not in str(act.stage.events)


def test_links_last_longer_than_a_delivery_is_tried() -> None:
    assert timedelta(hours=72) < LASTS


async def test_without_a_milestone_there_is_nothing(act: Acting) -> None:
    answer: httpx.Response = await act.stage.get(f"/act/{act.token(milestone='t/gone')}")

    assert answer.status_code == 404

"""The actions of the pages: each action by its form, a retry of a dead delivery, and a test message."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from alertd.core.config import Config
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.ledger.records import DeliveryState
from alertd.core.milestones.status import NO_ACTIONS, ActionKind
from alertd.notify.http.client import HttpClient
from alertd.web.server.context import OutboundServices
from tests.web.acting import FORM, NAME, PATH, Acting, acting
from tests.web.stage import csrf_of

AUTH = "auth: {tokens_file: tokens}"
OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def act(tmp_path: Path) -> AsyncIterator[Acting]:
    """Run a server on loopback, where anonymous requests have every scope."""
    async with acting(tmp_path) as made:
        yield made


async def test_each_action_is_recorded_with_who_and_how(act: Acting) -> None:
    """The page after the redirect shows the new state."""
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("ack", {"until": "2026-09-10"}, "Acknowledged t/m"),
        ("snooze", {"until": "3d"}, "Snoozed t/m until"),
        ("reopen", {}, "Open again: t/m."),
        (
            "done",
            {"on": "2026-08-31", "evidence": "https://example.org/e"},
            "Done: t/m came about on 31 August 2026.",
        ),
        ("reopen", {}, "Open again: t/m."),
        ("cancel", {}, "Cancelled t/m: no further reminder."),
    ]

    told = []
    for kind, fields, _ in steps:
        answer = await act.post(f"{PATH}/{kind}", by="Grace", why=f"because of {kind}", **fields)
        told.append((await act.follow(answer)).text)
        act.stage.clock.advance(act.stage.clock.now() + timedelta(seconds=1))

    for page, (_, _, words) in zip(told, steps, strict=True):
        assert words in page
    entries = await act.said()
    assert [entry.kind for entry in entries] == [kind for kind, _, _ in steps]
    assert {entry.by for entry in entries} == {"Grace at 127.0.0.1"}
    assert {entry.facts["how"] for entry in entries} == {"page:127.0.0.1"}
    assert [entry.why for entry in entries] == [f"because of {kind}" for kind, _, _ in steps]
    assert (await act.read_status()).cancelled


async def test_somebody_who_is_known_is_not_asked_for_a_name(tmp_path: Path) -> None:
    async with acting(tmp_path, AUTH) as act:
        browser, _ = await act.stage.log_in(act.stage.token("ada", "act"))

        page = (await browser.get(PATH)).text
        answer = await act.post(f"{PATH}/done", browser, on="2026-09-01", by="Somebody Else")

        assert answer.status_code == 303
        assert 'name="by"' not in page
        (entry,) = await act.said()
        assert (entry.by, entry.facts["how"]) == ("ada", "page:ada")
        assert (await act.read_status()).done_on == date(2026, 9, 1)


async def test_who_may_only_read_sees_no_form_and_sends_none(tmp_path: Path) -> None:
    async with acting(tmp_path, AUTH) as act:
        browser, _ = await act.stage.log_in(act.stage.token("bob", "read"))
        csrf = csrf_of((await browser.get("/")).text)

        page = (await browser.get(PATH)).text
        answers = [
            await browser.post(path, data={"csrf": csrf, "until": "7d", "receiver": "desk"}, headers=OWN)
            for path in (f"{PATH}/ack", "/deliveries/msg_x/retry", "/send-test")
        ]

        assert "act-ack" not in page
        assert [answer.status_code for answer in answers] == [403] * 3
        assert await act.read_status() == NO_ACTIONS


@pytest.mark.parametrize("path", [f"{PATH}/ack", "/deliveries/msg_x/retry", "/send-test"])
async def test_action_needs_the_token_of_its_form(act: Acting, path: str) -> None:
    answer = await act.stage.client().post(path, data={"until": "7d", "receiver": "desk"}, headers=OWN)

    assert answer.status_code == 403
    assert await act.read_status() == NO_ACTIONS


async def test_action_of_another_site_is_refused(act: Acting) -> None:
    browser = act.stage.client()
    csrf = csrf_of((await browser.get(PATH)).text)

    answer = await browser.post(
        f"{PATH}/ack", data={"csrf": csrf, "until": "7d"}, headers={"sec-fetch-site": "cross-site"}
    )

    assert answer.status_code == 403
    assert await act.read_status() == NO_ACTIONS


async def test_looking_at_a_form_changes_nothing(act: Acting) -> None:
    before = await act.stage.ledger.read_history()

    answers = [await act.stage.get(f"{PATH}/{kind}?until=7d") for kind in ActionKind]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert all("<form" in answer.text for answer in answers)
    assert await act.stage.ledger.read_history() == before


async def test_problem_is_shown_at_its_field_with_what_was_filled_in(act: Acting) -> None:
    answer = await act.post(f"{PATH}/snooze", until="soonish", why="<later>")

    assert answer.status_code == 422
    assert "is none of a date" in answer.text
    assert 'value="soonish"' in answer.text
    assert 'value="&lt;later&gt;"' in answer.text
    field = re.search(r'<input id="snooze-until"[^>]*>', answer.text)
    assert field is not None
    assert 'aria-invalid="true"' in field[0]
    assert await act.read_status() == NO_ACTIONS


async def test_what_does_not_fit_is_said(act: Acting) -> None:
    """An outdated form cannot undo what another person has done in the meantime."""
    await act.scene.act(ActionKind.DONE, NAME, done_on="2026-08-31")

    answer = await act.post(
        f"{PATH}/cancel", csrf=csrf_of((await act.stage.get("/milestones/t/m/reopen")).text)
    )

    assert answer.status_code == 403  # the token of another session

    browser = act.stage.client()
    csrf = csrf_of((await browser.get(PATH)).text)
    answer = await browser.post(f"{PATH}/cancel", data={"csrf": csrf}, headers=OWN)

    assert answer.status_code == 409
    assert "It is done on 31 August 2026 already; reopen it first." in answer.text


async def test_same_form_twice_is_said_once(act: Acting) -> None:
    browser = act.stage.client()

    answers = [await act.post(f"{PATH}/ack", browser, until="2026-09-20", by="Grace") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(await act.said()) == 1


async def test_closed_milestone_offers_only_to_be_reopened(act: Acting) -> None:
    await act.scene.act(ActionKind.CANCEL, NAME)

    page = (await act.stage.get(PATH)).text

    assert re.findall(r'<details id="act-(\w+)"', page) == ["reopen"]


@pytest.mark.parametrize("path", ["/milestones/t/none/ack", "/milestones/t/m/explode"])
async def test_what_is_not_there_is_not_found(act: Acting, path: str) -> None:
    assert (await act.stage.get(path)).status_code == 404
    assert (await act.post(path, until="7d")).status_code == 404


async def test_without_a_configuration_nothing_is_said(act: Acting) -> None:
    browser = act.stage.client()
    csrf = csrf_of((await browser.get(PATH)).text)
    act.stage.definitions = None

    answer = await browser.post(f"{PATH}/ack", data={"csrf": csrf, "until": "7d"}, headers=OWN)

    assert answer.status_code == 503
    assert await act.read_status() == NO_ACTIONS


async def test_action_stops_what_it_should(act: Acting) -> None:
    """An acknowledgement on the page suppresses the reminders before its end, as any other does."""
    await act.post(f"{PATH}/ack", until="2026-09-25", by="Grace")

    await act.scene.until("2026-10-02")

    told = [line for line in act.scene.told("desk") if line > "2026-09-01T12"]
    assert told == ["2026-09-29T09:00 t/m -1d", "2026-09-30T09:00 t/m 0d", "2026-10-01T09:00 t/m +1d"]


async def dead(act: Acting) -> str:
    """Make a dead delivery, and return its id."""
    act.scene.recorder().answers = [Rejected(reason="HTTP 404")]
    await act.scene.until("2026-09-23T10:00")
    ((delivery, _, _),) = await act.stage.ledger.find_deliveries(state=DeliveryState.DEAD)
    return delivery.id


async def test_dead_delivery_is_sent_again_from_its_page(act: Acting) -> None:
    name = await dead(act)
    page = (await act.stage.get(f"/deliveries/{name}")).text
    assert "Send again" in page

    answers = [await act.post(f"/deliveries/{name}/retry") for _ in range(2)]
    follows = [await act.follow(answer) for answer in answers]
    await act.scene.turn()

    assert all("It will be sent again to desk/hook." in page.text for page in follows)
    ((delivery, attempts, _),) = await act.stage.ledger.find_deliveries(delivery=name)
    assert delivery.state is DeliveryState.SENT
    assert [attempt.outcome for attempt in attempts] == ["rejected", "sent"]
    (entry,) = [candidate for candidate in await act.said() if candidate.kind == "retry"]
    assert entry.by == "somebody at 127.0.0.1, on the page"


async def test_delivery_that_was_sent_is_not_sent_again(act: Acting) -> None:
    (delivery, _, _), *_ = await act.stage.ledger.find_deliveries()

    answer = await act.post(f"/deliveries/{delivery.id}/retry")
    unknown = await act.post("/deliveries/msg_none/retry")

    assert "Send again" not in (await act.stage.get(f"/deliveries/{delivery.id}")).text
    assert (answer.status_code, unknown.status_code) == (409, 404)


OUTCOMES: list[tuple[str, Outcome]] = [
    ("desk/hook", Sent(note="HTTP 204")),
    ("desk/email", Retry(reason="mail.example.org cannot be reached")),
]


class Postman:
    """A fake that records the requests for test messages and sends none."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, config: Config, receiver: str) -> list[tuple[str, Outcome]]:
        self.asked.append(receiver)
        return OUTCOMES


async def test_test_is_sent_to_a_receiver_that_there_is(tmp_path: Path) -> None:
    postman = Postman()
    outbound = OutboundServices(http=HttpClient(), secret=lambda name: name, send_test=postman)
    async with acting(tmp_path, outbound=outbound) as act:
        page = await act.stage.get("/deliveries")
        answer = await act.post("/send-test", receiver="desk")
        unknown = await act.post("/send-test", receiver="nobody")
        async with outbound.testing:
            busy = await act.post("/send-test", receiver="desk")

        assert "Send a test" in page.text
        assert postman.asked == ["desk"]
        assert (unknown.status_code, busy.status_code) == (404, 429)
        told = (await act.follow(answer)).text
        assert (
            "desk/hook accepted (HTTP 204) and desk/email failed for now: mail.example.org cannot be reached"
            in told
        )


async def test_what_is_no_form_is_refused(act: Acting) -> None:
    """A JSON body from this site needs no CSRF token. Only the API accepts it."""
    browser = act.stage.client()
    csrf = csrf_of((await browser.get(PATH)).text)

    answers = [
        await browser.post(f"{PATH}/ack", json={"until": "7d"}, headers=OWN),
        await browser.post(f"{PATH}/ack", files={"until": b"7d"}, headers={**OWN, "x-csrf-token": csrf}),
    ]

    assert [answer.status_code for answer in answers] == [415, 415]
    assert await act.read_status() == NO_ACTIONS


async def test_endless_form_is_refused(act: Acting) -> None:
    browser = act.stage.client()
    csrf = csrf_of((await browser.get(PATH)).text)
    content = "&".join([f"csrf={csrf}", *(f"f{number}=x" for number in range(100))])

    answer = await browser.post(f"{PATH}/ack", content=content, headers={**OWN, **FORM, "x-csrf-token": csrf})

    assert answer.status_code == 400
    assert await act.read_status() == NO_ACTIONS


async def test_text_that_steers_a_terminal_is_not_kept(act: Acting) -> None:
    await act.post(f"{PATH}/done", on="2026-09-01", by="A\x1b[31mda\u202e", evidence="a\r\nb\x00c")

    (entry,) = await act.said()
    assert entry.by == "A [31mda at 127.0.0.1"
    assert entry.facts["evidence"] == "a b c"


async def test_what_was_said_is_seen_by_the_page_at_once(act: Acting) -> None:
    before = await act.stage.get("/?state=cancelled&zoom=all")

    await act.post(f"{PATH}/cancel")

    after = await act.stage.get("/?state=cancelled&zoom=all")
    assert "<b>1</b> cancelled" not in before.text
    assert "<b>1</b> cancelled" in after.text

"""The JSON API: its answers and actions agree with the pages and the command line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from alertd.core.config import Config, list_milestones
from alertd.core.ledger.outcome import Outcome, Rejected, Sent
from alertd.core.milestones.status import NO_ACTIONS
from alertd.notify.http.client import HttpClient
from alertd.web.server.context import OutboundServices
from tests.scene import Scene, a_milestone
from tests.web.acting import NAME, Acting, acting

API = "/api/v1"
ONE = f"{API}/milestones/{NAME}"
ACTIONS = f"{ONE}/actions"


async def tried(config: Config, receiver: str) -> list[tuple[str, Outcome]]:
    return [
        (f"{receiver}/hook", Sent(note="HTTP 204")),
        (f"{receiver}/email", Rejected(reason="no such user")),
    ]


@pytest.fixture
async def act(tmp_path: Path) -> AsyncIterator[Acting]:
    outbound = OutboundServices(http=HttpClient(), secret=lambda name: name, send_test=tried)
    async with acting(tmp_path, "auth: {tokens_file: tokens}", outbound) as made:
        yield made


def program(act: Acting, scope: str = "act") -> httpx.AsyncClient:
    token = act.stage.token(f"{scope}-bot", scope)
    return act.stage.client(headers={"authorization": f"Bearer {token}"})


async def told(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def grow(act: Acting, number: int) -> Scene:
    """Add milestones in a timeline of their own. Every second one has a label."""
    scene = act.scene
    made = [
        a_milestone(
            f"many/m{index:03}", "2026-12", title=f"Number {index}", labels={"team": "a"} if index % 2 else {}
        )
        for index in range(number)
    ]
    scene.define(*list_milestones(scene.timelines).values(), *made)
    assert act.stage.definitions is not None
    act.stage.definitions = replace(act.stage.definitions, timelines=scene.timelines)
    await scene.reconcile()
    return scene


async def test_milestone_is_told_in_full(act: Acting) -> None:
    client = program(act)
    await client.post(ACTIONS, json={"kind": "snooze", "until": "2d"})

    found = await told(client, ONE)

    assert found["milestone"] == NAME
    assert found["state"] == "upcoming"
    assert found["claims"][0]["phrase"] == "by 30 September 2026"
    assert found["claims"][0]["ends"] == "2026-10-01T00:00:00Z"
    assert found["values"] == [
        {
            "deadline": "2026-09-30",
            "phrase": "by 30 September 2026",
            "window": found["claims"][0]["window"],
            "sources": ["minister"],
        }
    ]
    assert found["standing"]["snoozed_until"] == "2026-09-03T12:00:00Z"
    assert found["standing"]["snoozed_by"] == "act-bot"
    assert [occurrence["offset"] for occurrence in found["occurrences"]][:3] == ["-90d", "-30d", "-7d"]
    assert found["deliveries"][0]["carries"][0]["offset"] == "-30d"
    assert [entry["kind"] for entry in found["history"]] == ["snooze", "loaded"]
    assert found["history"][0]["facts"]["how"] == "api:act-bot"
    assert found["next"]["offset"] == "-7d"
    assert found["why"]["routes"] == [
        {
            "receiver": "desk",
            "text": "gets all reminders: route takes what no other route has taken.",
            "more": ["By hook, all in one message."],
        }
    ]


async def test_milestones_are_listed_page_by_page(act: Acting) -> None:
    await grow(act, 7)
    client = program(act, "read")

    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await told(client, f"{API}/milestones", limit=3, **({"after": after} if after else {}))
        assert page["total"] == 8
        names += [milestone["milestone"] for milestone in page["milestones"]]
        after = page["next"]

    assert names == [*(f"many/m{index:03}" for index in range(7)), NAME]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"timeline": "t"}, [NAME]),
        ({"timeline": "none"}, []),
        ({"text": "NUMBER 3"}, ["many/m003"]),
        ({"text": "minister bridge"}, [NAME]),
        ({"label": "team=a"}, ["many/m001", "many/m003"]),
        ({"label": ["team=a", "milestone!=many/m001"]}, ["many/m003"]),
        ({"state": "cancelled"}, ["many/m002"]),
        ({"state": "upcoming", "timeline": "many"}, ["many/m000", "many/m001", "many/m003"]),
        ({"state": "contested"}, []),
    ],
)
async def test_milestones_are_filtered(act: Acting, params: dict[str, Any], names: list[str]) -> None:
    await grow(act, 4)
    client = program(act)
    await client.post(f"{API}/milestones/many/m002/actions", json={"kind": "cancel"})

    found = await told(client, f"{API}/milestones", **params)

    assert [milestone["milestone"] for milestone in found["milestones"]] == names
    assert (found["total"], found["next"]) == (len(names), None)


async def test_timelines_are_counted(act: Acting) -> None:
    await grow(act, 3)
    await act.scene.until("2026-10-02")

    found = await told(program(act, "read"), f"{API}/timelines")

    assert [
        (timeline["timeline"], timeline["milestones"], timeline["overdue"]) for timeline in found["timelines"]
    ] == [
        ("many", 3, 0),
        ("t", 1, 1),
    ]


async def test_deliveries_are_listed_page_by_page_and_filtered(act: Acting) -> None:
    await act.scene.until("2026-10-02")
    client = program(act, "read")

    every = (await told(client, f"{API}/deliveries"))["deliveries"]
    first = await told(client, f"{API}/deliveries", limit=2)
    rest = await told(client, f"{API}/deliveries", before=first["next"])
    shown = await told(client, f"{API}/deliveries/{every[0]['id']}")

    assert [delivery["id"] for delivery in [*first["deliveries"], *rest["deliveries"]]] == [
        delivery["id"] for delivery in every
    ]
    assert rest["next"] is None
    assert len(every) > 3
    assert shown == every[0]
    for params, number in (
        ({"state": "sent"}, len(every)),
        ({"state": "dead"}, 0),
        ({"receiver": "desk", "milestone": NAME}, len(every)),
        ({"milestone": "t/none"}, 0),
        ({"text": every[0]["id"]}, 1),
    ):
        assert len((await told(client, f"{API}/deliveries", **params))["deliveries"]) == number


async def test_status_is_what_the_command_says(act: Acting) -> None:
    found = await told(program(act, "read"), f"{API}/status")

    assert found["ok"] is False
    assert found["wrong"] == ["no daemon has run on this ledger"]
    assert found["next"][0]["milestone"] == NAME
    assert found["counts"]["milestones"] == 1


async def test_each_action_is_done_and_recorded(act: Acting) -> None:
    client = program(act)
    sent = [
        {"kind": "ack", "until": "2026-09-10", "why": "on it"},
        {"kind": "reopen"},
        {"kind": "done", "on": "2026-08-31", "evidence": "https://example.org"},
        {"kind": "reopen", "why": "no"},
        {"kind": "cancel"},
    ]

    answers = [(await client.post(ACTIONS, json=action)).json() for action in sent]

    assert [answer["changed"] for answer in answers] == [True] * 5
    assert answers[0]["told"].startswith("Acknowledged t/m: no reminder until 10 September 2026")
    assert answers[0]["milestone"]["standing"]["acknowledged_until"] == "2026-09-10T09:00:00Z"
    assert answers[2]["milestone"]["standing"]["done_on"] == "2026-08-31"
    assert answers[4]["milestone"]["state"] == "cancelled"
    entries = await act.said()
    assert [item.kind for item in entries] == [item["kind"] for item in sent]
    assert {(entry.by, entry.facts["how"]) for entry in entries} == {("act-bot", "api:act-bot")}


async def test_same_action_twice_is_said_once(act: Acting) -> None:
    client = program(act)

    answers = [await client.post(ACTIONS, json={"kind": "done", "on": "2026-08-31"}) for _ in range(2)]
    other = await client.post(ACTIONS, json={"kind": "done", "on": "2026-08-30"})

    assert [answer.json()["changed"] for answer in answers] == [True, False]
    assert len(await act.said()) == 1
    assert other.status_code == 409
    assert other.json()["detail"] == "it is done on 31 August 2026 already; reopen it first"


@pytest.mark.parametrize(
    ("content", "kind", "status", "field"),
    [
        (b'{"kind": "ack", "until": "soon"}', "application/json", 422, "until"),
        (b'{"kind": "snooze"}', "application/json", 422, "until"),
        (b'{"kind": "explode"}', "application/json", 422, "kind"),
        (b"{}", "application/json", 422, "kind"),
        (b"", "application/json", 422, "kind"),
        (b'{"kind": "ack", "evidnce": "x"}', "application/json", 422, "evidnce"),
        (b'{"kind": "ack", "why": 1}', "application/json", 422, "why"),
        (b'["ack"]', "application/json", 422, "body"),
        (json.dumps({"kind": "ack", "why": "x" * 1001}).encode(), "application/json", 422, "why"),
        (b"{", "application/json", 400, ""),
        (b"\xff", "application/json", 400, ""),
        (b"[" * 10_000, "application/json", 400, ""),
        (b"kind=ack", "application/x-www-form-urlencoded", 415, ""),
        (b"x" * 70_000, "application/json", 413, ""),
    ],
)
async def test_what_cannot_be_is_a_problem(
    act: Acting, content: bytes, kind: str, status: int, field: str
) -> None:
    """The error follows RFC 9457 and names the field."""
    answer = await program(act).post(ACTIONS, content=content, headers={"content-type": kind})

    assert answer.status_code == status
    if status == 413:  # this check comes before the authentication
        return
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])
    assert await act.read_status() == NO_ACTIONS


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/milestones?limit=0", "limit"),
        ("/milestones?limit=201", "limit"),
        ("/milestones?limit=²", "limit"),
        ("/milestones?stat=open", "stat"),
        ("/milestones?state=opened", "state"),
        ("/milestones?text=a&text=b", "text"),
        ("/milestones?text=" + "a" * 201, "text"),
        ("/milestones?label=team~=a", "label"),
        ("/milestones?label=team=~.*", "label"),
        ("/milestones?" + "&".join(["label=a=b"] * 11), "label"),
        ("/deliveries?before=msg_none", "before"),
        ("/deliveries?state=lost", "state"),
        ("/timelines?x=1", "x"),
    ],
)
async def test_parameter_that_cannot_be_is_a_problem(act: Acting, path: str, field: str) -> None:
    answer = await program(act).get(API + path)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_what_is_not_there_is_a_problem(act: Acting) -> None:
    client = program(act)

    answers = [
        await client.get(f"{API}/milestones/t/none"),
        await client.get(f"{API}/deliveries/msg_none"),
        await client.get(f"{API}/nothing"),
        await client.post(f"{API}/milestones/t/none/actions", json={"kind": "ack"}),
        await client.post(f"{API}/milestones/t/%00/actions", json={"kind": "ack"}),
        await client.post(f"{API}/deliveries/msg_none/retry"),
        await client.post(f"{API}/send-test", json={"receiver": "nobody"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 7
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


async def test_scopes_are_kept_apart(act: Acting) -> None:
    """A request without a token cannot read, and a token with the scope to read cannot act."""
    reader, nobody = program(act, "read"), act.stage.client()
    reads = [
        f"{API}/{path}" for path in ("timelines", "milestones", f"milestones/{NAME}", "deliveries", "status")
    ]
    writes = [ACTIONS, f"{API}/deliveries/msg_x/retry", f"{API}/send-test"]

    assert [(await nobody.get(path)).status_code for path in reads] == [401] * 5
    assert [(await reader.get(path)).status_code for path in reads] == [200] * 5
    assert [(await nobody.post(path, json={})).status_code for path in writes] == [401] * 3
    assert [(await reader.post(path, json={"kind": "cancel"})).status_code for path in writes] == [403] * 3
    assert (await nobody.get(f"{API}/openapi.json")).status_code == 200
    assert await act.read_status() == NO_ACTIONS


async def test_browser_that_is_logged_in_may_use_it_from_this_site_alone(act: Acting) -> None:
    browser, _ = await act.stage.log_in(act.stage.token("ada", "act"))

    other = await browser.post(ACTIONS, json={"kind": "cancel"}, headers={"origin": "https://evil.example"})
    cross = await browser.post(ACTIONS, json={"kind": "cancel"}, headers={"sec-fetch-site": "cross-site"})
    own = await browser.post(ACTIONS, json={"kind": "ack"}, headers={"sec-fetch-site": "same-origin"})

    assert [answer.status_code for answer in (other, cross, own)] == [403, 403, 200]
    assert [entry.facts["how"] for entry in await act.said()] == ["api:ada"]


async def test_dead_delivery_is_sent_again(act: Acting) -> None:
    client = program(act)
    act.scene.recorder().answers = [Rejected(reason="HTTP 404")]
    await act.scene.until("2026-09-23T10:00")
    ((dead, *_),) = [(await told(client, f"{API}/deliveries", state="dead"))["deliveries"]]

    answers = [await client.post(f"{API}/deliveries/{dead['id']}/retry") for _ in range(2)]
    await act.scene.turn()
    sent = await client.post(f"{API}/deliveries/{dead['id']}/retry", json={})

    assert [answer.json()["state"] for answer in answers] == ["ready", "ready"]
    assert (await told(client, f"{API}/deliveries/{dead['id']}"))["state"] == "sent"
    assert sent.status_code == 409
    assert [entry.by for entry in await act.said()] == ["act-bot, by the API"]


async def test_test_is_sent(act: Acting) -> None:
    answer = await program(act).post(f"{API}/send-test", json={"receiver": "desk"})

    assert answer.json() == {
        "tried": [
            {"channel": "desk/hook", "accepted": True, "told": "accepted (HTTP 204)"},
            {"channel": "desk/email", "accepted": False, "told": "rejected: no such user"},
        ]
    }


async def test_list_is_true_right_after_an_action(act: Acting) -> None:
    client = program(act)
    before = await told(client, f"{API}/milestones", state="done")

    await client.post(ACTIONS, json={"kind": "done", "on": "2026-09-01"})

    assert before["milestones"] == []
    (milestone,) = (await told(client, f"{API}/milestones", state="done"))["milestones"]
    assert milestone["standing"]["done_by"] == "act-bot"
    assert milestone["at"] == "2026-09-01T12:00:00Z"

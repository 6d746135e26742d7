"""Clicks in Slack: alertd accepts only what Slack has signed recently, and does only what it offers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from alertd.notify.render.clean import clean_message
from alertd.notify.slack.blocks import render_posts
from alertd.notify.slack.request import Click, build_answer, is_signed, parse_click
from alertd.testing import sample_message, with_links

# The example from Slack's documentation.
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = datetime.fromtimestamp(1531420618, UTC)
HEADERS = {
    "x-slack-request-timestamp": "1531420618",
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


class At(Clock):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return self._seconds


def test_slacks_own_example_is_signed() -> None:
    assert is_signed([SECRET], HEADERS, BODY, AT)


def test_any_of_several_apps_may_have_signed_it() -> None:
    assert is_signed(["", "another", SECRET], HEADERS, BODY, AT)
    assert not is_signed(["another"], HEADERS, BODY, AT)
    assert not is_signed([], HEADERS, BODY, AT)
    assert not is_signed([""], HEADERS, BODY, AT)


@pytest.mark.parametrize(
    ("headers", "body", "late_s"),
    [
        (HEADERS, BODY + b"&text=more", 0),
        (HEADERS | {"x-slack-request-timestamp": "1531420619"}, BODY, 0),
        (HEADERS | {"x-slack-request-timestamp": "1531420618.0"}, BODY, 0),
        (HEADERS | {"x-slack-request-timestamp": "-1531420618"}, BODY, 0),
        (HEADERS | {"x-slack-request-timestamp": "١٥٣١٤٢٠٦١٨"}, BODY, 0),
        (HEADERS | {"x-slack-request-timestamp": ""}, BODY, 0),
        (HEADERS | {"x-slack-signature": "v0="}, BODY, 0),
        (HEADERS | {"x-slack-signature": HEADERS["x-slack-signature"][:-1] + "4"}, BODY, 0),
        (HEADERS | {"x-slack-signature": HEADERS["x-slack-signature"].removeprefix("v0=")}, BODY, 0),
        (HEADERS | {"x-slack-signature": "v0=é\udcff"}, BODY, 0),
        ({"x-slack-signature": HEADERS["x-slack-signature"]}, BODY, 0),
        ({"x-slack-request-timestamp": "1531420618"}, BODY, 0),
        (HEADERS, BODY, 301),
        (HEADERS, BODY, -301),
    ],
)
def test_what_slack_has_not_signed_lately_is_not_believed(
    headers: dict[str, str], body: bytes, late_s: int
) -> None:
    assert not is_signed([SECRET], headers, body, AT + timedelta(seconds=late_s))


@given(
    secret=st.text("0123456789abcdef", min_size=1, max_size=40),
    body=st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode),
    age_s=st.integers(-400, 400),
)
def test_what_slacks_own_library_signs_and_believes_is_believed_and_nothing_else(
    secret: str, body: bytes, age_s: int
) -> None:
    oracle = SignatureVerifier(secret, At(AT.timestamp() + age_s))
    stamp = str(int(AT.timestamp()))
    signature = oracle.generate_signature(timestamp=stamp, body=body)
    assert signature is not None
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}

    believed = is_signed([secret], headers, body, AT + timedelta(seconds=age_s))

    assert believed == oracle.is_valid(body, stamp, signature)


def payload(**changes: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U123", "username": "m.haddad", "name": "m.haddad", "team_id": "T1"},
        "response_url": "https://hooks.slack.com/actions/T1/2/secret",
        "actions": [
            {
                "type": "button",
                "action_id": "alertd.snooze",
                "block_id": "x",
                "value": "iraq/phase-2",
                "action_ts": "1531420618.000",
            }
        ],
        **changes,
    }


def form(value: object) -> bytes:
    return urlencode({"payload": value if isinstance(value, str) else json.dumps(value)}).encode()


def test_a_click_says_what_about_what_and_who() -> None:
    assert parse_click(form(payload())) == Click(
        kind="snooze",
        milestone="iraq/phase-2",
        user="Slack user m.haddad (U123)",
        response_url="https://hooks.slack.com/actions/T1/2/secret",
    )


def test_the_buttons_of_a_message_are_what_a_click_can_ask_for() -> None:
    message = with_links(sample_message("contested"))
    (post,) = render_posts(clean_message(message), interactive=True)
    (row,) = [block for block in post.blocks if block["type"] == "actions"]

    clicks = [parse_click(form(payload(actions=[button]))) for button in row["elements"]]

    assert [click and (click.kind, click.milestone) for click in clicks] == [
        ("acknowledge", "iraq-coalition-withdrawal/phase-2"),
        ("snooze", "iraq-coalition-withdrawal/phase-2"),
        ("done", "iraq-coalition-withdrawal/phase-2"),
        None,  # Details opens the page, but Slack reports the click nevertheless
    ]


@pytest.mark.parametrize(
    "asked",
    [
        payload(type="view_submission"),
        payload(actions=[]),
        payload(actions=None),
        payload(actions=["x"]),
        payload(actions=[{"action_id": "open.acknowledge", "value": "iraq/phase-2"}]),
        payload(actions=[{"action_id": "acknowledge", "value": "iraq/phase-2"}]),
        payload(actions=[{"action_id": "alertd.cancel", "value": "iraq/phase-2"}]),
        payload(actions=[{"action_id": "alertd.done"}]),
        payload(actions=[{"action_id": "alertd.done", "value": ""}]),
        payload(actions=[{"action_id": "alertd.done", "value": 7}]),
    ],
)
def test_what_asks_for_nothing_is_no_click(asked: dict[str, Any]) -> None:
    assert parse_click(form(asked)) is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"x", b"payload=", b"payload=[]", b"payload=%7B", b"other=1", b"\xff\xfe"),
        b"payload=" + b"[" * 100_000,
        form(payload(more="x" * 300_000)),
        b"&".join([b"payload=1"] * 1_000),
    ],
)
def test_what_slack_does_not_post_is_refused_without_being_quoted(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is (not a form with a payload of JSON|too long)$"):
        parse_click(body)


def test_who_clicked_cannot_write_into_the_history_what_they_like() -> None:
    odd = {"id": "U1\n", "username": "a\r\nb\x1b[31m" + "x" * 500}

    click = parse_click(form(payload(user=odd)))

    assert click is not None
    assert "\n" not in click.user
    assert "\x1b" not in click.user
    assert len(click.user) < 150
    assert parse_click(form(payload(user=None))) == replace(click, user="Slack user unknown")


def test_an_answer_is_for_the_one_who_clicked_and_mentions_nobody() -> None:
    assert build_answer("Acknowledged <!channel>") == {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": "Acknowledged &lt;!channel&gt;",
    }
    assert "secret" not in repr(parse_click(form(payload())))

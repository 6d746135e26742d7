"""Slack as a bot: a thread for each milestone, and the outcomes of the Web API's answers."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import Cause
from alertd.notify.base import Env
from alertd.notify.slack.notifier import SlackNotifier, SlackOptions
from alertd.notify.slack.posts import HALFWAY, LAYOUT, NO_THREAD, PASSING
from alertd.testing import Answer, Fault, FixedClock, notifier_env, sample_message, with_links
from tests.docs_pages import codes, section, tables
from tests.notify.slack_limits import faults, texts
from tests.notify.slack_server import TOKEN, SlackServer, answered, refused
from tests.notify.test_slack_blocks import of_many

PHASE_2 = "iraq-coalition-withdrawal/phase-2"
MAIN = "C024BE91L"


@pytest.fixture
async def env() -> AsyncIterator[Env]:
    made = notifier_env(secrets={"token": f"{TOKEN}\n"})
    yield made
    await made.http.aclose()


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    server = SlackServer()
    async with server:
        yield server


def bot(env: Env, slack: SlackServer, **options: Any) -> SlackNotifier:
    given = {
        "token_file": "token",
        "channel": "#deadlines",
        "api_url": slack.api_url,
        "timeout": 5,
        **options,
    }
    return SlackNotifier(SlackOptions.model_validate(given), env)


def state_of(outcome: Outcome) -> Mapping[str, Mapping[str, str]]:
    assert isinstance(outcome, Sent)
    return outcome.state


def shown(content: Any) -> str:
    return "\n".join(texts(content))


async def test_the_first_message_stands_alone_and_its_place_is_kept(env: Env, slack: SlackServer) -> None:
    message = sample_message("contested")

    outcome = await bot(env, slack).send(message, {})

    (kept,) = slack.kept
    assert outcome == Sent(
        state={PHASE_2: {"ts": kept.ts, "channel": MAIN, "asked": "#deadlines"}}, note="HTTP 200"
    )
    assert (kept.channel, kept.thread_ts, kept.edits) == (MAIN, "", 0)
    assert kept.metadata == {
        "event_type": "alertd_message",
        "event_payload": {"id": message.id, "milestone": PHASE_2},
    }
    assert "As of 24 November 2026." in shown(kept.content)
    assert slack.calls == ["chat.postMessage"]


async def test_the_next_message_is_a_reply_and_brings_the_first_up_to_date(
    env: Env, slack: SlackServer
) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))

    # Another node sends the next message.
    outcome = await bot(env, slack).send(sample_message("moved"), prior)

    parent, answer = slack.kept
    assert state_of(outcome) == prior
    assert slack.calls == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert (parent.thread_ts, parent.edits) == ("", 1)
    assert "🟣 Moved: Forces stationed" in shown(parent.content)
    assert "55 days past" not in shown(parent.content)
    assert (answer.thread_ts, answer.channel, answer.broadcast) == (parent.ts, MAIN, True)
    assert "Moved from September 2026 to the end of 2026" in shown(answer.content)
    assert sample_message("moved").id in shown(answer.content)
    assert "Who says what" in shown(parent.content)
    assert "Who says what" not in shown(answer.content)


async def test_a_done_milestone_is_struck_in_the_first_message(env: Env, slack: SlackServer) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))
    done = sample_message("contested")
    item = replace(done.items[0], cause=Cause.DONE, state=State.DONE, badge="done", headline="Done on 2 May")

    await bot(env, slack).send(replace(done, id="msg_done", items=(item,)), prior)

    assert f"~{item.title}~" in shown(slack.kept[0].content)
    assert "Done on 2 May." in shown(slack.kept[0].content)


@pytest.mark.parametrize(
    ("broadcast", "is_shown"), [(["overdue", "moved"], True), (["overdue"], False), ([], False)]
)
async def test_which_replies_the_channel_sees_is_an_option(
    env: Env, slack: SlackServer, broadcast: list[str], is_shown: bool
) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))

    await bot(env, slack, broadcast=broadcast).send(sample_message("moved"), prior)

    assert slack.kept[1].broadcast is is_shown


async def test_without_threads_each_message_stands_alone(env: Env, slack: SlackServer) -> None:
    sender = bot(env, slack, thread=False)

    outcomes = [await sender.send(sample_message(name), {}) for name in ("contested", "moved")]

    assert outcomes == [Sent(note="HTTP 200"), Sent(note="HTTP 200")]
    assert len(slack.tops()) == 2


@pytest.mark.parametrize("name", ["many", "notice", "test"])
async def test_what_is_not_about_one_milestone_stands_alone(env: Env, slack: SlackServer, name: str) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))

    outcome = await bot(env, slack).send(sample_message(name), prior)

    assert outcome == Sent(note="HTTP 200")
    assert [kept.thread_ts for kept in slack.kept] == ["", ""]
    assert slack.kept[0].edits == 0


async def test_a_first_message_that_was_deleted_is_made_anew(env: Env, slack: SlackServer) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))
    slack.delete(prior[PHASE_2]["ts"])

    outcome = await bot(env, slack).send(sample_message("moved"), prior)

    (made,) = slack.kept
    assert made.thread_ts == ""
    assert state_of(outcome)[PHASE_2]["ts"] == made.ts


@pytest.mark.parametrize("error", sorted(NO_THREAD))
async def test_a_thread_that_takes_no_reply_is_left_for_a_new_message(
    env: Env, slack: SlackServer, error: str
) -> None:
    """Also if the first message is deleted between the edit and the reply."""
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))
    slack.script("chat.postMessage", answered(refused(error)))

    outcome = await bot(env, slack).send(sample_message("moved"), prior)

    assert [kept.thread_ts for kept in slack.kept] == ["", ""]
    assert state_of(outcome)[PHASE_2]["ts"] == slack.kept[1].ts


@pytest.mark.parametrize(
    "state",
    [{}, {"ts": "", "channel": MAIN}, {"ts": "1790000000.000001"}, {"ts": "x", "channel": "y"},
     {"ts": "1790000000.000001", "channel": MAIN},
     {"ts": "1790000000.000001", "channel": MAIN, "asked": "#other"}],
)  # fmt: skip
async def test_a_place_in_another_channel_or_none_begins_a_new_thread(
    env: Env, slack: SlackServer, state: dict[str, str]
) -> None:
    await bot(env, slack).send(sample_message("contested"), {})

    outcome = await bot(env, slack).send(sample_message("moved"), {PHASE_2: state})

    assert len(slack.tops()) == 2
    assert state_of(outcome)[PHASE_2]["ts"] == slack.kept[1].ts


@pytest.mark.parametrize(
    "trouble",
    [
        answered(refused("edit_window_closed")),
        answered(refused("ratelimited"), **{"Retry-After": "30"}),
        answered(refused("a_word_that_nobody_knows")),
        Answer(status=500, body=b"oops"),
        Answer(status=429, body=b"", headers={"Retry-After": "30"}),
        Answer(body=b"<html>Log in"),
        Answer(fault=Fault.RESET),
        Answer(fault=Fault.RESET_IN_BODY, body=b'{"ok": true}'),
        Answer(fault=Fault.GARBAGE),
    ],
)
async def test_an_edit_that_fails_keeps_no_reminder_back(
    env: Env, slack: SlackServer, trouble: Answer
) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))
    slack.script("chat.update", trouble)

    outcome = await bot(env, slack).send(sample_message("moved"), prior)

    assert isinstance(outcome, Sent)
    assert outcome.state == prior
    assert outcome.note.startswith("HTTP 200; the first message is not up to date: ")
    assert len(slack.replies(prior[PHASE_2]["ts"])) == 1


async def test_a_reply_that_fails_is_sent_again_once_and_the_edit_does_no_harm(
    env: Env, slack: SlackServer
) -> None:
    prior = state_of(await bot(env, slack).send(sample_message("contested"), {}))
    slack.script("chat.postMessage", answered(refused("service_unavailable")))
    sender = bot(env, slack)

    first = await sender.send(sample_message("moved"), prior)
    second = await sender.send(sample_message("moved"), prior)

    assert isinstance(first, Retry)
    assert isinstance(second, Sent)
    assert len(slack.replies(prior[PHASE_2]["ts"])) == 1
    assert slack.kept[0].edits == 2


async def test_a_repeat_after_a_crash_carries_the_same_id(env: Env, slack: SlackServer) -> None:
    """Slack ignores no duplicate from an app, but a reader can recognize one by its id."""
    for _ in range(2):
        await bot(env, slack).send(sample_message("contested"), {})

    ids = {kept.metadata["event_payload"]["id"] for kept in slack.kept}
    assert ids == {sample_message("contested").id}
    assert all(sample_message("contested").id in shown(kept.content) for kept in slack.kept)
    assert not any("client_msg_id" in request.body.decode() for request in slack.requests)


ERRORS = {
    "invalid_auth": "the token is wrong, or used from an address that is not allowed",
    "account_inactive": "the token belongs to a user or workspace that is gone",
    "not_in_channel": "invite the app to the channel, or give it the scope chat:write.public",
    "channel_not_found": "there is no such channel, or it is private and the app is not in it",
    "is_archived": "the channel is archived",
    "msg_too_long": "",
    "restricted_action": "",
    "no_permission": "",
    "a_word_that_nobody_knows": "",
}


@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_that_stays_is_final_and_says_what_to_do(
    env: Env, slack: SlackServer, error: str
) -> None:
    slack.script("chat.postMessage", answered(refused(error)))

    outcome = await bot(env, slack).send(sample_message(), {})

    advice = f" ({ERRORS[error]})" if ERRORS[error] else ""
    assert outcome == Rejected(reason=f"{slack.url} answered that it failed: {error}{advice}")
    assert slack.kept == []


@pytest.mark.parametrize("error", sorted(PASSING | HALFWAY))
async def test_an_error_that_passes_is_tried_again(env: Env, slack: SlackServer, error: str) -> None:
    slack.script("chat.postMessage", answered(refused(error), **{"Retry-After": "7"}))

    outcome = await bot(env, slack).send(sample_message(), {})

    # Slack may have posted the message nevertheless, so the outcome is unknown.
    assert outcome == Retry(
        reason=f"{slack.url} answered that it failed: {error}",
        after=timedelta(seconds=7) if error in PASSING else None,
        unknown=error in HALFWAY,
    )


@pytest.mark.parametrize("error", sorted(LAYOUT))
async def test_what_is_refused_for_its_layout_is_posted_as_text(
    env: Env, slack: SlackServer, error: str
) -> None:
    message = sample_message()
    slack.script("chat.postMessage", answered(refused(error)))

    outcome = await bot(env, slack).send(message, {})

    (kept,) = slack.kept
    assert isinstance(outcome, Sent)
    assert outcome.note == f"HTTP 200; as plain text: {error}"
    assert kept.content["blocks"] is None
    assert message.id in kept.content["text"]
    assert message.items[0].title in kept.content["text"]
    assert outcome.state[PHASE_2]["ts"] == kept.ts


@pytest.mark.parametrize(
    ("answer", "kind", "unknown"),
    [
        (Answer(body=b"<html>Log in"), Rejected, False),
        (Answer(body=b'{"ok": "yes"}'), Rejected, False),
        (Answer(body=b'{"ok": false, "error": {"a": 1}}'), Rejected, False),
        (Answer(status=302, headers={"Location": "/login"}), Rejected, False),
        (Answer(status=503), Retry, False),
        (Answer(fault=Fault.RESET_IN_BODY, body=b'{"ok": true}'), Retry, True),
        (Answer(fault=Fault.RESET), Retry, True),
    ],
)
async def test_only_ok_true_is_sent(
    env: Env, slack: SlackServer, answer: Answer, kind: type, unknown: bool
) -> None:
    slack.script("chat.postMessage", answer)

    outcome = await bot(env, slack).send(sample_message(), {})

    assert isinstance(outcome, kind)
    assert getattr(outcome, "unknown", False) is unknown


async def test_a_wrong_token_is_final_and_shown_nowhere(slack: SlackServer) -> None:
    env = notifier_env(secrets={"token": "xoxb-canary-wrong"})
    slack.script("chat.postMessage", Answer(body=b"Bearer xoxb-canary-wrong is no good"))
    sender = bot(env, slack)

    outcomes = [await sender.send(sample_message(), {}) for _ in range(2)]
    await env.http.aclose()

    assert all(isinstance(outcome, Rejected) for outcome in outcomes)
    assert "canary" not in repr(outcomes)
    assert "canary" not in repr(sender.__dict__)


async def test_of_many_the_later_posts_stand_under_the_first(env: Env, slack: SlackServer) -> None:
    message = of_many(200)
    slack.script("chat.postMessage")

    outcome = await bot(env, slack).send(message, {})

    first, *rest = slack.kept
    assert outcome == Sent(note="HTTP 200")
    assert len(rest) == 2
    assert {kept.thread_ts for kept in rest} == {first.ts}


async def test_what_is_left_of_many_is_posted_under_the_same_first(env: Env, slack: SlackServer) -> None:
    message, sender = of_many(200), bot(env, slack)
    good = answered({"ok": True, "channel": MAIN, "ts": "1790000000.000099"})
    slack.script("chat.postMessage", good, answered(refused("internal_error")))

    first = await sender.send(message, {})
    slack.script("chat.postMessage", good, good)
    second = await sender.send(message, {})

    assert first == Retry(
        reason=f"1 of 3 parts are posted; {slack.url} answered that it failed: internal_error",
        unknown=True,
        partly=True,
    )
    assert second == Sent(note="HTTP 200")
    threads = [json.loads(request.body).get("thread_ts") for request in slack.requests]
    assert threads == [None, "1790000000.000099", "1790000000.000099", "1790000000.000099"]


async def test_no_send_takes_longer_than_it_may(slack: SlackServer) -> None:
    class Slow(FixedClock):
        def monotonic(self) -> float:
            self.seconds += 40  # as if each call took 40 seconds
            return self.seconds

    env = notifier_env(secrets={"token": TOKEN}, clock=Slow())
    outcome = await bot(env, slack).send(of_many(300), {})
    await env.http.aclose()

    assert isinstance(outcome, Retry)
    assert outcome.partly
    assert "there was no time left" in outcome.reason
    assert 1 <= len(slack.kept) < 4


async def test_mentions_are_in_the_reply_and_not_in_the_edit(env: Env, slack: SlackServer) -> None:
    mentions = [{"who": "U1AB", "matchers": ['cause=~"overdue|moved"']}]
    prior = state_of(await bot(env, slack, mentions=mentions).send(sample_message("contested"), {}))

    await bot(env, slack, mentions=mentions).send(sample_message("moved"), prior)

    parent, answer = slack.kept
    assert "<@U1AB>" not in shown(parent.content)
    assert "<@U1AB>" in shown(answer.content)
    assert answer.content["text"].startswith("<@U1AB> ")


LIFE = ["approaching", "contested", "moved", "opens", "done"]


@pytest.mark.parametrize("linked", [False, True])
async def test_everything_that_is_sent_is_within_slacks_limits(
    env: Env, slack: SlackServer, linked: bool
) -> None:
    sender = bot(env, slack, signing_secret="x")
    prior: dict[str, Mapping[str, str]] = {}
    for name in LIFE:
        message: Message = sample_message(name)
        item = replace(message.items[0], milestone=PHASE_2)
        message = replace(message, items=(item,))
        prior |= state_of(await sender.send(with_links(message) if linked else message, prior))

    assert len(slack.tops()) == 1
    assert len(slack.replies(slack.kept[0].ts)) == len(LIFE) - 1
    for request in slack.requests:
        assert faults(json.loads(request.body), update="update" in request.path) == []


def test_what_each_error_of_slack_means_is_in_the_reference() -> None:
    told = {error: row[1] for row in _answers() for error in codes(row[0])}

    assert {error for error, outcome in told.items() if outcome.startswith("tried again, after")} == PASSING
    assert {error for error, outcome in told.items() if outcome.startswith("tried again under")} == HALFWAY
    assert {error for error, outcome in told.items() if outcome == "posted as plain text"} == LAYOUT
    assert {error for error, outcome in told.items() if outcome == "rejected"} < set(ERRORS)


def _answers() -> list[tuple[str, ...]]:
    found = [table for table in tables(section("notifiers.md", "slack")) if table.head[0] == "answer"]
    return [row for table in found for row in table.rows]


@pytest.mark.parametrize("name", ["acknowledged", "cancelled"])
async def test_what_is_said_of_it_edits_the_first_message_and_posts_nothing(
    env: Env, slack: SlackServer, name: str
) -> None:
    notifier, said = bot(env, slack), sample_message(name)
    told = replace(sample_message(), items=(replace(said.items[0], cause=Cause.DUE, headline="Due today"),))
    prior = state_of(await notifier.send(told, {}))

    outcome = await notifier.send(said, prior)

    (parent,) = slack.kept
    assert outcome == Sent(state=prior, note="HTTP 200")
    assert slack.calls == ["chat.postMessage", "chat.update"]
    assert said.items[0].headline in shown(parent.content)
    assert "Due today" not in shown(parent.content)


async def test_what_is_said_of_it_makes_no_message_where_there_is_none(env: Env, slack: SlackServer) -> None:
    outcome = await bot(env, slack).send(sample_message("acknowledged"), {})

    assert outcome == Sent(note="it has no message that could be brought up to date")
    assert slack.calls == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("message_not_found", Sent),
        ("edit_window_closed", Sent),
        ("ratelimited", Retry),
        ("invalid_auth", Rejected),
    ],
)
async def test_an_edit_alone_that_fails(
    env: Env, slack: SlackServer, error: str, expected: type[Outcome]
) -> None:
    """A message that is gone or closed needs no edit. Any other failure is the outcome."""
    notifier = bot(env, slack)
    prior = state_of(await notifier.send(sample_message(), {}))
    slack.script("chat.update", answered(refused(error)))

    outcome = await notifier.send(sample_message("acknowledged"), prior)

    assert isinstance(outcome, expected)
    assert slack.calls == ["chat.postMessage", "chat.update"]


@pytest.mark.parametrize(
    ("options", "follows"),
    [
        ({"token_file": "token", "channel": "C024BE91L"}, True),
        ({"token_file": "token", "channel": "C024BE91L", "thread": False}, False),
        ({"webhook_url_file": "url"}, False),
    ],
)
def test_only_a_bot_that_threads_follows(options: Mapping[str, object], follows: bool) -> None:
    assert SlackOptions.model_validate(options).follows is follows

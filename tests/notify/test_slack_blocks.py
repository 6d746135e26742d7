"""Slack's blocks: they stay within Slack's limits for all texts, and milestones left out are counted."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from alertd.core.message.message import Item, Message
from alertd.core.milestones.fields import make_sample_values
from alertd.core.milestones.milestone import State
from alertd.notify.render.clean import clean_message
from alertd.notify.slack.blocks import render_posts, render_reply
from alertd.notify.slack.posts import MAX_POSTS, Post
from alertd.testing import SAMPLES, sample_message, with_links
from tests.notify.slack_limits import faults, texts

HOSTILE = [
    # A mention of everybody, a link with a misleading text, an escape.
    "<!channel> <@U1> <!subteam^S1> <https://evil.example|https://good.example> &amp;",
    # A date that Slack would convert to each reader's zone.
    "<!date^1392734382^{date}|x>",
    "a\r\nb\x1b[31m\u202etxt.exe",
    "\U0001f480" * 50_000,
    "x" * 100_000,
    "&" * 100_000,
    "\"\\" * 50_000,
    "期" * 100_000,
    "*bold* _it_ ~st~ `code` @here #general | <|>",
    "ملف " * 500,
    "",
]  # fmt: skip


def of_many(count: int, **changes: Any) -> Message:
    """Return a message about ``count`` milestones with different names."""
    message = with_links(sample_message("many"))
    named = [
        replace(message.items[at % 5], title=f"Name-{at:05}.", milestone=f"t/{at:05}", **changes)
        for at in range(count)
    ]
    return clean_message(replace(message, items=tuple(named)))


def names_in(posts: tuple[Post, ...]) -> list[str]:
    shown = " ".join(text for post in posts for text in texts(post.blocks))
    return re.findall(r"Name-\d{5}\.", shown)


def hostile(name: str, text: str) -> Message:
    message = with_links(sample_message(name))
    fields = make_sample_values(text, f"https://e.example/{'x' * 1_900}")
    item = replace(
        message.items[0],
        title=text, phrase=text, badge=text, headline=text, details=(text,) * 100, milestone=text, zone=text,
        timeline_title=text, fields=fields, contradiction=text, late=text, next=text, why=text,
        section=text,
    )  # fmt: skip
    claims = tuple(
        replace(claim, phrase=text, note=text, accounts=claim.accounts * 30) for claim in item.claims
    )
    item = replace(item, claims=claims * 40 if name == "contested" else ())
    items = (item,) * (100 if name == "many" else 1)
    return clean_message(replace(message, items=items, subject=text, intro=text, lines=(text,) * 100))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("name", ["contested", "many", "notice"])
def test_whatever_the_texts_are_they_fit_and_steer_nothing(name: str, text: str) -> None:
    message = sample_message(name) if name == "notice" else hostile(name, text)
    if name == "notice":
        message = clean_message(replace(message, subject=text, lines=(text,) * 100))

    posts = [*render_posts(message), *([render_reply(message)] if name == "contested" else [])]

    for post in posts:
        assert faults(post.payload()) == []
        assert message.id in post.attached[-1]["elements"][0]["text"]
        assert message.id in post.plain()["text"]
        json.dumps(post.payload()).encode("ascii")
        for shown in [*texts(post.blocks[1:]), *texts(post.attached), post.text]:
            assert not re.search(r"<[!@#]", shown)
            assert "<https://evil" not in shown
            assert "\x1b" not in shown
            assert "\u202e" not in shown


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_has_a_heading_a_fallback_a_colour_and_its_id(name: str) -> None:
    message = clean_message(with_links(sample_message(name)))

    (post,) = render_posts(message)

    assert faults(post.payload()) == []
    assert message.subject in post.text
    assert post.payload()["attachments"][0]["color"].startswith("#")
    assert post.attached[-1]["elements"][0]["text"].endswith(message.id)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_a_few_are_told_at_length(count: int) -> None:
    posts = render_posts(of_many(count))

    assert names_in(posts) == [f"Name-{at:05}." for at in range(count)]
    assert len(posts) == 1
    assert any("Passed 55 days ago" in text for text in texts(posts[0].blocks))


@pytest.mark.parametrize("count", [25, 26, 60, 150, 300])
def test_of_more_each_has_a_line_and_none_is_left_out(count: int) -> None:
    posts = render_posts(of_many(count))

    assert names_in(posts) == [f"Name-{at:05}." for at in range(count)]
    assert sum(len(post.names) for post in posts) == count
    assert 1 <= len(posts) <= MAX_POSTS
    for number, post in enumerate(posts, 1):
        assert faults(post.payload()) == []
        if len(posts) > 1:
            assert f"part {number} of {len(posts)}" in post.attached[-1]["elements"][0]["text"]


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_of_very_many_the_rest_is_counted_and_said_where_to_find(count: int) -> None:
    posts = render_posts(of_many(count))

    named = names_in(posts)
    assert len(posts) == MAX_POSTS
    assert named == [f"Name-{at:05}." for at in range(len(named))]
    assert 250 < len(named) < count
    rest = f"and {count - len(named):,} more, not listed here. See https://alertd.example/"
    assert any(rest in text for text in texts(posts[-1].blocks))
    assert all(faults(post.payload()) == [] for post in posts)


def test_long_names_of_many_are_shortened_and_none_is_left_out() -> None:
    message = of_many(60)
    items = tuple(replace(item, title=f"{item.title} {'long ' * 200}") for item in message.items)

    posts = render_posts(clean_message(replace(message, items=items)))

    assert names_in(posts) == [f"Name-{at:05}." for at in range(60)]
    assert all(faults(post.payload()) == [] for post in posts)


def test_the_fallback_names_what_the_post_names_or_counts_it() -> None:
    for post in render_posts(of_many(200)):
        named = re.findall(r"Name-\d{5}\.", post.text)
        counted = re.search(r"and ([\d,]+) more$", post.text)
        rest = int(counted[1].replace(",", "")) if counted else 0
        assert len(named) + rest == len(post.names)


def test_a_title_that_is_too_long_for_a_header_is_beneath_it_in_full() -> None:
    message = sample_message("approaching")
    title = "One very long name of a thing that somebody has promised " * 4

    (post,) = render_posts(clean_message(replace(message, items=(replace(message.items[0], title=title),))))

    assert post.blocks[0]["text"]["text"].endswith("…")
    assert post.blocks[1]["text"]["text"] == f"*{title.strip()}*"


@pytest.mark.parametrize("state", [State.DONE, State.CANCELLED])
def test_what_is_closed_is_struck(state: State) -> None:
    message = sample_message("done")
    item = replace(message.items[0], state=state)
    closed = clean_message(replace(message, items=(item,)))
    page = with_links(closed).items[0].page

    struck = f"~{item.title}~"

    assert struck in render_posts(closed)[0].blocks[0]["text"]["text"]
    assert any(struck in text for text in texts(render_reply(closed).blocks))
    assert any(f"~<{page}|{item.title}>~" in text for text in texts(render_reply(with_links(closed)).blocks))


def buttons(post: Post) -> list[dict[str, Any]]:
    return [button for block in post.blocks if block["type"] == "actions" for button in block["elements"]]


def test_buttons_are_links_where_clicks_cannot_come_to_alertd() -> None:
    message = with_links(sample_message("contested"))

    for post in (*render_posts(clean_message(message)), render_reply(clean_message(message))):
        found = buttons(post)
        assert [button["text"]["text"] for button in found] == ["Acknowledge", "Snooze", "Done", "Details"]
        item = message.items[0]
        assert [button["url"] for button in found] == [*(action.url for action in item.actions), item.page]
        assert not any("value" in button for button in found)


def test_buttons_act_where_clicks_come_to_alertd() -> None:
    message = clean_message(with_links(sample_message("contested")))

    for post in (*render_posts(message, interactive=True), render_reply(message, interactive=True)):
        *acting, details = buttons(post)
        assert [button["action_id"] for button in acting] == [
            "alertd.acknowledge",
            "alertd.snooze",
            "alertd.done",
        ]
        assert {button["value"] for button in acting} == {message.items[0].milestone}
        assert not any("url" in button for button in acting)
        assert details["url"] == message.items[0].page


def test_what_is_closed_can_only_be_looked_at() -> None:
    message = clean_message(with_links(sample_message("done")))

    for post in (*render_posts(message), render_reply(message, interactive=True)):
        assert [button["text"]["text"] for button in buttons(post)] == ["Details"]


@pytest.mark.parametrize("name", SAMPLES)
def test_there_are_no_buttons_while_nobody_serves_a_page(name: str) -> None:
    message = clean_message(sample_message(name))

    assert [button for post in render_posts(message, interactive=True) for button in buttons(post)] == []


def test_a_message_about_many_links_to_each_and_opens_alertd() -> None:
    message = clean_message(with_links(sample_message("many")))

    (post,) = render_posts(message)

    shown = "\n".join(texts(post.blocks))
    for item in message.items:
        assert f"<{item.page}|{item.title}>" in shown
    assert [button["url"] for button in buttons(post)] == ["https://alertd.example/"]


@pytest.mark.parametrize("name", SAMPLES)
def test_no_date_is_left_to_slack_to_format(name: str) -> None:
    """Slack would turn a month into an instant, and show another day in the reader's zone."""
    message = clean_message(with_links(sample_message(name)))
    posts = render_posts(message, lasting=True)

    shown = json.dumps([post.payload() for post in posts])

    assert "<!date" not in shown
    for item in message.items:
        assert f"{item.phrase}" in "\n".join(text for post in posts for text in texts(post.blocks))
    assert not re.search(r"30 September 2026|1 October 2026|31 December 2026", shown)


def test_a_message_that_lasts_says_as_of_when_in_the_milestones_zone() -> None:
    message = clean_message(sample_message("contested"))
    late = message.at.replace(hour=22)

    (post,) = render_posts(replace(message, at=late), lasting=True)

    # In Baghdad the next day has begun.
    assert any("As of 25 November 2026." in text for text in texts(post.attached))


def test_a_reply_says_what_is_contested_without_the_list_of_claims() -> None:
    message = clean_message(sample_message("moved"))
    item: Item = replace(message.items[0], contradiction="One says this, another that")

    shown = list(texts(render_reply(replace(message, items=(item,))).payload()))

    assert any("One says this, another that." in text for text in shown)
    assert not any("Who says what" in text for text in shown)

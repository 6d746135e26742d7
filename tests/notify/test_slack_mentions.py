"""Mentions: only the configuration makes them, for the milestones and causes that it names."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from alertd.notify.render.clean import clean_message
from alertd.notify.slack.blocks import render_posts, render_reply
from alertd.notify.slack.text import Mention, find_mentions
from alertd.testing import sample_message
from tests.notify.slack_limits import faults, texts


def mention(who: str, *matchers: str) -> Mention:
    return Mention.model_validate({"who": who, "matchers": list(matchers)})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("here", "<!here>"),
        ("@here", "<!here>"),
        ("<!channel>", "<!channel>"),
        ("everyone", "<!everyone>"),
        ("U024BE7LH", "<@U024BE7LH>"),
        ("<@W024BE7LH>", "<@W024BE7LH>"),
        ("S0614TZR7", "<!subteam^S0614TZR7>"),
        ("<!subteam^S0614TZR7>", "<!subteam^S0614TZR7>"),
    ],
)
def test_who_can_be_written_in_several_ways(written: str, meant: str) -> None:
    assert mention(written).who == meant


@pytest.mark.parametrize(
    "who", ["", "@m.haddad", "m.haddad", "<@U1> <!channel>", "C024BE91L", "u024be7lh", "heres"]
)
def test_who_cannot_be_mentioned_is_refused(who: str) -> None:
    with pytest.raises(ValidationError, match="is not here, channel, everyone, or the id of a user"):
        mention(who)


def test_a_matcher_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValidationError, match="no operator"):
        mention("here", "country")


@pytest.mark.parametrize(
    ("matchers", "is_mentioned"),
    [
        ([], True),
        (['cause="overdue"'], True),
        (['cause=~"moved|done"'], False),
        (['country="iraq"', 'cause="overdue"'], True),
        (['country="iraq"', 'cause="due"'], False),
        (['contested="true"'], True),
        (['offset="+28d"'], True),
        (['timeline="iraq-coalition-withdrawal"', 'milestone=~".*/phase-2"'], True),
        (['team="platform"'], False),
        (['team!="platform"'], True),
    ],
)
def test_all_matchers_must_match_labels_and_cause(matchers: list[str], is_mentioned: bool) -> None:
    said = find_mentions([mention("U1AB", *matchers)], sample_message("contested"))

    assert said == ("<@U1AB>" if is_mentioned else "")


def test_of_many_anyone_who_is_meant_by_one_is_mentioned_once() -> None:
    wanted = [
        mention("U1AB", 'country="iraq"'),
        mention("here", 'team="platform"'),
        mention("S1AB", 'team="none"'),
        mention("U1AB", 'cause="moved"'),
    ]

    assert find_mentions(wanted, sample_message("many")) == "<@U1AB> <!here>"


def test_all_matchers_of_one_must_match_the_same_milestone() -> None:
    wanted = [mention("U1AB", 'country="iraq"', 'team="platform"')]

    assert find_mentions(wanted, sample_message("many")) == ""


@pytest.mark.parametrize("name", ["notice", "test"])
def test_what_is_about_alertd_itself_mentions_nobody(name: str) -> None:
    assert find_mentions([mention("channel")], sample_message(name)) == ""


@pytest.mark.parametrize("name", ["contested", "many"])
def test_a_mention_is_shown_and_in_the_notification_and_a_title_mentions_nobody(name: str) -> None:
    message = sample_message(name)
    first = replace(message.items[0], title="<!channel> <@U666>", headline="<!everyone>")
    message = clean_message(replace(message, items=(first, *message.items[1:])))

    posts = [*render_posts(message, mention="<@U1AB> <!here>")]
    posts += [render_reply(message, mention="<@U1AB> <!here>")] if name == "contested" else []

    for post in posts:
        assert faults(post.payload()) == []
        # Slack reads no mention in a header, which is plain text.
        marked = [block for block in post.blocks if block["type"] != "header"]
        assert [text for text in texts(marked) if "<!" in text or "<@" in text] == ["<@U1AB> <!here>"]
        assert post.text.startswith("<@U1AB> <!here> ")
        assert post.text.count("<") == 2

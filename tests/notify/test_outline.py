"""The outline of a chat message, and its markup."""

import re
from html.parser import HTMLParser

import pytest

from alertd.core.message.message import Kind
from alertd.notify.render.clean import clean_message
from alertd.notify.render.markup import (
    count_units,
    render_html_line,
    render_markdown_line,
    render_plain_line,
    render_visible_text,
    suppress_mentions,
)
from alertd.notify.render.outline import Outline, OutlineLine, Span, Style, build_frame, build_outline
from alertd.testing import SAMPLES, sample_message, with_links
from tests.notify.sending import crowd, long_story


def text_of(outline: Outline) -> str:
    return "\n\n".join("\n".join(map(render_plain_line, paragraph)) for paragraph in outline.paragraphs)


def cost(line: OutlineLine) -> int:
    return len(render_plain_line(line)) + 2


@pytest.mark.parametrize("name", SAMPLES)
def test_there_is_no_empty_paragraph_line_or_span(name: str) -> None:
    outline = build_outline(clean_message(sample_message(name)), 100_000, cost)

    assert outline.title
    assert outline.paragraphs
    assert all(
        line.spans and all(span.text for span in line.spans)
        for paragraph in outline.paragraphs
        for line in paragraph
    )


@pytest.mark.parametrize("room", [200, 500, 4_096, 20_000])
def test_a_long_story_is_cut_from_its_end_and_says_so(room: int) -> None:
    outline = build_outline(clean_message(long_story()), room, cost)

    text = text_of(outline)
    assert len(text) <= room
    assert text.startswith("Leave · contested")
    assert text.endswith("The rest is not shown here. See: alertd explain iraq-coalition-withdrawal/phase-2")


@pytest.mark.parametrize("room", [200, 500, 4_096, 20_000])
def test_of_many_as_many_are_named_as_there_is_room_for_and_the_others_are_counted(room: int) -> None:
    text = text_of(build_outline(clean_message(crowd()), room, cost))

    named = len(re.findall(r"Milestone number \d+ ", text))
    told = re.search(r"and (\d+) more, not listed here\. See: alertd status$", text)
    assert len(text) <= room
    assert told
    assert named + int(told[1]) == 200


def test_what_is_said_of_the_rest_names_the_page_when_there_is_one() -> None:
    single, many = (
        text_of(build_outline(clean_message(with_links(made)), 300, cost)) for made in (long_story(), crowd())
    )

    assert single.endswith("See https://alertd.example/milestones/iraq-coalition-withdrawal/phase-2")
    assert many.endswith("more, not listed here. See https://alertd.example/")


def test_the_most_urgent_of_many_comes_first_and_is_told_at_length_when_all_are() -> None:
    text = text_of(build_outline(clean_message(sample_message("many")), 10_000, cost))

    assert text.index("55 days past") < text.index("In 6 days") < text.index("Moved")
    assert text.count("Milestone") == 0
    assert "This reminder was due on 28 October 2026" in text


def test_the_links_are_those_of_the_page() -> None:
    single, many, bare = (
        build_frame(made)
        for made in (with_links(sample_message()), with_links(sample_message("many")), sample_message())
    )

    assert [link.label for link in single.links] == ["Acknowledge", "Snooze", "Done", "Details"]
    assert [link.label for link in many.links] == ["Open alertd"]
    assert bare.links == ()
    assert bare.url == ""


def test_a_notice_and_a_test_are_their_lines() -> None:
    for name in ("notice", "test"):
        message = sample_message(name)
        outline = build_outline(message, 10_000, cost)
        assert message.kind in (Kind.NOTICE, Kind.TEST)
        assert text_of(outline) == "\n".join(message.lines)
        assert outline.title == message.subject


ODD = OutlineLine((
    Span("<b>& @here ", Style.BOLD),
    Span("a*b_c~d`e[f](g)", Style.ITALIC),
    Span(" see https://x.example/a_b_c or <!channel> "),
    Span("]text", url="https://x.example/(1)?q=<&\"'"),
    Span("t`1", Style.CODE),
    Span("gone ", Style.STRUCK),
))  # fmt: skip


class Checked(HTMLParser):
    """Fails on a tag that is not closed in order, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.hrefs: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.hrefs += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_has_the_tags_that_were_meant_and_no_others() -> None:
    read = Checked()

    read.feed(render_html_line(ODD))

    assert read.open == []
    assert read.text == render_visible_text(ODD)
    assert read.hrefs == ["https://x.example/(1)?q=<&\"'"]
    assert set(re.findall(r"</?(\w+)", render_html_line(ODD))) == {"b", "i", "s", "a", "code"}


def test_markdown_escapes_all_but_addresses() -> None:
    written = render_markdown_line(ODD, lambda text: re.sub(r"([*_~`<>\[\]])", r"\\\1", text))

    assert written == (
        "**\\<b\\>& @\u2060here** _a\\*b\\_c\\~d\\`e\\[f\\](g)_"
        " see https://x.example/a_b_c or \\<!channel\\> "
        "[\\]text](https://x.example/%281%29?q=<&\"')t\\`1~~gone~~ "
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("- one", "\\- one"),
        ("+ one", "\\+ one"),
        ("12. one", "12\\. one"),
        ("3) one", "3\\) one"),
        ("-1", "-1"),
    ],
)
def test_no_line_becomes_a_list(text: str, written: str) -> None:
    assert render_markdown_line(OutlineLine((Span(text),)), str) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("@everyone", "@\u2060everyone"),
        ("(@here)", "(@\u2060here)"),
        ("m.haddad@example.org", "m.haddad@example.org"),
        ("at 5 @ noon", "at 5 @ noon"),
    ],
)
def test_a_name_mentions_nobody_and_an_address_stays_one(text: str, written: str) -> None:
    assert suppress_mentions(text) == written


def test_length_is_counted_in_utf_16() -> None:
    assert (count_units("abc"), count_units("é"), count_units("🔴")) == (3, 1, 2)

"""Renders a line of an outline in a service's markup: plain text, HTML or a Markdown dialect.

No text of a milestone becomes markup, and no ``@name`` in it becomes a mention: an invisible word joiner
(U+2060) is inserted after an ``@`` that begins a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape as html_escape

from alertd.notify.render.outline import Outline, OutlineLine, Span, Style

_MENTION = re.compile(r"(?<!\w)@(?=\w)")
# Excludes all characters that can begin Markdown or a mention, except the underscore.
_URL = re.compile(r"(https?://[A-Za-z0-9._/?=&%+,;:#-]+)")
_LIST = re.compile(r"^(\d{1,9}(?=[.)]\s)|(?=[-+]\s))")

_TAGS = {Style.BOLD: "b", Style.ITALIC: "i", Style.STRUCK: "s", Style.CODE: "code"}
_MARKS = {Style.BOLD: "**", Style.ITALIC: "_", Style.STRUCK: "~~"}


def count_units(text: str) -> int:
    """Return the length of ``text`` in UTF-16 code units, which most services count."""
    return len(text.encode("utf-16-le", "replace")) // 2


def cut_units(text: str, limit: int) -> str:
    """Return ``text``, cut to at most ``limit`` UTF-16 code units, of which the last is an ellipsis."""
    raw = text.encode("utf-16-le", "replace")
    return (
        text if len(raw) <= 2 * limit else raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore").rstrip() + "…"
    )


def suppress_mentions(text: str) -> str:
    """Return ``text`` with every ``@name`` made ineffective. Mail addresses stay unchanged."""
    return _MENTION.sub("@\u2060", text) if "@" in text else text


def render_visible_text(line: OutlineLine) -> str:
    """Return the text that a reader sees of a line: without markup and without the URLs of links."""
    return "".join(suppress_mentions(span.text) for span in line.spans)


def render_plain_line(line: OutlineLine) -> str:
    """Return the line without markup; a link's URL follows its text in parentheses."""
    return "".join(
        f"{span.text} ({span.url})" if span.url and span.url != span.text else span.text
        for span in line.spans
    )


def render_plain_text(outline: Outline) -> str:
    """Return the whole message without markup, including the links."""
    links = "\n".join(f"{link.label}: {link.url}" for link in outline.links)
    paragraphs = ["\n".join(map(render_plain_line, paragraph)) for paragraph in outline.paragraphs]
    end = "\n".join(part for part in (outline.about, outline.id) if part)
    return "\n\n".join(part for part in (*paragraphs, links, end) if part)


# A line is rendered once to measure whether it fits, and once to be sent.
@lru_cache(maxsize=256)
def render_html_line(line: OutlineLine) -> str:
    """Return the line in HTML, with only the tags that both Telegram and Matrix accept."""
    return "".join(map(_html, line.spans))


def escape_html(text: str) -> str:
    """Return ``text`` as HTML that contains no tag and no mention."""
    return html_escape(suppress_mentions(text), quote=False)


def build_html_link(text: str, url: str) -> str:
    """Return a link as HTML. The text and the URL are escaped, so that neither can end the link."""
    return f'<a href="{html_escape(url)}">{escape_html(text)}</a>'


def _html(span: Span) -> str:
    text = build_html_link(span.text, span.url) if span.url else escape_html(span.text)
    tag = _TAGS.get(span.style)
    return f"<{tag}>{text}</{tag}>" if tag else text


@lru_cache(maxsize=256)
def render_markdown_line(line: OutlineLine, escape: Callable[[str], str]) -> str:
    """Return the line in Markdown. ``escape`` escapes the special characters of the dialect."""
    # A line may begin like a list item, for example with "1. ". A backslash prevents that.
    return _LIST.sub(r"\1\\", "".join(_markdown(span, escape) for span in line.spans))


def escape_markdown(text: str, escape: Callable[[str], str]) -> str:
    """Return ``text`` escaped, except for the URLs in it, which a backslash would change."""
    if "://" not in text:
        return suppress_mentions(escape(text))
    parts = _URL.split(text)
    return "".join(part if at % 2 else suppress_mentions(escape(part)) for at, part in enumerate(parts))


def build_markdown_link(text: str, url: str, escape: Callable[[str], str]) -> str:
    """Return a link in Markdown. ``escape`` escapes the special characters of the dialect in its text."""
    # An unescaped parenthesis would end the URL.
    return f"[{escape(text)}]({url.replace('(', '%28').replace(')', '%29')})"


def _markdown(span: Span, escape: Callable[[str], str]) -> str:
    if span.style is Style.CODE and "`" not in span.text:
        return f"`{span.text}`"
    text = escape_markdown(span.text, escape)
    if span.url and span.url != span.text:
        text = build_markdown_link(span.text, span.url, lambda text: suppress_mentions(escape(text)))
    # A mark next to a space has no effect in Markdown, so the marks go around the stripped text.
    inner = text.strip()
    mark = _MARKS.get(span.style, "")
    return text.replace(inner, f"{mark}{inner}{mark}") if mark and inner else text

"""Puts a line of an outline into a service's markup: plain text, HTML, or one of the kinds of Markdown.

Nothing that a milestone says becomes markup, and an ``@`` that begins a word mentions nobody: an invisible
word joiner (U+2060) stands behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape as html_escape

from alertd.notify.render.outline import Outline, OutlineLine, Span, Style

_MENTION = re.compile(r"(?<!\w)@(?=\w)")
# Without the characters that Markdown or a mention could begin with, but for the underscore.
_URL = re.compile(r"(https?://[A-Za-z0-9._/?=&%+,;:#-]+)")
_LIST = re.compile(r"^(\d{1,9}(?=[.)]\s)|(?=[-+]\s))")

_TAGS = {Style.BOLD: "b", Style.ITALIC: "i", Style.STRUCK: "s", Style.CODE: "code"}
_MARKS = {Style.BOLD: "**", Style.ITALIC: "_", Style.STRUCK: "~~"}


def units(text: str) -> int:
    """How long ``text`` is in UTF-16 units, in which most services count."""
    return len(text.encode("utf-16-le", "replace")) // 2


def cut_units(text: str, limit: int) -> str:
    """``text`` itself, or its beginning and an ellipsis, in at most ``limit`` UTF-16 units."""
    raw = text.encode("utf-16-le", "replace")
    return (
        text if len(raw) <= 2 * limit else raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore").rstrip() + "…"
    )


def unmentioned(text: str) -> str:
    """``text`` with every ``@name`` made one that is looked up nowhere; addresses stay as they are."""
    return _MENTION.sub("@\u2060", text)


def unlinked(line: OutlineLine) -> str:
    """What is left of a line when its markup has been read: every character counts, and no address."""
    return "".join(unmentioned(span.text) for span in line.spans)


def plain(line: OutlineLine) -> str:
    """Without any markup; a link's address stands behind its text."""
    return "".join(
        f"{span.text} ({span.url})" if span.url and span.url != span.text else span.text
        for span in line.spans
    )


def plain_text(outline: Outline) -> str:
    """A whole message without any markup, links included."""
    links = "\n".join(f"{link.label}: {link.url}" for link in outline.links)
    paragraphs = ["\n".join(map(plain, paragraph)) for paragraph in outline.paragraphs]
    end = "\n".join(part for part in (outline.about, outline.id) if part)
    return "\n\n".join(part for part in (*paragraphs, links, end) if part)


def html(line: OutlineLine) -> str:
    """In the few tags that Telegram and Matrix both know."""
    return "".join(map(_html, line.spans))


def html_text(text: str) -> str:
    return html_escape(unmentioned(text), quote=False)


def html_link(text: str, url: str) -> str:
    return f'<a href="{html_escape(url)}">{html_text(text)}</a>'


def _html(span: Span) -> str:
    text = html_link(span.text, span.url) if span.url else html_text(span.text)
    tag = _TAGS.get(span.style)
    return f"<{tag}>{text}</{tag}>" if tag else text


def markdown(line: OutlineLine, escape: Callable[[str], str]) -> str:
    """In Markdown, with ``escape`` for what its dialect gives a meaning to."""
    # What begins a line like an item of a list is none.
    return _LIST.sub(r"\1\\", "".join(_markdown(span, escape) for span in line.spans))


def markdown_text(text: str, escape: Callable[[str], str]) -> str:
    """``text`` escaped, but for addresses in it: a backslash would become a part of them."""
    parts = _URL.split(text)
    return "".join(part if at % 2 else unmentioned(escape(part)) for at, part in enumerate(parts))


def markdown_link(text: str, url: str, escape: Callable[[str], str]) -> str:
    # A parenthesis would end the address.
    return f"[{escape(text)}]({url.replace('(', '%28').replace(')', '%29')})"


def _markdown(span: Span, escape: Callable[[str], str]) -> str:
    if span.style is Style.CODE and "`" not in span.text:
        return f"`{span.text}`"
    text = markdown_text(span.text, escape)
    if span.url and span.url != span.text:
        text = markdown_link(span.text, span.url, lambda text: unmentioned(escape(text)))
    # A mark beside a blank is no mark.
    inner = text.strip()
    mark = _MARKS.get(span.style, "")
    return text.replace(inner, f"{mark}{inner}{mark}") if mark and inner else text

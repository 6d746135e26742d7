"""Renders the HTML body of a mail: one column, inline styles, a dark mode and no external resources."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from alertd.core.ledger.records import Move
from alertd.core.message.message import Kind, Message
from alertd.notify.render.clean import clean_link
from alertd.notify.render.palette import NEUTRAL, PALETTES, choose_palette
from alertd.notify.render.text import (
    FEW_ITEMS,
    end_sentence,
    find_common_timeline,
    format_account,
    group_by_section,
    limit_items,
    list_brief_fields,
    list_brief_sentences,
    list_full_fields,
    list_remarks,
    list_sentences,
    list_warnings,
    make_explain_hint,
)

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

MAX_TOLD = 25
"""The most milestones with full details; the overview lists all. Gmail clips mails over 102 kB."""

_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


def render_html(message: Message) -> str:
    """Return the complete HTML document. All text that people wrote is escaped."""
    single = message.kind is Kind.SINGLE
    items, rest = limit_items(message.items)
    toned = bool(message.items) and message.kind in (Kind.SINGLE, Kind.MANY, Kind.DIGEST)
    return (
        _environment()
        .get_template("email.html.j2")
        .render(
            message=message,
            overview=group_by_section(items) if len(items) > FEW_ITEMS else (),
            told=group_by_section(items[:MAX_TOLD]),
            untold=max(0, len(items) - MAX_TOLD),
            rest=rest,
            common=find_common_timeline(items),
            gone=_gone(message.items[0].move) if single else (),
            item_story=list_sentences(message.items[0]) if single else (),
            item_fields=list_full_fields(message.items[0]) if single else (),
            tone=message.items[0].tone.value if toned else "neutral",
            look=choose_palette(message),
            preheader=_preheader(message),
        )
    )


def _preheader(message: Message) -> str:
    """Return the preview text, which mail clients show in the list next to the subject."""
    if message.kind is Kind.SINGLE:
        return f"{message.items[0].phrase}. {end_sentence(message.items[0].headline)}"
    if message.kind in (Kind.MANY, Kind.DIGEST):
        return "; ".join(f"{item.badge}: {item.title}" for item in message.items[:5])
    return message.lines[0] if message.lines else ""


def _gone(move: Move | None) -> tuple[str, ...]:
    """Return the phrases of the windows that a move removed, as their sources gave them."""
    if move is None:
        return ()
    kept = {value.window_id for value in move.after}
    return tuple(dict.fromkeys(value.phrase for value in move.before if value.window_id not in kept))


def _linked(sentence: str) -> Markup:
    """Return the escaped sentence with its URLs as links."""
    from markupsafe import Markup, escape

    parts: list[str] = []
    end = 0
    for found in _URL.finditer(sentence):
        url = found.group()
        if clean_link(url):
            parts.append(str(escape(sentence[end : found.start()])))
            anchor = '<a class="link" href="{0}" style="color: #1f6296; word-break: break-word;">{0}</a>'
            parts.append(str(Markup(anchor).format(url)))  # noqa: S704  format escapes its arguments
            end = found.end()
    parts.append(str(escape(sentence[end:])))
    return Markup("".join(parts))  # noqa: S704  every part was escaped


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("alertd.notify"),
        auto_reload=False,  # looks at no file once a template is compiled
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        account_text=format_account,
        brief_fields=list_brief_fields,
        brief_story=list_brief_sentences,
        explain_hint=make_explain_hint,
        linked=_linked,
        look_of=choose_palette,
        looks={**{tone.value: look for tone, look in PALETTES.items()}, "neutral": NEUTRAL},
        remarks=list_remarks,
        end_sentence=end_sentence,
        tags=list_warnings,
    )
    return made

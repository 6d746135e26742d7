"""Cleans a message's texts, so that none can steer a terminal, break a header or exceed its length limit.

alertd checks definitions when it loads them, so little is left to clean. Notifiers clean every message
nevertheless, because they do not rely on checks that other modules make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit

from alertd.core.ledger.records import Move, Value
from alertd.core.message.message import Account, ActionLink, ClaimLine, Item, Message
from alertd.core.milestones.fields import FieldKind, FieldReach, FieldValue, ShownField, select_shown_fields
from alertd.core.routing.labels import TABLE as ADDED_LABELS

Part = TypeVar("Part", Message, Item, ActionLink, Move, Value, ClaimLine, Account)

MAX_TITLE = 300
MAX_SENTENCE = 1_000
MAX_PARAGRAPH = 2_000
MAX_LIST = 50
"""The most sentences, claims or accounts that one field may hold, and the most lines of a notice."""
MAX_URL = 2_000

# C0 and C1 controls; line and paragraph separators; embeddings, overrides and isolates of direction (which
# reorder the text around them); halves of surrogate pairs (which no encoding accepts); the byte order mark.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+")
_NO_URL = re.compile(r"[ \"'<>\\^`{|}]")


def clean_line(text: str, limit: int = MAX_SENTENCE) -> str:
    """Return ``text`` as one line of at most ``limit`` characters; a cut text ends in an ellipsis."""
    # Nearly every text is clean. None of the characters above is printable, and of the characters at which
    # `split` splits, only the space is.
    if len(text) <= limit and text.isprintable() and "  " not in text and text == text.strip(" "):
        return text
    clean = " ".join(_UNFIT.sub(" ", text[: 4 * limit]).split())
    return cut_text(clean, limit)


def cut_text(text: str, limit: int) -> str:
    """Return ``text``, cut to at most ``limit`` characters, of which the last is an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clean_link(url: str) -> str:
    """Return ``url`` if it is a complete http or https URL that a browser can open safely, else ""."""
    if not url or len(url) > MAX_URL or _UNFIT.search(url) or _NO_URL.search(url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""


def clean_message(message: Message) -> Message:
    """Return the message with every text that a person reads clean."""
    return _change(
        message,
        subject=clean_line(message.subject, 150),
        receiver=clean_line(message.receiver, MAX_TITLE),
        channel=clean_line(message.channel, MAX_TITLE),
        intro=clean_line(message.intro),
        items=tuple(_item(item) for item in message.items),
        page=clean_link(message.page),
        lines=tuple(clean_line(text, MAX_PARAGRAPH) for text in message.lines[:MAX_LIST]),
    )


def _change(value: Part, **cleaned: Any) -> Part:
    """Return a copy with the cleaned values, or ``value`` itself if all of its values were clean."""
    changed = {name: clean for name, clean in cleaned.items() if clean != getattr(value, name)}
    return replace(value, **changed) if changed else value


def _item(item: Item) -> Item:
    return _change(
        item,
        milestone=clean_line(item.milestone, MAX_TITLE),
        timeline=clean_line(item.timeline, MAX_TITLE),
        timeline_title=clean_line(item.timeline_title, MAX_TITLE),
        title=clean_line(item.title, MAX_TITLE),
        headline=clean_line(item.headline),
        phrase=clean_line(item.phrase, MAX_TITLE),
        badge=clean_line(item.badge, 60),
        zone=clean_line(item.zone, 100),
        details=tuple(clean_line(text) for text in item.details[:MAX_LIST]),
        caveat=clean_line(item.caveat),
        contradiction=clean_line(item.contradiction),
        evidence=clean_line(item.evidence),
        move=_move(item.move),
        late=clean_line(item.late),
        next=clean_line(item.next),
        why=clean_line(item.why),
        claims=tuple(_claim(claim) for claim in item.claims[:MAX_LIST]),
        fields={
            shown.field.key: _clean_field(shown)
            for shown in select_shown_fields(item.fields, FieldReach.DATA)
        },
        route_labels=_labels(item.route_labels, MAX_LIST + len(ADDED_LABELS)),
        section=clean_line(item.section, 100),
        page=clean_link(item.page),
        actions=tuple(map(_action, item.actions[:MAX_LIST])),
    )


def _action(action: ActionLink) -> ActionLink:
    return _change(action, label=clean_line(action.label, 60), url=clean_link(action.url))


def _move(move: Move | None) -> Move | None:
    if move is None:
        return None
    return _change(move, before=tuple(map(_value, move.before)), after=tuple(map(_value, move.after)))


def _value(value: Value) -> Value:
    return _change(
        value,
        phrase=clean_line(value.phrase, MAX_TITLE),
        accounts=tuple(clean_line(account, MAX_TITLE) for account in value.accounts[:MAX_LIST]),
    )


def _clean_field(shown: ShownField) -> FieldValue:
    if not isinstance(shown.value, str):
        return _labels(shown.value, MAX_LIST)
    if shown.is_link:
        return clean_link(shown.value)
    return clean_line(shown.value, MAX_PARAGRAPH if shown.field.kind is FieldKind.PROSE else MAX_TITLE)


def _labels(labels: Mapping[str, str], most: int) -> dict[str, str]:
    return {
        clean_line(name, 100): clean_line(value, MAX_TITLE) for name, value in islice(labels.items(), most)
    }


def _claim(claim: ClaimLine) -> ClaimLine:
    return _change(
        claim,
        phrase=clean_line(claim.phrase, MAX_TITLE),
        edtf=clean_line(claim.edtf, MAX_TITLE),
        status=clean_line(claim.status, 100),
        accounts=tuple(_account(account) for account in claim.accounts[:MAX_LIST]),
        note=clean_line(claim.note),
        derived=clean_line(claim.derived),
    )


def _account(account: Account) -> Account:
    return _change(
        account,
        id=clean_line(account.id, 100),
        who=clean_line(account.who, MAX_TITLE),
        brief=clean_line(account.brief, MAX_TITLE),
        publisher=clean_line(account.publisher, MAX_TITLE),
        published=clean_line(account.published, 100),
        url=clean_link(account.url),
    )

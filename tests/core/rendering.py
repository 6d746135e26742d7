"""A message as plain text with nothing left out: how the golden files are written."""

from __future__ import annotations

import textwrap

from alertd.core.message.message import Account, ClaimLine, Item, Message

_WIDTH = 100


def render(message: Message) -> str:
    """Every field that a reader can meet, each under its name, in the order in which it is read."""
    lines = [
        f"now      {message.at:%Y-%m-%dT%H:%MZ}",
        f"kind     {message.kind}",
        _field("subject", message.subject),
        *([_field("intro", message.intro)] if message.intro else []),
        *(_field("line", line) for line in message.lines),
    ]
    return "\n\n".join(["\n".join(lines), *(_item(item) for item in message.items)]) + "\n"


def _item(item: Item) -> str:
    lines = [
        _field("title", item.title),
        _field("badge", f"{item.badge}  [{item.cause}, {item.tone}, {item.state}]"),
        _field("when", item.phrase),
        _field("headline", item.headline + "."),
        *(_field("detail", one) for one in item.sentences),
        *([_field("late", item.late)] if item.late else []),
        *(_field(_mark(one), _claim(one)) for one in item.claims),
        *([_field("next", item.next)] if item.next else []),
        *([_field("why", item.why)] if item.why else []),
    ]
    return "\n".join(lines)


def _mark(claim: ClaimLine) -> str:
    if not claim.live:
        return "not live"
    return "claim *" if claim.headline else "claim"


def _claim(claim: ClaimLine) -> str:
    said = f"{claim.phrase} - {claim.status}" if claim.status else claim.phrase
    by = "; ".join(_account(account) for account in claim.accounts)
    rest = [f"computed: {claim.derived}"] if claim.derived else []
    rest += [f"note: {claim.note}"] if claim.note else []
    return " | ".join(part for part in (said, by, *rest) if part)


def _account(account: Account) -> str:
    return ", ".join(part for part in (account.who, account.publisher, account.published) if part)


def _field(name: str, text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=name.ljust(9), subsequent_indent=" " * 9, break_on_hyphens=False
    )

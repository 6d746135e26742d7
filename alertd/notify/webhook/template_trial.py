"""Tries a template on all kinds of messages at load, so that errors show before a reminder is sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from alertd.core.ledger.records import Move, Value
from alertd.core.message.message import Account, ActionLink, ClaimLine, Item, Kind, Message, Tone
from alertd.core.milestones.fields import make_sample_values
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import Cause
from alertd.notify.webhook.body import render_template
from alertd.notify.webhook.template_values import TemplateFailed

if TYPE_CHECKING:
    from alertd.notify.webhook.template import Template

_AT = datetime(2026, 9, 23, 6, tzinfo=UTC)

ODD = 'a "quoted" \\ text, <b>&amp; ünïcode'
"""Every text of the trial messages. A value that is inserted without escaping breaks the body."""

_VALUE = Value(window_id="w", edtf="2026-09", phrase=ODD, accounts=(ODD,), source_ids=("s",))
_CLAIM = ClaimLine(
    phrase=ODD,
    edtf="2026-09",
    status=ODD,
    accounts=(Account(id="s", who=ODD, brief=ODD), Account(id="t", who=ODD, brief=ODD)),
    days=7,
    begins=_AT,
    ends=_AT,
    headline=True,
)
_OPEN_CLAIM = ClaimLine(phrase=ODD, edtf="2026-09/..", status="")


def try_out(template: Template) -> None:
    """Raise TemplateFailed, whose text names the kind of message, if the template fails for any kind."""
    for words, message in list_trials():
        try:
            render_template(message, template)
        except TemplateFailed as error:
            raise TemplateFailed(error.line, f"{error.why}, in a message of {words}") from error


def list_trials() -> list[tuple[str, Message]]:
    """Return messages of every kind and cause, each with its description."""
    single = [
        (f"cause {cause.value}", _message(Kind.SINGLE, _item(cause, number)))
        for number, cause in enumerate(Cause)
    ]
    return [
        *single,
        ("several milestones", _message(Kind.MANY, *(_item(cause) for cause in Cause))),
        ("kind digest", _message(Kind.DIGEST, *(_item(cause) for cause in Cause))),
        ("kind notice", _message(Kind.NOTICE)),
        ("kind test", _message(Kind.TEST)),
    ]


def _message(kind: Kind, *items: Item) -> Message:
    lines = () if items else (ODD, ODD)
    return Message(
        id="msg_0", receiver="desk", channel="desk/webhook", kind=kind, subject=ODD, at=_AT, since=_AT,
        items=items, lines=lines,
    )  # fmt: skip


def _item(cause: Cause, number: int = 0) -> Item:
    """Return an item with all optional values if ``number`` is odd, and with as few as possible if even."""
    rich = number % 2 == 1
    return Item(
        milestone="timeline/milestone",
        timeline="timeline",
        timeline_title=ODD,
        title=ODD,
        cause=cause,
        offset="-7d",
        state={Cause.DONE: State.DONE, Cause.CANCELLED: State.CANCELLED}.get(cause, State.UPCOMING),
        tone=Tone.CALM,
        headline=ODD,
        phrase=ODD,
        badge=ODD,
        revision=1,
        zone="UTC",
        details=(ODD,) if rich else (),
        claims=(_CLAIM, _OPEN_CLAIM) if rich else (_OPEN_CLAIM,),
        fields=make_sample_values(ODD, "https://alertd.example/") if rich else {},
        move=Move(before=(_VALUE,), after=(_VALUE,)) if cause is Cause.MOVED else None,
        done_on=date(2026, 9, 22) if cause is Cause.DONE else None,
        actions=(ActionLink(kind="done", label=ODD, url="https://alertd.example/"),) if rich else (),
    )

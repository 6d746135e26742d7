"""Makes the forms for actions on a milestone: the fields, the suggested values and the consequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd.core.explain.request import MAX_TEXT
from alertd.core.ledger.records import Record
from alertd.core.message.links import LinkKind
from alertd.core.milestones.status import NO_ACTIONS, ActionKind
from alertd.core.time.instant import to_local_date
from alertd.errors import FieldProblem
from alertd.web.server.access import Principal
from alertd.web.server.context import Site

MAX_NAME = 80
MAX_MOMENT = 40
A_WEEK = timedelta(days=7)
UNTIL_HINT = (
    "A date (then: when reminders of that day go out), a time such as 2026-12-04T09:00, "
    "or a duration such as 7d."
)

CONSEQUENCES = {
    ActionKind.ACK: "What is due before then is dropped. If its date has passed by then and it is not done, "
    "that is said once; and if its date moves, reminders come again.",
    ActionKind.SNOOZE: "Reminders wait until then. What is still true then is sent, once.",
    ActionKind.DONE: "It came about: no further reminder, and whoever was told of it hears so.",
    ActionKind.CANCEL: "It will not come about: no further reminder.",
    ActionKind.REOPEN: "Whatever was said of it is taken back, and reminders come again.",
}
TITLES = {
    ActionKind.ACK: "Acknowledge",
    ActionKind.SNOOZE: "Snooze",
    ActionKind.DONE: "Done",
    ActionKind.CANCEL: "Cancel",
    ActionKind.REOPEN: "Reopen",
}
BY_LINK = {
    LinkKind.ACKNOWLEDGE: ActionKind.ACK,
    LinkKind.SNOOZE: ActionKind.SNOOZE,
    LinkKind.DONE: ActionKind.DONE,
    LinkKind.UNDO: ActionKind.REOPEN,
}
"""The action that each kind of link does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form.

    Attributes:
        most: the longest value that is accepted, in characters.
        latest: the latest date that is accepted, ``2026-11-30``; "" for no limit.
        problem: the error in the value, a sentence without its full stop; "" for no error.
    """

    name: str
    label: str
    value: str
    kind: str = "text"
    hint: str = ""
    required: bool = False
    most: int = MAX_TEXT
    latest: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of one action; ``kind`` is the last part of the path to which the form is sent."""

    kind: str
    title: str
    consequence: str
    fields: tuple[Field, ...]


def list_forms(record: Record, site: Site, principal: Principal) -> tuple[Form, ...]:
    """Return the forms of all actions that are possible on a milestone in its present state."""
    if record.withdrawn:
        return ()
    kinds = [ActionKind.REOPEN]
    if not record.status.closed:
        kinds = [ActionKind.ACK, ActionKind.SNOOZE, ActionKind.DONE, ActionKind.CANCEL]
        if record.status != NO_ACTIONS:
            kinds.append(ActionKind.REOPEN)
    return tuple(make_form(kind, record, site, asks_name=not principal.name) for kind in kinds)


def make_form(
    kind: ActionKind,
    record: Record,
    site: Site,
    *,
    asks_name: bool,
    given: Mapping[str, str] | None = None,
    problem: FieldProblem | None = None,
) -> Form:
    """Make the form of one action.

    Args:
        asks_name: ask for a name, because the request is anonymous.
        given: the values that were entered already; None for the suggested values.
        problem: the error that was found in ``given``.
    """
    now = site.clock.now()
    fields = [field for field in _make_fields(kind, record, site, now) if asks_name or field.name != "by"]
    if given is not None:
        fields = [_fill_in(field, given, problem) for field in fields]
    return Form(kind=kind.value, title=TITLES[kind], consequence=CONSEQUENCES[kind], fields=tuple(fields))


def _make_fields(kind: ActionKind, record: Record, site: Site, now: datetime) -> list[Field]:
    zone = record.milestone.zone
    today = to_local_date(now, zone)
    fields = []
    if kind in (ActionKind.ACK, ActionKind.SNOOZE):
        expires = site.config.ack_expires if site.config and kind is ActionKind.ACK else A_WEEK
        until = to_local_date(now + expires, zone)
        if until <= today:
            until = today + timedelta(days=1)
        hint = f"{UNTIL_HINT} Local to {zone.key}."
        fields.append(
            Field(
                name="until",
                label="Until",
                value=until.isoformat(),
                hint=hint,
                required=kind is ActionKind.SNOOZE,
                most=MAX_MOMENT,
            )
        )
    if kind is ActionKind.DONE:
        day = today.isoformat()
        fields += [
            Field(name="on", label="It came about on", value=day, kind="date", latest=day, most=MAX_MOMENT),
            Field(
                name="evidence",
                label="Evidence",
                value="",
                hint="Where that can be seen: an address, a file.",
            ),
        ]
    fields += [
        Field(name="why", label="Why", value="", hint="It stays in the history."),
        Field(name="by", label="Your name", value="", most=MAX_NAME, hint="So that others know whom to ask."),
    ]
    return fields


def _fill_in(field: Field, given: Mapping[str, str], problem: FieldProblem | None) -> Field:
    wrong = str(problem) if problem is not None and problem.field == field.name else ""
    return Field(
        name=field.name,
        label=field.label,
        value=given.get(field.name, ""),
        kind=field.kind,
        hint=field.hint,
        required=field.required,
        most=field.most,
        latest=field.latest,
        problem=wrong,
    )

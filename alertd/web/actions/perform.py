"""Says something of a milestone for somebody who came by the page, a link, the API or Slack."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest, action_of, confirmation, says_nothing_new
from alertd.core.ledger.records import Record
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.words import day_text
from alertd.engine import actions as said
from alertd.errors import RefusedAction, UnknownMilestone
from alertd.notify.render.clean import line
from alertd.system.telemetry import Event
from alertd.web.pages.cache import shelf_of
from alertd.web.server.access import FORM, Principal, RequestRefused, kind_of
from alertd.web.server.context import Site, site_of

MAX_FIELDS = 20
MAX_FIELD = 4_000
MAX_NAME = 300
"""Longer than any milestone's id."""

KINDS = frozenset(kind.value for kind in ActionKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What came of it.

    Attributes:
        told: what holds now, in sentences.
        is_new: False when it was said before and nothing was written.
    """

    action: Action
    record: Record
    told: str
    is_new: bool


async def say(request: Request, name: str, saying: ActionRequest) -> ActionResult:
    """Say it.

    Raises:
        Refusal: there is no such milestone (404), or no configuration is in force (503).
        FieldProblem: a field says what cannot be.
        RefusedAction: it does not fit how the milestone stands.
        LedgerError: it cannot be used.
    """
    site = site_of(request)
    config = site.config
    if config is None:
        raise RequestRefused(503, "no configuration is in force yet", {"retry-after": "5"})
    record = await record_of(site, name)
    action = action_of(saying, record, config, site.clock.now())
    is_new = not says_nothing_new(action, record.standing, record.window_ids)
    if is_new:
        _refuse_if_closed(action, record)
        try:
            record = await said.act(site.ledger, config, action)
        except UnknownMilestone:
            raise RequestRefused(404, f"no milestone {name[:200]!r} is known") from None
        shelf_of(request).forget()
        site.log.info(
            Event.MILESTONE_SAID, milestone=name, kind=action.kind.value, by=action.by, how=action.how
        )
    told = confirmation(action, record, await site.ledger.owed(name))
    return ActionResult(
        action=action, record=record, told=told if is_new else f"Nothing is new. {told}", is_new=is_new
    )


def _refuse_if_closed(action: Action, record: Record) -> None:
    """In the words of whoever has a page before them; the ledger refuses it anyway."""
    standing = record.standing
    if standing.closed and action.kind is not ActionKind.REOPEN:
        how = f"done on {day_text(standing.done_on)}" if standing.done_on else "cancelled"
        raise RefusedAction(f"it is {how} already; reopen it first")


async def record_of(site: Site, name: str) -> Record:
    """A milestone that is in the files.

    Raises:
        Refusal: there is none of that name (404).
    """
    record = await site.ledger.record(name) if name.isprintable() and len(name) <= MAX_NAME else None
    if record is None or record.withdrawn:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    return record


async def last_said(site: Site, name: str) -> Action | None:
    """The last thing that somebody said of a milestone, as far as it is needed to take it back."""
    for entry in await site.ledger.history(name, 50):
        if entry.kind in KINDS:
            kind = ActionKind(entry.kind)
            return Action(kind=kind, milestone=name, at=entry.at, by=entry.by, how=entry.facts.get("how", ""))
    return None


def who(visitor: Principal, name: str = "") -> tuple[str, str]:
    """Who says so, and by which door, when it is by the page.

    Args:
        name: what somebody calls themselves of whom nothing is known.
    """
    if visitor.name:
        return visitor.name, f"page:{visitor.name}"
    return f"{name or 'somebody'} at {visitor.address}", f"page:{visitor.address}"


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form that was sent, each on one line.

    Raises:
        Refusal: it is no form (415).
    """
    if kind_of(request) != FORM:
        raise RequestRefused(415, f"this takes a form, as {FORM}")
    form = await request.form(max_fields=MAX_FIELDS)
    return {name: line(text, MAX_FIELD) for name, text in form.items() if isinstance(text, str)}


def may_see(visitor: Principal) -> bool:
    """Whether somebody may see a milestone's own page."""
    return visitor.scope >= Scope.READ

"""Records a person's action on a milestone, whether it came from a page, a link, the API or Slack."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest, is_repeated, make_action, make_confirmation
from alertd.core.ledger.records import Record
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.words import format_day
from alertd.engine import actions as said
from alertd.errors import RefusedAction, UnknownMilestone
from alertd.notify.render.clean import clean_line
from alertd.system.telemetry import Event
from alertd.web.server.access import FORM, Principal, RequestRefused, find_media_type
from alertd.web.server.context import Site, find_site
from alertd.web.timeline.cache import find_cache

MAX_FIELDS = 20
MAX_FIELD = 4_000
MAX_NAME = 300
"""The longest name that is looked up, in characters. No milestone's id is so long."""

KINDS = frozenset(kind.value for kind in ActionKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """The result of an action.

    Attributes:
        told: the present state of the milestone, in sentences.
        is_new: False if the milestone was in that state already and nothing was written.
    """

    action: Action
    record: Record
    told: str
    is_new: bool


async def say(request: Request, name: str, saying: ActionRequest) -> ActionResult:
    """Record an action on the milestone with the full id ``name``.

    Raises:
        RequestRefused: no milestone has that id (404), or no configuration is in force (503).
        FieldProblem: a field of the action has an invalid value.
        RefusedAction: the action is not possible in the present state of the milestone.
        LedgerError: the ledger cannot be read or written.
    """
    site = find_site(request)
    config = site.config
    if config is None:
        raise RequestRefused(503, "no configuration is in force yet", {"retry-after": "5"})
    record = await find_record(site, name)
    action = make_action(saying, record, config, site.clock.now())
    is_new = not is_repeated(action, record.status, record.window_ids)
    if is_new:
        _refuse_if_closed(action, record)
        try:
            record = await said.act(site.ledger, config, action)
        except UnknownMilestone:
            raise RequestRefused(404, f"no milestone {name[:200]!r} is known") from None
        find_cache(request).forget()
        site.log.info(
            Event.ACTION_RECORDED, milestone=name, kind=action.kind.value, by=action.by, how=action.how
        )
    told = make_confirmation(action, record, await site.ledger.read_owed(name))
    return ActionResult(
        action=action, record=record, told=told if is_new else f"Nothing is new. {told}", is_new=is_new
    )


def _refuse_if_closed(action: Action, record: Record) -> None:
    """Refuse an action on a closed milestone. The ledger refuses it too, but with a less helpful message."""
    status = record.status
    if status.closed and action.kind is not ActionKind.REOPEN:
        how = f"done on {format_day(status.done_on)}" if status.done_on else "cancelled"
        raise RefusedAction(f"it is {how} already; reopen it first")


async def find_record(site: Site, name: str) -> Record:
    """Find the record of a milestone that is defined in the timeline files.

    Raises:
        RequestRefused: no such milestone has that full id (404).
    """
    record = await site.ledger.read_record(name) if name.isprintable() and len(name) <= MAX_NAME else None
    if record is None or record.withdrawn:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    return record


async def find_last_action(site: Site, name: str) -> Action | None:
    """Return the latest action on a milestone, with the fields that an undo needs; None if there is none."""
    for entry in await site.ledger.read_history(name, 50):
        if entry.kind in KINDS:
            kind = ActionKind(entry.kind)
            return Action(kind=kind, milestone=name, at=entry.at, by=entry.by, how=entry.facts.get("how", ""))
    return None


def name_actor(principal: Principal, name: str = "") -> tuple[str, str]:
    """Return the name of the actor and the origin of the action, for the history.

    Args:
        name: the name that an anonymous person has entered.
    """
    if principal.name:
        return principal.name, f"page:{principal.name}"
    return f"{name or 'somebody'} at {principal.address}", f"page:{principal.address}"


async def read_form(request: Request) -> dict[str, str]:
    """Read the text fields of a form that was sent. Each value becomes one line.

    Raises:
        RequestRefused: the body is not an HTML form (415).
    """
    if find_media_type(request) != FORM:
        raise RequestRefused(415, f"this takes a form, as {FORM}")
    form = await request.form(max_fields=MAX_FIELDS)
    return {name: clean_line(text, MAX_FIELD) for name, text in form.items() if isinstance(text, str)}


def may_see(principal: Principal) -> bool:
    """Whether a principal may see the page of a milestone."""
    return principal.scope >= Scope.READ

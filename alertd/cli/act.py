"""``alertd ack``, ``snooze``, ``done``, ``cancel`` and ``reopen``: record an action on a milestone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import run_to_end
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption, MilestoneArgument, WhyOption
from alertd.cli.paper import say

if TYPE_CHECKING:
    from pathlib import Path

    from alertd.core.config import Config
    from alertd.core.ledger.records import Record
    from alertd.core.milestones.status import Action
    from alertd.ports import LedgerReader

UNTIL = "A date (then: when reminders of that day go out), a time, an instant, or a duration such as 7d."


def ack(
    milestone: MilestoneArgument,
    *,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="T", help=f"{UNTIL}  [default: ack_expires of alertd.yaml]", show_default=False
        ),
    ] = None,
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Acknowledge: drop what is due before --until.

    That a date has passed meanwhile is said then, once. It is given to the dates as they stand: when one of
    them moves, reminders come again.
    """
    _act(milestone, "ack", by, config, database, why=why, until=until or "")


def snooze(
    milestone: MilestoneArgument,
    *,
    until: Annotated[str, typer.Option("--until", metavar="T", help=UNTIL, show_default=False)],
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Hold reminders back until --until.

    What is still true then is sent, once.
    """
    _act(milestone, "snooze", by, config, database, why=why, until=until)


def done(
    milestone: MilestoneArgument,
    *,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="DATE",
            help="The date on which the milestone was reached.  [default: today]",
            show_default=False,
        ),
    ] = None,
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="TEXT", help="Evidence, such as a link.", show_default=False)
    ] = "",
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say that it came about: no further reminder.

    Whoever was told of it hears so.
    """
    _act(milestone, "done", by, config, database, why=why, on=on or "", evidence=evidence)


def cancel(
    milestone: MilestoneArgument,
    *,
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say that it will not come about: no further reminder."""
    _act(milestone, "cancel", by, config, database, why=why)


def reopen(
    milestone: MilestoneArgument,
    *,
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Take back whatever was said of it: reminders come again."""
    _act(milestone, "reopen", by, config, database, why=why)


def _act(
    name: str, kind: str, by: str | None, config: Path | None, database: str | None, **typed: str
) -> None:
    """Record the action ``kind`` and print the confirmation.

    Args:
        typed: the values of the command's other options, as the user typed them.
    """
    from alertd.cli.loading import resolve_person

    say(run_to_end(_record_action(name, kind, resolve_person(by), config, database, typed)))


async def _record_action(  # noqa: PLR0917  the parameters are those of _act
    name: str, kind: str, by: str, config: Path | None, database: str | None, typed: dict[str, str]
) -> str:
    from alertd.cli.loading import load_usable_definitions, open_ledger, read_settings
    from alertd.core.explain.request import make_confirmation
    from alertd.core.milestones.status import ActionKind
    from alertd.engine.actions import act

    settings = read_settings(config, database)
    _, configuration = load_usable_definitions(settings)
    async with open_ledger(settings) as ledger:
        record = await _find_record(ledger, name)
        action = _parse_action(record, configuration, kind=ActionKind(kind), by=by, **typed)
        after = await act(ledger, configuration, action)
        told = make_confirmation(action, after, await ledger.read_owed(after.id))
        return f"{told} `alertd reopen {after.id}` takes it back." if kind == "cancel" else told


def _parse_action(record: Record, configuration: Config, **typed: object) -> Action:
    """Turn typed options into an action.

    Raises:
        typer.BadParameter: an option has a wrong value.
    """
    from alertd import app
    from alertd.core.explain.request import ActionRequest, make_action
    from alertd.errors import FieldProblem

    try:
        return make_action(ActionRequest(**typed), record, configuration, app.now())  # type: ignore[arg-type]
    except FieldProblem as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.field}") from None


async def _find_record(ledger: LedgerReader, name: str) -> Record:
    """Return the ledger's record of the milestone that ``name`` means.

    Raises:
        UnknownMilestone: the ledger has no such milestone.
        UnreadableRow: the ledger's record of it cannot be read.
    """
    from alertd.cli.loading import find_milestone, list_unreadable_milestones
    from alertd.errors import UnknownMilestone

    record = await ledger.read_record(name)
    if record is not None:
        return record
    ids = [record.id for record in await ledger.read_records()]
    ids += await list_unreadable_milestones(ledger)
    if not ids:
        raise UnknownMilestone(f"{name}: the ledger knows no milestone; the daemon has not run on it yet")
    record = await ledger.read_record(find_milestone(name, ids))
    if record is None:
        raise UnknownMilestone(f"{name}: it was withdrawn at this moment")
    return record

"""``alertd ack``, ``snooze``, ``done``, ``cancel`` and ``reopen``: what people say of a milestone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption, MilestoneArgument, WhyOption
from alertd.cli.paper import say

if TYPE_CHECKING:
    from pathlib import Path

    from alertd.core.config import Config
    from alertd.core.ledger.records import Record
    from alertd.core.milestones.status import Action
    from alertd.ports import Ledger

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
            help="The date on which it came about.  [default: today]",
            show_default=False,
        ),
    ] = None,
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="TEXT", help="Where that can be seen.", show_default=False)
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
    from alertd.cli.loading import person

    say(finished(_acted(name, kind, person(by), config, database, typed)))


async def _acted(  # noqa: PLR0917  the same
    name: str, kind: str, by: str, config: Path | None, database: str | None, typed: dict[str, str]
) -> str:
    from alertd import app
    from alertd.cli.loading import open_ledger, settings_of, usable_definitions
    from alertd.core.explain.request import confirmation
    from alertd.core.milestones.status import ActionKind

    settings = settings_of(config, database)
    _, settled = usable_definitions(settings)
    async with open_ledger(settings) as book:
        record = await _record(book, name)
        action = _action(record, settled, kind=ActionKind(kind), by=by, **typed)
        after = await app.act(book, settled, action)
        told = confirmation(action, after, await book.owed(after.id))
        return f"{told} `alertd reopen {after.id}` takes it back." if kind == "cancel" else told


def _action(record: Record, settled: Config, **typed: object) -> Action:
    from alertd import app
    from alertd.core.explain.request import ActionRequest, action_of
    from alertd.errors import FieldProblem

    try:
        return action_of(ActionRequest(**typed), record, settled, app.now())  # type: ignore[arg-type]
    except FieldProblem as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.field}") from None


async def _record(book: Ledger, name: str) -> Record:
    from alertd.cli.loading import find_milestone
    from alertd.errors import UnknownMilestone

    record = await book.record(name)
    if record is not None:
        return record
    ids = [one.id for one in await book.records()]
    if not ids:
        raise UnknownMilestone(f"{name}: the ledger knows no milestone; the daemon has not run on it yet")
    record = await book.record(find_milestone(name, ids))
    if record is None:
        raise UnknownMilestone(f"{name}: it was withdrawn at this moment")
    return record

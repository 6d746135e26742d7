"""``alertd ack``, ``snooze``, ``done``, ``cancel`` and ``reopen``: what people say of a milestone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption, MilestoneArgument, WhyOption
from alertd.cli.paper import say

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from alertd.core.config import Config
    from alertd.core.ledger import Record
    from alertd.core.standing import Action
    from alertd.ports import Ledger

    Make = Callable[["Record", "Config", datetime], "Action"]
    """From what is known to the action."""

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
    from alertd.core.standing import Action, ActionKind

    who = _person(by)

    def make(record: Record, settled: Config, now: datetime) -> Action:
        end = _until(until, record, now) if until else (now + settled.ack_expires).replace(microsecond=0)
        return Action(kind=ActionKind.ACK, milestone=record.id, at=now, by=who, why=why, until=end)

    _act(milestone, make, config, database)


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
    from alertd.core.standing import Action, ActionKind

    who = _person(by)

    def make(record: Record, _settled: Config, now: datetime) -> Action:
        end = _until(until, record, now)
        return Action(kind=ActionKind.SNOOZE, milestone=record.id, at=now, by=who, why=why, until=end)

    _act(milestone, make, config, database)


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
    from alertd.core.standing import Action, ActionKind

    who = _person(by)

    def make(record: Record, _settled: Config, now: datetime) -> Action:
        from alertd.cli.moments import read_date
        from alertd.core.instant import local_date

        today = local_date(now, record.milestone.zone)
        day = read_date(on, "--on") if on else today
        if day > today:
            raise typer.BadParameter(
                f"{day} has not come yet in {record.milestone.zone.key}: say so on that day, and if it came "
                f"about today leave --on out",
                param_hint="--on",
            )
        return Action(
            kind=ActionKind.DONE, milestone=record.id, at=now, by=who, why=why, done_on=day, evidence=evidence
        )

    _act(milestone, make, config, database)


def cancel(
    milestone: MilestoneArgument,
    *,
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say that it will not come about: no further reminder."""
    from alertd.core.standing import Action, ActionKind

    who = _person(by)

    def make(record: Record, _settled: Config, now: datetime) -> Action:
        return Action(kind=ActionKind.CANCEL, milestone=record.id, at=now, by=who, why=why)

    _act(milestone, make, config, database)


def reopen(
    milestone: MilestoneArgument,
    *,
    by: ByOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Take back whatever was said of it: reminders come again."""
    from alertd.core.standing import Action, ActionKind

    who = _person(by)

    def make(record: Record, _settled: Config, now: datetime) -> Action:
        return Action(kind=ActionKind.REOPEN, milestone=record.id, at=now, by=who, why=why)

    _act(milestone, make, config, database)


def _act(name: str, make: Make, config: Path | None, database: str | None) -> None:
    say(finished(_acted(name, make, config, database)))


async def _acted(name: str, make: Make, config: Path | None, database: str | None) -> str:
    from alertd import app
    from alertd.cli.loading import open_ledger, settings_of, usable_definitions
    from alertd.cli.show_act import confirmation

    settings = settings_of(config, database)
    _, settled = usable_definitions(settings)
    async with open_ledger(settings) as book:
        record = await _record(book, name)
        action = make(record, settled, app.now())
        after = await app.act(book, settled, action)
        return confirmation(action, after, await book.owed(after.id))


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


def _person(by: str | None) -> str:
    from alertd.cli.loading import person

    return person(by)


def _until(text: str, record: Record, now: datetime) -> datetime:
    from alertd.cli.moments import read_moment

    milestone = record.milestone
    end = read_moment(text, "--until", zone=milestone.zone, now=now, at=milestone.policy.at)
    if end <= now:
        raise typer.BadParameter(f"{text} is not in the future", param_hint="--until")
    return end

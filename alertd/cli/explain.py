"""``alertd explain``: why a milestone reminds, when, of what and whom; from the files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, MilestoneArgument, OutputFormat
from alertd.cli.paper import show, warn, write_rows, write_value

if TYPE_CHECKING:
    from alertd.core.explain.explanation import Done
    from alertd.core.ledger.records import Record
    from alertd.system.settings import Settings


def explain(
    milestone: MilestoneArgument,
    *,
    at: Annotated[
        str,
        typer.Option("--at", metavar="T", help="As of this date, time or instant; local to the milestone."),
    ] = "now",
    ledger: Annotated[
        bool | None,
        typer.Option(
            "--ledger/--no-ledger",
            help="Also what was sent and said.  [default: when there is a ledger already]",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """Say everything about one milestone, and why.

    What is claimed and by whom, where it stands, which reminders it gets, who is told and by which route.

    Needs no daemon and no database. For a recurring milestone, ID@2026-09-30 is one instance and ID the next.
    """
    from alertd import app
    from alertd.cli.loading import find_milestone, has_ledger, settings_of, usable_definitions
    from alertd.cli.moments import read_moment
    from alertd.core.explain import explanation
    from alertd.core.milestones.recurrence import series_of
    from alertd.errors import UnknownMilestone

    settings = settings_of(config, database)
    definitions, settled = usable_definitions(settings)
    known = app.milestones(definitions)
    kept = _kept(settings, definitions.broken) if ledger is not False else {}
    name = find_milestone(series_of(milestone), {*known, *(series_of(one) for one in kept)})
    record = None
    if name in known:
        moment = read_moment(at, "--at", zone=known[name].zone, now=app.now(), at=known[name].policy.at)
        one, others = explanation.instance_of(known[name], milestone, moment)
    else:
        any_of_it = next(kept[one].milestone for one in kept if series_of(one) == name)
        moment = read_moment(at, "--at", zone=any_of_it.zone, now=app.now(), at=any_of_it.policy.at)
        asked = name + milestone[len(series_of(milestone)) :]
        record, others = explanation.instance_kept(kept, asked, moment)
        one = record.milestone if record else None
    done = None
    if one is not None and (ledger or (ledger is None and has_ledger(settings))):
        done = _done(settings, one.id, must=ledger is True)
    if done is not None and done.dates and name in known:
        resolved = app.milestones(definitions, done.dates)[name]
        one, others = explanation.instance_of(resolved, milestone, moment)
    if one is None:
        raise UnknownMilestone(f"{milestone}: the series has no such instance")
    kept_from = record.file if record else ""
    found = explanation.explained(one, definitions, settled, moment, done, kept_from)
    if form is OutputFormat.TEXT:
        from alertd.cli.show_explain import explanation_page

        show(explanation_page(found, settled, others))
        return
    from alertd.core.explain.facts import explanation_facts

    facts = explanation_facts(found, others)
    if form is OutputFormat.JSON:
        write_value(facts)
    else:
        write_rows([facts], form)


def _kept(settings: Settings, broken: frozenset[str]) -> dict[str, Record]:
    """What the ledger has of the milestones whose files cannot be read, by full id."""
    from alertd.cli.loading import has_ledger
    from alertd.errors import LedgerError

    if not broken or not has_ledger(settings):
        return {}
    try:
        return finished(_records_of(settings, broken))
    except LedgerError:
        return {}  # it is said when it is looked at for what was sent


async def _records_of(settings: Settings, broken: frozenset[str]) -> dict[str, Record]:
    from alertd.cli.loading import open_ledger

    async with open_ledger(settings) as book:
        return {one.id: one for one in await book.records() if one.file in broken}


def _done(settings: Settings, milestone: str, *, must: bool) -> Done | None:
    from alertd.errors import LedgerError

    try:
        return finished(_read(settings, milestone))
    except LedgerError as error:
        if must:
            raise
        warn(f"the ledger cannot be read and is left out: {error}")
        return None


async def _read(settings: Settings, milestone: str) -> Done:
    from alertd.cli.loading import open_ledger
    from alertd.core.explain.explanation import Done

    async with open_ledger(settings) as book:
        record = await book.record(milestone)
        dates = await book.done_dates()
        if record is None:
            return Done(dates=dates)
        return Done(
            standing=record.standing,
            owed={one.key: one for one in await book.owed(milestone)},
            deliveries=tuple(await book.deliveries(milestone=milestone)),
            history=tuple(await book.history(milestone)),
            dates=dates,
        )

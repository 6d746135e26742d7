"""``alertd explain``: explain which reminders a milestone gets, when, for whom and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, MilestoneArgument, OutputFormat
from alertd.cli.paper import show, warn, write_rows, write_value
from alertd.cli.plan import CAUSE_STYLE

if TYPE_CHECKING:
    from alertd.core.config import Config
    from alertd.core.explain.explanation import Done, Explanation
    from alertd.core.ledger.records import Record
    from alertd.core.message.message import ClaimLine
    from alertd.core.planning.plan import Planned
    from alertd.system.settings import Settings


STATE_STYLE = {
    "upcoming": "green",
    "open": "yellow",
    "passed by some": "bold yellow",
    "passed by all": "bold red",
    "done": "green",
    "cancelled": "dim",
}
"""Rich styles by the value of a :class:`alertd.core.milestones.milestone.State`."""

INDENT = (0, 0, 0, 2)
MOST_ROWS = 40
COURSE_STYLE = {"sent": "green", "waiting": "yellow", "dropped": "dim"}
"""Rich styles by the value of a :class:`alertd.core.explain.words.Course`."""


def explain(
    milestone: MilestoneArgument,
    *,
    at: Annotated[
        str,
        typer.Option("--at", metavar="T", help="As of this date, time or instant, in the milestone's zone."),
    ] = "now",
    ledger: Annotated[
        bool | None,
        typer.Option(
            "--ledger/--no-ledger",
            help="Include deliveries and actions from the ledger.  [default: if there is a ledger]",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """Explain everything about a milestone.

    The answer has its claims and their sources, its state, its reminders, and its receivers with their
    routes.

    The command works without a daemon and without a database. For a recurring milestone, ID@2026-09-30 means
    that instance, and ID means the next instance.
    """
    from alertd import app
    from alertd.cli.loading import find_milestone, has_ledger, load_usable_definitions, read_settings
    from alertd.cli.options import read_moment
    from alertd.core.explain import explanation
    from alertd.core.milestones.recurrence import get_series_id
    from alertd.errors import UnknownMilestone

    settings = read_settings(config, database)
    definitions, configuration = load_usable_definitions(settings)
    known = app.resolve_milestones(definitions)
    kept = _read_kept_records(settings, definitions.broken) if ledger is not False else {}
    name = find_milestone(get_series_id(milestone), {*known, *(get_series_id(kept_id) for kept_id in kept)})
    record = None
    if name in known:
        moment = read_moment(at, "--at", zone=known[name].zone, now=app.now(), at=known[name].policy.at)
        instance, others = explanation.find_instance(known[name], milestone, moment)
    else:
        any_of_it = next(kept[kept_id].milestone for kept_id in kept if get_series_id(kept_id) == name)
        moment = read_moment(at, "--at", zone=any_of_it.zone, now=app.now(), at=any_of_it.policy.at)
        asked = name + milestone[len(get_series_id(milestone)) :]
        record, others = explanation.find_kept_instance(kept, asked, moment)
        instance = record.milestone if record else None
    done = None
    if instance is not None and (ledger or (ledger is None and has_ledger(settings))):
        done = _read_done_or_warn(settings, instance.id, must=ledger is True)
    if done is not None and done.dates and name in known:
        resolved = app.resolve_milestones(definitions, done.dates)[name]
        instance, others = explanation.find_instance(resolved, milestone, moment)
    if instance is None:
        raise UnknownMilestone(f"{milestone}: the series has no such instance")
    kept_from = record.file if record else ""
    found = explanation.explain(instance, definitions, configuration, moment, done, kept_from)
    if form is OutputFormat.TEXT:
        show(render_explanation(found, configuration, others))
        return
    from alertd.core.explain.facts import make_explanation_facts

    facts = make_explanation_facts(found, others)
    if form is OutputFormat.JSON:
        write_value(facts)
    else:
        write_rows([facts], form)


def _read_kept_records(settings: Settings, broken: frozenset[str]) -> dict[str, Record]:
    """Return the ledger's records of the milestones whose files cannot be read, by full id."""
    from alertd.cli.loading import has_ledger
    from alertd.errors import LedgerError

    if not broken or not has_ledger(settings):
        return {}
    try:
        return run_to_end(_read_records(settings, broken))
    except LedgerError:
        return {}  # _read_done_or_warn reads the same ledger next, and warns about the error


async def _read_records(settings: Settings, broken: frozenset[str]) -> dict[str, Record]:
    from alertd.cli.loading import open_ledger

    async with open_ledger(settings) as ledger:
        return {record.id: record for record in await ledger.read_records() if record.file in broken}


def _read_done_or_warn(settings: Settings, milestone: str, *, must: bool) -> Done | None:
    from alertd.errors import LedgerError, UnreadableRow

    try:
        return run_to_end(_read_done(settings, milestone))
    except LedgerError as error:
        if must:
            raise
        if isinstance(error, UnreadableRow):
            warn(
                f"{error}; this explanation is from the files alone, and nothing is sent until it can be read"
            )
            return None
        warn(f"the ledger cannot be read and is left out: {error}")
        return None


async def _read_done(settings: Settings, milestone: str) -> Done:
    from alertd.cli.loading import open_ledger
    from alertd.core.explain.explanation import Done

    async with open_ledger(settings) as ledger:
        record = await ledger.read_record(milestone)
        dates = await ledger.read_done_dates()
        if record is None:
            return Done(dates=dates)
        return Done(
            status=record.status,
            owed={reminder.key: reminder for reminder in await ledger.read_owed(milestone)},
            deliveries=tuple(await ledger.find_deliveries(milestone=milestone)),
            history=tuple(await ledger.read_history(milestone)),
            dates=dates,
        )


def render_explanation(found: Explanation, config: Config, others: Sequence[str]) -> RenderableType:
    """Render the explanation for people, with the sections in the order of a reader's likely questions.

    Args:
        others: ids of further instances of a recurring milestone.
    """
    from alertd.core.explain.explanation import describe_policy
    from alertd.core.explain.words import describe_next
    from alertd.core.milestones.fields import FieldReach, collect_field_values, select_shown_fields
    from alertd.core.words import capitalize, format_policy_name

    milestone, policy = found.milestone, found.milestone.policy
    head = Text.assemble((milestone.title, "bold"), f"\n{milestone.id}", (f"  {found.file}", "dim"))
    if found.is_kept:
        head.append("\nThis file cannot be read now. The ledger's last version of it is shown.", "yellow")
    if fields := list(select_shown_fields(collect_field_values(milestone), FieldReach.ALONE)):
        head.append("\n\n" + "\n".join(shown.text for shown in fields))
    named = capitalize(format_policy_name(policy.name))
    named = capitalize(format_policy_name(policy.name))
    return Group(
        head,
        *_render_section("State", [_render_state(found), *_render_others(others)]),
        *_render_section("Claims", list(_render_claims(found))),
        *_render_section(
            "Reminders",
            [Text(f"{named} ({found.policy_from}): {describe_policy(policy)}."), *_render_reminders(found)],
        ),
        *_render_section("Routes", list(_render_routes(found, config))),
        *_render_section("Deliveries", list(_render_deliveries(found)) if found.done else []),
        *_render_section("Next", [Text(describe_next(found))]),
    )


def _render_section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    if not parts:
        return []
    return [Text(), Text(title, "bold"), *(Padding(part, INDENT) for part in parts)]


def _render_state(found: Explanation) -> Text:
    from alertd.core.explain.words import make_state_lines
    from alertd.core.words import format_instant

    milestone = found.milestone
    text = Text.assemble(
        (found.state.value.capitalize(), STATE_STYLE[found.state]),
        f" on {format_instant(found.at, milestone.zone)}.",
    )
    for line in make_state_lines(found):
        text.append("\n" + line)
    return text


def _render_others(others: Sequence[str]) -> list[RenderableType]:
    from alertd.core.words import join_with_and

    if not others:
        return []
    shown = join_with_and([instance_id.rpartition("@")[2] for instance_id in others[:6]]) + (
        " and so on" if len(others) > 6 else ""
    )
    return [Text(f"It recurs: {shown}. The first of these dates is explained here.")]


def _render_claims(found: Explanation) -> Iterator[RenderableType]:
    from alertd.core.message.claims import make_claim_lines

    for number, line in enumerate(make_claim_lines(found.milestone, found.at, "", found.done_on)):
        if number:
            yield Text()
        head, *rest = _render_claim(line, found.milestone.zone)
        yield head
        for detail in rest:
            yield Padding(detail, INDENT)


def _render_claim(line: ClaimLine, zone: ZoneInfo) -> Iterator[Text]:
    """Yield the claim's phrase with its rank and status, then a line for each further detail."""
    from alertd.core.explain.words import describe_span, explain_not_counted

    style = "bold" if line.live else "dim"
    text = Text.assemble((line.phrase, style), (f"  {line.edtf}", "dim"), f"  {line.rank}")
    status = line.status if line.live else explain_not_counted(line)
    if status:
        text.append(f", {status}")
    yield text
    for account in line.accounts:
        origin = ", ".join(
            part for part in (account.publisher, account.published) if part and part != account.who
        )
        yield Text.assemble(f"{account.id}: ", account.who, f" ({origin})" if origin else "")
        if account.url:
            yield Text(account.url, "dim")
    for extra in (line.note, f"computed: {line.derived}" if line.derived else ""):
        if extra:
            yield Text(extra, "italic")
    for name, text_of in describe_span(line, zone):
        yield Text(f"{name:<8}{text_of}", "dim")


def _render_reminders(found: Explanation) -> Iterator[RenderableType]:
    from alertd.core.explain.words import describe_stated

    if not found.reminders:
        yield Text("It gets no reminder.")
        return
    zone = found.milestone.zone
    by_window = sorted(
        found.reminders,
        key=lambda reminder: (_window_end_key(reminder), reminder.occurrence.at, reminder.receiver),
    )
    coming = found.next
    for _, members in groupby(by_window, key=lambda reminder: reminder.occurrence.stated.window.id):
        rows = list(members)
        yield Padding(Text(describe_stated(rows[0].occurrence.stated), "underline"), (1, 0, 0, 0))
        yield _render_table(rows, found, zone, coming)


def _render_table(
    rows: Sequence[Planned], found: Explanation, zone: ZoneInfo, coming: Planned | None
) -> Table:
    from alertd.core.explain.words import describe_delay, describe_offset, format_local
    from alertd.core.words import format_count

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(min_width=14, overflow="fold")
    table.add_column(overflow="fold")
    table.add_column()
    skipped = max(0, len(rows) - MOST_ROWS)
    for row in rows[skipped:]:
        is_next = coming is not None and (row.at, row.occurrence) == (coming.at, coming.occurrence)
        past = row.at <= found.at
        which = Text(
            describe_offset(row.occurrence.offset), "dim" if past else CAUSE_STYLE[row.occurrence.cause]
        )
        if row.muted_by:
            which.append("\n" + describe_delay(row), "yellow")
        when = f"{row.at.astimezone(zone):%a} {format_local(row.at, zone)}"
        table.add_row(
            "→" if is_next else "",
            Text(when, "dim" if past else ""),
            which,
            row.receiver,
            _render_fate(row, found),
        )
    if skipped:
        table.caption = f"and {format_count(skipped, 'earlier one')}"
        table.caption_justify = "left"
    return table


def _render_fate(row: Planned, found: Explanation) -> Text:
    from alertd.core.explain.words import find_fate

    fate = find_fate(row, found)
    return Text(fate.text, COURSE_STYLE[fate.course])


def _render_routes(found: Explanation, config: Config) -> Iterator[RenderableType]:
    from alertd.core.explain.words import describe_labels, describe_routes

    for told in describe_routes(found, config):
        text = Text.assemble((told.receiver, "bold"), f" {told.text}")
        for line in told.more:
            text.append(f"\n  {line}")
        yield text
    if found.reminders:
        yield Text(describe_labels(found), "dim")


def _render_deliveries(found: Explanation) -> Iterator[RenderableType]:
    from alertd.core.explain.words import describe_offset, describe_state, format_local
    from alertd.core.ledger.records import DeliveryState
    from alertd.core.message.reasons import describe_reason
    from alertd.core.words import format_count, join_with_and

    assert found.done is not None  # noqa: S101  the caller has checked
    zone = found.milestone.zone
    if not found.done.deliveries:
        yield Text("Nothing yet.")
    for delivery, attempts, members in found.done.deliveries:
        slots = [
            describe_offset(member.offset) for member in members if member.milestone == found.milestone.id
        ]
        tries = f", {format_count(len(attempts), 'attempt')}" if len(attempts) > 1 else ""
        at = delivery.settled_at or delivery.next_at
        why = describe_reason(delivery.reason) if delivery.state is not DeliveryState.SENT else ""
        reason = f": {why}" if why else ""
        what = f"{describe_state(delivery)}, {delivery.channel}, {join_with_and(slots)}{tries}{reason}"
        yield Text(f"{format_local(at, zone)}  {what}")
        yield Text(f"  {delivery.id}", "dim")


def _window_end_key(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)

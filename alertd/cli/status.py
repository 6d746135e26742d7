"""``alertd status``: report whether anything is wrong, what comes next and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd import __version__
from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, DatabaseOption, FormatOption, OutputFormat
from alertd.cli.paper import show, warn, write_rows, write_value

if TYPE_CHECKING:
    from alertd.core.ledger.records import Attempt, Delivery, ScheduledReminder
    from alertd.core.reason import Reason
    from alertd.engine.control import Answers
    from alertd.engine.health import Health
    from alertd.ports import NodeReport
    from alertd.system.settings import Settings


INDENT = (0, 0, 0, 2)
MOST_NODES = 5
ANSWER_WITHIN_S = 3.0
"""How long a daemon may take to answer. It answers from its memory, so a longer silence is a fault."""

READ_WITHIN_S = 15.0
"""How long reading the ledger may take, in seconds."""

COUNTS = (
    ("milestones", "milestones"), ("owed.pending", "reminders to come"), ("deliveries.ready", "to be sent"),
    ("deliveries.sent", "sent"), ("deliveries.dead", "dead"),
)  # fmt: skip


def status(
    config: ConfigOption = None, database: DatabaseOption = None, form: FormatOption = OutputFormat.TEXT
) -> None:
    """Report whether anything is wrong, what is next and what failed.

    Exits 1 if something is wrong: no daemon has been seen for five minutes, a daemon has not reported for
    50 seconds or does not answer, the ledger cannot be written, no milestone is loaded, daemons run
    different files or versions, a file has a problem, a channel does not answer, a reminder is late, or a
    delivery died in the last seven days.
    """
    from alertd.cli.loading import read_settings
    from alertd.engine.health import health_facts

    health = run_to_end(_read_health(read_settings(config, database)))
    match form:
        case OutputFormat.TEXT:
            show(render_status(health))
        case OutputFormat.JSON:
            write_value(health_facts(health))
        case OutputFormat.JSONL:
            write_rows([health_facts(health)], form)
    if health.wrong:
        raise typer.Exit(1)


async def _read_health(settings: Settings, within_s: float = READ_WITHIN_S) -> Health:
    """Read the state of the daemons and the ledger.

    Raises:
        LedgerError: the ledger cannot be read, or is not read within ``within_s`` seconds.
    """
    import asyncio

    from alertd.engine.control import ask_status
    from alertd.errors import LedgerError, LedgerUnavailable

    # Ask the daemon first, because it may know more about itself than it could write into the ledger.
    answers = ask_status(settings.control_path(), within_s=ANSWER_WITHIN_S)
    limit = asyncio.timeout(within_s)
    try:
        async with limit:
            return await _read_ledger(settings, answers)
    except (TimeoutError, LedgerError) as error:
        for report in answers.reports:
            for finding in report.findings:
                warn(f"{report.node} found: {finding}")
        for sentence in answers.unanswered:
            warn(sentence)
        if limit.expired():
            why = f"the ledger has not answered for {within_s:g} s: its disk or its server may hang"
            raise LedgerUnavailable(why) from error
        raise


async def _read_ledger(settings: Settings, answers: Answers) -> Health:
    from alertd import app
    from alertd.cli.examine import find_write_obstacle
    from alertd.cli.loading import open_ledger
    from alertd.engine.health import read_health
    from alertd.system.node import is_gone
    from alertd.system.worker_threads import run_aside

    obstacle = ""
    if not answers.reports:
        # The file system may hang, which must not hold up the answer.
        obstacle = await run_aside(lambda: find_write_obstacle(settings.database_url()))
    async with open_ledger(settings) as ledger:
        return await read_health(
            ledger,
            app.now(),
            live=answers.reports,
            is_gone=is_gone,
            unanswered=answers.unanswered,
            obstacle=obstacle,
        )


def render_status(health: Health) -> RenderableType:
    """Render the status for people: the verdict first. Empty sections are omitted."""
    return Group(
        *_render_verdict(health),
        *_render_section("Daemons", [_render_nodes(health)] if health.nodes else []),
        *_render_section("Problems in the files", [Text(problem) for problem in health.problems]),
        *_render_section("Next", list(_render_coming(health))),
        *_render_section("Failing", list(_render_failing(health))),
        *_render_section("Not yet sent", list(_render_deliveries(health.ready, health.now))),
        *_render_section("Dead", list(_render_deliveries(health.dead, health.now))),
        *_render_section("In the ledger", [_render_counts(health)]),
    )


def _render_verdict(health: Health) -> Iterator[Text]:
    from alertd.core.words import make_sentence

    if not health.wrong:
        yield Text.assemble(("All is well.", "bold green"), (f"  alertd {__version__}", "dim"))
    for wrong in health.wrong:
        yield Text(f"✗ {make_sentence(wrong)}", "bold red")


def _render_section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    if not parts:
        return []
    return [Text(), Text(title, "bold"), *(Padding(part, INDENT) for part in parts)]


def _render_nodes(health: Health) -> Table:
    table = _grid()
    shown = health.live_nodes or tuple(health.nodes[:1])
    for node in shown[:MOST_NODES]:
        role = "reconciles" if node.node == health.leader else "stands by"
        table.add_row(*_node_cells(node, health.now, role=role if len(shown) > 1 else ""))
    return table


def _node_cells(node: NodeReport, now: datetime, *, role: str) -> tuple[str, str, Text]:
    from alertd.core.words import format_count, format_span
    from alertd.engine.health import GONE_AFTER

    gone = abs(now - node.seen_at) >= GONE_AFTER
    seen = Text(f"seen {format_span(abs(now - node.seen_at))} ago", "red" if gone else "green")
    if role:
        seen.append(f", {role}")
    runs = [f"alertd {node.version}, up {format_span(node.seen_at - node.started_at)}"]
    if node.config_id:
        runs.append(f"files {node.config_id[:8]}")
    runs.append(f"audit: {format_count(len(node.findings), 'finding')}" if node.findings else "audit passed")
    return node.node, ", ".join(runs), seen


def _render_coming(health: Health) -> Iterator[RenderableType]:
    """Yield an entry for each of the next reminders, with all its receivers, or say that there are none."""
    from alertd.core.message.reasons import describe_reason
    from alertd.core.time.instant import UTC_ZONE
    from alertd.core.words import format_instant, join_with_and, phrase_offset
    from alertd.engine.health import NEXT

    if not health.coming:
        yield Text("No reminder is planned.")
    same: dict[tuple[datetime, str, str, str, Reason | None], list[ScheduledReminder]] = {}
    for reminder in health.coming:
        key = (reminder.wake_at, reminder.milestone, reminder.window_id, reminder.offset, reminder.reason)
        same.setdefault(key, []).append(reminder)
    for members in list(same.values())[:NEXT]:
        reminder = members[0]
        record = health.records.get(reminder.milestone)
        zone = record.milestone.zone if record else UTC_ZONE
        receivers = join_with_and(sorted(member.receiver for member in members))
        yield Text(
            f"{format_instant(reminder.wake_at, zone)}, {phrase_offset(reminder.offset)}, to {receivers}"
        )
        title = record.milestone.title if record else ""
        for line, style in (
            (title, ""),
            (reminder.milestone, "dim"),
            (describe_reason(reminder.reason), "yellow"),
        ):
            if line:
                yield Padding(Text(line, style), INDENT)


def _render_failing(health: Health) -> Iterator[Text]:
    from alertd.core.message.reasons import describe_reason
    from alertd.core.words import format_span

    for channel, (first, last) in health.failing.items():
        text = Text.assemble((channel, "bold"))
        tries = [("last", last)] if first == last else [("first", first), ("last", last)]
        for which, attempt in tries:
            ago = format_span(health.now - attempt.at)
            text.append(
                f"\n  {which}, {ago} ago: {describe_reason(attempt.reason) or attempt.outcome}", "red"
            )
        yield text


def _render_deliveries(
    found: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]], now: datetime
) -> Iterator[RenderableType]:
    from alertd.core.explain.words import describe_state
    from alertd.core.message.digest import name_digest
    from alertd.core.message.reasons import describe_reason
    from alertd.core.words import format_span

    for delivery, attempts, members in found:
        text = Text.assemble(
            (delivery.channel, "bold"), f"  {describe_state(delivery)}", (f"  {delivery.id}", "dim")
        )
        about = list(dict.fromkeys(member.milestone for member in members)) or [
            delivery.notice.headline if delivery.notice else name_digest(delivery)
        ]
        text.append(
            f"\n  about {', '.join(about[:3])}" + (f" and {len(about) - 3} more" if len(about) > 3 else "")
        )
        if attempts:
            last = attempts[-1]
            ago, answer = format_span(now - last.at), describe_reason(last.reason) or last.outcome
            text.append(f"\n  attempt {last.number}, {ago} ago: {answer}", "red")
        if delivery.settled_at is None and delivery.next_at > now:
            text.append(f"\n  again in {format_span(delivery.next_at - now)}")
        elif delivery.settled_at is not None:
            text.append(f"\n  alertd retry {delivery.id}")
        yield text


def _render_counts(health: Health) -> Text:
    parts = [f"{health.counts.get(key, 0):,} {words}" for key, words in COUNTS]
    if health.size:
        parts.append(f"{health.size / 1024**2:,.1f} MiB")
    return Text(", ".join(parts))


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))

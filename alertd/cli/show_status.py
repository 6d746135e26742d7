"""The status for people: the verdict first, then daemons, what is next, what failed, and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd import __version__
from alertd.core.explain.words import state_words
from alertd.core.ledger.records import Attempt, Delivery, ScheduledReminder
from alertd.core.message.digest import digest_words
from alertd.core.words import count, instant_text, listing, offset_words, sentence, span_text
from alertd.engine.health import GONE_AFTER, NEXT, Health
from alertd.ports import NodeReport

INDENT = (0, 0, 0, 2)
MOST_NODES = 5

COUNTS = (
    ("milestones", "milestones"), ("owed.pending", "reminders to come"), ("deliveries.ready", "to be sent"),
    ("deliveries.sent", "sent"), ("deliveries.dead", "dead"),
)  # fmt: skip


def status_page(health: Health) -> RenderableType:
    """All of it; nothing that is empty."""
    return Group(
        *_verdict(health),
        *_section("Daemons", [_nodes(health)] if health.nodes else []),
        *_section("Problems in the files", [Text(problem) for problem in health.problems]),
        *_section("Next", list(_coming(health)) if health.coming else [Text("No reminder is planned.")]),
        *_section("Failing", list(_failing(health))),
        *_section("Not yet sent", list(_deliveries(health.ready, health.now))),
        *_section("Dead", list(_deliveries(health.dead, health.now))),
        *_section("In the ledger", [_counts(health)]),
    )


def _verdict(health: Health) -> Iterator[Text]:
    if not health.wrong:
        yield Text.assemble(("All is well.", "bold green"), (f"  alertd {__version__}", "dim"))
    for wrong in health.wrong:
        yield Text(f"✗ {sentence(wrong)}", "bold red")


def _section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    if not parts:
        return []
    return [Text(), Text(title, "bold"), *(Padding(part, INDENT) for part in parts)]


def _nodes(health: Health) -> Table:
    table = _grid()
    shown = health.live_nodes or tuple(health.nodes[:1])
    for node in shown[:MOST_NODES]:
        leads = len(shown) > 1 and node.node == health.leader
        table.add_row(*_node(node, health.now, leads=leads))
    return table


def _node(node: NodeReport, now: datetime, *, leads: bool) -> tuple[str, str, Text]:
    gone = now - node.seen_at >= GONE_AFTER
    seen = Text(f"seen {span_text(now - node.seen_at)} ago", "red" if gone else "green")
    if leads:
        seen.append(", reconciles")
    runs = [f"alertd {node.version}, up {span_text(node.seen_at - node.started_at)}"]
    if node.config_id:
        runs.append(f"files {node.config_id[:8]}")
    runs.append(f"audit: {count(len(node.findings), 'finding')}" if node.findings else "audit passed")
    return node.node, ", ".join(runs), seen


def _coming(health: Health) -> Iterator[RenderableType]:
    """Receivers of the same reminder at the same instant share an entry."""
    same: dict[tuple[datetime, str, str, str, str], list[ScheduledReminder]] = {}
    for one in health.coming:
        key = (one.wake_at, one.milestone, one.window_id, one.offset, one.reason)
        same.setdefault(key, []).append(one)
    for members in list(same.values())[:NEXT]:
        one = members[0]
        record = health.records.get(one.milestone)
        zone = record.milestone.zone if record else ZoneInfo("UTC")
        receivers = listing(sorted(member.receiver for member in members))
        yield Text(f"{instant_text(one.wake_at, zone)}, {offset_words(one.offset)}, to {receivers}")
        title = record.milestone.title if record else ""
        for line, style in ((title, ""), (one.milestone, "dim"), (one.reason, "yellow")):
            if line:
                yield Padding(Text(line, style), INDENT)


def _failing(health: Health) -> Iterator[Text]:
    for channel, (first, last) in health.failing.items():
        text = Text.assemble((channel, "bold"))
        tries = [("last", last)] if first == last else [("first", first), ("last", last)]
        for which, one in tries:
            text.append(
                f"\n  {which}, {span_text(health.now - one.at)} ago: {one.reason or one.outcome}", "red"
            )
        yield text


def _deliveries(
    found: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]], now: datetime
) -> Iterator[RenderableType]:
    for delivery, attempts, members in found:
        text = Text.assemble(
            (delivery.channel, "bold"), f"  {state_words(delivery)}", (f"  {delivery.id}", "dim")
        )
        about = list(dict.fromkeys(one.milestone for one in members)) or [
            delivery.notice.headline if delivery.notice else digest_words(delivery)
        ]
        text.append(
            f"\n  about {', '.join(about[:3])}" + (f" and {len(about) - 3} more" if len(about) > 3 else "")
        )
        if attempts:
            last = attempts[-1]
            text.append(
                f"\n  attempt {last.number}, {span_text(now - last.at)} ago: {last.reason or last.outcome}",
                "red",
            )
        if delivery.settled_at is None and delivery.next_at > now:
            text.append(f"\n  again in {span_text(delivery.next_at - now)}")
        elif delivery.settled_at is not None:
            text.append(f"\n  alertd retry {delivery.id}")
        yield text


def _counts(health: Health) -> Text:
    parts = [f"{health.counts.get(key, 0):,} {words}" for key, words in COUNTS]
    if health.size:
        parts.append(f"{health.size / 1024**2:,.1f} MiB")
    return Text(", ".join(parts))


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))

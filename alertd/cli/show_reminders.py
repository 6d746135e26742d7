"""The reminders of a milestone for people: when, to whom, by which route, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.reasons import Done, Explanation
from alertd.cli.show_history import state_words
from alertd.cli.show_plan import CAUSE_STYLE, held_back, local_text, stated_words, when_words
from alertd.core.config import Config
from alertd.core.ledger import DeliveryState, Owed, OwedState
from alertd.core.occurrence import Cause
from alertd.core.plan import Planned
from alertd.core.route import Match, Quiet
from alertd.core.wording import count, listing, span_text

CAUSE_WORDS = {
    Cause.OPENS: "as the window opens",
    Cause.APPROACHING: "before the deadline",
    Cause.DUE: "on the day",
    Cause.OVERDUE: "after the deadline",
}
MOST_ROWS = 40
LATE_FROM = timedelta(hours=1)


def reminder_tables(found: Explanation) -> Iterator[RenderableType]:
    if not found.reminders:
        yield Text("It gets no reminder.")
        return
    zone = found.milestone.zone
    by_window = sorted(found.reminders, key=lambda one: (_end(one), one.occurrence.at, one.receiver))
    coming = found.next
    for _, members in groupby(by_window, key=lambda one: one.occurrence.stated.window.id):
        rows = list(members)
        yield Padding(Text(stated_words(rows[0].occurrence.stated), "underline"), (1, 0, 0, 0))
        yield _table(rows, found, zone, coming)


def _table(rows: Sequence[Planned], found: Explanation, zone: ZoneInfo, coming: Planned | None) -> Table:
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
        which = Text(when_words(row.occurrence.offset), "dim" if past else CAUSE_STYLE[row.occurrence.cause])
        if row.muted_by:
            which.append("\n" + held_back(row), "yellow")
        when = f"{row.at.astimezone(zone):%a} {local_text(row.at, zone)}"
        table.add_row(
            "→" if is_next else "", Text(when, "dim" if past else ""), which, row.receiver, _fate(row, found)
        )
    if skipped:
        table.caption = f"and {count(skipped, 'earlier one')}"
        table.caption_justify = "left"
    return table


def _fate(row: Planned, found: Explanation) -> Text:
    """What became of a reminder, or what will."""
    if found.done is not None and (owed := found.done.owed.get(row.key)):
        return _owed_fate(owed, found.done)
    if row.key in found.overtaken:
        return Text("overtaken by a later one", "dim")
    return Text("")


def _owed_fate(owed: Owed, done: Done) -> Text:
    if owed.told_at is not None:
        late = owed.told_at - owed.at
        return Text(f"sent {span_text(late)} late" if late >= LATE_FROM else "sent", "green")
    if owed.state is OwedState.PENDING:
        return Text(owed.reason, "yellow")
    if owed.state is OwedState.BOUND:
        carriers = [
            one for one, _, _ in done.deliveries if one.receiver == owed.receiver and owed.key in one.members
        ]
        return Text(", ".join(dict.fromkeys(state_words(one) for one in carriers)), "yellow")
    return Text(owed.state.value + (f": {owed.reason}" if owed.reason else ""), "dim")


def route_lines(found: Explanation, config: Config) -> Iterator[RenderableType]:
    by_route: dict[tuple[str, str], list[Planned]] = {}
    for one in found.reminders:
        by_route.setdefault((one.receiver, one.match.path), []).append(one)
    for planned in by_route.values():
        yield _route(planned[0].match, _taken(planned, found.reminders), config)
    if found.reminders:
        labels = ", ".join(f'{name}="{value}"' for name, value in found.milestone.labels.items())
        yield Text(
            f"Its labels: {labels or 'none'}; and timeline, milestone, cause, contested and offset.", "dim"
        )


def _taken(planned: Sequence[Planned], every: Sequence[Planned]) -> str:
    """Which reminders a route takes: by cause where it takes all of one, else each by its offset."""
    mine, all_of = {_slot(one) for one in planned}, {_slot(one) for one in every}
    if mine == all_of:
        return "all reminders"
    causes = [cause for cause in CAUSE_WORDS if any(slot[0] is cause for slot in mine)]
    if mine == {slot for slot in all_of if slot[0] in causes}:
        return f"the reminders {listing([CAUSE_WORDS[cause] for cause in causes])}"
    return listing(list(dict.fromkeys(when_words(one.occurrence.offset) for one in planned)))


def _slot(planned: Planned) -> tuple[Cause, str, str]:
    one = planned.occurrence
    return (one.cause, one.offset, one.stated.window.id)


def _route(match: Match, taken: str, config: Config) -> Text:
    why = "takes what no other route has taken"
    if match.matchers:
        why = f"takes {listing([str(matcher) for matcher in match.matchers])}"
    specs = [spec.name for spec in config.receivers[match.receiver].notifiers]
    text = Text.assemble((match.receiver, "bold"), f" gets {taken}: {match.path} {why}.")
    text.append(f"\n  By {listing(specs)}" if specs else "\n  It has no notifier: nothing is sent")
    text.append(f", {_together(match)}.")
    for words, named in (("Held back during", match.mute), ("Sent only during", match.active)):
        if named:
            text.append(f"\n  {words} {listing([one.name for one in named])}.")
    return text.append(_quiet(config.receivers[match.receiver].quiet))


def _together(match: Match) -> str:
    if match.digest is not None:
        return f"in its digest, {match.digest.name}"
    grouped = "every label" if match.group_by == ("...",) else listing(match.group_by)
    return f"in one message for each {grouped}" if grouped else "all in one message"


def _quiet(quiet: Quiet | None) -> str:
    if quiet is None:
        return ""
    exempt = listing([str(matcher) for matcher in quiet.exempt])
    return f"\n  Quiet hours {quiet.hours.name}" + (f", but not for {exempt}." if exempt else ".")


def delivery_lines(found: Explanation) -> Iterator[RenderableType]:
    assert found.done is not None  # noqa: S101  the caller has looked
    zone = found.milestone.zone
    if not found.done.deliveries:
        yield Text("Nothing yet.")
    for delivery, attempts, members in found.done.deliveries:
        slots = [when_words(one.offset) for one in members if one.milestone == found.milestone.id]
        tries = f", {count(len(attempts), 'attempt')}" if len(attempts) > 1 else ""
        at = delivery.settled_at or delivery.next_at
        reason = (
            f": {delivery.reason}" if delivery.reason and delivery.state is not DeliveryState.SENT else ""
        )
        what = f"{state_words(delivery)}, {delivery.channel}, {listing(slots)}{tries}{reason}"
        yield Text(f"{local_text(at, zone)}  {what}")
        yield Text(f"  {delivery.id}", "dim")


def _end(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)

"""The explanation for people: what is claimed, where it stands, what is sent when, to whom and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from alertd.cli.reasons import Done, Explanation, policy_words
from alertd.cli.show_history import state_words
from alertd.cli.show_plan import CAUSE_STYLE, held_back, stated_words, when_words
from alertd.cli.show_standing import standing_lines
from alertd.core.claims import claim_lines, contested_sentence
from alertd.core.compose import standings
from alertd.core.config import Config
from alertd.core.ledger import DeliveryState, Owed, OwedState
from alertd.core.message import ClaimLine
from alertd.core.milestone import Rank, State, is_contested, live_claims, operative_windows, stated_windows
from alertd.core.occurrence import Cause
from alertd.core.plan import Planned
from alertd.core.route import Match
from alertd.core.wording import count, day_text, instant_text, listing, offset_words, sentence, span_text

STATE_STYLE = {
    State.UPCOMING: "green",
    State.OPEN: "yellow",
    State.PASSED_BY_SOME: "bold yellow",
    State.PASSED_BY_ALL: "bold red",
    State.DONE: "green",
    State.CANCELLED: "dim",
}
CAUSE_WORDS = {
    Cause.OPENS: "as the window opens",
    Cause.APPROACHING: "before the deadline",
    Cause.DUE: "on the day",
    Cause.OVERDUE: "after the deadline",
}
MOST_ROWS = 40
LATE_FROM = timedelta(hours=1)
INDENT = (0, 0, 0, 2)


def explanation_page(found: Explanation, config: Config, others: Sequence[str]) -> RenderableType:
    """Everything, in the order in which somebody asks."""
    milestone = found.milestone
    head = Text.assemble((milestone.title, "bold"), f"\n{milestone.id}", (f"  {found.file}", "dim"))
    about = "\n".join(line for line in (milestone.description, milestone.url) if line)
    if about:
        head.append("\n\n" + about)
    return Group(
        head,
        *_section("State", [_state(found), *_others(others)]),
        *_section("Claims", list(_claims(found))),
        *_section(
            "Reminders",
            [
                Text(
                    f"Policy {milestone.policy.name} ({found.policy_from}): {policy_words(milestone.policy)}."
                ),
                *_reminders(found),
            ],
        ),
        *_section("Routes", list(_routes(found, config))),
        *_section("Deliveries", list(_sent(found)) if found.done else []),
        *_section("Next", [_next(found)]),
    )


def _section(title: str, parts: Sequence[RenderableType]) -> list[RenderableType]:
    if not parts:
        return []
    return [Text(), Text(title, "bold"), *(Padding(part, INDENT) for part in parts)]


def _state(found: Explanation) -> Text:
    milestone = found.milestone
    text = Text.assemble(
        (found.state.value.capitalize(), STATE_STYLE[found.state]),
        f" on {instant_text(found.at, milestone.zone)}.",
    )
    for line in _state_lines(found):
        text.append("\n" + line)
    return text


def _state_lines(found: Explanation) -> Iterator[str]:
    milestone = found.milestone
    if found.done:
        yield from standing_lines(found.done.standing, milestone.zone, found.at)
    if not live_claims(milestone):
        yield "No claim is live: it never reminds."
        return
    yield sentence(standings(milestone, found.at))
    if milestone.tentative:
        yield "Tentative: agreed but not signed."
    if is_contested(milestone):
        yield contested_sentence(milestone)
        windows = count(len(stated_windows(milestone)), "different window")
        rank = live_claims(milestone)[0].rank.value
        reminding = "each of them reminds"
        if len(operative_windows(milestone)) < len(stated_windows(milestone)):
            reminding = f"only {listing([stated_words(one) for one in operative_windows(milestone)])} reminds"
        yield (
            f"Its live claims, those of rank {rank}, have {windows}."
            f" By `contested: {milestone.policy.contested.value}`, {reminding}."
        )


def _others(others: Sequence[str]) -> list[RenderableType]:
    if not others:
        return []
    shown = listing([one.rpartition("@")[2] for one in others[:6]]) + (
        " and so on" if len(others) > 6 else ""
    )
    return [Text(f"It recurs: {shown}. This is about the first of them.")]


def _claims(found: Explanation) -> Iterator[RenderableType]:
    for number, line in enumerate(claim_lines(found.milestone, found.at, "")):
        if number:
            yield Text()
        head, *rest = _claim(line, found.milestone.zone)
        yield head
        for one in rest:
            yield Padding(one, INDENT)


def _claim(line: ClaimLine, zone: ZoneInfo) -> Iterator[Text]:
    """Its phrase and where it stands; then a line for each thing that there is to say of it."""
    style = "bold" if line.live else "dim"
    text = Text.assemble((line.phrase, style), (f"  {line.edtf}", "dim"), f"  {line.rank}")
    status = line.status if line.live else _not_counted(line)
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
    if line.begins is not None and line.begins == line.ends:
        yield Text("at      " + _instant(line.begins, zone), "dim")
        return
    yield Text("begins  " + (_instant(line.begins, zone) if line.begins else "at no known time"), "dim")
    yield Text(
        "ends    " + (f"{_instant(line.ends, zone)}, exclusive" if line.ends else "at no known time"), "dim"
    )


def _not_counted(line: ClaimLine) -> str:
    return "never reminds" if line.rank == Rank.DEPRECATED else "outranked"


def _instant(at: datetime, zone: ZoneInfo) -> str:
    """``2026-10-01 00:00 +03:00 = 2026-09-30 21:00 UTC``."""
    return f"{_local(at, zone)} = {at:%Y-%m-%d %H:%M} UTC"


def _local(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


def _reminders(found: Explanation) -> Iterator[RenderableType]:
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
        when = f"{row.at.astimezone(zone):%a} {_local(row.at, zone)}"
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


def _routes(found: Explanation, config: Config) -> Iterator[RenderableType]:
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
    grouped = "every label" if match.group_by == ("...",) else listing(match.group_by)
    text.append(f", in one message for each {grouped}." if grouped else ", all in one message.")
    for words, named in (("Held back during", match.mute), ("Sent only during", match.active)):
        if named:
            text.append(f"\n  {words} {listing([one.name for one in named])}.")
    return text


def _sent(found: Explanation) -> Iterator[RenderableType]:
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
        yield Text(f"{_local(at, zone)}  {what}")
        yield Text(f"  {delivery.id}", "dim")


def _next(found: Explanation) -> Text:
    zone = found.milestone.zone
    standing = found.done.standing if found.done else None
    if standing is not None and standing.closed:
        what = f"done on {day_text(standing.done_on)}" if standing.done_on else "cancelled"
        return Text(f"Nothing: it is {what}.")
    one = found.next
    if one is None:
        return Text("Nothing more is sent.")
    together = sorted(
        other.receiver
        for other in found.reminders
        if other.at == one.at and other.occurrence == one.occurrence
    )
    if standing is not None and standing.snooze_until is not None and one.at < standing.snooze_until:
        until = instant_text(standing.snooze_until, zone)
        return Text(f"{until}, when the snooze ends: what is still true then, once.")
    which = f"{offset_words(one.occurrence.offset)}, {stated_words(one.occurrence.stated)}"
    return Text(f"{instant_text(one.at, zone)}: {which}, to {listing(together)}.")


def _end(planned: Planned) -> tuple[bool, float, str]:
    window = planned.occurrence.stated.window
    return (window.ends is None, window.ends.timestamp() if window.ends else 0.0, window.id)

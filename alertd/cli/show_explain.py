"""The explanation for people: what is claimed, where it stands, what is sent when, to whom and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from alertd.cli.reasons import Explanation, policy_words
from alertd.cli.show_plan import local_text, stated_words
from alertd.cli.show_reminders import delivery_lines, reminder_tables, route_lines
from alertd.cli.show_standing import standing_lines
from alertd.core.claims import claim_lines, contested_sentence
from alertd.core.config import Config
from alertd.core.message import ClaimLine
from alertd.core.milestone import Rank, State, is_contested, live_claims, operative_windows, stated_windows
from alertd.core.subject import standings
from alertd.core.wording import capital, count, day_text, instant_text, listing, offset_words, sentence

STATE_STYLE = {
    State.UPCOMING: "green",
    State.OPEN: "yellow",
    State.PASSED_BY_SOME: "bold yellow",
    State.PASSED_BY_ALL: "bold red",
    State.DONE: "green",
    State.CANCELLED: "dim",
}
INDENT = (0, 0, 0, 2)


def explanation_page(found: Explanation, config: Config, others: Sequence[str]) -> RenderableType:
    """Everything, in the order in which somebody asks."""
    milestone, policy = found.milestone, found.milestone.policy
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
                Text(f"{capital(policy.words)} ({found.policy_from}): {policy_words(policy)}."),
                *reminder_tables(found),
            ],
        ),
        *_section("Routes", list(route_lines(found, config))),
        *_section("Deliveries", list(delivery_lines(found)) if found.done else []),
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
    if found.state not in (State.DONE, State.CANCELLED):
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
    for number, line in enumerate(claim_lines(found.milestone, found.at, "", found.done_on)):
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
    return f"{local_text(at, zone)} = {at:%Y-%m-%d %H:%M} UTC"


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

"""The explanation for people: what is claimed, where it stands, what is sent when, to whom and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from alertd.cli.show_reminders import delivery_lines, reminder_tables, route_lines
from alertd.core.config import Config
from alertd.core.explain.explanation import Explanation, policy_words
from alertd.core.explain.words import claim_span, next_words, not_counted, state_lines
from alertd.core.message.claims import claim_lines
from alertd.core.message.message import ClaimLine
from alertd.core.milestones.milestone import State
from alertd.core.words import capital, instant_text, listing

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
    if found.is_kept:
        head.append("\nThis file cannot be read now: what is said here is what it said before.", "yellow")
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
        *_section("Next", [Text(next_words(found))]),
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
    for line in state_lines(found):
        text.append("\n" + line)
    return text


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
    status = line.status if line.live else not_counted(line)
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
    for name, text_of in claim_span(line, zone):
        yield Text(f"{name:<8}{text_of}", "dim")

"""Headlines and subjects for changes: a window opens, a deadline moves, or a person acts on a milestone.

Each sentence states a single fact, and states it no more certainly than its source does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from alertd.core.deadline import (
    Deadline,
    Qualifier,
    format_deadline,
    format_deadline_phrase,
    parse_deadline,
    read_window,
)
from alertd.core.ledger.records import Move, Record, ScheduledReminder, Value
from alertd.core.message.message import Item, Tone
from alertd.core.milestones.milestone import (
    Milestone,
    StatedWindow,
    list_operative_windows,
    list_stated_windows,
)
from alertd.core.milestones.occurrence import Cause
from alertd.core.time.instant import UTC_ZONE
from alertd.core.words import (
    MONTHS,
    capitalize,
    describe_account,
    describe_move,
    describe_status,
    format_count,
    format_instant,
    join_with_and,
    join_with_or,
)

_IN_WHICH = {
    Qualifier.NONE: "in which this is due",
    Qualifier.APPROXIMATE: "around which this is due",
    Qualifier.UNCERTAIN: "in which this may be due",
    Qualifier.BOTH: "around which this may be due",
}


def make_opens_headline(stated: StatedWindow) -> str:
    """Make a headline such as ``September 2026, the month in which this is due, has begun``.

    The result has no full stop.
    """
    deadline = stated.claims[0].deadline
    due = f"{_IN_WHICH[deadline.qualifier]} {describe_account(stated.accounts)}".strip()
    name = _find_own_name(deadline)
    if not name:
        return f"The time {due}, {format_deadline(deadline)}, has begun"
    plain = name[0].isdigit() or name.split()[0] in MONTHS
    unit = f"the {deadline.precision.value} " if plain else ""
    return f"{capitalize(name)}, {unit}{due}, has begun"


def make_opens_subject(stated: StatedWindow) -> str:
    """Make a subject such as ``September 2026 has begun``."""
    deadline = stated.claims[0].deadline
    name = _find_own_name(deadline)
    return f"{capitalize(name)} has begun" if name else f"Begun ({format_deadline(deadline)})"


def make_change_headline(cause: Cause, record: Record) -> str:
    """Make a headline such as ``Acknowledged by Ada until 8 December 2026, 09:00 (UTC)``.

    The person's reason follows, if there is one.

    Args:
        cause: ``acknowledged`` or ``cancelled``.
    """
    status = record.status
    if cause is Cause.CANCELLED:
        said, why = f"Cancelled by {status.cancelled_by}", status.cancelled_why
    else:
        said, why = f"Acknowledged by {status.ack_by}", status.ack_why
        if status.ack_until is not None:
            said += f" until {format_instant(status.ack_until, record.milestone.zone)}"
    why = " ".join(why.split()).rstrip(".")
    return f"{said}: {why}" if why else said


def make_move_headline(move: Move) -> str:
    """Make a headline such as ``Moved from September 2026 to the end of 2026, 92 days later``."""
    gone, new = compare_values(move)
    pairs = _pair_values(gone, new)
    if pairs:
        return "Moved " + "; ".join(_describe_step(before, after) for before, after in pairs)
    if gone and new:
        said = join_with_and([_drop_by(value.phrase) + make_attribution(value) for value in new])
        return f"Moved from {join_with_or([_drop_by(value.phrase) for value in gone])} to {said}"
    if new:
        given = join_with_and([value.phrase + make_attribution(value) for value in new])
        return f"{_introduce_dates(new)} given: {given}"
    if not move.after:
        return "No date is given any more"
    if gone:
        verb = (
            "One date no longer stands"
            if len(gone) == 1
            else f"{format_count(len(gone), 'date')} no longer stand"
        )
        return f"{verb}: {join_with_and([value.phrase + make_attribution(value) for value in gone])}"
    return "The dates are as before"


def make_before_sentence(move: Move) -> str:
    """Make a sentence such as ``Before: by September 2026, on the word of the minister.``.

    Returns:
        "" if the headline of the move gives the same facts.
    """
    if move.after and not any(value.accounts for value in move.before):
        return ""
    before = "; ".join(value.phrase + make_attribution(value) for value in move.before)
    return f"Before: {before or 'no date'}."


def make_move_subject(move: Move) -> str:
    """Make a subject such as ``Moved from September 2026 to the end of 2026``."""
    gone, new = compare_values(move)
    if gone and new:
        return (
            f"Moved from {join_with_or([_drop_by(value.phrase) for value in gone])}"
            f" to {join_with_or([_drop_by(value.phrase) for value in new])}"
        )
    if new:
        return f"{_introduce_dates(new)} given, {join_with_or([value.phrase for value in new])}"
    if not move.after:
        return "No date any more"
    return (
        f"Now {join_with_or([value.phrase for value in move.after])} alone"
        if gone
        else "The dates are as before"
    )


def make_attribution(value: Value) -> str:
    """Make a suffix such as ``, on the word of Reuters``; "" if the value names no source."""
    return f", on the word of {join_with_and(value.accounts)}" if value.accounts else ""


def _find_own_name(deadline: Deadline) -> str:
    """Find the name of a deadline that is a single span of the calendar; "" for an interval or a set."""
    if deadline.choices or "/" in deadline.edtf:
        return ""
    return format_deadline(replace(deadline, qualifier=Qualifier.NONE))


def compare_values(move: Move) -> tuple[list[Value], list[Value]]:
    """Return the values whose windows a move removes, and those whose windows it adds."""
    before = {value.window_id for value in move.before}
    after = {value.window_id for value in move.after}
    gone = [value for value in move.before if value.window_id not in after]
    return gone, [value for value in move.after if value.window_id not in before]


def _pair_values(gone: Sequence[Value], new: Sequence[Value]) -> list[tuple[Value, Value]]:
    """Pair each removed value with the added one that replaces it.

    Values pair if there is a single one on each side, or by their sources.

    Returns:
        [] if the values cannot be paired.
    """
    if len(gone) == len(new) == 1:
        return [(gone[0], new[0])]
    by_sources = {value.source_ids: value for value in new if value.source_ids}
    pairs = [(value, by_sources[value.source_ids]) for value in gone if value.source_ids in by_sources]
    return pairs if len(pairs) == len(gone) == len(new) == len(by_sources) else []


def _describe_step(before: Value, after: Value) -> str:
    # The difference counts days and times of day as they are written, so any zone serves.
    by = describe_move(read_window(before.window_id, UTC_ZONE), read_window(after.window_id, UTC_ZONE))
    text = f"from {_drop_by(before.phrase)} to {_drop_by(after.phrase)}"
    return text + (f", {by}" if by else "") + make_attribution(after)


def _introduce_dates(new: Sequence[Value]) -> str:
    return "A further date is" if len(new) == 1 else f"{format_count(len(new), 'further date')} are"


def _drop_by(phrase: str) -> str:
    """Return a phrase without its leading "by", as in "moved from September 2026"."""
    return phrase.removeprefix("by ")


MAX_SUBJECT = 150


def make_subject(item: Item, milestone: Milestone, owed: Sequence[ScheduledReminder], now: datetime) -> str:
    """Make the subject of a message about a single milestone: ``Due in 7 days (by September 2026): Title``.

    If the sources differ, the subject names the source instead of the phrase.

    Args:
        owed: the reminders of the item.
        now: an aware UTC instant.
    """
    if item.cause in (Cause.DONE, Cause.ACKNOWLEDGED, Cause.CANCELLED):
        return f"{capitalize(item.cause.value)}: {item.title}"
    main = next(reminder for reminder in owed if reminder.cause is item.cause)
    stated = find_stated(milestone, main)
    if item.cause is Cause.MOVED and main.move is not None:
        start = make_move_subject(main.move)
    elif stated is None:
        start = "No date"
    elif item.cause is Cause.OPENS:
        start = make_opens_subject(stated)
    elif item.contested:
        start = capitalize(describe_window(stated, now))
    else:
        phrase = _make_certain_phrase(stated) if stated.window.id == main.window_id else item.phrase
        start = f"{capitalize(describe_status(stated.claims, stated.window, now) or 'no end')} ({phrase})"
    return f"{start}{' (contested)' if item.contested else ''}: {item.title}"


def _make_certain_phrase(stated: StatedWindow) -> str:
    """Make the phrase of a deadline without its uncertainty, which the status already states."""
    claim = stated.claims[0]
    certain = claim.deadline.edtf.replace("%", "~").replace("?", "")
    deadline = claim.deadline if certain == claim.deadline.edtf else parse_deadline(certain)
    return format_deadline_phrase(deadline, claim.reading)


def make_summary_subject(items: Sequence[Item]) -> str:
    """Make a subject such as ``5 deadlines: 2 passed, 1 due soon, 1 coming, 1 moved``."""
    names = {
        Tone.LATE: "passed",
        Tone.SOON: "due soon",
        Tone.CALM: "coming",
        Tone.MOVED: "moved",
        Tone.DONE: "done",
    }
    counts = [(sum(item.tone is tone for item in items), name) for tone, name in names.items()]
    parts = ", ".join(f"{number} {name}" for number, name in counts if number)
    return f"{format_count(len(items), 'deadline')}: {parts}"


def cut_subject(text: str) -> str:
    """Cut a subject to at most :data:`MAX_SUBJECT` characters."""
    return text if len(text) <= MAX_SUBJECT else text[: MAX_SUBJECT - 1] + "…"


def find_stated(milestone: Milestone, owed: ScheduledReminder) -> StatedWindow | None:
    """Find the window that a reminder is about. For a move, it is a window that the move adds."""
    stated = list_operative_windows(milestone)
    wanted = {owed.window_id}
    if owed.move is not None:
        wanted = {value.window_id for value in compare_values(owed.move)[1]}
    return next(
        (candidate for candidate in stated if candidate.window.id in wanted), stated[0] if stated else None
    )


def describe_windows(milestone: Milestone, now: datetime) -> str:
    """Describe the status of each live window: ``Passed 55 days ago by the minister's account; ...``.

    Args:
        now: an aware UTC instant.
    """
    return capitalize("; ".join(describe_window(stated, now) for stated in list_stated_windows(milestone)))


def describe_window(stated: StatedWindow, now: datetime) -> str:
    """Describe the status of a window: ``passed 55 days ago by the minister's account``.

    Args:
        now: an aware UTC instant.
    """
    account = describe_account(stated.accounts)
    claim = stated.claims[0]
    if stated.window.ends is None:
        phrase = format_deadline_phrase(claim.deadline, claim.reading)
        return f"{phrase}, {account}" if account else phrase
    return describe_status(stated.claims, stated.window, now, account)

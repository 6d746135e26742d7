"""How a change is told: that a window has opened, that a deadline has moved, what somebody said of it.

One fact a sentence, and none of it more certain than its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alertd.core.deadline import Deadline, Qualifier, deadline_name
from alertd.core.ledger.records import Move, Record, Value
from alertd.core.message.claims import accounts_of
from alertd.core.milestones.milestone import StatedWindow
from alertd.core.milestones.occurrence import Cause
from alertd.core.words import MONTHS, by_account, capital, count, either, instant_text, listing, moved_by

_IN_WHICH = {
    Qualifier.NONE: "in which this is due",
    Qualifier.APPROXIMATE: "around which this is due",
    Qualifier.UNCERTAIN: "in which this may be due",
    Qualifier.BOTH: "around which this may be due",
}


def opens_headline(stated: StatedWindow) -> str:
    """``September 2026, the month in which this is due by the minister's account, has begun``."""
    deadline = stated.claims[0].deadline
    due = f"{_IN_WHICH[deadline.qualifier]} {by_account(accounts_of(stated))}".strip()
    name = _own_name(deadline)
    if not name:
        return f"The time {due}, {deadline_name(deadline)}, has begun"
    plain = name[0].isdigit() or name.split()[0] in MONTHS
    unit = f"the {deadline.precision.value} " if plain else ""
    return f"{capital(name)}, {unit}{due}, has begun"


def opens_subject(stated: StatedWindow) -> str:
    """``September 2026 has begun``."""
    deadline = stated.claims[0].deadline
    name = _own_name(deadline)
    return f"{capital(name)} has begun" if name else f"Begun ({deadline_name(deadline)})"


def changed_headline(cause: Cause, record: Record) -> str:
    """``Acknowledged by Ada until 8 December 2026, 09:00 (UTC)``, ``Cancelled by Ada``; and why, if said."""
    standing = record.standing
    if cause is Cause.CANCELLED:
        said, why = f"Cancelled by {standing.cancelled_by}", standing.cancelled_why
    else:
        said, why = f"Acknowledged by {standing.ack_by}", standing.ack_why
        if standing.ack_until is not None:
            said += f" until {instant_text(standing.ack_until, record.milestone.zone)}"
    why = " ".join(why.split()).rstrip(".")
    return f"{said}: {why}" if why else said


def moved_headline(move: Move) -> str:
    """``Moved from September 2026 to the end of 2026, 92 days later, on the word of Reuters``."""
    gone, new = gone_and_new(move)
    pairs = _paired(gone, new)
    if pairs:
        return "Moved " + "; ".join(_step(before, after) for before, after in pairs)
    if gone and new:
        said = listing([_unby(one.phrase) + on_word(one) for one in new])
        return f"Moved from {either([_unby(one.phrase) for one in gone])} to {said}"
    if new:
        return f"{_further(new)} given: {listing([one.phrase + on_word(one) for one in new])}"
    if not move.after:
        return "No date is given any more"
    if gone:
        verb = (
            "One date no longer stands" if len(gone) == 1 else f"{count(len(gone), 'date')} no longer stand"
        )
        return f"{verb}: {listing([one.phrase + on_word(one) for one in gone])}"
    return "The dates are as before"


def before_sentence(move: Move) -> str:
    """``Before: by September 2026, on the word of the minister.``; "" when the headline has said as much."""
    if move.after and not any(value.accounts for value in move.before):
        return ""
    before = "; ".join(value.phrase + on_word(value) for value in move.before)
    return f"Before: {before or 'no date'}."


def moved_subject(move: Move) -> str:
    """``Moved from September 2026 to the end of 2026``."""
    gone, new = gone_and_new(move)
    if gone and new:
        return (
            f"Moved from {either([_unby(one.phrase) for one in gone])}"
            f" to {either([_unby(one.phrase) for one in new])}"
        )
    if new:
        return f"{_further(new)} given, {either([one.phrase for one in new])}"
    if not move.after:
        return "No date any more"
    return f"Now {either([one.phrase for one in move.after])} alone" if gone else "The dates are as before"


def on_word(value: Value) -> str:
    """``, on the word of Reuters``; "" when nobody is named."""
    return f", on the word of {listing(value.accounts)}" if value.accounts else ""


def _own_name(deadline: Deadline) -> str:
    """The name of a deadline that is one span of the calendar; "" for an interval or a set."""
    if deadline.choices or "/" in deadline.edtf:
        return ""
    return deadline_name(replace(deadline, qualifier=Qualifier.NONE))


def gone_and_new(move: Move) -> tuple[list[Value], list[Value]]:
    """The windows that no longer stand, and those that did not stand before."""
    before = {value.window_id for value in move.before}
    after = {value.window_id for value in move.after}
    gone = [value for value in move.before if value.window_id not in after]
    return gone, [value for value in move.after if value.window_id not in before]


def _paired(gone: Sequence[Value], new: Sequence[Value]) -> list[tuple[Value, Value]]:
    """Which became which: one of each, or each of the same sources; [] when that can't be told."""
    if len(gone) == len(new) == 1:
        return [(gone[0], new[0])]
    by_sources = {value.source_ids: value for value in new if value.source_ids}
    pairs = [(value, by_sources[value.source_ids]) for value in gone if value.source_ids in by_sources]
    return pairs if len(pairs) == len(gone) == len(new) == len(by_sources) else []


def _step(before: Value, after: Value) -> str:
    by = moved_by(before.window_id, after.window_id)
    text = f"from {_unby(before.phrase)} to {_unby(after.phrase)}"
    return text + (f", {by}" if by else "") + on_word(after)


def _further(new: Sequence[Value]) -> str:
    return "A further date is" if len(new) == 1 else f"{count(len(new), 'further date')} are"


def _unby(phrase: str) -> str:
    """``by September 2026`` as ``September 2026``: "moved from by" is no English."""
    return phrase.removeprefix("by ")

"""The one line that a list of mails or a notification shows, and where each claim stands, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from alertd.core.deadline import deadline_phrase
from alertd.core.ledger.records import Owed
from alertd.core.message.claims import accounts_of
from alertd.core.message.headlines import gone_and_new, moved_subject, opens_subject
from alertd.core.message.message import Item, Tone
from alertd.core.milestones.milestone import Milestone, StatedWindow, operative_windows, stated_windows
from alertd.core.milestones.occurrence import Cause
from alertd.core.words import by_account, capital, count, status_of

MAX_SUBJECT = 150


def subject_of(item: Item, milestone: Milestone, owed: Sequence[Owed], now: datetime) -> str:
    """How far away, by whose account when they differ, what: ``Due in 7 days (by September 2026): Title``."""
    if item.cause in (Cause.DONE, Cause.ACKNOWLEDGED, Cause.CANCELLED):
        return f"{capital(item.cause.value)}: {item.title}"
    main = next(one for one in owed if one.cause is item.cause)
    stated = stated_for(milestone, main)
    if item.cause is Cause.MOVED and main.move is not None:
        start = moved_subject(main.move)
    elif stated is None:
        start = "No date"
    elif item.cause is Cause.OPENS:
        start = opens_subject(stated)
    elif item.contested:
        start = capital(standing_of(stated, now))
    else:
        # That it is uncertain is in the status already.
        phrase = item.phrase.replace(" (uncertain)", "")
        start = f"{capital(status_of(stated.claims, stated.window, now) or 'no end')} ({phrase})"
    return f"{start}{' (contested)' if item.contested else ''}: {item.title}"


def subject_of_many(items: Sequence[Item]) -> str:
    """``5 deadlines: 2 passed, 1 due soon, 1 coming, 1 moved``."""
    names = {
        Tone.LATE: "passed",
        Tone.SOON: "due soon",
        Tone.CALM: "coming",
        Tone.MOVED: "moved",
        Tone.DONE: "done",
    }
    counts = [(sum(item.tone is tone for item in items), name) for tone, name in names.items()]
    parts = ", ".join(f"{number} {name}" for number, name in counts if number)
    return f"{count(len(items), 'deadline')}: {parts}"


def cut(text: str) -> str:
    """At most :data:`MAX_SUBJECT` characters."""
    return text if len(text) <= MAX_SUBJECT else text[: MAX_SUBJECT - 1] + "…"


def stated_for(milestone: Milestone, owed: Owed) -> StatedWindow | None:
    """The window that an occurrence is about; of a move, one that is new."""
    stated = operative_windows(milestone)
    wanted = {owed.window_id}
    if owed.move is not None:
        wanted = {value.window_id for value in gone_and_new(owed.move)[1]}
    return next((one for one in stated if one.window.id in wanted), stated[0] if stated else None)


def standings(milestone: Milestone, now: datetime) -> str:
    """Where each live window stands, on whose word: ``Passed 55 days ago by the minister's account; ...``."""
    return capital("; ".join(standing_of(one, now) for one in stated_windows(milestone)))


def standing_of(stated: StatedWindow, now: datetime) -> str:
    """``passed 55 days ago by the minister's account``."""
    account = by_account(accounts_of(stated))
    claim = stated.claims[0]
    if stated.window.ends is None:
        phrase = deadline_phrase(claim.deadline, claim.reading)
        return f"{phrase}, {account}" if account else phrase
    return status_of(stated.claims, stated.window, now, account)

"""The claims of a milestone as a reader sees them: each window, who gives it, where it stands."""

from __future__ import annotations

from datetime import date, datetime

from alertd.core.deadline import format_deadline_phrase
from alertd.core.ledger.records import Value
from alertd.core.message.message import Account, ClaimLine
from alertd.core.milestones.milestone import (
    Milestone,
    Source,
    StatedWindow,
    list_operative_windows,
    list_stated_windows,
    list_windows_not_live,
)
from alertd.core.words import (
    count_days_until,
    describe_done,
    describe_status,
    format_published,
    join_with_and,
    make_sentence,
)


def values_of(milestone: Milestone) -> tuple[Value, ...]:
    """The windows that remind, as the ledger keeps them."""
    return tuple(
        Value(
            window_id=stated.window.id,
            edtf=stated.claims[0].deadline.edtf,
            phrase=format_deadline_phrase(stated.claims[0].deadline, stated.claims[0].reading),
            accounts=tuple(dict.fromkeys(source.brief for source in accounts_of(stated))),
            source_ids=stated.source_ids,
        )
        for stated in list_operative_windows(milestone)
    )


def accounts_of(stated: StatedWindow) -> tuple[Source, ...]:
    """Everybody who states this window, each once, in the order of the file."""
    by_id = {source.id: source for claim in stated.claims for source in claim.sources}
    return tuple(by_id.values())


def claim_lines(
    milestone: Milestone, now: datetime, headline: str, done_on: date | None = None
) -> tuple[ClaimLine, ...]:
    """Live windows in the order in which they end, each once; then all other claims, which never remind.

    Args:
        headline: id of the window that the message is about.
        done_on: once it is done: then the lines say how that stands to what was claimed.
    """
    lines = []
    for one in list_stated_windows(milestone):
        status = (
            describe_done(one.window, done_on) if done_on else describe_status(one.claims, one.window, now)
        )
        lines.append(_line(one, status, now, live=True, headline=one.window.id == headline))
    lines += [_line(one, "not counted", now, live=False) for one in list_windows_not_live(milestone)]
    return tuple(lines)


def contested_sentence(milestone: Milestone) -> str:
    """``Contested: the minister says by September 2026 (Al-Hadath, 8 September 2024); ...``."""
    parts = []
    for stated in list_stated_windows(milestone):
        claim = stated.claims[0]
        phrase = format_deadline_phrase(claim.deadline, claim.reading)
        sources = accounts_of(stated)
        says = (
            f"{join_with_and([source.brief for source in sources])} {'says' if len(sources) == 1 else 'say'} "
        )
        origins = [text for source in sources if (text := _origin(source))]
        where = f" ({'; '.join(origins)})" if origins else ""
        parts.append((says if sources else "") + phrase + where)
    return make_sentence("Contested: " + "; ".join(parts))


def _origin(source: Source) -> str:
    publisher = source.publisher if source.publisher != source.brief else ""
    return ", ".join(part for part in (publisher, format_published(source.published)) if part)


def _line(
    stated: StatedWindow, status: str, now: datetime, *, live: bool, headline: bool = False
) -> ClaimLine:
    claim, window = stated.claims[0], stated.window
    phrase = format_deadline_phrase(claim.deadline, claim.reading)
    notes = dict.fromkeys(one.note for one in stated.claims if one.note not in ("", phrase))
    return ClaimLine(
        phrase=phrase,
        edtf=claim.deadline.edtf,
        window_id=window.id,
        status=status,
        accounts=tuple(_account(source) for source in accounts_of(stated)),
        days=count_days_until(window, now),
        begins=window.begins,
        ends=window.ends,
        rank=claim.rank.value,
        note="; ".join(notes),
        derived=claim.derived,
        live=live,
        headline=headline,
    )


def _account(source: Source) -> Account:
    return Account(
        id=source.id,
        who=source.who,
        brief=source.brief,
        publisher=source.publisher,
        published=format_published(source.published),
        url=source.url,
    )

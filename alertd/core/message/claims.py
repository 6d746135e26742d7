"""The claims of a milestone as a message shows them: each window, its sources and its status."""

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


def list_values(milestone: Milestone) -> tuple[Value, ...]:
    """List the windows that remind, in the form that the ledger keeps."""
    return tuple(
        Value(
            window_id=stated.window.id,
            edtf=stated.claims[0].deadline.edtf,
            phrase=format_deadline_phrase(stated.claims[0].deadline, stated.claims[0].reading),
            accounts=tuple(dict.fromkeys(source.brief for source in stated.accounts)),
            source_ids=stated.source_ids,
        )
        for stated in list_operative_windows(milestone)
    )


def make_claim_lines(
    milestone: Milestone, now: datetime, headline: str, done_on: date | None = None
) -> tuple[ClaimLine, ...]:
    """Make the lines about a milestone's claims.

    The live windows come first, each once, in the order in which they end. All other claims follow, which
    never remind.

    Args:
        now: an aware UTC instant.
        headline: the id of the window that the message is about.
        done_on: the local date on which the milestone was done, which the lines compare with each window;
            None if it is not done.
    """
    lines = []
    for stated in list_stated_windows(milestone):
        status = (
            describe_done(stated.window, done_on)
            if done_on
            else describe_status(stated.claims, stated.window, now)
        )
        lines.append(_make_line(stated, status, now, live=True, headline=stated.window.id == headline))
    lines += [
        _make_line(stated, "not counted", now, live=False) for stated in list_windows_not_live(milestone)
    ]
    return tuple(lines)


def make_contested_sentence(milestone: Milestone) -> str:
    """Make a sentence such as ``Contested: the minister says by September 2026 (Al-Hadath); ...``."""
    parts = []
    for stated in list_stated_windows(milestone):
        claim = stated.claims[0]
        phrase = format_deadline_phrase(claim.deadline, claim.reading)
        sources = stated.accounts
        says = (
            f"{join_with_and([source.brief for source in sources])} {'says' if len(sources) == 1 else 'say'} "
        )
        origins = [text for source in sources if (text := _describe_origin(source))]
        where = f" ({'; '.join(origins)})" if origins else ""
        parts.append((says if sources else "") + phrase + where)
    return make_sentence("Contested: " + "; ".join(parts))


def _describe_origin(source: Source) -> str:
    publisher = source.publisher if source.publisher != source.brief else ""
    return ", ".join(part for part in (publisher, format_published(source.published)) if part)


def _make_line(
    stated: StatedWindow, status: str, now: datetime, *, live: bool, headline: bool = False
) -> ClaimLine:
    claim, window = stated.claims[0], stated.window
    phrase = format_deadline_phrase(claim.deadline, claim.reading)
    notes = dict.fromkeys(given.note for given in stated.claims if given.note not in ("", phrase))
    return ClaimLine(
        phrase=phrase,
        edtf=claim.deadline.edtf,
        window_id=window.id,
        status=status,
        accounts=tuple(_make_account(source) for source in stated.accounts),
        days=count_days_until(window, now),
        begins=window.begins,
        ends=window.ends,
        rank=claim.rank.value,
        note="; ".join(notes),
        derived=claim.derived,
        live=live,
        headline=headline,
    )


def _make_account(source: Source) -> Account:
    return Account(
        id=source.id,
        who=source.who,
        brief=source.brief,
        publisher=source.publisher,
        published=format_published(source.published),
        url=source.url,
    )

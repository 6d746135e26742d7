"""The claims of a milestone as a reader sees them: each window, who gives it, where it stands."""

from __future__ import annotations

from datetime import datetime

from alertd.core.deadline import deadline_phrase, window_of
from alertd.core.ledger import Value
from alertd.core.message import Account, ClaimLine
from alertd.core.milestone import (
    Claim,
    Milestone,
    Rank,
    Source,
    StatedWindow,
    live_claims,
    operative_windows,
    stated_windows,
)
from alertd.core.wording import days_until, listing, published_text, sentence, status_of


def values_of(milestone: Milestone) -> tuple[Value, ...]:
    """The windows that remind, as the ledger keeps them."""
    return tuple(
        Value(
            window_id=stated.window.id,
            edtf=stated.claims[0].deadline.edtf,
            phrase=deadline_phrase(stated.claims[0].deadline, stated.claims[0].reading),
            accounts=tuple(dict.fromkeys(source.brief for source in accounts_of(stated))),
            source_ids=stated.source_ids,
        )
        for stated in operative_windows(milestone)
    )


def accounts_of(stated: StatedWindow) -> tuple[Source, ...]:
    """Everybody who states this window, each once, in the order of the file."""
    by_id = {source.id: source for claim in stated.claims for source in claim.sources}
    return tuple(by_id.values())


def claim_lines(milestone: Milestone, now: datetime, headline: str) -> tuple[ClaimLine, ...]:
    """Live windows in the order in which they end, each once; then deprecated claims.

    Args:
        headline: id of the window that the message is about.
    """
    live = [
        _line(milestone, one.claims, accounts_of(one), now, headline) for one in stated_windows(milestone)
    ]
    dead = [
        _line(milestone, (claim,), claim.sources, now, "")
        for claim in milestone.claims
        if claim not in live_claims(milestone)
    ]
    return (*live, *dead)


def contested_sentence(milestone: Milestone) -> str:
    """``Contested: the minister says by September 2026 (Al-Hadath, 8 September 2024); ...``."""
    parts = []
    for stated in stated_windows(milestone):
        claim = stated.claims[0]
        phrase = deadline_phrase(claim.deadline, claim.reading)
        sources = accounts_of(stated)
        says = f"{listing([source.brief for source in sources])} {'says' if len(sources) == 1 else 'say'} "
        origins = [text for source in sources if (text := _origin(source))]
        where = f" ({'; '.join(origins)})" if origins else ""
        parts.append((says if sources else "") + phrase + where)
    return sentence("Contested: " + "; ".join(parts))


def _origin(source: Source) -> str:
    publisher = source.publisher if source.publisher != source.brief else ""
    return ", ".join(part for part in (publisher, published_text(source.published)) if part)


def _line(
    milestone: Milestone, claims: tuple[Claim, ...], sources: tuple[Source, ...], now: datetime, headline: str
) -> ClaimLine:
    claim = claims[0]
    window = window_of(claim.deadline, milestone.zone, claim.reading)
    live = claim.rank is not Rank.DEPRECATED
    return ClaimLine(
        phrase=deadline_phrase(claim.deadline, claim.reading),
        edtf=claim.deadline.edtf,
        status=status_of(claim, window, now) if live else "not counted",
        accounts=tuple(_account(source) for source in sources),
        days=days_until(window, now),
        begins=window.begins,
        ends=window.ends,
        rank=claim.rank.value,
        note="; ".join(dict.fromkeys(one.note for one in claims if one.note)),
        derived=claim.derived,
        live=live,
        headline=window.id == headline,
    )


def _account(source: Source) -> Account:
    return Account(
        id=source.id,
        who=source.who,
        brief=source.brief,
        publisher=source.publisher,
        published=published_text(source.published),
        url=source.url,
    )

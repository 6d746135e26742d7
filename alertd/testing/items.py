"""Sample milestones within a message, one of each cause, as `alertd.core.compose` words them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from alertd.core.message import Account, ClaimLine, Item, Tone
from alertd.core.milestone import State
from alertd.core.occurrence import Cause, digest

_WITHDRAWAL = "Withdrawal of the US-led coalition from Iraq"

MINISTER = Account(
    id="al-abassi",
    who="Sabit al-Abassi, Iraqi Minister of Defence",
    brief="Sabit al-Abassi",
    publisher="Al-Hadath",
    published="8 September 2024",
)
REUTERS = Account(
    id="reuters",
    who="sources familiar with the negotiations",
    brief="Reuters",
    publisher="Reuters",
    published="6 September 2024",
    url="https://news.example/2024/09/06/iraq-coalition-withdrawal",
)
VENDOR = Account(
    id="vendor",
    who="Debian security team",
    brief="Debian",
    publisher="debian.org",
    published="10 June 2023",
    url="https://wiki.debian.org/LTS",
)

_SEPTEMBER = ClaimLine(
    phrase="by September 2026",
    edtf="2026-09",
    status="passed 55 days ago",
    accounts=(MINISTER,),
    days=-55,
    begins=datetime(2026, 8, 31, 21, tzinfo=UTC),
    ends=datetime(2026, 9, 30, 21, tzinfo=UTC),
    note="no agreement was signed when he said so",
    headline=True,
)
_YEAR = ClaimLine(
    phrase="by the end of 2026",
    edtf="2026",
    status="due in 37 days",
    accounts=(REUTERS,),
    days=37,
    begins=datetime(2025, 12, 31, 21, tzinfo=UTC),
    ends=datetime(2026, 12, 31, 21, tzinfo=UTC),
)
_REFUSED = ClaimLine(
    phrase="by about September 2027",
    edtf="2027-09~",
    status="not counted",
    accounts=(MINISTER,),
    days=310,
    begins=datetime(2027, 8, 31, 21, tzinfo=UTC),
    ends=datetime(2027, 9, 30, 21, tzinfo=UTC),
    rank="deprecated",
    note="Austin's proposal of a third year, refused",
    live=False,
)


def contested_item() -> Item:
    """A month that one source says has passed and another does not, told late."""
    return Item(
        milestone="iraq-coalition-withdrawal/phase-2",
        timeline="iraq-coalition-withdrawal",
        timeline_title=_WITHDRAWAL,
        title="Forces stationed in the Kurdish autonomous region leave",
        cause=Cause.OVERDUE,
        offset="+28d",
        state=State.PASSED_BY_SOME,
        tone=Tone.LATE,
        headline="Passed 55 days ago by Sabit al-Abassi's account; due in 37 days by Reuters' account",
        phrase="by September 2026",
        badge="55 days past",
        revision=2,
        zone="Asia/Baghdad",
        details=(
            "Contested: Sabit al-Abassi says by September 2026 (Al-Hadath, 8 September 2024); "
            "Reuters says by the end of 2026 (6 September 2024).",
            "Tentative: agreed but not signed.",
        ),
        late="This reminder was due on 28 October 2026, 09:00 (Asia/Baghdad) and comes 27 days late.",
        next="Next reminder: 1 December 2026, 09:00 (Asia/Baghdad), "
        "30 days before the deadline given by Reuters.",
        why='Sent to desk by route 1, which takes country="iraq" and cause=~"overdue|moved"; '
        "policy default, 28 days after the deadline.",
        claims=(_SEPTEMBER, _YEAR, _REFUSED),
        contested=True,
        tentative=True,
        labels={"topic": "withdrawal", "country": "iraq", "phase": "2"},
        keys=(digest("sample", "contested"),),
    )


def approaching_item() -> Item:
    """The plain case: one source, one date, some weeks away."""
    claim = ClaimLine(
        phrase="by 30 June 2028",
        edtf="2028-06-30",
        status="due in 584 days",
        accounts=(VENDOR,),
        days=584,
        begins=datetime(2028, 6, 29, 22, tzinfo=UTC),
        ends=datetime(2028, 6, 30, 22, tzinfo=UTC),
        headline=True,
    )
    near = replace(
        claim,
        phrase="by 1 December 2026",
        edtf="2026-12-01",
        status="due in 7 days",
        days=7,
        begins=datetime(2026, 11, 30, 23, tzinfo=UTC),
        ends=datetime(2026, 12, 1, 23, tzinfo=UTC),
    )
    return Item(
        milestone="servers/bookworm-upgrade",
        timeline="servers",
        timeline_title="Servers that must be upgraded",
        title="Last host leaves Debian 11",
        cause=Cause.APPROACHING,
        offset="-7d",
        state=State.UPCOMING,
        tone=Tone.SOON,
        headline="Due in 7 days by Debian's account",
        phrase=near.phrase,
        badge="in 7 days",
        revision=1,
        zone="Europe/Berlin",
        next="Next reminder: 30 November 2026, 09:00 (Europe/Berlin), 1 day before the deadline.",
        why="Sent to desk by the root route, which takes everything; "
        "policy default, 7 days before the deadline.",
        claims=(near,),
        description="After that day bullseye gets no security updates. The list of hosts is in the runbook.",
        url="https://wiki.example/runbooks/bullseye",
        labels={"team": "platform"},
        keys=(digest("sample", "approaching"),),
    )


def moved_item() -> Item:
    """A date that moved: from, to, by how much, on whose word."""
    return replace(
        contested_item(),
        cause=Cause.MOVED,
        offset="moved",
        state=State.OPEN,
        tone=Tone.MOVED,
        headline="Moved from September 2026 to the end of 2026, 92 days later, on the word of Reuters",
        phrase="by the end of 2026",
        badge="moved",
        revision=3,
        details=(
            "Before: by September 2026, on the word of Sabit al-Abassi.",
            "Now: by the end of 2026, on the word of Reuters.",
            "Due in 37 days by Reuters' account.",
            "Tentative: agreed but not signed.",
        ),
        late="",
        why='Sent to desk by route 1, which takes cause=~"overdue|moved"; policy default, because it moved.',
        claims=(replace(_YEAR, headline=True), _REFUSED),
        contested=False,
        keys=(digest("sample", "moved"),),
    )


def opens_item() -> Item:
    """A window that has begun."""
    return replace(
        contested_item(),
        milestone="audit/report",
        timeline="audit",
        timeline_title="Yearly audit",
        title="Auditors hand in their report",
        cause=Cause.OPENS,
        offset="opens",
        state=State.OPEN,
        tone=Tone.CALM,
        headline="November 2026, the month in which this is due, has begun",
        phrase="by November 2026",
        badge="in 6 days",
        zone="UTC",
        revision=1,
        details=(),
        late="",
        next="Next reminder: 29 November 2026, 09:00 (UTC), 1 day before the deadline.",
        why="Sent to desk by the root route, which takes everything; policy default, as the window opens.",
        claims=(
            replace(
                _YEAR,
                phrase="by November 2026",
                edtf="2026-11",
                status="due in 6 days",
                days=6,
                accounts=(replace(MINISTER, who="the auditors", brief="the auditors", publisher="letter"),),
                derived="60d after audit/start",
                headline=True,
            ),
        ),
        contested=False,
        tentative=False,
        keys=(digest("sample", "opens"),),
    )


def done_item() -> Item:
    """What has come about."""
    return replace(
        contested_item(),
        milestone="iraq-coalition-withdrawal/phase-1",
        title="Forces leave Baghdad and the areas under the central government",
        cause=Cause.DONE,
        offset="done",
        state=State.DONE,
        tone=Tone.DONE,
        headline="Done on 18 September 2025, says m.haddad",
        phrase="by September 2025",
        badge="done",
        details=("Evidence: https://gov.example/statements/1187",),
        late="",
        next="",
        why="Sent to desk by the root route, which takes everything; policy default, because it is done.",
        claims=(),
        contested=False,
        tentative=False,
        keys=(digest("sample", "done"),),
    )

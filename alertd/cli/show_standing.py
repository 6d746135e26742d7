"""What people have said of a milestone, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from alertd.core.standing import Standing
from alertd.core.wording import day_text, instant_text


def standing_lines(standing: Standing, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """One sentence for each thing that holds at ``now``."""
    if standing.cancelled:
        yield f"Cancelled by {standing.cancelled_by}: no further reminder."
    if standing.done_on is not None:
        evidence = f" Evidence: {standing.evidence}" if standing.evidence else ""
        yield f"Done on {day_text(standing.done_on)}, says {standing.done_by}.{evidence}"
    if standing.ack_until is not None and now < standing.ack_until:
        yield f"Acknowledged by {standing.ack_by} until {instant_text(standing.ack_until, zone)}."
    if standing.snooze_until is not None and now < standing.snooze_until:
        yield f"Snoozed by {standing.snooze_by} until {instant_text(standing.snooze_until, zone)}."

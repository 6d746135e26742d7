"""The fingerprint of a timeline: what the ledger was in line with when the timeline was last reconciled.

While nothing of it has changed, the plan of the timeline is the one that the ledger has. So the file is
neither parsed nor compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from alertd.core.ledger.snapshot import Plain, check_text, check_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFingerprint:
    """What a timeline was reconciled with, completely.

    Attributes:
        timeline: the id of the timeline.
        file: the file that holds it, relative to the configuration folder.
        content: the SHA-256 of the bytes of the file.
        environment: the fingerprint of everything else that a plan is made of: the configuration, the version
            of alertd and the time zone database.
        reconciled_at: when it was reconciled, an aware UTC instant.
        title: the title for people.
        description: a longer text for people.
        url: an address with more information.
        count: the number of milestones in the file.
        bases: the full ids of the milestones that deadlines in the file count from.
        done: the done dates that these deadlines counted from, by full id.
        elsewhere: the receivers whose reminders were left alone, because only other nodes knew them.
    """

    timeline: str
    file: str
    content: str
    environment: str
    reconciled_at: datetime
    title: str = ""
    description: str = ""
    url: str = ""
    count: int = 0
    bases: tuple[str, ...] = ()
    done: Mapping[str, date] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


def pack_details(fingerprint: TimelineFingerprint) -> Plain:
    """Pack what a fingerprint has beside the columns that are compared. Empty values are left out."""
    packed: Plain = {
        "title": fingerprint.title,
        "description": fingerprint.description,
        "url": fingerprint.url,
        "count": fingerprint.count,
        "bases": list(fingerprint.bases),
        "done": {name: day.isoformat() for name, day in fingerprint.done.items()},
        "elsewhere": list(fingerprint.elsewhere),
    }
    return {name: value for name, value in packed.items() if value}


def unpack_details(packed: Mapping[str, Any]) -> Plain:
    """Unpack the result of :func:`pack_details`, as arguments of :class:`TimelineFingerprint`.

    Raises:
        ValueError, TypeError, AttributeError: packing cannot have made it.
    """
    texts = {name: check_text(packed.get(name, "")) for name in ("title", "description", "url")}
    lists = {name: tuple(packed.get(name, ())) for name in ("bases", "elsewhere")}
    for values in lists.values():
        check_texts(*values)
    count = packed.get("count", 0)
    if type(count) is not int or count < 0:
        raise TypeError(f"{count!r} is no count")
    done = {check_text(name): date.fromisoformat(day) for name, day in packed.get("done", {}).items()}
    return {**texts, **lists, "count": count, "done": done}

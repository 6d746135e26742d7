"""Read policies: each is made of another one and of what it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alertd.core.milestones.policy import INLINE, Contested, Policy, Roll, WorkCalendar
from alertd.core.time.duration import Duration
from alertd.definitions.config.keys import MAX_RUNGS, POLICY
from alertd.definitions.reading.keys import MAX_ITEMS
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, shown
from alertd.definitions.reading.terms import clock, lead, slug

_LEAST_STEP_S = 3_600
_MONTH_S, _DAY_S = 2_629_800, 86_400


def policies(reader: Reader, node: Node, calendars: Mapping[str, WorkCalendar]) -> dict[str, Policy]:
    """All policies by name; ``default`` is always there."""
    entries = [(key, value) for key, value in reader.named(node, "policies", MAX_ITEMS) if slug(reader, key)]
    base = Policy()
    for key, value in entries:
        if key.text == base.name:
            base = policy(reader, value, base, calendars, name=base.name)
    read = {base.name: base}
    for key, value in entries:
        if key.text != base.name:
            read[key.text] = policy(reader, value, base, calendars, name=key.text)
    return read


def policy_of(
    reader: Reader,
    node: Node,
    base: Policy,
    known: Mapping[str, Policy],
    calendars: Mapping[str, WorkCalendar],
) -> Policy:
    """The policy that a timeline or milestone asks for: by its name, or by what differs from ``base``."""
    if isinstance(node, Scalar):
        return reader.one_of(node, dict(known), "policy") or base
    return policy(reader, node, base, calendars, name=INLINE)


def policy(
    reader: Reader, node: Node, base: Policy, calendars: Mapping[str, WorkCalendar], *, name: str
) -> Policy:
    """``base`` with what the mapping says; what has a problem is left as in ``base``."""
    changes: dict[str, Any] = {"name": name}
    for key, value in (reader.mapping(node, POLICY) or {}).items():
        read: object = None
        match key:
            case "before" | "after":
                read = _rungs(reader, value, key)
            case "on_day" | "opens":
                read = reader.flag(value)
            case "then_every":
                if isinstance(value, Scalar) and value.text == "none":
                    changes[key] = None
                else:
                    read = lead(reader, value, least_s=_LEAST_STEP_S)
            case "at":
                read = clock(reader, value)
            case "contested":
                read = reader.choice(value, Contested)
            case "roll":
                read = reader.choice(value, Roll)
            case "calendar":
                read = reader.one_of(value, dict(calendars), "calendar")
            case _:
                raise AssertionError(f"a key of policies that nobody reads: {key}")
        if read is not None:
            changes[key] = read
    return replace(base, **changes)


def _rungs(reader: Reader, node: Node, key: str) -> tuple[Duration, ...]:
    """Lead times from the longest to the shortest, or the ladder from the shortest to the longest."""
    read: list[Duration] = []
    for item in reader.items(node, f"the times {key} a deadline", MAX_RUNGS):
        duration = lead(reader, item)
        if duration is None:
            continue
        if duration in read:
            reader.refuse(item, f"{shown(getattr(item, 'text', ''))}: the same as one before it; remove it")
        else:
            read.append(duration)
    return tuple(sorted(read, key=_length_s, reverse=key == "before"))


def _length_s(duration: Duration) -> int:
    return duration.months * _MONTH_S + duration.days * _DAY_S + duration.seconds

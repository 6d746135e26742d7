"""Read policies. Each policy inherits from another one and overrides some of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alertd.core.milestones.policy import INLINE, Contested, Policy, Roll, WorkCalendar
from alertd.core.time.duration import Duration
from alertd.definitions.config.keys import MAX_RUNGS, POLICY
from alertd.definitions.reading.keys import MAX_ITEMS
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, quote
from alertd.definitions.reading.terms import read_clock, read_lead, read_slug

_LEAST_STEP_S = 3_600
_MONTH_S, _DAY_S = 2_629_800, 86_400


def read_policies(reader: Reader, node: Node, calendars: Mapping[str, WorkCalendar]) -> dict[str, Policy]:
    """Return the policies by name, always including ``default``."""
    entries = [
        (key, value)
        for key, value in reader.read_entries(node, "policies", MAX_ITEMS)
        if read_slug(reader, key)
    ]
    base = Policy()
    for key, value in entries:
        if key.text == base.name:
            base = read_policy(reader, value, base, calendars, name=base.name)
    read = {base.name: base}
    for key, value in entries:
        if key.text != base.name:
            read[key.text] = read_policy(reader, value, base, calendars, name=key.text)
    return read


def read_policy_or_name(
    reader: Reader,
    node: Node,
    base: Policy,
    known: Mapping[str, Policy],
    calendars: Mapping[str, WorkCalendar],
) -> Policy:
    """Read the policy of a timeline or milestone: the name of a policy, or values that override ``base``.

    Args:
        known: the configured policies by name.
    """
    if isinstance(node, Scalar):
        return reader.look_up(node, dict(known), "policy") or base
    return read_policy(reader, node, base, calendars, name=INLINE)


def read_policy(
    reader: Reader, node: Node, base: Policy, calendars: Mapping[str, WorkCalendar], *, name: str
) -> Policy:
    """Return ``base`` with the values in the mapping. A value with a problem is ignored."""
    changes: dict[str, Any] = {"name": name}
    for key, value in (reader.read_mapping(node, POLICY) or {}).items():
        read: object = None
        match key:
            case "before" | "after":
                read = _read_rungs(reader, value, key)
            case "on_day" | "opens":
                read = reader.read_flag(value)
            case "then_every":
                if isinstance(value, Scalar) and value.text == "none":
                    changes[key] = None
                else:
                    read = read_lead(reader, value, least_s=_LEAST_STEP_S)
            case "at":
                read = read_clock(reader, value)
            case "contested":
                read = reader.read_choice(value, Contested)
            case "roll":
                read = reader.read_choice(value, Roll)
            case "calendar":
                read = reader.look_up(value, dict(calendars), "calendar")
            case _:
                raise AssertionError(f"no code reads the policy key {key}")
        if read is not None:
            changes[key] = read
    return replace(base, **changes)


def _read_rungs(reader: Reader, node: Node, key: str) -> tuple[Duration, ...]:
    """Return durations in the order of the reminders: for ``before``, the longest comes first."""
    read: list[Duration] = []
    for item in reader.read_items(node, f"the times {key} a deadline", MAX_RUNGS):
        duration = read_lead(reader, item)
        if duration is None:
            continue
        if duration in read:
            reader.refuse(item, f"{quote(getattr(item, 'text', ''))}: the same as one before it; remove it")
        else:
            read.append(duration)
    return tuple(sorted(read, key=_estimate_length_s, reverse=key == "before"))


def _estimate_length_s(duration: Duration) -> int:
    return duration.months * _MONTH_S + duration.days * _DAY_S + duration.seconds

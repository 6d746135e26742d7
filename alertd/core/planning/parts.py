"""Parts decisions into several that can be written one after another, because all at once would take long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alertd.core.ledger.records import Delivery, Record, ScheduledReminder
from alertd.core.planning.decide import Decisions, Verdict

SetName = tuple[str, str]
"""A milestone and a receiver. What is decided about their reminders is written together."""


def part_decisions(
    decisions: Decisions, due: Iterable[tuple[ScheduledReminder, Record]], limit: int
) -> Sequence[Decisions]:
    """Part decisions. Sets whose reminders go out in one delivery stay together.

    Args:
        due: the reminders that were decided about.
        limit: a part with as many verdicts is followed by another one.

    Returns:
        the parts in the order in which to write them. The last one has the next digest and that delivery of
        the digest which shows the overview.
    """
    names = {owed.key: (owed.milestone, owed.receiver) for owed, _ in due}
    verdicts: dict[SetName, list[Verdict]] = {}
    for verdict in decisions.verdicts:
        verdicts.setdefault(names[verdict.key], []).append(verdict)
    following: dict[SetName, list[ScheduledReminder]] = {}
    for owed in decisions.following:
        following.setdefault((owed.milestone, owed.receiver), []).append(owed)
    parts: list[Decisions] = []
    current = Decisions()
    first = next((delivery for delivery in decisions.deliveries if delivery.edition is not None), None)
    groups = _group(decisions.deliveries, names, [*verdicts, *following])
    for sets, deliveries in sorted(groups, key=lambda group: first in group[1]):
        if len(current.verdicts) >= limit:
            parts.append(current)
            current = Decisions()
        current = Decisions(
            deliveries=(*current.deliveries, *deliveries),
            verdicts=(*current.verdicts, *(verdict for name in sets for verdict in verdicts.get(name, ()))),
            following=(*current.following, *(owed for name in sets for owed in following.get(name, ()))),
        )
    last = Decisions(
        deliveries=current.deliveries,
        verdicts=current.verdicts,
        following=current.following,
        turn=decisions.turn,
    )
    return [*parts, last]


def _group(
    deliveries: Sequence[Delivery], names: Mapping[str, SetName], others: Iterable[SetName]
) -> list[tuple[list[SetName], list[Delivery]]]:
    """Group sets with the deliveries that carry their reminders. Each other set is a group of its own."""
    groups: dict[int, tuple[dict[SetName, None], list[Delivery]]] = {}
    number_by_set: dict[SetName, int] = {}
    for number, delivery in enumerate(deliveries):
        sets = dict.fromkeys(names[key] for key in delivery.members)
        joined = sorted({number_by_set[name] for name in sets if name in number_by_set})
        into = joined[0] if joined else number
        all_sets, its_deliveries = groups.setdefault(into, ({}, []))
        for other in joined[1:]:
            more_sets, more_deliveries = groups.pop(other)
            sets |= more_sets
            its_deliveries += more_deliveries
        all_sets.update(sets)
        its_deliveries.append(delivery)
        number_by_set.update(dict.fromkeys(sets, into))
    alone = dict.fromkeys(name for name in others if name not in number_by_set)
    return [([*sets], its) for sets, its in groups.values()] + [([name], []) for name in alone]

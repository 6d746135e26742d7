"""Finds what to write so that the ledger is in line with some milestones. Nothing here reads or writes.

- A reminder that was bound, superseded, suppressed or expired is never scheduled again.
- A receiver that was told the old date is told the new date, once.
- A milestone that cannot be planned changes nothing, and keeps no other from being planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from alertd.core.config import Timeline
from alertd.core.ledger.moves import join_phrases, make_move_facts
from alertd.core.ledger.records import HistoryEntry, Record, ReminderState, ScheduledReminder
from alertd.core.ledger.snapshot import pack
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import Milestone, list_stated_windows
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.changes import News, make_move_news, make_reopened_news, make_returned_news
from alertd.core.planning.reminders import Ladder, rearm
from alertd.core.reason import PlainReason
from alertd.engine.reconcile_pass import ReconcilePass
from alertd.ports import Changes

_STAYS = (Cause.DONE, Cause.CANCELLED)


def find_changes(
    current: ReconcilePass,
    timeline: Timeline,
    ladders: Sequence[Ladder],
    records: Mapping[str, Record],
    owed: Sequence[ScheduledReminder],
) -> Changes:
    """Find what to write so that the ledger is in line with some milestones of one timeline.

    Args:
        ladders: the reminders of each milestone and of each instance of a series.
        records: the records by full id.
        owed: what the ledger has about them, as :func:`alertd.core.planning.reminders.rearm` needs.
    """
    owed_by_id: dict[str, list[ScheduledReminder]] = {}
    for reminder in owed:
        owed_by_id.setdefault(reminder.milestone, []).append(reminder)
    parts = []
    for ladder in ladders:
        name = ladder.milestone.id
        record, its_owed = records.get(name), owed_by_id.get(name, ())
        try:
            if record is None:
                parts.append(_add(current, ladder, timeline.file, its_owed))
            else:
                parts.append(_update(current, ladder, timeline.file, record, its_owed))
        except Exception as error:  # a bug that this milestone triggers
            current.report.failed[name] = error
    return join_changes(parts)


def _add(current: ReconcilePass, ladder: Ladder, file: str, owed: Sequence[ScheduledReminder]) -> Changes:
    milestone = ladder.milestone
    current.report.loaded.append(milestone.id)
    values = list_values(milestone)
    record = Record(
        milestone=milestone,
        file=file,
        revision=1,
        values=values,
        loaded_at=current.options.now,
        changed_at=current.options.now,
    )
    facts = {"deadline": join_phrases(values)}
    entry = HistoryEntry(milestone=milestone.id, at=current.options.now, kind="loaded", facts=facts)
    plan = _plan(current, ladder, None, owed, told=frozenset())
    return join_changes([Changes(records=(record,), history=(entry,)), plan])


def _update(
    current: ReconcilePass, ladder: Ladder, file: str, record: Record, owed: Sequence[ScheduledReminder]
) -> Changes:
    milestone = ladder.milestone
    values = list_values(milestone)
    after = replace(record, milestone=milestone, file=file, values=values, withdrawn=False)
    history, news = [], News()
    if record.withdrawn:
        current.report.loaded.append(milestone.id)
        history.append(HistoryEntry(milestone=milestone.id, at=current.options.now, kind="returned"))
    if set(after.window_ids) == set(record.window_ids):
        news = make_returned_news(after, owed) if record.withdrawn else news
        if not record.status.closed:
            # Somebody may have reopened the milestone while its move was being written.
            news = replace(news, owed=(*news.owed, *make_reopened_news(after, owed, current.options.now)))
    else:
        after = replace(after, revision=record.revision + 1, changed_at=current.options.now)
        # If only the policy picks other windows of the same claims, the deadline has not moved.
        if _list_windows(milestone) != _list_windows(record.milestone):
            current.report.moved.append(milestone.id)
            facts = make_move_facts(record.values, values)
            history.append(
                HistoryEntry(milestone=milestone.id, at=current.options.now, kind="moved", facts=facts)
            )
            news = make_move_news(record, after, owed, current.config, current.options.now)
            if record.status.closed:
                # A person may reopen it before this is written. Then the next pass sends the news.
                current.unsettled.add(milestone.timeline)
    told = frozenset(reminder.receiver for reminder in news.owed)
    changed = Changes(
        records=(after,) if _must_write(record, after) else (),
        owed=news.owed,
        cancelled=news.called_off,
        history=tuple(history),
    )
    return join_changes([changed, _plan(current, ladder, record, owed, told=told)])


def _list_windows(milestone: Milestone) -> frozenset[str]:
    return frozenset(stated.window.id for stated in list_stated_windows(milestone))


def _plan(
    current: ReconcilePass,
    ladder: Ladder,
    record: Record | None,
    owed: Sequence[ScheduledReminder],
    *,
    told: frozenset[str],
) -> Changes:
    plan = rearm(
        ladder,
        record,
        owed,
        told,
        current.config,
        current.options.now,
        reconsider=current.options.reconsider,
        elsewhere=current.options.elsewhere,
    )
    if current.options.in_doubt:
        plan = replace(plan, cancelled=())
    current.report.owed += len(plan.owed)
    current.report.cancelled += len(plan.cancelled)
    return Changes(owed=plan.owed + plan.woken, cancelled=plan.cancelled)


def _must_write(before: Record, after: Record) -> bool:
    """Return whether the record must be written. The ledger keeps the snapshot of a definition."""
    same = replace(after, milestone=before.milestone) == before
    return not same or pack(after.milestone) != pack(before.milestone)


def withdraw(current: ReconcilePass, records: Iterable[Record], owed: Sequence[ScheduledReminder]) -> Changes:
    gone = [record for record in records if not record.withdrawn]
    current.report.withdrawn.extend(record.id for record in gone)
    names = {record.id for record in gone}
    # A message that a milestone is done or cancelled stays true after the milestone is withdrawn.
    cancelled = tuple(
        (reminder.key, PlainReason.WITHDRAWN)
        for reminder in owed
        if reminder.milestone in names
        and reminder.state is ReminderState.PENDING
        and reminder.cause not in _STAYS
    )
    current.report.cancelled += len(cancelled)
    return Changes(
        records=tuple(replace(record, withdrawn=True) for record in gone),
        cancelled=cancelled,
        history=tuple(
            HistoryEntry(milestone=record.id, at=current.options.now, kind="withdrawn") for record in gone
        ),
    )


def join_changes(parts: Iterable[Changes]) -> Changes:
    parts = list(parts)
    return Changes(
        records=tuple(chain.from_iterable(part.records for part in parts)),
        owed=tuple(chain.from_iterable(part.owed for part in parts)),
        cancelled=tuple(chain.from_iterable(part.cancelled for part in parts)),
        history=tuple(chain.from_iterable(part.history for part in parts)),
    )

"""Records what a person does with a milestone, such as acknowledge or cancel, and the messages that follow.

The command line, the page, the API, links in messages and Slack's buttons all call :func:`act`.
"""

from __future__ import annotations

from alertd.core.config import Config
from alertd.core.ledger.records import Record
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.planning.changes import make_done_news, make_reopening_news, make_status_news
from alertd.core.planning.reminders import make_reopened_repeats, wake
from alertd.errors import UnknownMilestone
from alertd.ports import ActionLedger


async def act(ledger: ActionLedger, config: Config, action: Action) -> Record:
    """Record an action, and schedule the messages that it causes, in one transaction. Returns the new record.

    Raises:
        UnknownMilestone: the ledger has no such milestone.
        RefusedAction: the action does not fit the milestone's status, such as reopening an open milestone.
    """
    record = await ledger.read_record(action.milestone)
    if record is None:
        raise UnknownMilestone(f"{action.milestone}: the ledger knows no such milestone")
    owed = await ledger.read_owed(action.milestone)
    if action.kind is ActionKind.DONE:
        return await ledger.act(action, make_done_news(record, owed, config, action.at))
    if action.kind is ActionKind.REOPEN and record.status.closed:
        told = make_reopening_news(record, owed, action.at)
        repeats = make_reopened_repeats(record, owed, config, action.at)
        return await ledger.act(action, (*wake(owed, action.at), *told, *repeats))
    # Waiting reminders are decided about again, because a shorter snooze ends a longer one.
    news = make_status_news(record, owed, action.kind, config, action.at)
    return await ledger.act(action, (*wake(owed, action.at), *news))

"""What somebody says of a milestone is written down with all that it makes owed: one way for every door.

The command line, the page, the API, links and Slack's buttons come through here.
"""

from __future__ import annotations

from alertd.core.config import Config
from alertd.core.ledger.records import Record
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.planning.changes import make_done_news, make_reopening_news, make_status_news
from alertd.core.planning.reminders import wake
from alertd.errors import UnknownMilestone
from alertd.ports import Ledger


async def act(book: Ledger, config: Config, action: Action) -> Record:
    """Record what somebody said of a milestone, with what it makes owed.

    Raises:
        UnknownMilestone: the ledger has no record of it.
        RefusedAction: it does not fit the milestone's status.
    """
    record = await book.record(action.milestone)
    if record is None:
        raise UnknownMilestone(f"{action.milestone}: the ledger knows no such milestone")
    owed = await book.owed(action.milestone)
    if action.kind is ActionKind.DONE:
        return await book.act(action, make_done_news(record, owed, config, action.at))
    if action.kind is ActionKind.REOPEN and record.status.closed:
        told = make_reopening_news(record, owed, action.at)
        return await book.act(action, (*wake(owed, action.at), *told))
    # What waits is looked at anew: a shorter snooze ends the longer one before it.
    news = make_status_news(record, owed, action.kind, config, action.at)
    return await book.act(action, (*wake(owed, action.at), *news))

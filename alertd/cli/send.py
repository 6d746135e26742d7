"""``alertd send-test`` and ``alertd retry``: try a receiver, and send again what is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption

if TYPE_CHECKING:
    from alertd.core.ledger import Delivery
    from alertd.core.outcome import Outcome
    from alertd.settings import Settings


def send_test(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Send a test message to a receiver.

    Every notifier sends it once, and how each ended is printed. Needs no daemon and no database. Exits 1
    unless all of them accepted it.
    """
    from alertd import app
    from alertd.cli.loading import find_receiver, settings_of, usable_definitions
    from alertd.core.outcome import Sent

    settings = settings_of(config)
    definitions, settled = usable_definitions(settings)
    name = find_receiver(receiver, settled)
    results = finished(app.send_test(settings, definitions, name))
    for channel, outcome in results:
        typer.echo(f"{channel}: {_ended(outcome)}")
    if not results:
        typer.echo(f"{name} has no notifier: nothing was sent")
    if not results or not all(isinstance(outcome, Sent) for _, outcome in results):
        raise typer.Exit(1)


def retry(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, msg_...", show_default=False)],
    by: ByOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Send a dead delivery again, under the same id.

    The daemon sends it at once, or when it next runs; the time for which it is tried begins anew.
    """
    from alertd.cli.loading import person, settings_of

    again = finished(_retry(settings_of(config, database), delivery, person(by)))
    typer.echo(f"{again.id} will be sent again to {again.channel}.")


async def _retry(settings: Settings, delivery: str, by: str) -> Delivery:
    from alertd import app
    from alertd.cli.loading import open_ledger

    async with open_ledger(settings) as book:
        return await book.retry(delivery, app.now(), by)


def _ended(outcome: Outcome) -> str:
    from alertd.core.outcome import Rejected, Retry, Sent

    match outcome:
        case Sent():
            return "accepted" + (f" ({outcome.note})" if outcome.note else "")
        case Retry():
            lost = " (no answer: it may have arrived)" if outcome.unknown else ""
            return f"failed for now: {outcome.reason}{lost}"
        case Rejected():
            return f"rejected: {outcome.reason}"

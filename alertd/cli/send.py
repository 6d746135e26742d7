"""``alertd send-test`` and ``alertd retry``: try a receiver, and send again what is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption

if TYPE_CHECKING:
    from alertd.core.ledger.records import Delivery
    from alertd.system.settings import Settings


def send_test(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", show_default=False)],
    *,
    brief: Annotated[bool, typer.Option("--brief", help="Only how each ended.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a test message to a receiver, and show what was said.

    Every notifier sends it once. What was sent and what came back is printed without the secrets, then how
    it ended. Needs no daemon and no database. Exits 1 unless all of them accepted it, and all recipients of a
    mail.
    """
    from alertd.cli import trial
    from alertd.cli.loading import find_receiver, settings_of, usable_definitions
    from alertd.core.ledger.outcome import ended_words

    settings = settings_of(config)
    _, settled = usable_definitions(settings)
    name = find_receiver(receiver, settled)
    tried = finished(trial.send_test(settled, settings.config, name))
    for one in tried:
        if one.said and not brief:
            typer.echo("\n".join(map(str, one.said)))
        typer.echo(f"{one.channel}: {ended_words(one.outcome)}")
        if one is not tried[-1] and not brief:
            typer.echo()
    if not tried:
        typer.echo(f"{name} has no notifier: nothing was sent")
    if not tried or not all(one.is_accepted for one in tried):
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

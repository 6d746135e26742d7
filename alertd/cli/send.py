"""``alertd send-test`` and ``alertd retry``: test a receiver, and send a dead delivery again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.loading import run_to_end
from alertd.cli.options import ByOption, ConfigOption, DatabaseOption

if TYPE_CHECKING:
    from alertd.core.ledger.records import Delivery
    from alertd.system.settings import Settings


def send_test(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", show_default=False)],
    *,
    brief: Annotated[bool, typer.Option("--brief", help="Show only the outcomes.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a test message to a receiver, and show the requests and the responses.

    Every notifier sends the message once. The requests and responses are printed without secrets, and then
    each outcome. The command works without a daemon and without a database. Exits 1 unless all of them
    accepted it, and all recipients of a mail.
    """
    from alertd.cli import trial
    from alertd.cli.loading import find_receiver, load_usable_definitions, read_settings
    from alertd.core.ledger.outcome import describe_outcome

    settings = read_settings(config)
    _, configuration = load_usable_definitions(settings)
    name = find_receiver(receiver, configuration)
    tried = run_to_end(trial.send_test(configuration, settings.config, name))
    for trial_result in tried:
        if trial_result.said and not brief:
            typer.echo("\n".join(map(str, trial_result.said)))
        typer.echo(f"{trial_result.channel}: {describe_outcome(trial_result.outcome)}")
        if trial_result is not tried[-1] and not brief:
            typer.echo()
    if not tried:
        typer.echo(f"{name} has no notifier: nothing was sent")
    if not tried or not all(trial_result.is_accepted for trial_result in tried):
        raise typer.Exit(1)


def retry(
    delivery: Annotated[
        str, typer.Argument(metavar="DELIVERY", help="The delivery's id, msg_...", show_default=False)
    ],
    by: ByOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Send a dead delivery again, under the same id.

    The daemon sends it at once, or when it next runs. The period for which it is retried starts again.
    """
    from alertd.cli.loading import read_settings, resolve_person

    again = run_to_end(_retry(read_settings(config, database), delivery, resolve_person(by)))
    typer.echo(f"{again.id} will be sent again to {again.channel}.")


async def _retry(settings: Settings, delivery: str, by: str) -> Delivery:
    from alertd import app
    from alertd.cli.loading import open_ledger

    async with open_ledger(settings) as ledger:
        return await ledger.retry(delivery, app.now(), by)

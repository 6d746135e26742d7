"""The demo from its first line to its last."""

from __future__ import annotations

from typing import TextIO

from rich.text import Text

from alertd.demo.audit import audit
from alertd.demo.play import play
from alertd.demo.screen import Screen
from alertd.demo.shipped import shipped_timeline
from alertd.demo.stage import Stage, stage
from alertd.demo.story import BEGINS
from alertd.demo.summary import what_it_cost, what_was_sent


async def show_all(out: TextIO, seconds: float) -> int:
    """0 when all that was promised was kept, else 1."""
    screen = Screen(out)
    async with stage(BEGINS) as on:
        screen.write(_opening(on), "")
        with screen.running():
            played = await play(on, screen, seconds)
        found = await audit(on.ledger, played)
        where = (
            f"timeline: {shipped_timeline()}\n"
            f"this run's ledger and alertd.yaml: {on.folder}, removed now\n"
            "for your own: alertd init DIR"
        )
        screen.write("", what_was_sent(played), what_it_cost(played, found, where))
        return 0 if found.is_kept else 1


def _opening(on: Stage) -> Text:
    text = Text.assemble(("alertd demo", "bold"), "\n")
    text.append(
        "The shipped timeline, from 8 September 2024 to 31 January 2027. The daemon, its\n"
        "ledger, the requests and the mails are real; only the calendar is in a hurry.\n"
    )
    for channel, where in (
        ("slack", f"{on.slack.url}  every reminder"),
        ("webhook", f"{on.webhook.url}  every reminder, signed"),
        ("email", f"smtp://127.0.0.1:{on.mail.port}  due, overdue, moved, done; not at weekends"),
    ):
        text.append(f"\n  {channel:<8}", style="bold")
        text.append(where, style="dim")
    return text

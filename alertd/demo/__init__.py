"""Runs `alertd demo`: the real daemon and real servers, over two years and five months of virtual time."""

from __future__ import annotations

import asyncio
from typing import TextIO

from rich.text import Text

from alertd.demo.audit import audit
from alertd.demo.play import play
from alertd.demo.screen import Screen
from alertd.demo.stage import Stage, find_shipped_timeline, open_stage
from alertd.demo.story import BEGINS
from alertd.demo.summary import render_deliveries, render_result

INTERRUPTED = 130
"""The exit code after an interrupt: 128 plus the number of SIGINT, as in shells."""


def run(out: TextIO, seconds: float = 30.0) -> int:
    """Run the demo and print it on ``out``.

    Args:
        seconds: roughly how long the demo takes; 0 means as fast as possible.

    Returns:
        The exit code: 0 if the audit at the end found that alertd kept its promise, 1 if it found a
        violation, and 130 after an interrupt.
    """
    try:
        return asyncio.run(run_demo(out, seconds))
    except KeyboardInterrupt:
        out.write("\nStopped. The servers are closed and the temporary folder is gone.\n")
        return INTERRUPTED


async def run_demo(out: TextIO, seconds: float) -> int:
    """Run the demo from its first line to its last, and return 0 if alertd kept its promise, else 1."""
    screen = Screen(out)
    async with open_stage(BEGINS) as stage:
        screen.write(_render_opening(stage), "")
        with screen.show_progress():
            played = await play(stage, screen, seconds)
        result = await audit(stage.ledger, played)
        where = (
            f"timeline: {find_shipped_timeline()}\n"
            f"this run's ledger and alertd.yaml: {stage.folder}, removed now\n"
            "for your own: alertd init DIR"
        )
        screen.write("", render_deliveries(played), render_result(played, result, where))
        return 0 if result.is_kept else 1


def _render_opening(stage: Stage) -> Text:
    text = Text.assemble(("alertd demo", "bold"), "\n")
    text.append(
        "The shipped timeline, from 8 September 2024 to 31 January 2027. The daemon, its\n"
        "ledger, the requests and the mails are real; only the calendar is in a hurry.\n"
    )
    for channel, where in (
        ("slack", f"{stage.slack.url}  every reminder"),
        ("webhook", f"{stage.webhook.url}  every reminder, signed"),
        ("email", f"smtp://127.0.0.1:{stage.mail.port}  due, overdue, moved, done; not at weekends"),
    ):
        text.append(f"\n  {channel:<8}", style="bold")
        text.append(where, style="dim")
    return text

"""What was done in a machine, what it printed, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.systemd.machine import Ran

HEAD = """# The first five minutes

What root typed on a new {system}, and what it printed, as `make test-systemd` ran the steps of
[run it under systemd](howto/systemd.md) on {day}. In brackets stand the seconds that a command took; it was
{total:.0f} altogether.

"""
WIDTH = 160


@dataclass(slots=True, kw_only=True)
class Transcript:
    """Commands in the order in which they were given, and figures that were taken beside them."""

    release: str
    entries: list[tuple[str, Ran]] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)

    def add(self, command: str, ran: Ran) -> None:
        self.entries.append((command, ran))

    def measure(self, what: str, took_s: float) -> None:
        self.measured[what] = took_s

    def figures(self) -> str:
        """A line for each figure."""
        total = sum(ran.took_s for _, ran in self.entries)
        lines = [f"{self.release}: {len(self.entries)} commands of the page in {total:.1f} s"]
        return "\n".join([*lines, *(f"  {what}: {took:.2f} s" for what, took in self.measured.items())])

    def write(self, page: Path, system: str, day: str) -> None:
        """The commands as a page."""
        total = sum(ran.took_s for _, ran in self.entries)
        text = HEAD.format(system=system, day=day, total=total) + "```shellsession\n"
        for command, ran in self.entries:
            text += f"# {command}\n{_tidy(ran.out)}" + (f"[{ran.took_s:.1f} s]\n" if ran.took_s >= 1 else "")
        page.write_text(text + "```\n", encoding="utf-8")


def _tidy(out: str) -> str:
    """Without the ends of endless lines."""
    lines = out.splitlines()
    return "".join(f"{line[:WIDTH]}{'...' if len(line) > WIDTH else ''}".rstrip() + "\n" for line in lines)

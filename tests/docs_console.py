"""Runs the console blocks of a page, in a folder of their own, as somebody would who follows the page."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs_pages import ROOT, Block

PATIENCE_S = 20
"""How long a daemon may be silent while something is expected of it, and how long a command may take."""

ANYTHING = "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, or "" for what the daemon prints by itself; and the output that is shown."""

    command: str
    shown: str


def steps(block: Block, prompt: str = "$ ") -> tuple[Step, ...]:
    """What a block says: commands after the prompt, each with the output below it."""
    found: list[tuple[list[str], list[str]]] = []
    ends_at = ""
    for line in block.body.splitlines():
        if ends_at:
            found[-1][0].append(line)
            ends_at = "" if line == ends_at else ends_at
        elif line.startswith(prompt):
            found.append(([line.removeprefix(prompt)], []))
            here = re.search(r"<<(\w+)", line)
            ends_at = here[1] if here else ""
        else:
            if not found:
                found.append(([], []))
            found[-1][1].append(line)
    return tuple(
        Step(command="\n".join(command), shown="".join(f"{line}\n" for line in shown))
        for command, shown in found
    )


def matches(shown: str, printed: str) -> bool:
    """Whether output is as shown, where ``...`` on a line is anything, and alone any number of lines."""
    parts = []
    for line in shown.splitlines():
        if line.strip() == ANYTHING:
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(".*?".join(re.escape(part) for part in line.split(ANYTHING)) + r"\n")
    return re.fullmatch("".join(parts), printed) is not None


@dataclass(slots=True, kw_only=True)
class Desk:
    """A folder with the shipped configuration in ``config/``, a shell's environment, perhaps a daemon."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None
    unread: str = ""

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "config", self.folder / "config")
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "USER": "you",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "80",
            "ALERTD_LISTEN": "off",
        }

    def run(self, step: Step) -> str:
        """What the step printed; raises when it failed and no output is shown that says so."""
        if not step.command:
            return self._listen(step.shown)
        if step.command.startswith("export "):
            self.environment |= dict(one.split("=", 1) for one in shlex.split(step.command)[1:])
            return ""
        if step.command.startswith("alertd run"):
            self._start(step.command)
            return self._listen(step.shown)
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            text=True,
            check=False,
        )
        if done.returncode and not step.shown:
            raise AssertionError(f"{step.command}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def close(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.communicate(timeout=PATIENCE_S)

    def _start(self, command: str) -> None:
        self.close()
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.unread = ""

    def _listen(self, shown: str) -> str:
        """What the daemon prints until it is what is shown, or until it has been silent for too long."""
        assert self.daemon is not None, "no daemon was started on this page"
        assert self.daemon.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.daemon.stdout, selectors.EVENT_READ)
            while not matches(shown, self.unread) and selector.select(PATIENCE_S):
                more = os.read(self.daemon.stdout.fileno(), 65_536)
                if not more:
                    break
                self.unread += more.decode()
        printed, self.unread = self.unread, ""
        return printed

"""A folder of definition files and a ledger that is reconciled with it, at a reload or after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from alertd.core.config import Definitions, Timeline
from alertd.core.milestones.status import Action, ActionKind
from alertd.definitions.folder import DefinitionFolder
from alertd.engine.actions import act
from alertd.engine.reconcile import reconcile, reconcile_dependents
from alertd.engine.reconcile_pass import PassOptions, Report
from alertd.ports import Ledger
from tests.scene import when

CONFIG = "timezone: UTC\n"
START = when("2026-09-01")


def timeline(name: str, /, **deadlines: str) -> str:
    """The text of a file. A deadline with ``+`` counts from another milestone."""
    lines = [
        f"  - {{id: {key}, title: It comes about, {'after' if '+' in text else 'deadline'}: {text}}}"
        for key, text in deadlines.items()
    ]
    return "\n".join((f"timeline: {name}", f"title: Timeline {name}", "milestones:", *lines, ""))


@dataclass(slots=True)
class Site:
    """One node with its folder.

    Attributes:
        zones: the fingerprint of the time zone database.
        read: the ids of the timelines whose milestones the last pass has read.
    """

    path: Path
    ledger: Ledger
    now: datetime = START
    zones: str = "zones"
    version: str = "1"
    max_loaded: int = 2_000
    elsewhere: frozenset[str] = frozenset()
    done: Mapping[str, date] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    folder: DefinitionFolder = field(init=False)
    definitions: Definitions = field(init=False)

    def __post_init__(self) -> None:
        (self.path / "milestones").mkdir(parents=True, exist_ok=True)
        self.write("alertd.yaml", CONFIG)
        self._start()

    def _start(self) -> None:
        self.folder = DefinitionFolder(
            self.path, {}, hash_zones=lambda: self.zones, version=self.version, max_loaded=self.max_loaded
        )

    def write(self, name: str, content: str) -> None:
        """Write a file; ``a`` is ``milestones/a.yaml``."""
        path = self._find(name)
        path.write_text(content, encoding="utf-8")

    def remove(self, name: str) -> None:
        self._find(name).unlink()

    def _find(self, name: str) -> Path:
        return self.path / (name if name.endswith(".yaml") else f"milestones/{name}.yaml")

    async def restart(self, **options: object) -> Report:
        """Reconcile as a process does that has just started."""
        self._start()
        self.folder.know(await self.ledger.read_fingerprints())
        return await self.reload(**options)

    async def reload(self, **options: object) -> Report:
        """Load the files, and reconcile the ledger with them."""
        self.definitions = self.folder.load()
        return await self.reconcile(**options)

    async def reconcile(self, **options: object) -> Report:
        self.read = []
        self.done = await self.ledger.read_done_dates()
        return await reconcile(self.ledger, self.definitions, self._make(**options))

    async def follow(self) -> Report:
        """Follow the done dates that have changed since, as a running daemon does."""
        self.read = []
        before, self.done = self.done, await self.ledger.read_done_dates()
        changed = {
            name for name in before.keys() | self.done.keys() if before.get(name) != self.done.get(name)
        }
        return await reconcile_dependents(
            self.ledger, self.definitions, self._make(), changed=changed, done=self.done
        )

    def _make(self, **options: object) -> PassOptions:
        return PassOptions(
            **{"now": self.now, "elsewhere": self.elsewhere, "read": self._read, **options}  # type: ignore[arg-type]
        )

    async def _read(self, outline: Timeline) -> Timeline:
        self.read.append(outline.id)
        return self.folder.read(outline)

    async def say(self, kind: ActionKind, milestone: str, **what: object) -> None:
        """Record what a person does."""
        config = self.definitions.config
        assert config is not None
        action = Action(milestone=milestone, kind=kind, at=self.now, by="ada", **what)  # type: ignore[arg-type]
        await act(self.ledger, config, action)

    async def list_deadlines(self) -> dict[str, str]:
        """The deadlines in the ledger, by the ids of milestones that are not withdrawn."""
        return {
            record.id: " ".join(value.edtf for value in record.values)
            for record in await self.ledger.read_records()
        }

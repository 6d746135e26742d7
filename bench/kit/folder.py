"""Generates folders of definitions: many milestones in many files, or many that are due at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

PER_FILE = 500
YEARS = 3
LEAD = timedelta(minutes=1)
"""How long before its deadline the reminder of a milestone that is due at once is sent."""

LABELS = ("iraq", "egypt", "kenya", "germany")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of definitions for one daemon."""

    path: Path

    def write_config(self, urls: Sequence[str] = (), more: str = "") -> None:
        """Write ``alertd.yaml`` with a receiver for each URL, or with one that prints.

        The first receiver is ``desk``, and gets everything. A milestone with a label ``to`` goes to the
        receiver of that name: ``r1`` is the second receiver.
        """
        (self.path / "milestones").mkdir(parents=True, exist_ok=True)
        notifiers = [f"{{type: webhook, url: '{url}'}}" for url in urls] or ["{type: console}"]
        names = ["desk", *(f"r{number}" for number in range(1, len(notifiers)))]
        routes = "".join(f"    - {{matchers: ['to=\"{name}\"'], receiver: {name}}}\n" for name in names[1:])
        receivers = "".join(
            f"  - {{name: {name}, notifiers: [{notifier}]}}\n"
            for name, notifier in zip(names, notifiers, strict=True)
        )
        (self.path / "alertd.yaml").write_text(
            "timezone: UTC\nroute:\n  receiver: desk\n  group_by: [milestone]\n"
            + (f"  routes:\n{routes}" if routes else "")
            + f"receivers:\n{receivers}{more}",
            encoding="utf-8",
        )

    def write_many(self, count: int, *, per_file: int = PER_FILE, revision: int = 0) -> None:
        """Write ``count`` milestones of the next years, with the reminders of the default policy."""
        (self.path / "milestones").mkdir(parents=True, exist_ok=True)
        for number in range(-(-count // per_file)):
            self.write_file(number, min(per_file, count - number * per_file), revision=revision)

    def write_file(self, number: int, count: int, *, revision: int = 0) -> None:
        """Write one file of :meth:`write_many`. Another revision differs in the titles and some dates."""
        first = datetime.now(UTC).year + 1
        lines = []
        for index in range(count):
            serial = number * count + index
            month, day = serial % 12 + 1, serial % 28 + 1
            date = f"{first + serial % YEARS}-{month:02}"
            deadline = date if (serial + revision) % 3 else f"{date}-{day:02}"
            lines.append(
                f"  - {{id: m{index}, title: 'Promise {serial}, version {revision}', "
                f"deadline: '{deadline}', labels: {{country: {LABELS[serial % 4]}}}, source: minister}}\n"
            )
        self.write_timeline(f"t{number}", "timezone: Asia/Baghdad\n", lines)

    def write_due(self, count: int, due: datetime, *, name: str = "due", to: str = "") -> None:
        """Write ``count`` milestones, each with one reminder, all due at one instant."""
        deadline = due.astimezone(UTC) + LEAD
        labels = f"labels: {{to: {to}}}, " if to else ""
        lines = [
            f"  - {{id: m{number}, title: 'Promise {number} of the ministry', "
            f"deadline: '{deadline:%Y-%m-%dT%H:%M:%S}Z', {labels}source: minister}}\n"
            for number in range(count)
        ]
        for number, start in enumerate(range(0, count, PER_FILE)):
            policy = "policy: {before: [1min], on_day: false, after: [], opens: false}\n"
            self.write_timeline(f"{name}{number}", policy, lines[start : start + PER_FILE])

    def write_timeline(self, name: str, head: str, lines: Sequence[str]) -> None:
        """Replace the file at once, as an editor or a deployment should."""
        path = self.path / "milestones" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(
            f"timeline: {name}\ntitle: Timeline {name}\n{head}"
            "sources: {minister: {who: 'A. Minister', publisher: The Gazette, published: '2024-09-08'}}\n"
            "milestones:\n" + "".join(lines),
            encoding="utf-8",
        )
        draft.rename(path)

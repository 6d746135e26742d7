"""How late a reminder is while the daemon does something else. ``bench/late.py`` measures it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from bench.kit.figure import Figure, Sizes

MOST_P99_MS, MOST_WORST_MS = 50.0, 250.0


def measure_lateness(sizes: Sizes) -> Iterator[Figure]:
    if find_spec("bench.late") is None:
        note = "bench/late.py is missing"
        yield Figure(name="late", label="lateness, p99", value=None, unit="ms", most=MOST_P99_MS, note=note)
        return
    for found in import_module("bench.late").measure(sizes.milestones):
        notes = [f"half of them within {found.p50_s * 1000:.0f} ms", found.note]
        if found.lost:
            notes.append(f"{found.lost} have not arrived")
        if found.lag_s is not None:
            notes.append(f"the loop's lag is at most {found.lag_s * 1000:.0f} ms")
        where = f"beside {found.load}" if found.load != "nothing" else "with nothing else to do"
        name = "-".join(found.load.replace(",", "").split())
        yield Figure(
            name=f"late-{name}-p99",
            label=f"lateness {where}, p99",
            value=found.p99_s * 1000,
            unit="ms",
            most=MOST_P99_MS,
            note="; ".join(note for note in notes if note),
        )
        yield Figure(
            name=f"late-{name}-worst",
            label=f"lateness {where}, worst",
            value=found.worst_s * 1000,
            unit="ms",
            most=MOST_WORST_MS,
        )

"""Runs the benchmark: ``python -m bench [ROW...]``. Without a row, all rows but the growth are measured.

Each figure is printed with what is wanted. A whole run also writes ``docs/performance.json`` and the tables
of ``docs/performance.md``; ``--quick`` measures small sizes in a minute or two, and writes nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench import report
from bench.kit.figure import FULL, QUICK, TINY, Figure, Sizes, format_value, say
from bench.rows.deliveries import measure_deliveries, measure_nodes
from bench.rows.growth import measure_growth
from bench.rows.idle import measure_idle
from bench.rows.lateness import measure_lateness
from bench.rows.loading import measure_loading

ROWS: Mapping[str, Callable[[Sizes], Iterator[Figure]]] = {
    "idle": measure_idle,
    "loading": measure_loading,
    "deliveries": measure_deliveries,
    "nodes": measure_nodes,
    "late": measure_lateness,
}
"""What can be measured, by name. The growth is measured apart, since it takes longer."""

GROWTH = "growth"


def main(arguments: Sequence[str] | None = None) -> int:
    given = read_arguments(arguments)
    stop_on_signals()
    sizes = TINY if given.tiny else QUICK if given.quick else FULL
    names = given.rows or [*ROWS]
    results = report.Results.read()
    for name in names:
        began = time.perf_counter()
        print(f"{name}:", flush=True)
        if name == GROWTH:
            results.growth[given.column] = []
            for step in measure_growth(sizes):
                results.growth[given.column].append(step.to_json())
                print(
                    "  " + ", ".join(f"{key} {value:,g}" for key, value in step.to_json().items()), flush=True
                )
        else:
            for figure in ROWS[name](sizes):
                results.add(given.column, figure)
                show(figure)
        say(f"{name} took {time.perf_counter() - began:.0f} s")
        if sizes is FULL:
            results.write()
    if sizes is FULL:
        report.write_page(results)
        say(f"written: {report.RESULTS.name} and the tables of {report.PAGE.name} in docs/")
    return 0


def stop_on_signals() -> None:
    """Have SIGTERM and SIGHUP end the run as an exception does, so that temporary folders are removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}, {GROWTH}")
    parser.add_argument("--quick", action="store_true", help="small sizes; writes nothing")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that a row works")
    parser.add_argument("--column", choices=report.COLUMNS, default="now", help="where the results belong")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.rows if name not in {*ROWS, GROWTH}]:
        parser.error(f"unknown row: {', '.join(unknown)}")
    return given


def show(figure: Figure) -> None:
    mark = {True: "reached", False: "missed", None: ""}[figure.is_reached]
    wanted = f"  (wanted: {figure.wanted}; {mark or 'not measured'})" if figure.wanted else ""
    print(f"  {figure.label}: {format_value(figure.value, figure.unit)}{wanted}", flush=True)
    if figure.note:
        print(f"      {figure.note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

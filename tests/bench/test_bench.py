"""The benchmark measures what it says, leaves nothing running, and its page shows what was measured."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import GROWTH, ROWS
from bench.kit.figure import TINY, Figure, format_value
from bench.kit.process import ROOT
from bench.kit.sink import start_sink
from bench.report import Results, make_figures, write_page
from bench.rows.deliveries import post_bare, send_burst

PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.server
def test_a_row_runs_to_its_end() -> None:
    """A row of the smallest size prints each figure with what is wanted, and changes no file."""
    before = report.RESULTS.read_bytes() if report.RESULTS.exists() else b""

    done = subprocess.run(
        [sys.executable, "-m", "bench", "idle", "--tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "resident, idle, one milestone: " in done.stdout
    assert "(wanted: at most 70 MB; " in done.stdout
    assert (report.RESULTS.read_bytes() if report.RESULTS.exists() else b"") == before


@pytest.mark.long
@pytest.mark.server
def test_a_burst_is_counted_whole() -> None:
    """Each reminder that is due arrives once, and the client alone sends as many."""
    with start_sink() as sink:
        burst = send_burst(sink, None, TINY.due)
        bare = post_bare(sink, TINY.due, burst.report.bytes // TINY.due)
        report_of_bare = sink.report()

    assert burst.report.count == len(burst.report.times["/hook"]) == TINY.due
    assert len(report_of_bare.times["/bare"]) == TINY.due
    assert burst.rate > 0 < bare
    assert burst.cpu_s > 0


@pytest.mark.server
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_running(sent: signal.Signals) -> None:
    """When the benchmark is killed, what it has started ends too."""
    program = (
        "import sys, threading\n"
        "from bench.__main__ import stop_on_signals\n"
        "from bench.kit.sink import start_sink\n"
        "stop_on_signals()\n"
        "with start_sink() as sink:\n"
        "    print(sink.child.pid, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    bench = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert bench.stdout is not None
    child = int(bench.stdout.readline())
    watched = Path(f"/proc/{child}/stat")
    assert watched.exists()

    bench.send_signal(sent)
    bench.wait(60)
    # The child holds the other end of no pipe of ours, so only its end can be waited for.
    wait_until_gone(child)
    bench.stdout.close()


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended, by its file descriptor."""
    import os
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 60)[0], "it is still running"
    finally:
        os.close(descriptor)


def list_results() -> Iterator[tuple[str, Figure, str]]:
    yield (
        "reached",
        Figure(name="a", label="A", value=1.5, unit="s", most=2.0),
        "| A | at most 2 s |  | 1.5 s | reached |",
    )
    yield (
        "missed, and why",
        Figure(name="a", label="A", value=0.4, least=0.5, note="370/s"),
        "| A | at least 0.5 |  | 0.4 | **missed**; 370/s |",
    )
    yield (
        "not measured",
        Figure(name="a", label="A", value=None, least=0.5, note="no server"),
        "| A | at least 0.5 |  | not measured | no server |",
    )
    yield "nothing wanted", Figure(name="a", label="A", value=1234.5, unit="/s"), "| A |  |  | 1,234/s |  |"


@pytest.mark.parametrize(("figure", "line"), [pytest.param(*case[1:], id=case[0]) for case in list_results()])
def test_figure_in_the_table(figure: Figure, line: str) -> None:
    results = Results(figures={"now": {figure.name: figure}})

    assert make_figures(results).splitlines()[2] == line


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results(growth={"now": [{"milestones": 1000.0}]})
    results.add("before", Figure(name="a", label="A", value=0.0, unit="%", most=0.1))
    results.add("now", Figure(name="b", label="B", value=None, note="no server"))

    results.write(path)

    assert Results.read(path) == results


def test_page_is_made_from_the_results(tmp_path: Path) -> None:
    """The page in the repository has the tables of its results, and can be made again."""
    page = tmp_path / "performance.md"
    page.write_text(PAGE, encoding="utf-8")

    write_page(Results.read(), page)

    assert page.read_text(encoding="utf-8") == PAGE


def test_page_names_the_rows() -> None:
    """A row that is named on the command line exists."""
    assert all(name in {*ROWS, GROWTH} for name in ("loading", "idle", "growth"))
    assert 'make bench ARGS="loading idle"' in PAGE


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "", "0.0123"),
        (12_345.6, "/s", "12,346/s"),
        (0.6, "%", "0.6 %"),
        (99.96, "MB", "100 MB"),
    ],
)
def test_numbers_are_written_with_three_digits(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text

"""Measures how many deadlines per second alertd parses on one core, compared with PyPI's `edtf`.

    python bench/deadlines.py [SECONDS]

Nothing is cached between readings. The comparison uses only texts that `edtf` can parse. The ratio matters,
not the rate on this machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from statistics import median
from zoneinfo import ZoneInfo

from edtf import parse_edtf

from alertd.core.deadline import Reading, compute_window, parse_deadline

# Roughly the mix of real definitions: mostly days and months, and a few deadlines of every other kind.
SHAPES = (
    *("{y}-09-30", "{y}-01-15", "{y}-12-31", "{y}-02-28", "{y}-06-01", "{y}-11-11~"),
    *("{y}-09", "{y}-12", "{y}-03~", "{y}-06?", "{y}-01", "{y}-10%"),
    *("{y}", "{y}~", "{y}-Q3", "{y}-35", "{y}-41", "{y}-XX", "{y}-09-XX", "202X"),
    *("{y}-01/{y}-09", "../{y}-12", "{y}-09/", "{y}-02-01/{y}-02-15"),
    "[{y}-09,{y}-12]",
    *("{y}-09-30T17:00", "{y}-09-30T17:00:00Z", "{y}-09-30T17:00:00+03:00"),
)
CORPUS = [shape.format(y=year) for year in range(2020, 2060) for shape in SHAPES]
LIMITED = [text for text in CORPUS if "Q" not in text and "T17:00" not in text.removesuffix("T17:00:00Z")]


def measure_rate(read: Callable[[str], object], corpus: list[str], seconds: float) -> float:
    """Return texts read per second: the median of several rounds that take at least ``seconds`` together."""
    rates: list[float] = []
    began = time.perf_counter()
    size = min(len(corpus), 4 * len(SHAPES))
    texts = cycle(corpus)
    while time.perf_counter() - began < seconds or not rates:
        batch = list(islice(texts, size))
        start = time.perf_counter()
        for text in batch:
            read(text)
        rates.append(size / (time.perf_counter() - start))
    return median(rates)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    zone = ZoneInfo("Asia/Baghdad")
    ours = measure_rate(parse_deadline, CORPUS, seconds)
    with_window = measure_rate(
        lambda text: compute_window(parse_deadline(text), zone, Reading.END), CORPUS, seconds
    )
    ours_limited = measure_rate(parse_deadline, LIMITED, seconds)
    theirs = measure_rate(parse_edtf, LIMITED, seconds)
    print(f"parse_deadline             {ours:>10,.0f} /s")
    print(f"  and compute_window       {with_window:>10,.0f} /s")
    print(f"what edtf reads too        {ours_limited:>10,.0f} /s")
    print(f"edtf.parse_edtf            {theirs:>10,.0f} /s")
    print(f"ratio                      {ours_limited / theirs:>10,.0f}")


if __name__ == "__main__":
    main()

"""Limit how many problems a load returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from alertd.core.config import Problem
from alertd.core.words import format_count
from alertd.definitions.reading.reader import MAX_PROBLEMS

MAX_PROBLEMS_OF_ALL = 1_000
"""The maximum number of problems of all files together. Each of them is written to the log at every load."""


def limit_problems(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Sort the problems, and replace those beyond the limits by a problem that says how many there are.

    That problem has the place of the first problem that is left out.
    """
    found = sorted(
        problems, key=lambda problem: (problem.file, problem.line, problem.column, problem.message)
    )
    room = MAX_PROBLEMS_OF_ALL
    seen = 0
    for _, group in groupby(found, key=lambda problem: problem.file):
        if not room:
            left = found[seen:]
            more = format_count(len(left), "more problem")
            files = format_count(len({problem.file for problem in left}), "file")
            yield replace(left[0], message=f"and {more} in {files}, beginning with this file")
            return
        of_file = list(group)
        listed = of_file[: min(MAX_PROBLEMS, room)]
        yield from listed
        if left := of_file[len(listed) :]:
            more = format_count(len(left), "more problem")
            yield replace(left[0], message=f"and {more} in this file, beginning here")
        room -= len(listed)
        seen += len(of_file)

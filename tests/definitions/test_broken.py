"""Test the complete messages for every kind of mistake in the files.

The table is in tests/golden/broken-definitions: one text a case, to be read as people read their own files.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.config import Definitions, Problem, Timeline
from alertd.definitions.config.read import Inherited, read_config
from alertd.definitions.reading.reader import MAX_SUGGESTIONS, Reader
from alertd.definitions.timeline.read import read_timeline

TABLE = Path(__file__).parent.parent / "golden" / "broken-definitions"
Load = Callable[[Mapping[str, str | bytes]], Definitions]


class Case(NamedTuple):
    """Return the cases: the content of each file, and the expected messages."""

    name: str
    files: Mapping[str, bytes]
    problems: list[str]


def _bytes(text: str) -> bytes:
    shown = re.sub("<U[+]([0-9A-F]{4})>", lambda found: chr(int(found[1], 16)), text)
    return shown.encode().replace(b"<0xFF>", b"\xff")


def _cases() -> Iterator[Case]:
    for path in sorted(TABLE.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("\n=== ")[1:]:
            name, _, rest = block.partition("\n")
            written, _, said = rest.partition(">>>\n")
            files = {}
            for part in re.split("^--- ", written, flags=re.MULTILINE)[1:]:
                file, _, content = part.partition("\n")
                files[file] = _bytes(content)
            yield Case(name, files, said.strip("\n").split("\n"))


CASES = tuple(_cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_problem_is_said_in_full_at_its_place(case: Case, load_files: Load) -> None:
    """A mistake gives exactly the expected messages, and its file is not used."""
    definitions = load_files(case.files)

    assert [str(problem) for problem in definitions.problems] == case.problems
    broken = {problem.file for problem in definitions.problems}
    assert broken <= definitions.broken
    assert not broken & {timeline.file for timeline in definitions.timelines}
    assert (definitions.config is None) == ("alertd.yaml" in broken)


def test_the_table_is_long_and_names_each_case_once() -> None:
    """The names of the cases are unique, and there are enough cases."""
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names) > 90


def test_all_problems_of_all_files_come_in_one_go(load_files: Load) -> None:
    """All problems in all files are reported together, in order."""
    definitions = load_files(
        {
            "alertd.yaml": "timezone: Bagdad\ncatch_up: 1mo\nroute: {receiver: desk}\n",
            "milestones/a.yaml": "timeline: a\ntitle: A\nmilestones:\n  - {id: A, deadline: 2026-13}\n",
            "milestones/b.yaml": "timeline: b\ntitle: 'B\n",
            "milestones/c.yaml": "timeline: c\ntitle: C\nmilestones: []\n",
        }
    )

    assert [(problem.file, problem.line, problem.column) for problem in definitions.problems] == [
        ("alertd.yaml", 1, 11),
        ("alertd.yaml", 2, 11),
        ("alertd.yaml", 3, 19),
        ("milestones/a.yaml", 4, 5),
        ("milestones/a.yaml", 4, 10),
        ("milestones/a.yaml", 4, 28),
        ("milestones/b.yaml", 2, 8),
    ]


def test_a_file_with_very_many_problems_is_not_read_on(load_files: Load) -> None:
    """The number of problems of a file is limited."""
    milestones = "".join(f"  - {{id: m{n}, title: M, deadline: 2026, source: nobody}}\n" for n in range(200))

    definitions = load_files({"milestones/t.yaml": f"timeline: t\ntitle: T\nmilestones:\n{milestones}"})

    assert len(definitions.problems) == 100


def test_a_problem_never_shows_an_option_of_a_notifier(load_files: Load) -> None:
    """A problem with an option never contains the option's value, which may be a secret."""
    definitions = load_files(
        {
            "alertd.yaml": "receivers: [{name: a, notifiers: [{type: webhook, url: [hunter2], "
            "codes: hunter2, timeout: hunter2, verify: hunter2, headers: {a: [hunter2]}}]}]\n"
        }
    )

    assert len(definitions.problems) == 5
    assert not any("hunter2" in problem.message for problem in definitions.problems)


def _is_whole(problems: tuple[Problem, ...], raw: bytes) -> bool:
    """Check that each problem has a message of one line and a place in the file or at its end."""
    lines = raw.count(b"\n") + raw.count(b"\r") + 2
    return all(
        problem.message
        and problem.message.isprintable()
        and 1 <= problem.line <= lines
        and problem.column >= 1
        for problem in problems
    )


# Texts are built from parts of definitions, so that the reader gets beyond the first character.
PIECES = st.sampled_from(
    [
        *("timeline: t\n", "title: T\n", "milestones:\n", "  - id: a\n", "    title: A\n", "    deadline: "),
        *(
            "2026-09",
            "2026",
            "\n",
            "    claims: [{deadline: 2026}]\n",
            "    after: b + 1d\n",
            "sources: {r: {who: R}}\n",
        ),
        *(
            "- ",
            "{",
            "}",
            "[",
            "]",
            ": ",
            ", ",
            "'",
            '"',
            "|\n",
            "&a ",
            "*a ",
            "!x ",
            "<<: ",
            "---\n",
            "\t",
            "# ",
        ),
        *(
            "receivers: ",
            "route: ",
            "policies: ",
            "name: a",
            "null",
            "~",
            "\x00",
            "\u2028",
            "\ufeff",
            "\U0001f600",
        ),
    ]
)
TEXTS = st.one_of(
    st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
DOCUMENTS = st.one_of(TEXTS, st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode()))


@given(DOCUMENTS)
def test_any_text_is_a_timeline_or_problems(raw: bytes) -> None:
    """Reading any text as a timeline raises no exception."""
    read = read_timeline(raw, "milestones/t.yaml", Inherited())

    assert (read.timeline is None) == bool(read.problems)
    assert read.timeline is None or isinstance(read.timeline, Timeline)
    assert _is_whole(read.problems, raw)


@given(DOCUMENTS)
def test_any_text_is_a_configuration_or_problems(raw: bytes) -> None:
    """Reading any text as a configuration raises no exception."""
    read = read_config(raw, {})

    assert (read.config is None) == bool(read.problems)
    assert _is_whole(read.problems, raw)


def test_wrong_zone_in_thousands_of_places_is_compared_with_the_known_zones_once() -> None:
    """A comparison takes milliseconds, and a zone that was renamed may be in every milestone of all files."""

    class Zone(str):
        """A name that counts how often it is compared."""

        compared = 0

        def lower(self) -> str:
            Zone.compared += 1
            return super().lower()

    known = [Zone("Europe/Berlin"), Zone("Asia/Baghdad")]

    advice = {Reader(f"{number}.yaml").suggest("Europa/Berlin", known) for number in range(1_000)}

    assert advice == {"did you mean Europe/Berlin?"}
    assert Zone.compared == len(known)


def test_many_wrong_names_of_a_file_are_not_all_compared() -> None:
    reader = Reader("t.yaml")

    advice = [reader.suggest(f"Europa/Berlin{number}", ["Europe/Berlin"]) for number in range(100)]

    assert advice == ["did you mean Europe/Berlin?"] * MAX_SUGGESTIONS + [""] * (100 - MAX_SUGGESTIONS)
    assert reader.suggest("Europa/Berlin0", ["Europe/Berlin"]) == "did you mean Europe/Berlin?"

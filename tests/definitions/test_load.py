"""Test how a configuration folder is loaded, and that no file outside the folder is read."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydantic import BaseModel

from alertd.core.config import Definitions, list_milestones
from alertd.definitions.config.read import Inherited
from alertd.definitions.folder import DefinitionFolder
from alertd.definitions.load import MAX_PROBLEMS_OF_ALL, list_definition_files, load
from alertd.definitions.reading.lines import read_lines
from alertd.definitions.reading.reader import MAX_PROBLEMS
from alertd.definitions.reading.yaml import MAX_BYTES, read_yaml
from alertd.definitions.timeline.across import MAX_SUGGESTIONS, check_across
from alertd.definitions.timeline.read import read_timeline, read_timeline_with_places
from tests.calls import counting
from tests.nobody import a_folder, nobody

Options = dict[str, type[BaseModel]]


def _timeline(name: str, milestones: str = "[]") -> str:
    return f"timeline: {name}\ntitle: T\nmilestones: {milestones}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two timelines and no configuration."""
    config = tmp_path / "config"
    (config / "milestones").mkdir(parents=True)
    (config / "milestones" / "a.yaml").write_text(_timeline("a", "[{id: x, title: X, deadline: 2026}]"))
    (config / "milestones" / "b.yml").write_text(_timeline("b"))
    return config


def _said(definitions: Definitions) -> list[str]:
    return [str(problem) for problem in definitions.problems]


def test_both_suffixes_are_read_in_the_order_of_names(folder: Path, options: Options) -> None:
    """File names are relative to the folder; hidden files and files without a YAML suffix are ignored."""
    (folder / "milestones" / ".#a.yaml").symlink_to("nobody@nowhere")  # the lock file of an editor
    (folder / "milestones" / "README.md").write_text("- [")

    definitions = load(folder, options)

    assert not definitions.problems
    assert [timeline.file for timeline in definitions.timelines] == ["milestones/a.yaml", "milestones/b.yml"]
    assert definitions.config is not None
    assert not definitions.broken


def test_a_folder_without_milestones_is_a_beginning(tmp_path: Path, options: Options) -> None:
    """An empty folder has no problems."""
    definitions = load(tmp_path, options)

    assert not definitions.problems
    assert definitions.timelines == ()
    assert definitions.config is not None


def test_a_folder_that_is_not_there_has_no_configuration(tmp_path: Path, options: Options) -> None:
    """If the folder does not exist, no milestone counts as withdrawn."""
    definitions = load(tmp_path / "nowhere", options)

    assert definitions.config is None
    assert _said(definitions) == [f"{tmp_path}/nowhere:1:1: cannot be read: no such file or directory"]


def test_a_misnamed_configuration_is_not_passed_over(folder: Path, options: Options) -> None:
    """A file named alertd.yml is reported, because alertd does not read it."""
    (folder / "alertd.yml").write_text("timezone: UTC\n")

    definitions = load(folder, options)

    assert definitions.config is None
    assert _said(definitions) == ["alertd.yml:1:1: this file is not read; rename it to alertd.yaml"]


def test_links_lead_nowhere_outside(folder: Path, tmp_path: Path, options: Options) -> None:
    """Links within the folder are followed (Kubernetes creates such links); links out of it are rejected."""
    (tmp_path / "secret.yaml").write_text(_timeline("secret"))
    (folder / "milestones" / "out.yaml").symlink_to("../../secret.yaml")
    (folder / "..data").mkdir()
    (folder / "..data" / "c.yaml").write_text(_timeline("c"))
    (folder / "milestones" / "c.yaml").symlink_to("../..data/c.yaml")
    (folder / "milestones" / "loop.yaml").symlink_to("loop.yaml")

    definitions = load(folder, options)

    assert [timeline.id for timeline in definitions.timelines] == ["a", "b", "c"]
    assert [problem for problem in _said(definitions) if "loop" not in problem] == [
        "milestones/out.yaml:1:1: a link out of the configuration folder; copy the file into it"
    ]
    assert definitions.broken == {"milestones/out.yaml", "milestones/loop.yaml"}


def test_what_is_no_regular_file_is_not_opened_for_ever(folder: Path, options: Options) -> None:
    """A named pipe or a folder with a file's name is reported without blocking."""
    os.mkfifo(folder / "milestones" / "pipe.yaml")
    (folder / "milestones" / "folder.yaml").mkdir()

    definitions = load(folder, options)

    assert _said(definitions) == [
        "milestones/folder.yaml:1:1: not a regular file",
        "milestones/pipe.yaml:1:1: not a regular file",
    ]


def test_a_file_that_may_not_be_read_is_said(options: Options) -> None:
    """A file without read permission is reported, and the other files are loaded."""
    with a_folder() as folder:
        (folder / "milestones").mkdir()
        for name in ("a", "b"):
            (folder / "milestones" / f"{name}.yaml").write_text(_timeline(name))
        (folder / "milestones" / "a.yaml").chmod(0)

        with nobody(folder):
            definitions = load(folder, options)

    assert _said(definitions) == ["milestones/a.yaml:1:1: cannot be read: permission denied"]
    assert [timeline.id for timeline in definitions.timelines] == ["b"]


def test_a_file_that_is_too_large_is_not_read(folder: Path, options: Options) -> None:
    """The size of a file is checked before the file is read."""
    with (folder / "milestones" / "a.yaml").open("wb") as file:
        file.truncate(MAX_BYTES * 1000)

    assert _said(load(folder, options)) == [
        "milestones/a.yaml:1:1: 1,048,576,000 bytes; a file has at most 1,048,576, so make two of it"
    ]


def test_a_broken_configuration_keeps_every_timeline_as_it_was(folder: Path, options: Options) -> None:
    """If the configuration is broken, all files are broken, because the policies are unknown."""
    (folder / "alertd.yaml").write_text("timezone: Nowhere\npolicies: {slow: {at: noon}}\n")
    (folder / "milestones" / "b.yml").write_text(
        _timeline("b", "[{id: x, title: X, deadline: 2026, policy: slow}]")
    )

    definitions = load(folder, options)

    assert definitions.config is None
    assert definitions.timelines == ()
    assert definitions.broken == {"alertd.yaml", "milestones/a.yaml", "milestones/b.yml"}
    assert {problem.file for problem in definitions.problems} == {"alertd.yaml"}


def test_what_counts_from_a_broken_file_stays_as_it_was(folder: Path, options: Options) -> None:
    """A deadline relative to a broken file has a problem, and so have deadlines relative to that one."""
    (folder / "milestones" / "a.yaml").write_text(
        _timeline("a", "[{id: x, title: X, deadline: 2026, titel: X}]")
    )
    (folder / "milestones" / "b.yml").write_text(_timeline("b", "[{id: y, title: Y, after: a/x + 1d}]"))
    (folder / "milestones" / "c.yaml").write_text(_timeline("c", "[{id: z, title: Z, after: b/y + 1d}]"))
    (folder / "milestones" / "d.yaml").write_text(_timeline("d"))

    definitions = load(folder, options)

    assert _said(definitions) == [
        "milestones/a.yaml:3:48: 'titel': no such key in a milestone; did you mean title?",
        "milestones/b.yml:3:39: 'a/x' is not known: milestones/a.yaml has a problem",
        "milestones/c.yaml:3:39: 'b/y' is not known: milestones/b.yml has a problem",
    ]
    assert [timeline.id for timeline in definitions.timelines] == ["d"]


def test_a_circle_through_two_files_is_told_once(folder: Path, options: Options) -> None:
    """A cycle through two files is reported once, and both files are broken."""
    (folder / "milestones" / "a.yaml").write_text(_timeline("a", "[{id: x, title: X, after: b/y + 1d}]"))
    (folder / "milestones" / "b.yml").write_text(_timeline("b", "[{id: y, title: Y, after: a/x + 1d}]"))

    definitions = load(folder, options)

    assert _said(definitions) == [
        "milestones/a.yaml:3:39: a deadline cannot depend on itself: a/x -> b/y -> a/x",
        "milestones/b.yml:3:39: 'a/x' is not known: milestones/a.yaml has a problem",
    ]


def test_a_chain_over_files_is_no_circle(folder: Path, options: Options) -> None:
    """Deadlines can be relative to milestones in other files, even in a chain."""
    (folder / "milestones" / "b.yml").write_text(
        _timeline("b", "[{id: y, title: Y, after: a/x + 1d}, {id: z, title: Z, after: y + 1mo}]")
    )

    definitions = load(folder, options)

    assert not definitions.problems
    assert [relative.base for relative in list_milestones(definitions.timelines)["b/z"].relative] == ["b/y"]


def test_the_digest_changes_with_every_byte_and_name(folder: Path, options: Options) -> None:
    """The fingerprint changes with every byte and every file name."""
    first = load(folder, options).fingerprint
    assert load(folder, options).fingerprint == first

    (folder / "milestones" / "a.yaml").rename(folder / "milestones" / "c.yaml")
    second = load(folder, options).fingerprint
    (folder / "milestones" / "b.yml").write_text(_timeline("b") + "\n")
    third = load(folder, options).fingerprint

    assert len({first, second, third}) == 3


def test_an_unchanged_file_is_not_parsed_again(folder: Path, options: Options) -> None:
    """Only what has changed is parsed, and everything if the configuration has."""
    found = DefinitionFolder(folder, options)
    first = found.load()
    (folder / "milestones" / "b.yml").write_text(_timeline("b") + "# changed\n")

    second = found.load()
    parsed = found.parsed
    (folder / "alertd.yaml").write_text("timezone: Asia/Baghdad\n")
    third = found.load()

    assert second.timelines[0] is first.timelines[0]
    assert second.timelines[1] != first.timelines[1]
    assert (parsed, found.parsed) == (3, 5)
    assert list_milestones([found.read(third.timelines[0])])["a/x"].zone.key == "Asia/Baghdad"


def test_problems_of_an_unchanged_file_come_again(folder: Path, options: Options) -> None:
    """A file is checked again if one that it counts from has changed, and at each load while it is broken."""
    (folder / "milestones" / "b.yml").write_text(_timeline("b", "[{id: y, title: Y, after: a/x + 1d}]"))
    found = DefinitionFolder(folder, options)
    assert not found.load().problems

    (folder / "milestones" / "a.yaml").write_text(_timeline("a"))

    expected = ["milestones/b.yml:3:39: 'a/x': no such milestone"]
    assert _said(found.load()) == expected
    assert _said(found.load()) == expected


def test_the_files_to_watch_are_those_that_are_read(folder: Path, options: Options) -> None:
    """The list of files to watch has exactly the files that are read."""
    (folder / "alertd.yaml").write_text("timezone: UTC\n")
    (folder / "milestones" / "notes.txt").write_text("")

    files = list_definition_files(folder)

    assert [str(path.relative_to(folder)) for path in files] == [
        "alertd.yaml",
        "milestones/a.yaml",
        "milestones/b.yml",
    ]
    assert list_definition_files(folder / "nowhere") == ()


def _count_from(bases: Iterable[str]) -> str:
    """Return the milestones of a timeline, each with a deadline relative to one of the bases."""
    return "".join(f"\n- {{id: n{n}, title: N, after: {base} + 1d}}" for n, base in enumerate(bases))


class _Suggestions:
    """Counts for which ids a suggestion is wanted."""

    def __init__(self) -> None:
        self.wanted: list[str] = []

    def suggest(self, name: str, known: Iterable[str]) -> str:
        self.wanted.append(name)
        return f"there are {len(list(known))}"


def _check(suggestions: _Suggestions, **milestones: str) -> list[str]:
    """Check timelines with these ids and milestones, and return the messages."""
    read = {
        f"{name}.yaml": read_timeline(_timeline(name, text).encode(), f"{name}.yaml", Inherited())
        for name, text in milestones.items()
    }
    found = check_across(read, suggestions.suggest)
    return [problem.message for file in read for problem in found.get(file, ())]


def test_a_suggestion_is_computed_once_for_each_unknown_id() -> None:
    """Deadlines with the same unknown base get the same advice, also if they are in different files."""
    suggestions = _Suggestions()

    messages = _check(suggestions, a=_count_from(["c/x"] * 300), b=_count_from(["c/x"] * 300))

    assert messages == ["'c/x': no such milestone; there are 600"] * 600
    assert suggestions.wanted == ["c/x"]


def test_an_unknown_id_of_the_own_timeline_is_explained_once() -> None:
    """The base belongs to the timeline of the file, so the other ids of that file are compared."""
    suggestions = _Suggestions()

    messages = _check(suggestions, a=_count_from(["x"] * 300), b=_count_from(["a/x"] * 2))

    own = "'x': no such milestone in this file; there are 300"
    assert messages == [own] * 300 + ["'a/x': no such milestone; there are 302"] * 2
    assert suggestions.wanted == ["x", "a/x"]


def test_the_number_of_suggestions_is_limited() -> None:
    """Every unknown id is reported, but only the first of them get a suggestion."""
    suggestions = _Suggestions()
    bases = [f"c/x{n}" for n in range(MAX_SUGGESTIONS + 20)]

    messages = _check(suggestions, a=_count_from(bases))

    assert suggestions.wanted == bases[:MAX_SUGGESTIONS]
    assert (
        messages[MAX_SUGGESTIONS - 1]
        == f"'{bases[MAX_SUGGESTIONS - 1]}': no such milestone; there are {len(bases)}"
    )
    assert messages[MAX_SUGGESTIONS:] == [f"'{base}': no such milestone" for base in bases[MAX_SUGGESTIONS:]]


def test_a_wrong_base_of_many_deadlines_is_reported_within_the_limit(folder: Path, options: Options) -> None:
    """The last problem says how many are left out and where they begin. Other files have their problems."""
    (folder / "milestones" / "a.yaml").write_text(
        _timeline("a", _count_from(["c/x"] * (MAX_PROBLEMS + 1_900)))
    )
    (folder / "milestones" / "b.yml").write_text(_timeline("b", "[{id: y, title: Y, after: c/z + 1d}]"))

    said = _said(load(folder, options))

    assert len(said) == MAX_PROBLEMS + 2
    assert said[MAX_PROBLEMS - 1].startswith(f"milestones/a.yaml:{MAX_PROBLEMS + 3}:")
    assert said[MAX_PROBLEMS:] == [
        f"milestones/a.yaml:{MAX_PROBLEMS + 4}:31: and 1,900 more problems in this file, beginning here",
        "milestones/b.yml:3:39: 'c/z': no such milestone",
    ]


def test_a_file_with_as_many_problems_as_the_limit_has_no_last_line(folder: Path, options: Options) -> None:
    """The last line is only there if a problem is left out."""
    (folder / "milestones" / "a.yaml").write_text(_timeline("a", _count_from(["c/x"] * MAX_PROBLEMS)))

    said = _said(load(folder, options))

    assert len(said) == MAX_PROBLEMS
    assert all(line.endswith(": 'c/x': no such milestone") for line in said)


def test_the_problems_of_all_files_are_limited(folder: Path, options: Options) -> None:
    """A file with a problem is refused even if its problem is not listed."""
    names = [f"t{n:02}.yaml" for n in range(MAX_PROBLEMS_OF_ALL // MAX_PROBLEMS + 2)]
    for name in names:
        text = _timeline(name.removesuffix(".yaml"), _count_from(["c/x"] * 300))
        (folder / "milestones" / name).write_text(text)

    definitions = load(folder, options)

    listed = [problem for problem in definitions.problems if not problem.message.startswith("and ")]
    assert len(listed) == MAX_PROBLEMS_OF_ALL
    assert _said(definitions)[-1] == (
        f"milestones/{names[-2]}:4:29: and 600 more problems in 2 files, beginning with this file"
    )
    assert definitions.broken == {f"milestones/{name}" for name in names}
    assert [timeline.id for timeline in definitions.timelines] == ["a", "b"]


def _count_calls(work: Callable[[], object]) -> int:
    """Count the calls of Python functions while ``work`` runs."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def _chain(length: int, *, first: str = "deadline: 2026-09-30", by: str = "1d") -> str:
    """Return the milestones of a timeline, each relative to the one before it, the last one first."""
    rest = "".join(f"\n- {{id: n{n}, title: N, after: n{n - 1} + {by}}}" for n in range(length - 1, 0, -1))
    return f"{rest}\n- {{id: n0, title: N, {first}}}"


def _cycles(number: int) -> str:
    """Return the milestones of a timeline that has this number of cycles."""
    return "".join(
        f"\n- {{id: a{n}, title: A, after: b{n} + 1d}}\n- {{id: b{n}, title: B, after: a{n} + 1d}}"
        for n in range(number)
    )


def _files(number: int) -> dict[str, str]:
    """Return timelines that each depend on the next one. The last one has a problem."""
    return {f"t{n:04}": f"[{{id: m, title: M, after: t{n + 1:04}/m + 1d}}]" for n in range(number)}


# what grows: the timelines for a size
GROWING: list[Callable[[int], dict[str, str]]] = [
    lambda size: {"t": _chain(size)},
    lambda size: {"t": _chain(size, first="deadline: 2026-09", by="1h")},
    lambda size: {"t": _cycles(size // 2)},
    _files,
]


@pytest.mark.parametrize("make", GROWING, ids=["chain", "unresolved", "cycles", "files"])
def test_the_work_for_relative_deadlines_is_linear(make: Callable[[int], dict[str, str]]) -> None:
    """Twice the milestones take twice the calls, whether the chain is valid or has a problem."""
    short, long = (
        {
            f"{name}.yaml": read_timeline(_timeline(name, text).encode(), f"{name}.yaml", Inherited())
            for name, text in make(size).items()
        }
        for size in (200, 400)
    )

    calls = [_count_calls(lambda read=read: check_across(read)) for read in (short, long)]  # type: ignore[misc]

    assert calls[1] < 2.2 * calls[0]


def test_a_chain_of_thousands_is_read_and_its_problem_named_once(folder: Path, options: Options) -> None:
    """The milestone whose deadline cannot be computed has the problem, and those that depend on it do not."""
    text = _chain(3_000)
    (folder / "milestones" / "a.yaml").write_text(_timeline("a", text))
    good = _said(load(folder, options))
    (folder / "milestones" / "a.yaml").write_text(
        _timeline("a", text.replace("after: n0 + 1d", "after: n0 + 100y").replace("2026-09-30", "9990-01-01"))
    )

    bad = _said(load(folder, options))

    assert good == []
    assert len(bad) == 1
    assert "n0 + 100y" in bad[0]


def test_every_cycle_is_named_once() -> None:
    """Of 50 cycles in one file each has its own problem."""
    messages = _check(_Suggestions(), a=_cycles(50))

    assert messages == [f"a deadline cannot depend on itself: a/a{n} -> a/b{n} -> a/a{n}" for n in range(50)]


def test_good_files_are_parsed_once_and_never_carefully(folder: Path, options: Options) -> None:
    """A load parses each timeline once. Lines and columns are found only in files with a problem."""
    milestones = folder / "milestones"
    one = "\n  - id: x\n    title: X\n    deadline: {}\n"
    (milestones / "a.yaml").write_text(_timeline("a", one.format("2026")))
    (milestones / "b.yml").write_text(_timeline("b", one.format("2027")))
    found = DefinitionFolder(folder, options)

    def count(function: Callable[..., object]) -> int:
        with counting(function) as calls:
            found.load()
        return calls.count

    assert count(read_lines) == 2
    found.forget()
    assert count(read_yaml) == 1  # alertd.yaml
    assert count(read_lines) == 0  # unchanged
    (milestones / "b.yml").write_text(_timeline("a", one.format("2026")))
    assert count(read_timeline_with_places) == 2  # both files have the id that occurs twice
    assert count(read_lines) == 2  # the problem is looked for again in both, until it is gone
    (milestones / "b.yml").write_text(_timeline("b", one.format("2026-13")))
    assert count(read_yaml) == 2


def test_problems_between_files_have_their_places(folder: Path, options: Options) -> None:
    """Files that were read quickly are read again if a problem between files needs their lines."""
    milestones = folder / "milestones"
    (milestones / "a.yaml").write_text("# A\n" + _timeline("a", "[{id: x, title: X, after: b/y + 1d}]"))
    (milestones / "b.yml").write_text("# B\n\n" + _timeline("b", "[{id: z, title: Z, deadline: 2026}]"))
    (milestones / "c.yaml").write_text(_timeline("b"))

    found = load(folder, options)

    assert _said(found) == [
        "milestones/a.yaml:4:39: 'b/y': no such milestone; did you mean b/z?",
        "milestones/c.yaml:1:11: 'b': the same timeline as in milestones/b.yml:3; give one another id",
    ]

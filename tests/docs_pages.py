"""Reads the pages of the documentation: their blocks, tables, headings and links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^(?P<marks>#+) (?P<text>.+)$", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        body: without the indentation of the list that it stands in.
        start, end: where the body stands in the page's text.
    """

    page: Path
    language: str
    body: str
    indent: str
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.page.read_text(encoding="utf-8").count("\n", 0, self.start)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def rewritten(self, body: str) -> None:
        """Put ``body`` in its place in the file."""
        text = self.page.read_text(encoding="utf-8")
        new = textwrap.indent(body, self.indent)
        self.page.write_text(text[: self.start] + new + text[self.end :], encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of Markdown; cells are as they are written."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pages() -> tuple[Path, ...]:
    """Everything that people read."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return (*top, *sorted((ROOT / "docs").rglob("*.md")))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> tuple[Block, ...]:
    """The fenced blocks of a page, in one of ``languages`` or in any."""
    found = (
        Block(
            page=page,
            language=match["language"],
            body=textwrap.dedent(match["body"]),
            indent=match["indent"],
            start=match.start("body"),
            end=match.end("body"),
        )
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    )
    return tuple(block for block in found if not languages or block.language in languages)


def prose(page: Path) -> str:
    """The page's text without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    for match in _LINK.finditer(prose(page)):
        yield match["target"]


def anchors(page: Path) -> frozenset[str]:
    """What can stand after ``#`` in a link to the page, as forges make it of headings."""
    found = (match["text"].lower() for match in _HEADING.finditer(prose(page)))
    return frozenset(re.sub(r"[^\w -]", "", text).replace(" ", "-") for text in found)


def section(page: str, heading: str) -> str:
    """The text below a heading of a page of the reference, up to the next of its level or above."""
    text = prose(ROOT / "docs" / "reference" / page)
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.M)
    assert found, f"{page} has no heading {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def tables(text: str) -> tuple[Table, ...]:
    """The tables in a text."""
    found = []
    for lines in re.findall(r"(?:^\|.*\|\n?)+", text, re.M):
        cells = [_cells(line) for line in lines.strip().splitlines()]
        found.append(Table(head=cells[0], rows=tuple(cells[2:])))
    return tuple(found)


def first_column(text: str, head: str) -> list[str]:
    """The names in code marks in the first column of the tables that are headed ``head``."""
    return [
        name
        for table in tables(text)
        if table.head[0] == head
        for row in table.rows
        for name in codes(row[0])
    ]


def codes(text: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", text)


def _cells(line: str) -> tuple[str, ...]:
    # A bar within code marks is none.
    hidden = re.sub(r"`[^`]*`", lambda code: code[0].replace("|", "\0"), line)
    return tuple(cell.strip().replace("\0", "|") for cell in hidden.strip().strip("|").split("|"))

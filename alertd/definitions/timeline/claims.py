"""Read sources and their claims about deadlines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from alertd.core.deadline import Reading, parse_deadline
from alertd.core.milestones.milestone import Claim, Rank, RelativeClaim, Source
from alertd.core.time.duration import parse_duration
from alertd.definitions.reading.keys import MAX_ITEMS, NAME, NOTE, SLUG, TITLE
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, quote
from alertd.definitions.reading.terms import read_link, read_slug
from alertd.definitions.timeline.keys import CLAIM, MAX_SOURCES_OF_CLAIM, SOURCE
from alertd.errors import DurationError

# Many milestones share a deadline. The cache parses it once and lets them share the value.
parse_shared_deadline = lru_cache(maxsize=10_000)(parse_deadline)
_parse_duration = lru_cache(maxsize=1_000)(parse_duration)

_AFTER = re.compile(r"\s*(\S+?)\s*\+\s*(\S.*?)\s*")
_ID = re.compile(rf"{SLUG.pattern}(/{SLUG.pattern})?")
_SOURCE_TEXTS = {"who": TITLE, "short": NAME, "publisher": NAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """A deadline relative to another milestone, which may be in a file that is read later.

    Attributes:
        milestone: the full id of the milestone that has the deadline.
        claim: the relative deadline.
        text: the text in the file.
        line: the line of that text, counted from 1.
        column: the column of that text, counted from 1.
    """

    milestone: str
    claim: RelativeClaim
    text: str
    line: int
    column: int


def read_sources(reader: Reader, node: Node) -> dict[str, Source]:
    """Return the sources by id.

    A source with a problem is included, so that claims that refer to it get no further problem.
    """
    read: dict[str, Source] = {}
    for key, value in reader.read_entries(node, "sources", MAX_ITEMS):
        if read_slug(reader, key) is None:
            continue
        texts: dict[str, str] = {}
        for name, inner in (reader.read_mapping(value, SOURCE) or {}).items():
            text: str | None
            if name == "published":
                published = reader.parse(inner, parse_shared_deadline)
                text = None if published is None else published.edtf
            elif name == "url":
                text = read_link(reader, inner)
            else:
                text = reader.read_text(inner, _SOURCE_TEXTS[name])
            texts[name] = text or ""
        read[key.text] = Source(id=key.text, **{"who": key.text, **texts})
    return read


class Claims:
    """Reads the claims in one file, which refer to the file's sources."""

    def __init__(self, reader: Reader, timeline: str, known: Mapping[str, Source]) -> None:
        self._reader = reader
        self._timeline = timeline
        self.sources = dict(known)

    def read_claim(self, node: Node) -> tuple[Claim | RelativeClaim | None, Node]:
        """Read a claim in a list of claims. Return the claim and the node of its deadline."""
        values = self._reader.read_mapping(node, CLAIM)
        return (None, node) if values is None else self.build_claim(node, values)

    def build_claim(
        self, node: Node, values: Mapping[str, Node]
    ) -> tuple[Claim | RelativeClaim | None, Node]:
        """Build a claim from the values of a claim or of a milestone that has only one.

        Returns:
            The claim, or None after a problem, and the node of its deadline.
        """
        reader = self._reader
        who = self._read_sources(values)
        # Values with a problem get the default. The file is not used in that case.
        rank = reader.read_choice(values["rank"], Rank) if "rank" in values else None
        note = reader.read_text(values["note"], NOTE) if "note" in values else None
        reading = reader.read_choice(values["reading"], Reading) if "reading" in values else None
        rank, note, reading = rank or Rank.NORMAL, note or "", reading or Reading.END
        when = values.get("deadline")
        after = values.get("after")
        if when is not None and after is not None:
            reader.refuse(after, "a deadline and after exclude each other; write two claims")
        elif when is not None:
            deadline = reader.parse(when, parse_shared_deadline)
            if deadline is not None:
                return Claim(deadline=deadline, reading=reading, sources=who, rank=rank, note=note), when
        elif after is not None:
            if "reading" in values:
                reader.refuse(values["reading"], "a reading goes with a deadline, not with after; remove it")
            relative = self._read_relative(after, rank, note, who)
            if relative is not None:
                return relative, after
        else:
            reader.refuse(node, "a claim needs deadline or after")
        return None, node

    def _read_sources(self, values: Mapping[str, Node]) -> tuple[Source, ...]:
        reader = self._reader
        single, several = values.get("source"), values.get("sources")
        if single is not None and several is not None:
            reader.refuse(single, "source and sources exclude each other; put it into sources")
        if several is None:
            nodes = [] if single is None else [single]
        else:
            nodes = reader.read_items(several, "sources", MAX_SOURCES_OF_CLAIM)
        found: list[Source] = []
        for node in nodes:
            source = reader.look_up(node, self.sources, "source")
            if source is not None and source in found:
                reader.refuse(node, f"{source.id!r}: this source is named twice; remove one")
            elif source is not None:
                found.append(source)
        return tuple(found)

    def _read_relative(
        self, node: Node, rank: Rank, note: str, who: tuple[Source, ...]
    ) -> RelativeClaim | None:
        reader = self._reader
        text = reader.read_text(node, 300)
        if text is None or not isinstance(node, Scalar):
            return None
        match = _AFTER.fullmatch(text)
        if match is None:
            reader.refuse(node, f"{quote(text)}: not a milestone and a time after it; write phase-1 + 90d")
            return None
        if not _ID.fullmatch(match[1]):
            advice = "write its id, or timeline/id when it is in another file"
            reader.refuse(node, f"{quote(match[1])}: not a milestone's id; {advice}", match.start(1))
            return None
        try:
            by = _parse_duration(match[2])
        except DurationError as error:
            reader.refuse(node, str(error), match.start(2) + error.offset)
            return None
        if min(by.months, by.days, by.seconds) < 0:
            reader.refuse(node, f"{quote(match[2])}: a sign; only later is possible", match.start(2))
            return None
        base = match[1] if "/" in match[1] else f"{self._timeline}/{match[1]}"
        return RelativeClaim(base=base, by=by, sources=who, rank=rank, note=note)

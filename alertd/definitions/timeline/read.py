"""Read one of `milestones/*.yaml` into a Timeline."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from alertd.core.config import Problem, Timeline
from alertd.core.milestones.milestone import Claim, Milestone, RelativeClaim
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.recurrence import Recurrence, parse_recurrence, wall_of
from alertd.definitions.config.policies import policy_of
from alertd.definitions.config.read import Inherited
from alertd.definitions.reading.keys import DESCRIPTION, TITLE
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, TooManyProblems
from alertd.definitions.reading.terms import labels, link, slug, zone
from alertd.definitions.reading.yaml import decode, read_yaml
from alertd.definitions.timeline.claims import After, Claims, sources
from alertd.definitions.timeline.keys import MAX_CLAIMS, MAX_MILESTONES, MILESTONE, TIMELINE
from alertd.errors import RecurrenceError

_OF_ONE_CLAIM = ("source", "sources", "reading", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRead:
    """What came of reading one file.

    Attributes:
        timeline: None when there is a problem.
        id: the timeline's id, "" when it can't be told; also with a problem, as the rest is.
        line, column: where the id stands.
        after: where milestones count from other ones.
        ids: full ids of its milestones, each with whether it recurs.
    """

    timeline: Timeline | None
    problems: tuple[Problem, ...] = ()
    id: str = ""
    line: int = 1
    column: int = 1
    after: tuple[After, ...] = ()
    ids: Mapping[str, bool] = field(default_factory=dict)


def read_timeline(raw: bytes, file: str, inherited: Inherited) -> TimelineRead:
    """Read the bytes of a file; all its problems come in one go."""
    text, problems = decode(raw, file)
    node: Node | None = None
    if not problems:
        node, problems = read_yaml(text, file)
    if node is None:
        if not problems:
            message = "the file is empty; a timeline needs timeline, title and milestones"
            problems = [Problem(file=file, line=1, column=1, message=message)]
        return TimelineRead(timeline=None, problems=tuple(problems))
    reader = Reader(file)
    reader.problems.extend(problems)
    return _TimelineFile(reader, inherited).read(node)


class _TimelineFile:
    def __init__(self, reader: Reader, inherited: Inherited) -> None:
        self._reader = reader
        self._inherited = inherited
        self._id = ""
        self._title = ""
        self._text = ""
        self._url = ""
        self._place = (1, 1)
        self._zone: ZoneInfo = inherited.zone
        self._labels: Mapping[str, str] = {}
        self._policy: Policy = inherited.policies["default"]
        self._after: list[After] = []
        self._lines: dict[str, int] = {}
        self._ids: dict[str, bool] = {}
        self._milestones: list[Milestone] = []

    def read(self, node: Node) -> TimelineRead:
        timeline: Timeline | None = None
        with suppress(TooManyProblems):
            self._read(node)
        problems = tuple(self._reader.problems)
        if not problems:
            timeline = Timeline(
                id=self._id,
                title=self._title,
                file=self._reader.file,
                milestones=tuple(self._milestones),
                description=self._text,
                url=self._url,
            )
        return TimelineRead(
            timeline=timeline,
            problems=problems,
            id=self._id,
            line=self._place[0],
            column=self._place[1],
            after=tuple(self._after),
            ids=self._ids,
        )

    def _read(self, node: Node) -> None:
        reader = self._reader
        values = reader.mapping(node, TIMELINE)
        if values is None:
            return
        if "timeline" in values:
            self._id = slug(reader, values["timeline"]) or ""
            self._place = (values["timeline"].line, values["timeline"].column)
        if "title" in values:
            self._title = reader.text(values["title"], TITLE) or ""
        self._zone = self._zone_in(values)
        if "labels" in values:
            self._labels = labels(reader, values["labels"])
        self._policy = self._policy_in(values)
        self._text, self._url = self._about(values)
        known = sources(reader, values["sources"]) if "sources" in values else {}
        claims = Claims(reader, self._id, known)
        if "milestones" in values:
            for item in reader.items(values["milestones"], "milestones", MAX_MILESTONES):
                self._milestone(item, claims)

    def _milestone(self, node: Node, claims: Claims) -> None:
        reader = self._reader
        values = reader.mapping(node, MILESTONE)
        if values is None:
            return
        full_id = self._full_id(values)
        title = reader.text(values["title"], TITLE) if "title" in values else None
        own = labels(reader, values["labels"]) if "labels" in values else None
        description, url = self._about(values)
        stated = self._claims(node, values, claims)
        found = [claim for claim, _ in stated if isinstance(claim, Claim)]
        relative = [(claim, where) for claim, where in stated if isinstance(claim, RelativeClaim)]
        for claim, where in relative:
            text = getattr(where, "text", "")
            self._after.append(
                After(milestone=full_id, claim=claim, text=text, line=where.line, column=where.column)
            )
        if full_id:
            self._ids[full_id] = "repeat" in values
        milestone = Milestone(
            id=full_id,
            timeline=self._id,
            timeline_title=self._title,
            title=title or "",
            zone=self._zone_in(values),
            policy=self._policy_in(values),
            claims=tuple(found),
            relative=tuple(claim for claim, _ in relative),
            repeat=self._repeat(values, stated),
            labels={**self._labels, **own} if own else self._labels,
            description=description,
            url=url,
            tentative=bool(reader.flag(values["tentative"])) if "tentative" in values else False,
        )
        self._milestones.append(milestone)

    def _full_id(self, values: Mapping[str, Node]) -> str:
        """The full id, or "" when it has a problem."""
        if "id" not in values:
            return ""
        node = values["id"]
        own = slug(self._reader, node)
        if own is None:
            return ""
        if own in self._lines:
            message = f"{own!r}: the same id as in line {self._lines[own]}; a milestone has one of its own"
            self._reader.refuse(node, message)
            return ""
        self._lines[own] = node.line
        return f"{self._id}/{own}"

    def _claims(
        self, node: Node, values: Mapping[str, Node], claims: Claims
    ) -> list[tuple[Claim | RelativeClaim | None, Node]]:
        reader = self._reader
        if "claims" not in values:
            if "deadline" not in values and "after" not in values:
                reader.refuse(node, "a milestone needs claims, deadline or after")
                return []
            return [claims.claim_of(node, values)]
        for key in ("deadline", "after", *_OF_ONE_CLAIM):
            if key in values:
                reader.refuse(values[key], f"{key} and claims exclude each other; put it into a claim")
        items = reader.items(values["claims"], "claims", MAX_CLAIMS)
        if not items and not reader.problems:
            reader.refuse(values["claims"], "no claim at all; write at least one")
        return [claims.claim(item) for item in items]

    def _repeat(
        self, values: Mapping[str, Node], stated: list[tuple[Claim | RelativeClaim | None, Node]]
    ) -> Recurrence | None:
        """The rule, which every claim has to fit: they move together."""
        if "repeat" not in values:
            return None
        reader = self._reader
        node = values["repeat"]
        recurrence = None
        for claim, where in stated:
            if isinstance(claim, RelativeClaim):
                reader.refuse(where, "what recurs has deadlines of its own, not one counted from another")
            elif claim is not None and recurrence is None:
                first = claim.deadline
                recurrence = reader.parsed(node, lambda text, first=first: parse_recurrence(text, first))  # type: ignore[misc]
                if recurrence is None:
                    return None
            elif claim is not None and recurrence is not None:
                try:
                    wall_of(recurrence.rule, claim.deadline)
                except RecurrenceError as error:
                    reader.refuse(where, f"{claim.deadline.text!r}: {error.reason}")
        return recurrence

    def _zone_in(self, values: Mapping[str, Node]) -> ZoneInfo:
        found = zone(self._reader, values["timezone"]) if "timezone" in values else None
        return found or self._zone

    def _policy_in(self, values: Mapping[str, Node]) -> Policy:
        if "policy" not in values:
            return self._policy
        known, calendars = self._inherited.policies, self._inherited.calendars
        return policy_of(self._reader, values["policy"], self._policy, known, calendars)

    def _about(self, values: Mapping[str, Node]) -> tuple[str, str]:
        """The description and the url."""
        description = url = None
        if "description" in values:
            description = self._reader.text(values["description"], DESCRIPTION, lines=True)
        if "url" in values:
            url = link(self._reader, values["url"])
        return description or "", url or ""

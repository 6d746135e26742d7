"""Read a file `milestones/*.yaml` into a Timeline."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from alertd.core.config import Problem, Timeline
from alertd.core.milestones.milestone import Claim, Milestone, Recurrence, RelativeClaim
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.recurrence import parse_recurrence, read_wall_time
from alertd.definitions.config.policies import read_policy_or_name
from alertd.definitions.config.read import Inherited
from alertd.definitions.reading.keys import DESCRIPTION, NAME, TITLE
from alertd.definitions.reading.lines import Plain, Unsure, make_node, read_lines
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, TooManyProblems
from alertd.definitions.reading.terms import read_labels, read_link, read_slug, read_zone
from alertd.definitions.reading.yaml import decode, read_yaml
from alertd.definitions.timeline.claims import After, Claims, read_sources
from alertd.definitions.timeline.keys import MAX_CLAIMS, MAX_MILESTONES, MILESTONE, TIMELINE
from alertd.definitions.timeline.quick import QuickMilestones
from alertd.errors import RecurrenceError

# A rule is tried on its first date, which takes longer than the rest of a milestone.
_parse_recurrence = lru_cache(maxsize=1_000)(parse_recurrence)

_OF_ONE_CLAIM = ("source", "sources", "reading", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRead:
    """The result of reading one file.

    The attributes other than ``timeline`` have values even if the file has a problem.

    Attributes:
        timeline: None if there is a problem.
        id: the timeline's id; "" if it cannot be read.
        line: the line of the id, counted from 1.
        column: the column of the id, counted from 1.
        has_places: whether the lines and columns are known. They are not if the file was read quickly.
        after: the deadlines that are relative to other milestones.
        ids: the full ids of the milestones. The value is true for a milestone that recurs.
    """

    timeline: Timeline | None
    problems: tuple[Problem, ...] = ()
    id: str = ""
    line: int = 1
    column: int = 1
    has_places: bool = True
    after: tuple[After, ...] = ()
    ids: Mapping[str, bool] = field(default_factory=dict)


def read_timeline(raw: bytes, file: str, inherited: Inherited) -> TimelineRead:
    """Read the bytes of a timeline file and return all its problems together.

    Args:
        file: the file's name in problems.
    """
    text, problems = decode(raw, file)
    if not problems:
        with suppress(Unsure):
            return _TimelineFile(Reader(file), inherited).read_plain(read_lines(text))
    return _read_with_places(text, problems, file, inherited)


def read_timeline_with_places(raw: bytes, file: str, inherited: Inherited) -> TimelineRead:
    """Read a file as :func:`read_timeline` does, with lines and columns even if it has no problem."""
    text, problems = decode(raw, file)
    return _read_with_places(text, problems, file, inherited)


def _read_with_places(text: str, problems: list[Problem], file: str, inherited: Inherited) -> TimelineRead:
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
        self._owner = ""
        self._place = (1, 1)
        self._zone: ZoneInfo = inherited.zone
        self._labels: Mapping[str, str] = {}
        self._policy: Policy = inherited.policies["default"]
        self._after: list[After] = []
        self._lines: dict[str, int] = {}
        self._ids: dict[str, bool] = {}
        self._milestones: list[Milestone] = []

    def read(self, node: Node) -> TimelineRead:
        with suppress(TooManyProblems):
            self._read(node)
        return self._make_result(has_places=True)

    def read_plain(self, values: Mapping[str, Plain]) -> TimelineRead:
        """Read a file from values without positions.

        Raises:
            Unsure: the file has a problem.
        """
        reader = self._reader
        items = values.get("milestones")
        if not isinstance(items, list) or len(items) > MAX_MILESTONES:
            raise Unsure
        try:
            claims = self._read(make_node({**values, "milestones": []}))
            if claims is None or reader.problems:
                raise Unsure
            quick = QuickMilestones(
                timeline=self._id,
                title=self._title,
                zone=self._zone,
                policy=self._policy,
                policies=self._inherited.policies,
                labels=self._labels,
                owner=self._owner,
                sources=claims.sources,
            )
            for item in items:
                milestone = quick.read(item)
                if milestone is None:
                    self._read_milestone(make_node(item), claims)
                    if reader.problems:
                        raise Unsure
                else:
                    self._ids[milestone.id] = False
                    self._milestones.append(milestone)
        except TooManyProblems:
            raise Unsure from None
        if len(self._ids) < len(self._milestones):  # the same id again
            raise Unsure
        return self._make_result(has_places=False)

    def _make_result(self, *, has_places: bool) -> TimelineRead:
        timeline: Timeline | None = None
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
            has_places=has_places,
            after=tuple(self._after),
            ids=self._ids,
        )

    def _read(self, node: Node) -> Claims | None:
        reader = self._reader
        values = reader.read_mapping(node, TIMELINE)
        if values is None:
            return None
        if "timeline" in values:
            self._id = read_slug(reader, values["timeline"]) or ""
            self._place = (values["timeline"].line, values["timeline"].column)
        if "title" in values:
            self._title = reader.read_text(values["title"], TITLE) or ""
        self._zone = self._read_zone(values)
        if "labels" in values:
            self._labels = read_labels(reader, values["labels"])
        self._policy = self._read_policy(values)
        self._text, self._url = self._read_about(values)
        self._owner = self._read_owner(values)
        known = read_sources(reader, values["sources"]) if "sources" in values else {}
        claims = Claims(reader, self._id, known)
        if "milestones" in values:
            for item in reader.read_items(values["milestones"], "milestones", MAX_MILESTONES):
                self._read_milestone(item, claims)
        return claims

    def _read_milestone(self, node: Node, claims: Claims) -> None:
        reader = self._reader
        values = reader.read_mapping(node, MILESTONE)
        if values is None:
            return
        full_id = self._read_full_id(values)
        title = reader.read_text(values["title"], TITLE) if "title" in values else None
        own = read_labels(reader, values["labels"]) if "labels" in values else None
        description, url = self._read_about(values)
        stated = self._read_claims(node, values, claims)
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
            zone=self._read_zone(values),
            policy=self._read_policy(values),
            claims=tuple(found),
            relative=tuple(claim for claim, _ in relative),
            repeat=self._read_repeat(values, stated),
            labels={**self._labels, **own} if own else self._labels,
            description=description,
            url=url,
            owner=self._read_owner(values),
            tentative=bool(reader.read_flag(values["tentative"])) if "tentative" in values else False,
        )
        self._milestones.append(milestone)

    def _read_full_id(self, values: Mapping[str, Node]) -> str:
        """Return the full id of a milestone; "" after a problem."""
        if "id" not in values:
            return ""
        node = values["id"]
        own = read_slug(self._reader, node)
        if own is None:
            return ""
        if own in self._lines:
            message = f"{own!r}: the same id as in line {self._lines[own]}; a milestone has one of its own"
            self._reader.refuse(node, message)
            return ""
        self._lines[own] = node.line
        return f"{self._id}/{own}"

    def _read_claims(
        self, node: Node, values: Mapping[str, Node], claims: Claims
    ) -> list[tuple[Claim | RelativeClaim | None, Node]]:
        reader = self._reader
        if "claims" not in values:
            if "deadline" not in values and "after" not in values:
                reader.refuse(node, "a milestone needs claims, deadline or after")
                return []
            return [claims.build_claim(node, values)]
        for key in ("deadline", "after", *_OF_ONE_CLAIM):
            if key in values:
                reader.refuse(values[key], f"{key} and claims exclude each other; put it into a claim")
        items = reader.read_items(values["claims"], "claims", MAX_CLAIMS)
        if not items and not reader.problems:
            reader.refuse(values["claims"], "no claim at all; write at least one")
        return [claims.read_claim(item) for item in items]

    def _read_repeat(
        self, values: Mapping[str, Node], stated: list[tuple[Claim | RelativeClaim | None, Node]]
    ) -> Recurrence | None:
        """Return the recurrence rule.

        Every claim must fit the rule, because all of them recur together.
        """
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
                recurrence = reader.parse(node, lambda text, first=first: _parse_recurrence(text, first))  # type: ignore[misc]
                if recurrence is None:
                    return None
            elif claim is not None and recurrence is not None:
                try:
                    read_wall_time(recurrence.rule, claim.deadline)
                except RecurrenceError as error:
                    reader.refuse(where, f"{claim.deadline.text!r}: {error.reason}")
        return recurrence

    def _read_zone(self, values: Mapping[str, Node]) -> ZoneInfo:
        found = read_zone(self._reader, values["timezone"]) if "timezone" in values else None
        return found or self._zone

    def _read_owner(self, values: Mapping[str, Node]) -> str:
        """Read the owner. Without one, the timeline's owner is the owner."""
        found = self._reader.read_text(values["owner"], NAME) if "owner" in values else None
        return found or self._owner

    def _read_policy(self, values: Mapping[str, Node]) -> Policy:
        if "policy" not in values:
            return self._policy
        known, calendars = self._inherited.policies, self._inherited.calendars
        return read_policy_or_name(self._reader, values["policy"], self._policy, known, calendars)

    def _read_about(self, values: Mapping[str, Node]) -> tuple[str, str]:
        """Return the description and the URL."""
        description = url = None
        if "description" in values:
            description = self._reader.read_text(values["description"], DESCRIPTION, lines=True)
        if "url" in values:
            url = read_link(self._reader, values["url"])
        return description or "", url or ""

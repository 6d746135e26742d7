"""Read milestones that have a single deadline from plain values, several times faster than with positions.

It makes only milestones that :mod:`read` would make from the same values, and leaves all others to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from zoneinfo import ZoneInfo

from alertd.core.milestones.milestone import Claim, Milestone, Source
from alertd.core.milestones.policy import Policy
from alertd.core.routing.labels import BY_NAME as ADDED_LABELS
from alertd.core.routing.labels import LABEL_NAME
from alertd.definitions.reading.keys import (
    DESCRIPTION,
    LABEL_VALUE,
    MAX_LABELS,
    NAME,
    SLUG,
    TITLE,
    URL,
)
from alertd.definitions.reading.lines import Plain
from alertd.definitions.reading.terms import LINK_TEXT, load_zone
from alertd.definitions.timeline.claims import parse_shared_deadline
from alertd.errors import ParseError

_KEYS = frozenset((
    *("id", "title", "deadline", "source", "labels", "policy", "tentative", "description"),
    *("owner", "url", "timezone"),
))  # fmt: skip
_FLAGS = {"true": True, "false": False}


class _Left(Exception):
    """The milestone is left to the careful reader."""


class QuickMilestones:
    """Reads the milestones of one file.

    Most values occur in many milestones of a file, so what is made of a value is kept and used again.

    Args:
        timeline: the id of the timeline.
        title: its title.
        zone, policy, labels, owner: what its milestones inherit.
        policies: the policies that ``alertd.yaml`` names.
        sources: the sources by id.
    """

    def __init__(
        self,
        *,
        timeline: str,
        title: str,
        zone: ZoneInfo,
        policy: Policy,
        policies: Mapping[str, Policy],
        labels: Mapping[str, str],
        owner: str,
        sources: Mapping[str, Source],
    ) -> None:
        self._timeline = timeline
        self._title = title
        self._zone = zone
        self._policy = policy
        self._policies = policies
        self._labels = labels
        self._owner = owner
        self._sources = sources
        self._claims: dict[tuple[str, str | None], tuple[Claim]] = {}
        self._all_labels: dict[tuple[tuple[str, Plain], ...], Mapping[str, str]] = {}

    def read(self, values: Plain) -> Milestone | None:
        """Return the milestone; None if the careful reader has to read it."""
        if not isinstance(values, dict) or not values.keys() <= _KEYS:
            return None
        try:
            return self._read(values)
        except (KeyError, TypeError, ParseError, _Left):
            # A required key or a name is missing, a list or mapping is where a text should be, or a deadline
            # cannot be parsed.
            return None

    def _read(self, values: dict[str, Plain]) -> Milestone:
        own = _get_line(values, "id", NAME)
        if SLUG.fullmatch(own) is None:
            raise _Left
        # A list or a mapping in place of a text cannot be looked up, which raises TypeError.
        texts = cast("dict[str, str]", values)
        claim = (texts["deadline"], texts.get("source"))
        return Milestone(
            id=f"{self._timeline}/{own}",
            timeline=self._timeline,
            timeline_title=self._title,
            title=_get_line(values, "title", TITLE),
            zone=self._read_zone(values) if "timezone" in values else self._zone,
            policy=self._policies[texts["policy"]] if "policy" in values else self._policy,
            claims=self._claims.get(claim) or self._make_claim(claim),
            labels=self._merge_labels(values["labels"]) if "labels" in values else self._labels,
            description=_get_text(values, "description", DESCRIPTION) if "description" in values else "",
            url=_get_link(values) if "url" in values else "",
            owner=_get_line(values, "owner", NAME) if "owner" in values else self._owner,
            tentative=_FLAGS[texts["tentative"]] if "tentative" in values else False,
        )

    def _make_claim(self, stated: tuple[str, str | None]) -> tuple[Claim]:
        deadline, source = stated
        sources = (self._sources[source],) if source is not None else ()
        made = (Claim(deadline=parse_shared_deadline(deadline), sources=sources),)
        self._claims[stated] = made
        return made

    def _read_zone(self, values: dict[str, Plain]) -> ZoneInfo:
        zone = load_zone(_get_line(values, "timezone", NAME))
        if zone is None:
            raise _Left
        return zone

    def _merge_labels(self, own: Plain) -> Mapping[str, str]:
        """Return the timeline's labels with those of a milestone. Milestones with equal labels share them."""
        if not isinstance(own, dict) or not own or len(own) > MAX_LABELS:
            raise _Left
        key = tuple(own.items())
        merged = self._all_labels.get(key)
        if merged is None:
            for name in own:
                if not LABEL_NAME.fullmatch(name) or len(name) > NAME or name in ADDED_LABELS:
                    raise _Left
            merged = {**self._labels, **{name: _get_line(own, name, LABEL_VALUE) for name in own}}
            self._all_labels[key] = merged
        return merged


def _get_text(values: dict[str, Plain], key: str, limit: int) -> str:
    value = values[key]
    if not isinstance(value, str) or len(value) > limit:
        raise _Left
    return value


def _get_line(values: dict[str, Plain], key: str, limit: int) -> str:
    value = _get_text(values, key, limit)
    if "\n" in value:
        raise _Left
    return value


def _get_link(values: dict[str, Plain]) -> str:
    value = _get_line(values, "url", URL)
    if LINK_TEXT.fullmatch(value) is None:
        raise _Left
    return value

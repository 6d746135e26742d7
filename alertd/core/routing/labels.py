"""The labels that routes match: the labels from the files, and the labels that alertd adds.

Rules that this module guards:
- every list of the added labels in the product, its schemas and its documentation is made from :data:`TABLE`;
- a file cannot set a label of the table under ``labels``;
- a label without a value is left out, because a matcher treats a missing label like an empty label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from alertd.core.milestones.milestone import Milestone, is_contested
from alertd.core.milestones.occurrence import Cause

LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of a label that a file can set."""


class LabelLifetime(Enum):
    """How long a label keeps its value."""

    MILESTONE = auto()
    """The value changes only when the file of the milestone changes it.

    These labels identify the milestone.
    """
    DATES = auto()
    """The value can change when the dates of the milestone change."""
    REMINDER = auto()
    """The value differs from one reminder of the milestone to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """The reminder of a milestone from which the values of labels are taken."""

    milestone: Milestone
    cause: Cause | None = None
    offset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutableLabel:
    """One label that alertd sets.

    Attributes:
        name: the name of the label.
        about: the meaning of the value, for the documentation.
        lifetime: how long the label keeps its value.
        value: returns the value for a reminder; "" when it has no value.
        values: every value that the label can have; empty when any text is possible.
        instead: the advice for a person who writes the label under ``labels`` in a file.
    """

    name: str
    about: str
    lifetime: LabelLifetime
    value: Callable[[Labelled], str]
    values: tuple[str, ...] = ()
    instead: str = "choose another name"


TIMELINE = RoutableLabel(
    name="timeline",
    about="the timeline's id",
    lifetime=LabelLifetime.MILESTONE,
    value=lambda labelled: labelled.milestone.timeline,
)
MILESTONE = RoutableLabel(
    name="milestone",
    about="the full id, `timeline/id`",
    lifetime=LabelLifetime.MILESTONE,
    value=lambda labelled: labelled.milestone.id,
)
OWNER = RoutableLabel(
    name="owner",
    about="the milestone's `owner`; the label is missing when the file names none",
    lifetime=LabelLifetime.MILESTONE,
    value=lambda labelled: labelled.milestone.owner,
    instead="write owner as a key beside labels",
)
CAUSE = RoutableLabel(
    name="cause",
    about="why the message exists, see below",
    lifetime=LabelLifetime.REMINDER,
    value=lambda labelled: labelled.cause.value if labelled.cause else "",
    values=tuple(cause.value for cause in Cause),
)
CONTESTED = RoutableLabel(
    name="contested",
    about="`true` or `false`",
    lifetime=LabelLifetime.DATES,
    value=lambda labelled: "true" if is_contested(labelled.milestone) else "false",
    values=("true", "false"),
)
OFFSET = RoutableLabel(
    name="offset",
    about="`-7d`, `0d`, `+1d`, or the cause itself for `opens`, `moved` and `done`",
    lifetime=LabelLifetime.REMINDER,
    value=lambda labelled: labelled.offset,
)

TABLE = (TIMELINE, MILESTONE, OWNER, CAUSE, CONTESTED, OFFSET)
"""Every label that alertd sets, in the order in which the documentation lists them."""

BY_NAME: Mapping[str, RoutableLabel] = {label.name: label for label in TABLE}


def list_labels(milestone: Milestone, cause: Cause, offset: str) -> dict[str, str]:
    """Return the labels that routes match for one reminder, including those that alertd adds."""
    return _collect_labels(Labelled(milestone=milestone, cause=cause, offset=offset), TABLE)


def list_labels_without_reminder(milestone: Milestone) -> dict[str, str]:
    """Return the labels that are the same for every reminder of a milestone."""
    return _collect_labels(Labelled(milestone=milestone), _NOT_OF_REMINDERS)


def list_lasting_labels(milestone: Milestone) -> dict[str, str]:
    """Return the labels of the milestone, and the added labels that keep their value when its dates move."""
    return _collect_labels(Labelled(milestone=milestone), _LASTING)


def keep_lasting(labels: Mapping[str, str]) -> dict[str, str]:
    """Reduce the result of :func:`list_labels` to the labels that :func:`list_lasting_labels` returns."""
    return {name: value for name, value in labels.items() if name not in _PASSING}


def list_added_names(milestone: Milestone) -> list[str]:
    """Return the names of the labels that alertd adds to the reminders of a milestone."""
    labelled = Labelled(milestone=milestone)
    return [
        label.name for label in TABLE if label.lifetime is LabelLifetime.REMINDER or label.value(labelled)
    ]


def _collect_labels(labelled: Labelled, table: tuple[RoutableLabel, ...]) -> dict[str, str]:
    added = {label.name: value for label in table if (value := label.value(labelled))}
    return {**labelled.milestone.labels, **added}


_NOT_OF_REMINDERS = tuple(label for label in TABLE if label.lifetime is not LabelLifetime.REMINDER)
_LASTING = tuple(label for label in TABLE if label.lifetime is LabelLifetime.MILESTONE)
_PASSING = frozenset(label.name for label in TABLE if label.lifetime is not LabelLifetime.MILESTONE)

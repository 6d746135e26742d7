"""The fields that people write in a milestone's file and that alertd shows unchanged.

Rules that this module guards:
- every message, page, feed and payload, the API and ``explain`` take these fields from :data:`FIELDS`;
- code that renders fields knows the kinds of fields, and never the key of a single field;
- a field without a value is not shown. Only payloads with a fixed set of keys include it, with an empty
  value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Annotated, NotRequired, cast

from typing_extensions import TypedDict

from alertd.core.milestones.milestone import Milestone
from alertd.core.shape import Doc

FieldValue = str | Mapping[str, str]
FieldValues = Mapping[str, FieldValue]
"""The values of a milestone's fields by their keys; a field that is missing has no value."""


class FieldKind(Enum):
    """The kind of a field's value. The kind decides how alertd renders and checks the value."""

    TEXT = auto()
    """A few words on one line. They follow the heading of the field."""
    PROSE = auto()
    """Sentences for people. They are shown without a heading."""
    LINK = auto()
    """An http or https address."""
    LABELS = auto()
    """Names and their values."""


class FieldReach(IntEnum):
    """Where a field is shown. Each value includes the places of the values above it."""

    DATA = 0
    """Payloads, the API, the milestone's page and ``explain``."""
    ALONE = 1
    """Messages about this milestone alone, and calendars."""
    LISTED = 2
    """Messages about several milestones, and the page that lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneField:
    """One field of a milestone.

    Attributes:
        key: the name of the field in payloads, in the API and in the timeline file.
        heading: the words before the value in a message or on a page.
        about: the meaning of the value, for schemas.
        kind: the kind of the value.
        reach: where the field is shown.
        value: returns the field's value for a milestone.
        is_always_sent: webhook payloads include the key even when the value is empty. This is true for the
            fields of the first version of the payload, because receivers can depend on these keys.
    """

    key: str
    heading: str
    about: str
    kind: FieldKind
    reach: FieldReach
    value: Callable[[Milestone], FieldValue]
    is_always_sent: bool = False

    @property
    def empty(self) -> FieldValue:
        """The value of this field for a milestone that does not set it."""
        return {} if self.kind is FieldKind.LABELS else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownField:
    """A field together with the value that one milestone gives it."""

    field: MilestoneField
    value: FieldValue

    @property
    def is_link(self) -> bool:
        """Whether the value is the address of a link."""
        return self.field.kind is FieldKind.LINK

    @property
    def text(self) -> str:
        """The text for people, such as ``Labels: country="iraq"``. Prose and links have no heading."""
        if not isinstance(self.value, str):
            pairs = ", ".join(f'{name}="{value}"' for name, value in self.value.items())
            return f"{self.field.heading}: {pairs}"
        return f"{self.field.heading}: {self.value}" if self.field.kind is FieldKind.TEXT else self.value


FIELDS = (
    MilestoneField(
        key="owner",
        heading="Owner",
        about="the person or team that answers for the milestone; empty or missing when the file names none",
        kind=FieldKind.TEXT,
        reach=FieldReach.LISTED,
        value=lambda milestone: milestone.owner,
    ),
    MilestoneField(
        key="description",
        heading="Description",
        about="as in the file",
        kind=FieldKind.PROSE,
        reach=FieldReach.ALONE,
        value=lambda milestone: milestone.description,
        is_always_sent=True,
    ),
    MilestoneField(
        key="url",
        heading="Read more",
        about="as in the file",
        kind=FieldKind.LINK,
        reach=FieldReach.ALONE,
        value=lambda milestone: milestone.url,
        is_always_sent=True,
    ),
    MilestoneField(
        key="labels",
        heading="Labels",
        about="as in the files",
        kind=FieldKind.LABELS,
        reach=FieldReach.DATA,
        value=lambda milestone: milestone.labels,
        is_always_sent=True,
    ),
)
"""All fields, in the order in which they are shown."""

ALWAYS_SENT = frozenset(field.key for field in FIELDS if field.is_always_sent)
"""The keys that a webhook payload includes even when the value is empty."""

if TYPE_CHECKING:

    class FieldFacts(TypedDict):
        """The fields of a milestone for programs, with one key for each field of :data:`FIELDS`."""

    class SentFields(TypedDict):
        """The fields of a milestone for webhooks, which omit some keys when their values are empty."""

else:
    _TYPES = {
        field.key: Annotated[dict[str, str] if field.kind is FieldKind.LABELS else str, Doc(field.about)]
        for field in FIELDS
    }
    FieldFacts = TypedDict("FieldFacts", _TYPES)
    SentFields = TypedDict(
        "SentFields",
        {key: type_ if key in ALWAYS_SENT else NotRequired[type_] for key, type_ in _TYPES.items()},
    )


def collect_field_values(milestone: Milestone) -> dict[str, FieldValue]:
    """Return the values of all fields that the milestone sets, by key."""
    return {field.key: value for field in FIELDS if (value := field.value(milestone))}


def select_shown_fields(values: FieldValues, reach: FieldReach) -> Iterator[ShownField]:
    """Yield the fields that have a value and that are shown at ``reach``, in the order of :data:`FIELDS`."""
    for field in FIELDS:
        if field.reach >= reach and (value := values.get(field.key)):
            yield ShownField(field=field, value=value)


def make_field_facts(values: FieldValues) -> FieldFacts:
    """Return every field for programs, by key. Empty fields are included, and labels are sorted by name."""
    facts = {
        field.key: value if isinstance(value, str) else dict(sorted(value.items()))
        for field in FIELDS
        for value in (values.get(field.key, field.empty),)
    }
    return cast("FieldFacts", facts)


def find_first_link(values: FieldValues) -> str:
    """Return the address of the first field that is a link; "" when no link has a value."""
    links = (field.value for field in select_shown_fields(values, FieldReach.DATA) if field.is_link)
    return next((link for link in links if isinstance(link, str)), "")


def make_sample_values(text: str, url: str = "") -> dict[str, FieldValue]:
    """Make a value of the right kind for every field, for samples and trial messages.

    Args:
        text: the content of every field that is not a link.
        url: the address for fields that are links.
    """
    made: dict[FieldKind, FieldValue] = {
        FieldKind.TEXT: text,
        FieldKind.PROSE: text,
        FieldKind.LINK: url,
        FieldKind.LABELS: {"label": text},
    }
    return {field.key: made[field.kind] for field in FIELDS}

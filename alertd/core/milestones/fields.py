"""What a milestone shows: the fields that people write in its file and that alertd shows as they are written.

Rules that hold here:
- every message, page, feed and payload, the API and ``explain`` take these fields from :data:`FIELDS`;
- a rendering knows kinds of fields and never a field by its key;
- a field without a value is shown nowhere, and only payloads whose shape is fixed carry it empty.
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
    """What a value is, and so how it is written and checked."""

    TEXT = auto()
    """A few words on one line; they follow the field's heading."""
    PROSE = auto()
    """Sentences for people; they are shown without a heading."""
    LINK = auto()
    """An http or https address."""
    LABELS = auto()
    """Names and their values."""


class FieldReach(IntEnum):
    """How far a field is shown; each place includes those before it."""

    DATA = 0
    """Payloads, the API, the milestone's page and ``explain``."""
    ALONE = 1
    """Messages about this milestone alone, and calendars."""
    LISTED = 2
    """Messages about several milestones, and the page that lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneField:
    """One field.

    Attributes:
        key: its name in payloads and in the API; the same as in the timeline file.
        heading: the words before the value in a message or on a page.
        about: the meaning of the value, for schemas.
        value: takes the value from a milestone.
        is_always_sent: webhooks carry the key also when there is no value. True for the fields that the first
            version of the payload had: a receiver may rely on them.
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
        """The value of a milestone that says nothing in this field."""
        return {} if self.kind is FieldKind.LABELS else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownField:
    """A field of one milestone, with its value."""

    field: MilestoneField
    value: FieldValue

    @property
    def is_link(self) -> bool:
        return self.field.kind is FieldKind.LINK

    @property
    def text(self) -> str:
        """The value as people read it: ``Labels: country="iraq"``; prose and links are without a heading."""
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
"""Keys that a webhook carries also when there is no value."""

if TYPE_CHECKING:

    class FieldFacts(TypedDict):
        """The fields of a milestone, for programs: a member for each of :data:`FIELDS`."""

    class SentFields(TypedDict):
        """The same for webhooks, which leave some members out when they are empty."""

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
    """The fields that have a value, by key."""
    return {field.key: value for field in FIELDS if (value := field.value(milestone))}


def select_shown_fields(values: FieldValues, reach: FieldReach) -> Iterator[ShownField]:
    """The fields that have a value and that reach at least as far as ``reach``, in their order."""
    for field in FIELDS:
        if field.reach >= reach and (value := values.get(field.key)):
            yield ShownField(field=field, value=value)


def make_field_facts(values: FieldValues) -> FieldFacts:
    """Every field for programs, by key: the empty ones too, labels by name."""
    facts = {
        field.key: value if isinstance(value, str) else dict(sorted(value.items()))
        for field in FIELDS
        for value in (values.get(field.key, field.empty),)
    }
    return cast("FieldFacts", facts)


def find_first_link(values: FieldValues) -> str:
    """The address of the first link among the fields; "" when there is none."""
    links = (field.value for field in select_shown_fields(values, FieldReach.DATA) if field.is_link)
    return next((link for link in links if isinstance(link, str)), "")


def make_sample_values(text: str, url: str = "") -> dict[str, FieldValue]:
    """A value of the right kind for every field, made of ``text``: for samples and trials."""
    made: dict[FieldKind, FieldValue] = {
        FieldKind.TEXT: text,
        FieldKind.PROSE: text,
        FieldKind.LINK: url,
        FieldKind.LABELS: {"label": text},
    }
    return {field.key: made[field.kind] for field in FIELDS}

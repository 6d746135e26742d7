"""What the API answers, as JSON Schema (draft 2020-12, which OpenAPI 3.1 is built on).

New members may be added to an object at any time; none is taken away within ``v1``.
"""

from __future__ import annotations

from typing import Any

from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.milestones.milestone import Rank, State
from alertd.core.milestones.status import ActionKind

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
INSTANT: Schema = {"type": "string", "format": "date-time"}
MAYBE_INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
TEXTS: Schema = {"type": "array", "items": TEXT}
CAUSE: Schema = TEXT | {"description": "opens, approaching, due, overdue, moved, done; others may come."}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(schema: Schema) -> Schema:
    """An array of it."""
    return {"type": "array", "items": schema}


def words(*values: str) -> Schema:
    """One of these."""
    return {"type": "string", "enum": list(values)}


def thing(about: str, optional: tuple[str, ...] = (), **members: Schema) -> Schema:
    """An object that has all of these members, but perhaps for the optional ones."""
    required = [name.rstrip("_") for name in members if name not in optional]
    properties = {name.rstrip("_"): schema for name, schema in members.items()}
    return {"type": "object", "description": about, "required": required, "properties": properties}


CLAIM = thing(
    "One deadline as its sources give it.",
    deadline=TEXT | {"description": "As canonical EDTF."},
    phrase=TEXT | {"description": "As people read it: by September 2026."},
    rank=words(*(one.value for one in Rank)),
    live=FLAG | {"description": "False: it never reminds."},
    status=TEXT | {"description": "Where it stands today."},
    sources=TEXTS,
    note=TEXT,
    derived=TEXT,
    window=TEXT,
    begins=MAYBE_INSTANT,
    ends=MAYBE_INSTANT | {"description": "Exclusive."},
)
STANDING = thing(
    "What people have said of it and what holds now.",
    acknowledged_until=MAYBE_INSTANT,
    acknowledged_by=TEXT,
    snoozed_until=MAYBE_INSTANT,
    snoozed_by=TEXT,
    done_on={"type": ["string", "null"], "format": "date"},
    done_by=TEXT,
    evidence=TEXT,
    cancelled=FLAG,
    cancelled_by=TEXT,
)
MILESTONE = thing(
    "A milestone as it stands.",
    milestone=TEXT | {"description": "Its full id, timeline/name."},
    timeline=TEXT,
    title=TEXT,
    description=TEXT,
    url=TEXT,
    file=TEXT,
    timezone=TEXT,
    labels=LABELS,
    at=INSTANT,
    state=words(*(one.value for one in State)),
    contested=FLAG,
    tentative=FLAG,
    revision={"type": "integer", "minimum": 1, "description": "Raised each time that its dates change."},
    changed_at=INSTANT,
    claims=listed(ref("Claim")),
    standing=ref("Standing"),
)
REMINDER = thing(
    "A reminder to one receiver, planned or past.",
    ("due", "digest", "muted_by", "overtaken", "state", "reason", "told_at"),
    at=INSTANT,
    milestone=TEXT,
    cause=CAUSE,
    offset=TEXT,
    deadline=TEXT,
    sources=TEXTS,
    receiver=TEXT,
    key=TEXT,
    route=TEXT,
    matchers=TEXTS,
    group=LABELS,
    due=INSTANT,
    digest=TEXT,
    muted_by=TEXT,
    overtaken=FLAG,
    state=words(*(one.value for one in ReminderState)),
    reason=TEXT,
    told_at=MAYBE_INSTANT,
)
NEXT = thing(
    "The reminder that comes next.",
    ("due", "digest", "muted_by"),
    at=INSTANT,
    milestone=TEXT,
    cause=CAUSE,
    offset=TEXT,
    deadline=TEXT,
    sources=TEXTS,
    receiver=TEXT,
    key=TEXT,
    due=INSTANT,
    digest=TEXT,
    muted_by=TEXT,
)
OCCURRENCE = thing(
    "What one receiver is or was owed.",
    key=TEXT,
    cause=CAUSE,
    offset=TEXT,
    window=TEXT,
    receiver=TEXT,
    at=INSTANT,
    wake_at=INSTANT,
    state=words(*(one.value for one in ReminderState)),
    reason=TEXT,
    told_at=MAYBE_INSTANT,
)
DELIVERY = thing(
    "What went, or goes, to one notifier of one receiver in one message.",
    type=words("delivery"),
    at=INSTANT,
    id=TEXT,
    channel=TEXT | {"description": "receiver/notifier"},
    state=words(*(one.value for one in DeliveryState)),
    reason=TEXT,
    bound_at=INSTANT,
    next_at=MAYBE_INSTANT,
    settled_at=MAYBE_INSTANT,
    fallback_for=TEXT,
    notice=TEXT,
    digest=TEXT,
    carries=listed(
        thing(
            "An occurrence that it carries.",
            milestone=TEXT,
            cause=CAUSE,
            offset=TEXT,
            at=INSTANT,
            key=TEXT,
        )
    ),
    attempts=listed(thing("One try.", number=COUNT, at=INSTANT, took_ms=COUNT, outcome=TEXT, reason=TEXT)),
)
ENTRY = thing(
    "Something that happened to a milestone.",
    type=words("entry"),
    at=INSTANT,
    milestone=TEXT,
    kind=TEXT,
    by=TEXT,
    why=TEXT,
    facts=LABELS,
)
WHY = thing(
    "Why it reminds whom: what `alertd explain` says.",
    policy=thing("Its policy, and where that stands.", name=TEXT, from_=TEXT),
    stands=TEXTS,
    next=TEXT,
    routes=listed(thing("By which route a receiver gets what.", receiver=TEXT, text=TEXT, more=TEXTS)),
)
WHOLE: Schema = {
    "description": "Everything that is known of a milestone.",
    "allOf": [
        ref("Milestone"),
        thing(
            "What there is beside how it stands.",
            withdrawn=FLAG | {"description": "Its definition is gone from the files."},
            values=listed(
                thing("A window that reminds.", deadline=TEXT, phrase=TEXT, window=TEXT, sources=TEXTS)
            ),
            occurrences=listed(ref("Occurrence")),
            reminders=listed(ref("Reminder")),
            next={"anyOf": [ref("Next"), {"type": "null"}]},
            why={"anyOf": [ref("Why"), {"type": "null"}]},
            deliveries=listed(ref("Delivery")) | {"description": "The newest 50."},
            history=listed(ref("Entry"))
            | {"description": "The newest 200, every change of its dates among them."},
        ),
    ],
}
TIMELINE = thing(
    "Milestones that belong together.",
    timeline=TEXT,
    title=TEXT,
    description=TEXT,
    url=TEXT,
    milestones=COUNT,
    overdue=COUNT,
)
STATUS = thing(
    "How all is: what `alertd status --format json` says.",
    ok=FLAG,
    wrong=TEXTS,
    version=TEXT,
    at=INSTANT,
    nodes=listed({"type": "object"}),
    leader=TEXT,
    next=listed(
        thing(
            "A reminder that is pending.",
            at=INSTANT,
            wake_at=INSTANT,
            milestone=TEXT,
            offset=TEXT,
            receiver=TEXT,
            reason=TEXT,
        )
    ),
    ready=listed(ref("Delivery")),
    dead=listed(ref("Delivery")),
    failing={"type": "object"},
    counts={"type": "object", "additionalProperties": COUNT},
    bytes=COUNT,
)
PROBLEM = thing(
    "What went wrong (RFC 9457).",
    ("errors",),
    type=TEXT,
    title=TEXT,
    status={"type": "integer"},
    detail=TEXT,
    errors=listed(thing("A field that cannot be.", field=TEXT, reason=TEXT)),
)

ACTION: Schema = {
    "type": "object",
    "description": "What is to be said of a milestone.",
    "required": ["kind"],
    "additionalProperties": False,
    "properties": {
        "kind": words(*(one.value for one in ActionKind)),
        "why": {"type": "string", "maxLength": 1000},
        "until": {
            "type": "string",
            "maxLength": 4000,
            "description": "For ack and snooze: a date, a time, an instant or a duration such as 7d. An "
            "acknowledgement without it holds for ack_expires of alertd.yaml.",
        },
        "on": {"type": "string", "maxLength": 4000, "description": "For done: the date; without it today."},
        "evidence": {"type": "string", "maxLength": 1000},
    },
    "examples": [{"kind": "ack", "until": "7d", "why": "the vendor has confirmed it"}],
}
NOTHING: Schema = {"type": "object", "additionalProperties": False, "properties": {}}
TEST: Schema = {
    "type": "object",
    "required": ["receiver"],
    "additionalProperties": False,
    "properties": {"receiver": {"type": "string", "maxLength": 4000}},
}

SCHEMAS: dict[str, Schema] = {
    "Claim": CLAIM,
    "Standing": STANDING,
    "Milestone": MILESTONE,
    "MilestoneInFull": WHOLE,
    "Reminder": REMINDER,
    "Next": NEXT,
    "Occurrence": OCCURRENCE,
    "Delivery": DELIVERY,
    "Entry": ENTRY,
    "Why": WHY,
    "Timeline": TIMELINE,
    "Status": STATUS,
    "Problem": PROBLEM,
    "Action": ACTION,
    "Nothing": NOTHING,
    "Test": TEST,
}

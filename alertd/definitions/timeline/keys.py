"""Define the keys of a timeline file, `milestones/*.yaml`."""

from __future__ import annotations

from alertd.core.deadline import Reading
from alertd.core.milestones.milestone import Rank
from alertd.definitions.config.keys import POLICY
from alertd.definitions.reading.keys import (
    DESCRIPTION,
    FLAG,
    LABELS,
    LINK,
    NAME,
    NOTE,
    SLUG_TEXT,
    TITLE,
    ZONE,
    Key,
    Shape,
    either,
    is_a,
    listed,
    named,
    one_of,
    text,
)

MAX_CLAIMS = 50
MAX_SOURCES_OF_CLAIM = 20
MAX_MILESTONES = 20_000

_DEADLINE = Key(
    about="EDTF: 2026-09-30, 2026-09, 2026-Q3, 2026, 2026-09~, 2025-09/2026-09 or a date-time",
    schema={
        "type": ["string", "integer"],
        "maxLength": 200,
        "examples": ["2026-09", "2026-09-30", "2026-Q3"],
    },
)
_AFTER = Key(
    about="relative to another milestone: its id (timeline/id in another file), +, and a duration",
    schema={
        "type": "string",
        "maxLength": 300,
        "examples": ["phase-1 + 90d", "other-timeline/phase-1 + 1mo"],
    },
)
_SOURCE = Key(about="id of the source of the claim", schema=SLUG_TEXT)
_SOURCES = Key(
    about="ids of the sources of the claim", schema=listed(SLUG_TEXT, least=1, most=MAX_SOURCES_OF_CLAIM)
)
_READING = Key(
    about='which end of the window is meant: end ("by September", the default) or start ("before September")',
    schema=one_of(*Reading),
)
_NOTE = Key(about="a note about the claim, in one line", schema=text(NOTE))
_ZONE = "time zone of the deadlines; the default is that of the timeline or of alertd.yaml"
_POLICY = Key(
    about="name of a policy, or values that override the inherited policy",
    schema=either(text(NAME), is_a("policy")),
)
_DESCRIPTION = Key(about="a longer text for people", schema=text(DESCRIPTION))

SOURCE = Shape(
    name="source",
    words="a source",
    keys={
        "who": Key(
            about="name of the person or organization, as messages show it", schema=text(TITLE), required=True
        ),
        "short": Key(about='a short name that fits into "by ...\'s account"', schema=text(NAME)),
        "publisher": Key(about="where it was published", schema=text(NAME)),
        "published": Key(about="when it was published, as EDTF", schema=_DEADLINE.schema),
        "url": Key(about="where to read it", schema=LINK),
    },
)

CLAIM = Shape(
    name="claim",
    words="a claim",
    keys={
        "deadline": _DEADLINE,
        "after": _AFTER,
        "source": _SOURCE,
        "sources": _SOURCES,
        "rank": Key(
            about="preferred claims replace normal ones; deprecated claims are shown but have no reminders",
            schema=one_of(*Rank),
        ),
        "note": _NOTE,
        "reading": _READING,
    },
    rules={
        "oneOf": [{"required": ["deadline"]}, {"required": ["after"]}],
        "not": {"anyOf": [{"required": ["source", "sources"]}, {"required": ["after", "reading"]}]},
    },
)

MILESTONE = Shape(
    name="milestone",
    words="a milestone",
    keys={
        "id": Key(
            about="id of the milestone within the timeline; never change it", schema=SLUG_TEXT, required=True
        ),
        "title": Key(about="what must be done by the deadline", schema=text(TITLE), required=True),
        "labels": Key(about="labels for routing, in addition to the timeline's", schema=LABELS),
        "claims": Key(
            about="the deadlines that sources claim for the milestone",
            schema=listed(is_a("claim"), least=1, most=MAX_CLAIMS),
        ),
        "deadline": _DEADLINE,
        "after": _AFTER,
        "source": _SOURCE,
        "sources": _SOURCES,
        "reading": _READING,
        "note": _NOTE,
        "repeat": Key(
            about="how the first deadline recurs, as a rule of RFC 5545",
            schema={"type": "string", "maxLength": 500, "examples": ["RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"]},
        ),
        "owner": Key(
            about="the person or team that answers for it; the default is the timeline's owner",
            schema=text(NAME),
        ),
        "policy": _POLICY,
        "timezone": Key(about=_ZONE, schema=ZONE),
        "tentative": Key(
            about="whether the date is agreed but not signed, which every message then mentions", schema=FLAG
        ),
        "description": _DESCRIPTION,
        "url": Key(about="where to read more", schema=LINK),
    },
    rules={
        "oneOf": [{"required": ["claims"]}, {"required": ["deadline"]}, {"required": ["after"]}],
        "not": {
            "anyOf": [
                {"required": ["source", "sources"]},
                {"required": ["after", "reading"]},
                {"required": ["after", "repeat"]},
                *({"required": ["claims", key]} for key in ("source", "sources", "reading", "note")),
            ]
        },
    },
)

TIMELINE = Shape(
    name="timeline",
    words="a timeline",
    keys={
        "timeline": Key(
            about="id of the timeline; a milestone's full id is timeline/id", schema=SLUG_TEXT, required=True
        ),
        "title": Key(about="title of the timeline", schema=text(TITLE), required=True),
        "timezone": Key(about=_ZONE, schema=ZONE),
        "labels": Key(about="labels of all milestones in the timeline", schema=LABELS),
        "owner": Key(about="the person or team that answers for its milestones", schema=text(NAME)),
        "policy": _POLICY,
        "description": _DESCRIPTION,
        "url": Key(about="where to read more", schema=LINK),
        "sources": Key(about="the sources of claims, by id", schema=named(is_a("source"))),
        "milestones": Key(
            about="the milestones", schema=listed(is_a("milestone"), most=MAX_MILESTONES), required=True
        ),
    },
)

TIMELINE_SHAPES = (TIMELINE, MILESTONE, CLAIM, SOURCE, POLICY)

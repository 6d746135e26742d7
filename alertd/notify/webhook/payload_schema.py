"""The JSON Schema of a webhook's body, format ``alertd``; `config/schema/webhook.schema.json` is made of it.

It is open, as the promise is: within a version names are added, so that a receiver passes over those that it
does not know. The tests close it, and hold every sample against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alertd.core.message.message import Tone
from alertd.core.milestones.milestone import Rank, State
from alertd.core.milestones.occurrence import Cause
from alertd.notify.webhook.payload import VERSION

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_INSTANT: Schema = {"type": "string", "format": "date-time", "pattern": "Z$"}


def webhook_schema() -> dict[str, object]:
    """The schema of the body."""
    return {
        "$schema": DIALECT,
        "$id": "webhook.schema.json",
        "title": "A webhook of alertd, version 1",
        **_object(
            {
                "version": ("raised when a name changes its meaning or goes", {"const": VERSION}),
                "type": ("what the message is about", {"enum": _types()}),
                "timestamp": ("when the delivery was written down; the same at every attempt", _INSTANT),
                "data": ("the message", _ref("data")),
            }
        ),
        "$defs": {name: _object(keys) for name, keys in _DEFINITIONS.items()},
    }


def _types() -> list[str]:
    others = ("milestones.many", "milestones.digest", "alertd.notice", "alertd.test")
    return [*(f"milestone.{cause.value}" for cause in Cause), *others]


def _object(keys: Mapping[str, tuple[str, Schema]]) -> Schema:
    return {
        "type": "object",
        "properties": {name: {"description": about, **schema} for name, (about, schema) in keys.items()},
        "required": list(keys),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _or_null(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"enum": list(values)}


_DEFINITIONS: Mapping[str, Mapping[str, tuple[str, Schema]]] = {
    "data": {
        "id": ("the delivery's id", {"type": "string", "pattern": "^msg_[0-9A-Za-z]+$"}),
        "composed": ("when this was composed: what its numbers of days count from", _INSTANT),
        "receiver": ("the receiver's name", _TEXT),
        "channel": ("receiver/notifier", _TEXT),
        "subject": ("a line for a subject or a notification", {"type": "string", "maxLength": 150}),
        "intro": ("whom this stands in for, when another receiver could not be reached", _TEXT),
        "page": ("the start page of alertd's own web server; empty when none is served", _TEXT),
        "lines": ("the text of a notice or a test", _list(_TEXT)),
        "items": ("the milestones, the most urgent first", _list(_ref("item"))),
    },
    "item": {
        "milestone": ("full id", {"type": "string", "pattern": "/"}),
        "timeline": ("the timeline's id", _TEXT),
        "timeline_title": ("the timeline's title", _TEXT),
        "title": ("as in the file", _TEXT),
        "description": ("as in the file", _TEXT),
        "url": ("as in the file", _TEXT),
        "labels": ("as in the files", {"type": "object", "additionalProperties": _TEXT}),
        "cause": ("why the message exists", _one_of(*(cause.value for cause in Cause))),
        "offset": ("which reminder it is, such as -7d, 0d, +1d or opens", _TEXT),
        "state": ("where the milestone stands", _one_of(*(state.name.lower() for state in State))),
        "contested": ("its live claims of best rank differ", _FLAG),
        "tentative": ("agreed but not signed", _FLAG),
        "revision": ("raised each time that its dates change", {"type": "integer", "minimum": 1}),
        "zone": ("its time zone", _TEXT),
        "tone": ("how urgent it looks", _one_of(*(tone.value for tone in Tone))),
        "badge": ("how far away, in two or three words", _TEXT),
        "phrase": ("by when, as given", _TEXT),
        "headline": ("one sentence without its full stop", _TEXT),
        "details": ("further sentences", _list(_TEXT)),
        "contradiction": ("the live claims that contradict each other, as a sentence", _TEXT),
        "moved": ("for a move, the windows before and after", _or_null(_ref("moved"))),
        "done": ("once done, when and where that can be seen", _or_null(_ref("done"))),
        "late": ("how late the reminder is and why; empty when on time", _TEXT),
        "next": ("when the next reminder comes", _TEXT),
        "why": ("why this receiver gets it", _TEXT),
        "claims": ("each window once, deprecated claims last", _list(_ref("claim"))),
        "keys": ("the occurrences that it stands for", _list(_TEXT)),
        "section": ("in a digest, the heading that it stands under", _TEXT),
        "page": ("its page on alertd's own web server", _TEXT),
        "actions": ("what can be done about it there", _list(_ref("action"))),
    },
    "moved": {
        "from": ("the windows before", _list(_ref("value"))),
        "to": ("the windows after", _list(_ref("value"))),
    },
    "value": {
        "phrase": ("by when, as given", _TEXT),
        "edtf": ("the same as EDTF", _TEXT),
        "accounts": ("in whose words", _list(_TEXT)),
        "sources": ("the same as ids of the file", _list(_TEXT)),
    },
    "done": {
        "on": ("a local date", {"type": "string", "format": "date"}),
        "evidence": ("where that can be seen", _TEXT),
    },
    "claim": {
        "phrase": ("by when, as given", _TEXT),
        "edtf": ("the same as EDTF", _TEXT),
        "window": ("half-open", _ref("window")),
        "status": ("where it stands today", _TEXT),
        "days": (
            "calendar days from today to its last day; negative once it has passed",
            _or_null({"type": "integer"}),
        ),
        "rank": ("how it stands beside the others", _one_of(*Rank)),
        "live": ("false for one that never reminds", _FLAG),
        "headline": ("whether the message is about this one", _FLAG),
        "note": ("as in the file", _TEXT),
        "derived": ("how it was computed, for a relative deadline", _TEXT),
        "accounts": ("who says so", _list(_ref("account"))),
    },
    "window": {
        "begins": ("its first instant; null when it has none", _or_null(_INSTANT)),
        "ends": ("the first instant after it; null when it has none", _or_null(_INSTANT)),
    },
    "account": {
        "id": ("as in the file", _TEXT),
        "who": ("the person or body", _TEXT),
        "brief": ("the same in a few words", _TEXT),
        "publisher": ("where it was published", _TEXT),
        "published": ("when, worded", _TEXT),
        "url": ("where to read it", _TEXT),
    },
    "action": {
        "kind": ("acknowledge, snooze or done", _TEXT),
        "label": ("what a button says", _TEXT),
        "url": ("a form; whoever has the URL can act", _TEXT),
    },
}

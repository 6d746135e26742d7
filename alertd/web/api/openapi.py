"""Describes the API: the OpenAPI 3.1 document at ``/api/v1/openapi.json``, kept as ``docs/openapi.json``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from alertd import __version__
from alertd.core.ledger.records import DeliveryState
from alertd.web.api.request import MAX_TEXT, MOST, USUAL
from alertd.web.api.schemas import (
    COUNT,
    FLAG,
    INSTANT,
    MAYBE_TEXT,
    SCHEMAS,
    TEXT,
    Schema,
    listed,
    ref,
    thing,
)
from alertd.web.timeline.entries import FILTERS

ROOT = "/api/v1"

_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}
_PLACES = ("timeline", "name")

STATUSES = {
    "400": "The request cannot be read.",
    "401": "This needs a token.",
    "403": "The token's scope is not enough.",
    "404": "There is no such thing.",
    "409": "It does not fit how things stand.",
    "415": "The body is not JSON.",
    "422": "A parameter or a field cannot be; `errors` says which.",
    "429": "Too many failures, or a test is under way: wait as `Retry-After` says.",
    "503": "The ledger or the configuration cannot be used now.",
}
_ALWAYS = ("400", "401", "403", "422", "429", "503")


def document(root: str = "/") -> dict[str, Any]:
    """The document.

    Args:
        root: the path under which the server is reached.
    """
    return {**_document(), "servers": [{"url": root}]}


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alertd",
            "version": __version__,
            "summary": "Deadlines that are imprecise, sourced, contested, and that move.",
            "description": "Instants are UTC. Windows are half-open. Errors are RFC 9457.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": {f"{ROOT}{path}": operations for path, operations in _paths().items()},
        "components": {
            "schemas": SCHEMAS,
            "responses": {f"e{status}": _problem(about) for status, about in STATUSES.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by `alertd token new`."}
            },
        },
        "security": [{"token": []}],
        "tags": [
            {"name": "read", "description": "Needs the scope read."},
            {"name": "act", "description": "Needs the scope act."},
        ],
    }


def _paths() -> dict[str, dict[str, Any]]:
    one = "/milestones/{timeline}/{name}"
    return {
        "/timelines": {
            "get": _get(
                "listTimelines",
                "All timelines.",
                thing("Timelines.", as_of=INSTANT, timelines=listed(ref("Timeline"))),
            )
        },
        "/milestones": {
            "get": _get(
                "listMilestones",
                "Milestones by id, filtered, so many at a time.",
                thing(
                    "Milestones.",
                    as_of=INSTANT,
                    total=COUNT | {"description": "How many there are in all that fit."},
                    milestones=listed(ref("Milestone")),
                    next=MAYBE_TEXT
                    | {"description": "To be given as `after` for the rest; null at the end."},
                ),
                _query("timeline", _TEXT),
                _query("state", {"type": "string", "enum": list(FILTERS)}),
                _query(
                    "label",
                    {"type": "array", "items": _TEXT, "maxItems": 10},
                    "Labels it must have or not have: country=iraq, country!=iraq.",
                ),
                _query("text", _TEXT, "Words that its title, id, labels or sources must contain."),
                _query("after", _TEXT, "An id: those that come after it."),
                _query("limit", _LIMIT),
            )
        },
        one: {
            "get": _get(
                "getMilestone",
                "Everything of one milestone: claims, standing, occurrences, deliveries, history, and why.",
                ref("MilestoneInFull"),
                *map(_path, _PLACES),
                more=("404",),
            )
        },
        f"{one}/actions": {
            "post": _post(
                "act",
                "Acknowledge, snooze, say done, cancel or reopen. To say the same twice does it once.",
                "Action",
                thing("What came of it.", changed=FLAG, told=TEXT, milestone=ref("Milestone")),
                *map(_path, _PLACES),
            )
        },
        "/deliveries": {
            "get": _get(
                "listDeliveries",
                "Deliveries, the newest first, so many at a time.",
                thing(
                    "Deliveries.",
                    deliveries=listed(ref("Delivery")),
                    next=MAYBE_TEXT
                    | {"description": "To be given as `before` for the rest; null at the end."},
                ),
                _query("state", {"type": "string", "enum": [one.value for one in DeliveryState]}),
                _query("receiver", _TEXT),
                _query("milestone", _TEXT, "The full id of a milestone that it carries."),
                _query("text", _TEXT, "What its id, channel, reason or milestones must contain."),
                _query("before", _TEXT, "The id of a delivery: those that are older."),
                _query("limit", _LIMIT),
            )
        },
        "/deliveries/{name}": {
            "get": _get("getDelivery", "One delivery.", ref("Delivery"), _path("name"), more=("404",))
        },
        "/deliveries/{name}/retry": {
            "post": _post(
                "retryDelivery",
                "Send a dead delivery again, under the same id. One that waits already is left as it is.",
                "Nothing",
                ref("Delivery"),
                _path("name"),
                is_needed=False,
            )
        },
        "/send-test": {
            "post": _post(
                "sendTest",
                "Send a test message to each notifier of a receiver, once.",
                "Test",
                thing(
                    "How each notifier fared.",
                    tried=listed(thing("One notifier.", channel=TEXT, accepted=FLAG, told=TEXT)),
                ),
            )
        },
        "/status": {"get": _get("getStatus", "Whether all is well, and what waits.", ref("Status"))},
        "/openapi.json": {
            "get": {
                "operationId": "getOpenapi",
                "summary": "This document.",
                "security": [],
                "responses": {"200": _answer({"type": "object"}), **_problems("400", "401", "429")},
            }
        },
    }


def _get(
    name: str, summary: str, schema: Schema, *parameters: Schema, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["read"],
        "parameters": list(parameters),
        "responses": {"200": _answer(schema), **_problems(*_ALWAYS, *more)},
    }


def _post(
    name: str, summary: str, body: str, schema: Schema, *parameters: Schema, is_needed: bool = True
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["act"],
        "parameters": list(parameters),
        "requestBody": {"required": is_needed, "content": {"application/json": {"schema": ref(body)}}},
        "responses": {"200": _answer(schema), **_problems(*_ALWAYS, "404", "409", "415")},
    }


def _query(name: str, schema: Schema, about: str = "") -> dict[str, Any]:
    more = {"description": about} if about else {}
    return {"name": name, "in": "query", "schema": schema, **more}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _answer(schema: Schema) -> dict[str, Any]:
    return {"description": "So it is.", "content": {"application/json": {"schema": schema}}}


def _problem(about: str) -> dict[str, Any]:
    return {"description": about, "content": {"application/problem+json": {"schema": ref("Problem")}}}


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/e{status}"} for status in sorted(set(statuses))}

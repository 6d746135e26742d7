"""Lists the API's routes, and makes the OpenAPI 3.1 document that describes them.

The document is made from the declarations of the operations, and from the shapes of their bodies and answers.
The server makes it at the first request for it. A copy is in ``docs/openapi.json``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alertd import __version__
from alertd.core.access import Scope
from alertd.core.shape import JsonSchema
from alertd.web.api import act as api_actions
from alertd.web.api import read as api
from alertd.web.api.request import Operation, Param, find_operation
from alertd.web.server.access import require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import find_site
from alertd.web.server.errors import PROBLEM, ProblemFacts

ROOT = "/api/v1"

ENDPOINTS = (*api.ENDPOINTS, *api_actions.ENDPOINTS)

STATUSES = {
    "400": "The request cannot be read.",
    "401": "A token is needed.",
    "403": "The scope of the token is not enough.",
    "404": "Not found.",
    "409": "The action does not fit how things stand.",
    "415": "The body is not JSON.",
    "422": "A parameter or a field is wrong; `errors` says which.",
    "429": "Too many failures, or a test is running: wait as long as `Retry-After` says.",
    "503": "The ledger or the configuration cannot be used now.",
}
_ALWAYS = ("400", "401", "403", "422", "429", "503")


def list_api_routes() -> list[Route]:
    """List the routes of the API."""
    declared = [(find_operation(endpoint), endpoint) for endpoint in ENDPOINTS]
    return [
        *(Route(ROOT + found.path, endpoint, methods=[found.method]) for found, endpoint in declared),
        Route(f"{ROOT}/openapi.json", get_openapi),
    ]


@require_scope(Scope.PUBLIC)
async def get_openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(await compute(build_document, find_site(request).web.root or "/"))


def build_document(root: str = "/") -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        root: the path under which the server is reached.
    """
    return {**_document(), "servers": [{"url": root}]}


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    # Import this at the first request for the document, which most daemons never get.
    from alertd.system.json_schema import make_schemas

    operations = [find_operation(endpoint) for endpoint in ENDPOINTS]
    shapes: dict[str, type] = {"problem": ProblemFacts}
    for found in operations:
        shapes[f"{found.name} answer"] = found.answer
        if found.body:
            shapes[f"{found.name} body"] = found.body
    schemas, named = make_schemas(shapes, "#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for found in operations:
        paths.setdefault(ROOT + found.path, {})[found.method.lower()] = _operation(found, schemas)
    paths[f"{ROOT}/openapi.json"] = {
        "get": {
            "operationId": "getOpenapi",
            "summary": "This document.",
            "security": [],
            "responses": {"200": _answer({"type": "object"}), **_problems("400", "401", "429")},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alertd",
            "version": __version__,
            "summary": "Deadlines that are imprecise, sourced, contested, and that move.",
            "description": "Instants are UTC. Windows are half-open. Errors are RFC 9457.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": named,
            "responses": {
                f"e{status}": {"description": about, "content": {PROBLEM: {"schema": schemas["problem"]}}}
                for status, about in STATUSES.items()
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by `alertd token new`."}
            },
        },
        "security": [{"token": []}],
        "tags": [
            {"name": scope.word, "description": f"Needs the scope {scope.word}."}
            for scope in (Scope.READ, Scope.ACT)
        ],
    }


def _operation(found: Operation, schemas: dict[str, JsonSchema]) -> dict[str, Any]:
    places = re.findall(r"{(\w+)}", found.path)
    statuses = {*_ALWAYS, *(["404"] if places else []), *(["404", "409", "415"] if found.body else [])}
    described: dict[str, Any] = {
        "operationId": found.name,
        "summary": found.summary,
        "tags": [found.scope.word],
        "parameters": [*map(_place, places), *map(_param, found.params)],
        "responses": {"200": _answer(schemas[f"{found.name} answer"]), **_problems(*statuses)},
    }
    if found.body:
        described["requestBody"] = {
            "required": bool(found.body.__required_keys__),  # type: ignore[attr-defined]
            "content": {"application/json": {"schema": schemas[f"{found.name} body"]}},
        }
    return described


def _place(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _param(param: Param) -> dict[str, Any]:
    about = {"description": param.about} if param.about else {}
    return {"name": param.name, "in": "query", "schema": param.schema, **about}


def _answer(schema: JsonSchema) -> dict[str, Any]:
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/e{status}"} for status in sorted(statuses)}

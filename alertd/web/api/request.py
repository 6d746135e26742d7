"""Declares the operations of the API next to their handlers, and reads the requests.

The module openapi.py makes the API's description from the declarations, so that the description contains
every parameter. A request with an undeclared parameter or field is refused: otherwise, a misspelt filter
would return everything.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from typing import Any, get_type_hints

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alertd.core.access import Scope
from alertd.core.shape import JsonSchema
from alertd.errors import FieldProblem, RefusedAction
from alertd.notify.render.clean import clean_line
from alertd.web.server.access import JSON, Endpoint, RequestRefused, find_media_type, require_scope
from alertd.web.server.errors import PROBLEM, ProblemFacts

MAX_TEXT = 200
MOST, USUAL = 200, 50
"""The most entries of a list, and the number of entries without a ``limit``."""

MAX_FIELD = 4_000


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter in the query of a URL, whose value is a text.

    Attributes:
        about: the description for the OpenAPI document; "" for none.
        choices: the allowed values; () allows every text.
        most: how often a request may contain the parameter.
    """

    name: str
    about: str = ""
    _: KW_ONLY
    choices: tuple[str, ...] = ()
    most: int = 1

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of the value."""
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        text = {"type": "string", "maxLength": MAX_TEXT}
        return text if self.most == 1 else {"type": "array", "items": text, "maxItems": self.most}

    def read(self, found: Sequence[str]) -> list[str]:
        """Check the given values and return them. Raises FieldProblem."""
        if len(found) > self.most:
            often = "once" if self.most == 1 else f"{self.most} times"
            raise FieldProblem(self.name, f"given more than {often}")
        for text in found:
            if self.choices and text not in self.choices:
                raise FieldProblem(
                    self.name, f"{clean_line(text, 40)!r} is none of {', '.join(self.choices)}"
                )
            if len(text) > MAX_TEXT:
                raise FieldProblem(self.name, f"longer than {MAX_TEXT} characters")
        return [clean_line(text, MAX_TEXT) for text in found]


@dataclass(frozen=True, slots=True)
class Limit(Param):
    """The parameter ``limit``: how many entries to list."""

    name: str = "limit"

    @property
    def schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}

    def read(self, found: Sequence[str]) -> list[str]:
        for text in found:
            if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MOST):
                raise FieldProblem(self.name, f"not a whole number from 1 to {MOST}")
        return Param.read(self, found) or [str(USUAL)]


class ApiRequest:
    """The parameters and the fields of a request.

    Args:
        declared: the parameters that the operation declares.

    Attributes:
        fields: the fields of the body by name, each as one line. Fields that the request lacks are missing.

    Raises:
        FieldProblem: a parameter is not declared, or its value is invalid.
    """

    def __init__(self, given: QueryParams, declared: Sequence[Param]) -> None:
        names = [param.name for param in declared]
        for name in given:
            if name not in names:
                known = ", ".join(names) or "none"
                raise FieldProblem(clean_line(name, 40), f"not a parameter; there is {known}")
        self._texts = {param.name: param.read(given.getlist(param.name)) for param in declared}
        self.fields: Mapping[str, str] = {}

    def text(self, name: str) -> str:
        """Return the value of a parameter that may be given once; "" if it was not given."""
        return next(iter(self._texts[name]), "")

    def texts(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return self._texts[name]

    def limit(self) -> int:
        """Return how many entries to list."""
        return int(self.text("limit"))


Handler = Callable[[Request, ApiRequest], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API: one method at one path.

    Attributes:
        path: the path below ``/api/v1``, with its variable parts in braces.
        params: the parameters of the query.
        body: the shape of the JSON body; None for an operation without a body.
        handler: a coroutine function. Its return annotation is the shape of the answer, and its docstring is
            the summary.
    """

    method: str
    path: str
    scope: Scope
    params: tuple[Param, ...]
    body: type | None
    handler: Handler

    @property
    def name(self) -> str:
        """The id in the OpenAPI document, such as ``listMilestones``."""
        first, *others = self.handler.__name__.split("_")
        return first + "".join(map(str.title, others))

    @property
    def summary(self) -> str:
        return inspect.getdoc(self.handler) or ""

    @property
    def answer(self) -> type:
        """The shape of the answer."""
        answer: type = get_type_hints(self.handler)["return"]
        return answer


def declare_operation(
    method: str, path: str, scope: Scope, *params: Param, body: type | None = None
) -> Callable[[Handler], Endpoint]:
    """Make an endpoint of the API from its handler.

    The endpoint answers with JSON. The status of the answer is 422 for an invalid parameter or field, and 409
    for an action that the milestone's current state does not allow. Both have a body as in RFC 9457.
    """
    fields = tuple(get_type_hints(body)) if body else ()

    def make(handler: Handler) -> Endpoint:
        @require_scope(scope)
        @wraps(handler)
        async def endpoint(request: Request) -> Response:
            try:
                asked = ApiRequest(request.query_params, params)
                if body is not None:
                    asked.fields = await _read_body(request, fields)
                return JSONResponse(await handler(request, asked))
            except FieldProblem as problem:
                return _unprocessable(problem)
            except RefusedAction as refused:
                raise RequestRefused(409, str(refused)) from None

        declared = Operation(method=method, path=path, scope=scope, params=params, body=body, handler=handler)
        endpoint.operation = declared  # type: ignore[attr-defined]
        return endpoint

    return make


def find_operation(endpoint: Endpoint) -> Operation:
    """Return the declaration of an endpoint."""
    declared: Operation = endpoint.operation  # type: ignore[attr-defined]
    return declared


def _unprocessable(problem: FieldProblem) -> Response:
    facts: ProblemFacts = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": f"{problem.field}: {problem}",
        "errors": [{"field": problem.field, "reason": str(problem)}],
    }
    return JSONResponse(facts, 422, media_type=PROBLEM)


async def _read_body(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the JSON object in the body: texts, each as one line; {} if there is no body.

    Raises:
        RequestRefused: the media type is not JSON (415), or the body is not valid JSON (400).
        FieldProblem: the body is not an object, or a field is not declared or not a text of allowed length.
    """
    raw = await request.body()
    if not raw:
        return {}
    if find_media_type(request) != JSON:
        raise RequestRefused(415, f"this takes {JSON}")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestRefused(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise FieldProblem("body", "not an object")
    for name, value in found.items():
        if name not in known:
            raise FieldProblem(clean_line(name, 40), f"not a field; there is {', '.join(known) or 'none'}")
        if not isinstance(value, str):
            raise FieldProblem(name, "not a text")
        if len(value) > MAX_FIELD:
            raise FieldProblem(name, f"longer than {MAX_FIELD:,} characters")
    return {name: clean_line(value, MAX_FIELD) for name, value in found.items()}

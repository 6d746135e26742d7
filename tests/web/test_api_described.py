"""The API follows its OpenAPI description: schemathesis sends the real server valid and invalid requests."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig

from alertd.core.config import Config
from alertd.core.ledger.outcome import Outcome, Sent
from alertd.notify.http.client import HttpClient
from alertd.web.api.openapi import build_document
from alertd.web.routes import list_routes
from alertd.web.server.access import find_scope
from alertd.web.server.context import OutboundServices
from tests.docs_pages import ROOT, codes, prose, tables
from tests.web.acting import NAME, acting

KEPT = ROOT / "docs" / "openapi.json"
OPERATIONS = [
    (path, method) for path, operations in build_document()["paths"].items() for method in operations
]
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            # No schema can tell a date, a matcher or a receiver from other texts.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]},
        }
    }
)


def test_description_is_openapi() -> None:
    validate(build_document())


def test_description_is_the_one_that_is_kept() -> None:
    """The committed description is current. Set ALERTD_UPDATE_GOLDEN=1 to write it again."""
    text = json.dumps(build_document(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        KEPT.write_text(text)

    assert KEPT.read_text() == text


def test_every_shape_is_described() -> None:
    """Each object of the API has a description and, unless it is empty, members."""
    shapes = build_document()["components"]["schemas"]
    objects = {name: schema for name, schema in shapes.items() if schema["type"] == "object"}

    assert [name for name, schema in objects.items() if not schema.get("description")] == []
    assert [name for name, schema in objects.items() if not schema["properties"]] == ["Nothing"]


def test_every_route_is_described_and_the_other_way_round() -> None:
    real = {
        (route.path, method.lower()): find_scope(route.endpoint)
        for route in list_routes()
        if route.path.startswith("/api/")
        for method in route.methods or ()
        if method != "HEAD"
    }

    assert set(real) == set(OPERATIONS)
    for (path, method), scope in real.items():
        operation = build_document()["paths"][path][method]
        assert scope is not None
        assert operation.get("tags", ["public"]) == [scope.word]
        assert (operation.get("security") == []) is (scope.word == "public")


def test_every_operation_is_in_the_reference() -> None:
    operations, *_ = tables(prose(ROOT / "docs/reference/api.md"))

    told = {name: row[1] for row in operations.rows for name in codes(row[0])}

    assert told == {
        f"{method.upper()} {path}": build_document()["paths"][path][method].get("tags", ["none"])[0]
        for path, method in OPERATIONS
    }


async def accepted(config: Config, receiver: str) -> list[tuple[str, Outcome]]:
    return [(f"{receiver}/hook", Sent())]


def ask(operation: Any, mode: GenerationMode, *, url: str, token: str, forgive: Callable[[], None]) -> int:
    """Send the same requests each time, and return how many there were.

    Args:
        forgive: resets the count of failed logins, because each case has one.
    """
    asked = 0

    @settings(
        max_examples=settings().max_examples // 2,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Case[Any]) -> None:
        nonlocal asked
        asked += 1
        forgive()
        case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {token}"})

    check()
    return asked


@pytest.mark.hypothesis
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_server_does_as_described(tmp_path: Path, path: str, method: str, mode: GenerationMode) -> None:
    """No request causes a server error or an answer that is not described, and each request needs a token."""
    operation = build_document()["paths"][path][method]
    if mode is GenerationMode.NEGATIVE and not operation.get("parameters") and "requestBody" not in operation:
        return  # no request to this operation can be invalid

    outbound = OutboundServices(http=HttpClient(), secret=lambda name: name, send_test=accepted)
    async with acting(tmp_path, "auth: {tokens_file: tokens}", outbound) as act:
        token = act.stage.token("bot", "act")
        schema = schemathesis.openapi.from_dict(build_document(), config=CONFIG)

        def forgive() -> None:
            act.stage.clock.seconds += 60

        asked = await asyncio.to_thread(
            ask, schema[path][method.upper()], mode, url=act.stage.url, token=token, forgive=forgive
        )

        failed = [event for event in act.stage.events if event["event"] == "request.failed"]
        assert asked >= 1
        assert failed == []
        assert await act.stage.ledger.read_record(NAME) is not None

"""The server itself: host names, headers, limits, health checks and its life."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.core.planning.audit import Audit, AuditFault, AuditFinding
from alertd.errors import LedgerUnavailable
from alertd.web.application import MAX_BODY
from alertd.web.server.access import require_scope
from alertd.web.server.listener import MAX_HEAD
from alertd.web.server.middleware import HEADERS, read_host_name
from alertd.web.server.static import asset_path
from tests.web.stage import EVERYWHERE, TOKENS, Stage, a_stage, csrf_of


@require_scope(Scope.PUBLIC)
async def fails(_request: Request) -> Response:
    raise RuntimeError("hunter2")


@require_scope(Scope.PUBLIC)
async def without_ledger(_request: Request) -> Response:
    raise LedgerUnavailable("gone")


@require_scope(Scope.PUBLIC, from_elsewhere=True)
async def takes(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


ROUTES = [
    Route("/t/fails", fails),
    Route("/api/v1/fails", fails),
    Route("/t/ledger", without_ledger),
    Route("/t/takes", takes, methods=["POST"]),
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, routes=ROUTES) as made:
        yield made


# -- host names


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8480", 200),
        ("LOCALHOST.", 200),
        ("[::1]:8480", 200),
        ("alertd.example.org", 200),
        ("inside.example:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.1", 421),
        ("alertd.example.org:80:80", 400),
        ("[::1", 400),
        ("", 400),
    ],
)
async def test_answers_to_names_that_are_its_own(tmp_path: Path, host: str, status: int) -> None:
    """A name of another site that resolves to this server (DNS rebinding) is refused."""
    web = "auth: none, external_url: 'https://alertd.example.org/x', hosts: [inside.example]"
    async with a_stage(tmp_path, web) as stage:
        answer = await stage.get("/healthz", Host=host)

        assert answer.status_code == status


@pytest.mark.parametrize(("host", "status"), [("127.0.0.2:1", 200), ("127.0.0.3", 421)])
async def test_answers_to_the_address_that_was_asked(tmp_path: Path, host: str, status: int) -> None:
    """Health probes may use the IP address of the server, but no other address."""
    async with a_stage(tmp_path, "auth: none", address=EVERYWHERE) as stage:
        answer = await stage.client(base_url=f"http://127.0.0.2:{stage.port}").get(
            "/healthz", headers={"Host": host}
        )

        assert answer.status_code == status


async def test_two_hosts_are_refused(stage: Stage) -> None:
    twice = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"

    assert b" 400 " in (await _raw(stage, twice)).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.b.:1", "a.b"), ("[::0001]:8", "::1"), ("a:b", ""), ("[::1]x", ""), (" a ", "a"), ("a:", "")],
)
def test_host_is_read(host: str, name: str) -> None:
    assert read_host_name(host) == name


# -- the headers of every answer


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", "/t/fails", "/t/ledger", "/static/none"])
async def test_every_answer_says_what_a_browser_may_do_with_it(stage: Stage, path: str) -> None:
    answer = await stage.get(path, Accept="text/html")

    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["date"] == "Tue, 01 Sep 2026 12:00:00 GMT"
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


async def test_refusal_for_a_host_carries_it_too(stage: Stage) -> None:
    answer = await stage.get("/", Host="evil.example")

    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/", "/login", "/nothing"])
async def test_pages_hold_no_script_and_no_style_of_their_own(tmp_path: Path, path: str) -> None:
    """The content security policy would forbid them. Also, nothing is loaded from other sites."""
    async with a_stage(tmp_path, f"{TOKENS[:-1]}, anonymous: read}}") as stage:
        page = (await stage.get(path, Accept="text/html")).text

        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page)


async def test_cookie_over_tls_is_bound_to_the_host(tmp_path: Path) -> None:
    web = f"external_url: 'https://alertd.example.org', {TOKENS}"
    async with a_stage(tmp_path, web) as stage:
        answer = await stage.get("/login", Host="alertd.example.org")

        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-alertd=")
        assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_cookie_without_tls(tmp_path: Path) -> None:
    async with a_stage(tmp_path, TOKENS) as stage:
        answer = await stage.get("/login")

        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("alertd=")
        assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax")


async def test_who_only_reads_keeps_no_cookie(stage: Stage) -> None:
    assert "set-cookie" not in (await stage.get("/", Accept="text/html")).headers


async def test_links_begin_with_the_path_that_a_proxy_takes_off(tmp_path: Path) -> None:
    web = "auth: none, external_url: 'http://alertd.example.org/under/'"
    async with a_stage(tmp_path, web) as stage:
        page = (await stage.get("/nothing", Accept="text/html")).text

        assert 'href="/under/"' in page
        assert f'href="/under{asset_path("alertd.css")}"' in page
        assert stage.site.address("/x") == "http://alertd.example.org/under/x"


async def test_static_files_are_kept_for_good_under_a_name_of_their_content(stage: Stage) -> None:
    there = await stage.get(asset_path("alertd.css"))
    older = await stage.get("/static/alertd.000000000000.css")
    outside = await stage.get("/static/..%2fsite.py")

    assert there.headers["content-type"] == "text/css; charset=utf-8"
    assert there.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (there.status_code, older.status_code, outside.status_code) == (200, 404, 404)


async def test_no_other_origin_is_allowed_anything(stage: Stage) -> None:
    """Neither a request of another site's script nor its CORS preflight is allowed."""
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

    question = await stage.client().options("/healthz", headers=asked)
    answer = await stage.get("/healthz", Origin="https://evil.example")

    assert question.status_code == 405
    assert not [name for name in (*question.headers, *answer.headers) if name.startswith("access-control")]


async def test_login_form_is_one_for_password_managers(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: {users_file: users}") as stage:
        page = (await stage.get("/login")).text

        assert re.search(r'<input id="secret"[^>]*type="password" autocomplete="current-password"', page)
        assert re.search(r'<input id="name"[^>]*autocomplete="username"', page)


# -- refusals and failures


async def test_bug_is_logged_and_not_shown(stage: Stage) -> None:
    page = await stage.get("/t/fails", Accept="text/html")
    program = await stage.get("/api/v1/fails")

    assert (page.status_code, program.status_code) == (500, 500)
    assert "hunter2" not in page.text + program.text
    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["detail"] == "something went wrong; the log says what"
    failed = [event for event in stage.events if event["event"] == "request.failed"]
    assert [event["path"] for event in failed] == ["/t/fails", "/api/v1/fails"]
    assert str(failed[0]["exc_info"]) == "hunter2"


async def test_the_traceback_of_a_bug_is_logged_once_a_minute(stage: Stage) -> None:
    """A client that finds a bug cannot fill the log."""
    for wait_s in (0, 59, 1):
        stage.clock.seconds += wait_s
        await stage.get("/t/fails")

    failed = [event for event in stage.events if event["event"] == "request.failed"]
    assert [(event["level"], "exc_info" in event) for event in failed] == [
        ("error", True),
        ("debug", False),
        ("error", True),
    ]


@pytest.mark.parametrize(
    ("path", "header", "value", "status"),
    [
        ("/healthz", "authorization", b"Basic \xff", 400),
        ("/healthz", "authorization", b"Basic =", 400),
        ("/healthz", "authorization", b"Basic gICAgA==", 400),
        ("/metrics", "accept", b"application/openmetrics-text; version=x", 200),
        ("/metrics", "accept", b"text/plain; version=1.0.0.0.x; escaping=\xff", 200),
    ],
)
async def test_a_malformed_header_is_no_failure_of_the_server(
    tmp_path: Path, path: str, header: str, value: bytes, status: int
) -> None:
    async with a_stage(tmp_path, f"{TOKENS}, metrics: all") as stage:
        answer = await stage.client().get(path, headers=[(header.encode(), value)])

        assert answer.status_code == status
        assert [event["event"] for event in stage.events] == ["listener.opened"]


async def test_an_origin_that_is_no_address_is_of_another_site(stage: Stage) -> None:
    headers = {"origin": "http://[", "content-type": "application/json"}
    answer = await stage.client().post("/logout", headers=headers, content=b"{}")

    assert answer.status_code == 403
    assert [event for event in stage.events if event["event"] == "request.failed"] == []


async def test_ledger_that_cannot_be_used_is_said_so(stage: Stage) -> None:
    answer = await stage.get("/t/ledger")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/html", "text/html"), ("", "text/plain"), ("application/json", "application/problem+json")],
)
async def test_refusal_has_the_form_that_is_asked_for(stage: Stage, accept: str, kind: str) -> None:
    answer = await stage.get("/nothing", Accept=accept)

    assert answer.status_code == 404
    assert answer.headers["content-type"].partition(";")[0] == kind


async def test_what_is_in_an_address_is_escaped(stage: Stage) -> None:
    answer = await stage.get("/<script>alert(1)</script>", Accept="text/html")

    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
@pytest.mark.parametrize("chunked", [False, True])
async def test_body_is_bounded(stage: Stage, size: int, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * size

    content = chunks() if chunked else b"x" * size
    answer = await stage.client().post("/t/takes", content=content)

    assert answer.status_code == (200 if size == MAX_BODY else 413)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_upload_is_not_read(tmp_path: Path) -> None:
    """A form with a file is refused like a form without a CSRF token."""
    async with a_stage(tmp_path, TOKENS) as stage:
        browser = stage.client()
        token = csrf_of((await browser.get("/login")).text)

        answer = await browser.post("/login", data={"csrf": token}, files={"secret": b"x"})

        assert answer.status_code == 403


async def test_head_is_bounded(stage: Stage) -> None:
    answer = await _raw(stage, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (MAX_HEAD + 1))

    assert b" 400 " in answer.partition(b"\r\n")[0]


async def test_method_that_is_not_there_is_refused(stage: Stage) -> None:
    answers = [await stage.client().request(method, "/healthz") for method in ("POST", "TRACE", "PUT")]

    assert [answer.status_code for answer in answers] == [405] * 3


# -- health


async def test_ready_when_the_audit_passed(stage: Stage) -> None:
    alive, ready = await stage.get("/healthz"), await stage.get("/readyz", Accept="application/json")

    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert (ready.status_code, ready.json()) == (200, {"ok": True, "wrong": []})


FULL = AuditFinding(fault=AuditFault.UNWRITABLE, detail="the ledger cannot be written since 13:12Z: full")
FOUND = AuditFinding(fault=AuditFault.MISSING, detail="t/secret -7d for desk: not in the ledger")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"audit": None}, "it has not looked at everything once yet"),
        ({"is_well": False}, "the last audit is too old"),
        ({"findings": (FOUND,)}, str(FOUND)),
        # the faults that the daemon knows from memory, after which nothing else needs to be said
        ({"current": (FULL,)}, str(FULL)),
        ({"current": (FULL,), "is_well": False}, str(FULL)),
    ],
)
async def test_not_ready_says_why(stage: Stage, change: dict[str, object], wrong: str) -> None:
    if "findings" in change:
        change = {"audit": Audit(at=stage.clock.at, findings=(FOUND,))}
    stage.daemon_status = replace(stage.daemon_status, **change)  # type: ignore[arg-type]

    alive, ready = await stage.get("/healthz"), await stage.get("/readyz")

    assert alive.status_code == 200
    assert (ready.status_code, ready.text) == (503, f"{wrong}\n")


async def test_who_may_not_read_hears_the_kind_alone(tmp_path: Path) -> None:
    async with a_stage(tmp_path, TOKENS) as stage:
        stage.daemon_status = replace(stage.daemon_status, audit=Audit(at=stage.clock.at, findings=(FOUND,)))
        token = stage.token("probe", "read")

        anybody = await stage.get("/readyz")
        reader = await stage.get("/readyz", Authorization=f"Bearer {token}")

        assert (anybody.status_code, anybody.text) == (503, "missing\n")
        assert reader.text == f"{FOUND}\n"


async def test_what_an_audit_found_of_the_moment_does_not_outlast_it(stage: Stage) -> None:
    """Whether the ledger can be written is asked anew; an audit that found otherwise is older."""
    stage.daemon_status = replace(stage.daemon_status, audit=Audit(at=stage.clock.at, findings=(FULL,)))

    ready = await stage.get("/readyz")

    assert (ready.status_code, ready.text) == (200, "ok\n")


@pytest.mark.long
async def test_not_ready_while_the_ledger_hangs(stage: Stage) -> None:
    """A mount that hangs blocks the thread of the ledger; a probe is answered all the same."""
    released = threading.Event()
    blocked = asyncio.ensure_future(stage.ledger.read(lambda _connection: released.wait()))  # type: ignore[attr-defined]
    try:
        ready = await stage.get("/readyz")
    finally:
        released.set()
        await blocked

    assert (ready.status_code, ready.text) == (503, "the ledger does not answer\n")


async def test_not_ready_without_the_ledger(stage: Stage) -> None:
    await stage.ledger.close()

    answer = await stage.get("/readyz")

    assert (answer.status_code, answer.text) == (503, "the ledger cannot be used\n")


async def _raw(stage: Stage, request: bytes) -> bytes:
    host, _, port = stage.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    writer.write_eof()
    answer = await reader.read(65_536)
    writer.close()
    await writer.wait_closed()
    return answer

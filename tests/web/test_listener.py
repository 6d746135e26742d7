"""The life of the listener: bound and unavailable addresses, streams at the end, and the secret."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from alertd.core.access import Scope, Web
from alertd.core.planning.audit import AuditFault
from alertd.errors import SettingsError
from alertd.system.secrets import SecretUnreadable
from alertd.system.settings import Address, read_settings
from alertd.web.server.access import require_scope
from alertd.web.server.context import find_site
from alertd.web.server.signing import Signer, SiteSecret
from tests.web.stage import EVERYWHERE, a_stage


@require_scope(Scope.PUBLIC)
async def endless(request: Request) -> Response:
    async def stream() -> AsyncIterator[str]:
        yield "begun\n"
        await find_site(request).closing.wait()
        yield "ended\n"

    return StreamingResponse(stream())


async def test_address_that_is_in_use_costs_nothing_but_itself(tmp_path: Path) -> None:
    """The failure is a finding, and the listener tries again until the address is free."""
    taken = socket.create_server(("127.0.0.1", 0))
    async with a_stage(tmp_path, address=Address("127.0.0.1", taken.getsockname()[1])) as stage:
        found = stage.serving.findings()
        taken.close()
        stage.serving.findings()
        await stage.serving.settled()

        assert [(finding.fault, finding.detail) for finding in found] == [
            (AuditFault.UNHEARD, f"cannot listen on 127.0.0.1:{stage.port}: Address already in use")
        ]
        assert (await stage.get("/healthz")).text == "ok\n"
        assert stage.serving.findings() == ()
        told = [event["event"] for event in stage.events]
        assert told == ["listener.failed", "listener.opened"]


async def test_address_of_others_needs_a_word_on_who_may_come(tmp_path: Path) -> None:
    """The listener opens once alertd.yaml has authentication, and closes when a reload removes it."""
    async with a_stage(tmp_path, address=EVERYWHERE) as stage:
        closed = stage.serving.listener.addresses
        (finding,) = stage.serving.findings()

        stage.serving.use(stage.configure("auth: {tokens_file: tokens}"))
        await stage.serving.settled()
        opened = stage.serving.listener.addresses
        answer = await stage.client(base_url=stage.url.replace("0.0.0.0", "127.0.0.1")).get("/")

        stage.serving.use(stage.configure())
        await stage.serving.settled()

        assert closed == stage.serving.listener.addresses == ()
        assert "web.auth says nothing" in str(finding)
        assert len(opened) == 1
        assert answer.status_code == 401
        events = [event["event"] for event in stage.events]
        assert events == ["listener.failed", "listener.opened", "listener.closed", "listener.failed"]


async def test_explicit_none_opens_the_door(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: none", address=EVERYWHERE) as stage:
        assert len(stage.serving.listener.addresses) == 1


async def test_name_is_listened_on_at_all_of_its_addresses(tmp_path: Path) -> None:
    async with a_stage(tmp_path, address=Address("localhost", 0)) as stage:
        ports = {address.rpartition(":")[2] for address in stage.serving.listener.addresses}

        assert len(ports) == 1
        assert "0" not in ports


async def test_stream_ends_when_the_server_does(tmp_path: Path) -> None:
    heard = []
    async with (
        a_stage(tmp_path, routes=[Route("/t/endless", endless)]) as stage,
        stage.client().stream("GET", "/t/endless") as answer,
    ):
        port, lines = stage.port, answer.aiter_lines()
        heard.append(await anext(lines))

        closing = asyncio.create_task(stage.serving.close())
        heard += [line async for line in lines]
        await closing

    assert heard == ["begun", "ended"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_server_that_was_closed_stays_so(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        await stage.serving.close()
        await stage.serving.close()
        await stage.serving.open()

        assert stage.serving.listener.addresses == ()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("127.0.0.1:8480", Address("127.0.0.1", 8480)),
        ("[::1]:8480", Address("::1", 8480)),
        (":80", Address("", 80)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_address_is_read(text: str, address: Address | None) -> None:
    assert read_settings(listen=text).address == address


@pytest.mark.parametrize("text", ["8480", "::1:8480", "127.0.0.1:http", "127.0.0.1:65536", "", "[::1]"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="ALERTD_LISTEN"):
        read_settings(listen=text)


def test_own_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    made = [SiteSecret(Web, Path, tmp_path)() for _ in range(2)]

    assert made[0] == made[1]
    assert len(made[0]) >= 32
    assert (tmp_path / "web.key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["web.key"]


def test_secret_in_memory_is_another_one_for_each_process() -> None:
    assert SiteSecret(Web, Path, None)() != SiteSecret(Web, Path, None)()


def test_named_secret_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a" * 32)
    signer = Signer(SiteSecret(lambda: Web(secret_file="secret"), lambda name: tmp_path / name, None))
    before = signer.sign("link", "x")
    file.write_text("b" * 33)

    assert not signer.verify("link", "x", before)
    assert signer.verify("link", "x", signer.sign("link", "x"))
    assert signer.sign("link", "x") != signer.sign("feed", "x")


@pytest.mark.parametrize("content", [None, "short", "a" * 32 + "\nshort"])
def test_secret_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "secret").write_text(content)

    with pytest.raises(SecretUnreadable) as refused:
        SiteSecret(lambda: Web(secret_file="secret"), lambda name: tmp_path / name, None)()

    assert "short" not in str(refused.value)


def test_secrets_follow_each_other(tmp_path: Path) -> None:
    """The first line signs. The second line verifies until it is removed."""
    file = tmp_path / "secret"
    file.write_text("a" * 32 + "\n")
    signer = Signer(SiteSecret(lambda: Web(secret_file="secret"), lambda name: tmp_path / name, None))
    before = signer.sign("link", "x")

    file.write_text("b" * 32 + "\n" + "a" * 32 + "\n")
    after = signer.sign("link", "x")
    assert signer.verify("link", "x", before)
    assert after != before

    file.write_text("b" * 32 + "\n")
    assert not signer.verify("link", "x", before)
    assert signer.verify("link", "x", after)

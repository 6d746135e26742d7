"""TLS of webhooks, Slack and mail: which servers are trusted, and which client certificate is presented."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.notify.base import Env
from alertd.notify.http.client import HttpClient
from alertd.notify.http.reply import Reply
from alertd.notify.http.tls import SYSTEM, Tls, find_tls, make_context
from alertd.notify.registry import list_usable
from alertd.system.secrets import file_paths
from alertd.testing import HttpSink, SmtpSink, notifier_env, sample_message

TYPES = ("webhook", "slack", "email")


class Party:
    """A CA and the certificates that it has issued, as files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.client = self.ca.issue_cert("alertd@example.org")
        self.client.private_key_pem.write_to_path(str(folder / "client.key"))
        (folder / "client.pem").write_bytes(
            b"".join(certificate.bytes() for certificate in self.client.cert_chain_pems)
        )
        self.client.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))

    def server(self, name: str = "localhost", *, expired: bool = False, asks: bool = False) -> ssl.SSLContext:
        until = datetime(2021 if expired else 2100, 1, 1, tzinfo=UTC)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self.ca.issue_cert(name, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=until)
        certificate.configure_cert(context)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context


@pytest.fixture
def ours(tmp_path: Path) -> Party:
    return Party(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Party:
    return Party(tmp_path / "theirs")


class Rig:
    """A notifier and its server; ``arrived`` counts what the server has accepted."""

    def __init__(
        self, type_name: str, options: dict[str, object], env: Env, sink: HttpSink | SmtpSink
    ) -> None:
        made = list_usable()[type_name].load()
        self.env = env
        self.sink = sink
        self.notifier = made(made.Options.model_validate(options), env)

    async def send(self) -> Outcome:
        return await self.notifier.send(sample_message(), {})

    @property
    def arrived(self) -> int:
        return len(self.sink.requests if isinstance(self.sink, HttpSink) else self.sink.mails)


@asynccontextmanager
async def rig(type_name: str, context: ssl.SSLContext, **files: str) -> AsyncIterator[Rig]:
    """Yield the notifier and its running server; ``files`` are paths by option."""
    sink: HttpSink | SmtpSink
    sink = SmtpSink(tls="starttls", context=context) if type_name == "email" else HttpSink(tls=context)
    async with sink:
        options: dict[str, object]
        smtp = Smtp()
        if isinstance(sink, SmtpSink):
            relay = Smtp(host="localhost", port=sink.port, sender="a@example.org", starttls=True)
            smtp = replace(relay, **files)  # type: ignore[arg-type]
            options = {"to": ["desk@example.org"]}
        else:
            options = {"webhook_url" if type_name == "slack" else "url": f"{sink.url}/canary", **files}
        made = Rig(type_name, options, notifier_env(smtp=smtp), sink)
        try:
            yield made
        finally:
            await made.env.http.aclose()


@pytest.mark.parametrize("type_name", TYPES)
async def test_a_private_ca_is_trusted_when_it_is_named(type_name: str, ours: Party) -> None:
    """Only the notifier that names the CA trusts it."""
    async with rig(type_name, ours.server(), ca_file=str(ours.folder / "ca.pem")) as trusting:
        trusted = await trusting.send()
    async with rig(type_name, ours.server()) as other:
        untrusted = await other.send()

    assert isinstance(trusted, Sent)
    assert trusting.arrived == 1
    assert isinstance(untrusted, Retry)
    assert not untrusted.unknown
    assert other.arrived == 0


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(
    ("name", "expired", "by_whom", "said"),
    [
        # The certificate is for another host.
        ("other.example", False, "ours", "Hostname mismatch"),
        # The certificate is for the address, not for the name in the URL.
        ("127.0.0.1", False, "ours", "Hostname mismatch"),
        # The certificate has expired.
        ("localhost", True, "ours", "certificate has expired"),
        # No option names the certificate's CA.
        ("localhost", False, "theirs", "unable to get local issuer certificate"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told_and_nothing_is_sent(
    type_name: str, name: str, *, expired: bool, by_whom: str, said: str, ours: Party, theirs: Party
) -> None:
    """No option turns verification off, and the reason comes from OpenSSL."""
    context = {"ours": ours, "theirs": theirs}[by_whom].server(name, expired=expired)
    async with rig(type_name, context, ca_file=str(ours.folder / "ca.pem")) as attempt:
        outcome = await attempt.send()

    assert isinstance(outcome, Retry)
    assert f"its certificate is not trusted ({said}" in outcome.reason
    assert "canary" not in outcome.reason
    assert not outcome.unknown
    assert attempt.arrived == 0


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(
    "files",
    [{"client_cert_file": "client.pem", "client_key_file": "client.key"}, {"client_cert_file": "both.pem"}],
    ids=["two files", "one file"],
)
async def test_a_client_certificate_is_shown_to_who_asks(
    type_name: str, files: dict[str, str], ours: Party
) -> None:
    """The key may be in its own file."""
    paths = {key: str(ours.folder / name) for key, name in files.items()}
    async with rig(
        type_name, ours.server(asks=True), ca_file=str(ours.folder / "ca.pem"), **paths
    ) as attempt:
        outcome = await attempt.send()

    assert isinstance(outcome, Sent)
    assert attempt.arrived == 1


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("shown", [None, "theirs"])
async def test_who_asks_for_a_certificate_and_gets_none_of_theirs_takes_nothing(
    type_name: str, shown: str | None, ours: Party, theirs: Party
) -> None:
    """The send is retried, because the certificate may be installed later."""
    files = {"client_cert_file": str(theirs.folder / "both.pem")} if shown else {}
    async with rig(
        type_name, ours.server(asks=True), ca_file=str(ours.folder / "ca.pem"), **files
    ) as attempt:
        outcome = await attempt.send()

    assert isinstance(outcome, Retry)
    assert attempt.arrived == 0


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ca_file": "none.pem"}, "ca_file '{folder}/none.pem': no such file or directory"),
        ({"ca_file": "client.key"}, "ca_file '{folder}/client.key': not usable ("),
        ({"client_cert_file": "none.pem"}, "client_cert_file '{folder}/none.pem': no such file"),
        (
            {"client_cert_file": "client.pem"},
            "client_cert_file '{folder}/client.pem' and its key: not usable (",
        ),
        (
            {"client_cert_file": "client.pem", "client_key_file": "other.key"},
            "client_cert_file '{folder}/client.pem' and its key: not usable (KEY_VALUES_MISMATCH)",
        ),
        # OpenSSL would ask for the password on the terminal.
        (
            {"client_cert_file": "client.pem", "client_key_file": "encrypted.key"},
            "client_cert_file '{folder}/client.pem' and its key: not usable (",
        ),
    ],
)
async def test_a_file_that_cannot_be_used_is_named_and_tried_again(
    type_name: str, files: dict[str, str], said: str, ours: Party, theirs: Party
) -> None:
    """The error does not quote the file's contents."""
    key = ours.client.private_key_pem.bytes()
    (ours.folder / "other.key").write_bytes(theirs.client.private_key_pem.bytes())
    (ours.folder / "encrypted.key").write_bytes(
        load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"canary")
        )
    )
    paths = {name: str(ours.folder / file) for name, file in files.items()}
    async with rig(type_name, ours.server(), **paths) as attempt:
        outcome = await attempt.send()

    assert isinstance(outcome, Retry)
    assert said.format(folder=ours.folder) in outcome.reason
    assert not any(line in outcome.reason for line in key.decode().splitlines())
    assert attempt.arrived == 0


@pytest.mark.parametrize("type_name", ["webhook", "slack"])
def test_a_key_without_its_certificate_is_refused(type_name: str) -> None:
    """The configuration is wrong."""
    options = {
        "webhook_url" if type_name == "slack" else "url": "https://a.example/x",
        "client_key_file": "k",
    }

    with pytest.raises(ValidationError, match="client_key_file is nothing without client_cert_file"):
        list_usable()[type_name].load().Options.model_validate(options)


async def test_a_context_is_made_once_for_the_same_files_and_again_when_they_change(ours: Party) -> None:
    """Connections are kept until a certificate is replaced."""
    made = 0

    def trusted() -> ssl.SSLContext:
        nonlocal made
        made += 1
        context = ssl.create_default_context()
        ours.ca.configure_trust(context)
        return context

    class Files:
        ca_file = ""
        client_cert_file = str(ours.folder / "both.pem")
        client_key_file = ""

    client = HttpClient(trusted)
    async with HttpSink(tls=ours.server(asks=True)) as sink:
        for _ in range(3):
            assert isinstance(await client.post(sink.url, b"{}", {}, tls=find_tls(Files, Path)), Reply)
        kept = sink.connections
        replaced = ours.folder / "next.pem"
        ours.ca.issue_cert("next@example.org").private_key_and_cert_chain_pem.write_to_path(str(replaced))
        replaced.rename(Files.client_cert_file)
        assert isinstance(await client.post(sink.url, b"{}", {}, tls=find_tls(Files, Path)), Reply)
        await client.aclose()

    assert kept == 1
    assert sink.connections == 2
    assert made == 2


async def test_certificates_of_one_notifier_are_not_shown_by_another(ours: Party) -> None:
    """Each set of files has its own connections."""

    def trusted() -> ssl.SSLContext:
        context = ssl.create_default_context()
        ours.ca.configure_trust(context)
        return context

    client = HttpClient(trusted)
    with_one = Tls(cert=ours.folder / "both.pem")
    async with HttpSink(tls=ours.server(asks=True)) as sink:
        first = await client.post(sink.url, b"{}", {}, tls=with_one)
        second = await client.post(sink.url, b"{}", {}, tls=SYSTEM)
        await client.aclose()

    assert isinstance(first, Reply)
    assert isinstance(second, Retry)
    assert len(sink.requests) == 1


def test_files_are_looked_for_where_secrets_are(tmp_path: Path) -> None:
    """A file name is searched for among the credentials first; a path starts at the configuration folder."""
    credentials, folder = tmp_path / "credentials", tmp_path / "config"
    for place in (credentials, folder / "tls"):
        place.mkdir(parents=True)
    (credentials / "alertd_ca.pem").touch()
    (folder / "client.pem").touch()
    find = file_paths(folder, {"CREDENTIALS_DIRECTORY": str(credentials)})

    assert find("ca.pem") == credentials / "alertd_ca.pem"
    assert find("client.pem") == folder / "client.pem"
    assert find("tls/x.pem") == folder / "tls" / "x.pem"
    assert find("/etc/x.pem") == Path("/etc/x.pem")
    assert find("nowhere.pem") == folder / "nowhere.pem"


def test_every_context_verifies(ours: Party) -> None:
    """Verification is on for all combinations of files."""
    for tls in (SYSTEM, Tls(ca=ours.folder / "ca.pem"), Tls(cert=ours.folder / "both.pem")):
        context = make_context(tls)

        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_a_server_that_stops_in_the_handshake_is_cut_off() -> None:
    """The deadline covers the TLS handshake too, and nothing was written."""
    hold = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = HttpClient()
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    answer = await client.post(url, b"{}", {}, timeout_s=0.2)
    await client.aclose()
    hold.set()
    server.close()
    await server.wait_closed()

    assert answer == Retry(reason=f"{url} did not answer within 0.2 s")

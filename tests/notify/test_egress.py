"""Connections: the address that is checked is the address that is connected to, in every spelling.

The tests connect only to loopback: 127.0.0.2 represents a public address, 127.0.0.3 a private one that a
forged DNS answer gives.
"""

import asyncio
import io
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from alertd.app import make_notifiers
from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.network import Network, Reach
from alertd.definitions.config.read import read_config
from alertd.notify.email.notifier import EmailNotifier, EmailOptions
from alertd.notify.http.client import HttpClient
from alertd.notify.http.egress import AddressRefused, Egress, Resolver, numeric, system_lookup
from alertd.notify.http.reply import Answer, Reply
from alertd.notify.webhook.notifier import WebhookOptions
from alertd.testing import FixedClock, HttpSink, SmtpSink, notifier_env, sample_message

PUBLIC = Network(policy=Reach.PUBLIC)
PUBLIC_AND_127_0_0_2 = Network(policy=Reach.PUBLIC, allow=(ip_network("127.0.0.2"),))


class Liar:
    """A resolver that gives each of its answers once, and then repeats the last one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        return tuple(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@asynccontextmanager
async def listening(*addresses: str) -> AsyncIterator[tuple[int, list[str]]]:
    """Listen at one port on several addresses. Yield the port, and the addresses that were connected to."""
    reached: list[str] = []

    def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("sockname")[0])
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    first = await asyncio.start_server(answered, addresses[0], 0)
    port = first.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(answered, address, port) for address in addresses[1:]]
    try:
        yield port, reached
    finally:
        for server in (first, *others):
            server.close()
            await server.wait_closed()


async def post(url: str, egress: Egress, timeout_s: float = 10) -> Answer:
    client = HttpClient(egress=egress)
    try:
        return await client.post(f"{url}/canary?key=canary", b"{}", {}, timeout_s=timeout_s)
    finally:
        await client.aclose()


async def mail(host: str, port: int, egress: Egress, timeout_s: float = 10) -> Outcome:
    smtp = Smtp(host=host, port=port, sender="alertd@example.org", timeout_s=timeout_s)
    env = notifier_env(smtp=smtp, egress=egress)
    options = EmailOptions.model_validate({"to": ["desk@example.org"]})
    return await EmailNotifier(options, env).send(sample_message(), {})


SPELLINGS = [
    # The usual spelling.
    "127.0.0.1",
    # Fewer parts, a single number, hexadecimal and octal numbers, and mixtures (inet_aton(3)).
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.0x1",
    # IPv6, and IPv4 within IPv6.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    # Other addresses of this machine.
    "0.0.0.0",
    "[::]",
    "0",
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_address_gets_past_the_policy_by_http(host: str) -> None:
    """alertd connects to a normalized address, and makes no name look-up for any spelling of an address."""
    liar = Liar(["127.0.0.2"])
    async with listening("127.0.0.1", "::1") as (port, reached):
        answer = await post(f"http://{host}:{port}", Egress(PUBLIC, liar))

    assert isinstance(answer, Rejected)
    assert "canary" not in answer.reason
    assert reached == []
    assert liar.asked == []


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_address_gets_past_the_policy_by_mail(host: str) -> None:
    """The relay's address is checked like a webhook's."""
    liar = Liar(["127.0.0.2"])
    async with listening("127.0.0.1", "::1") as (port, reached):
        outcome = await mail(host.strip("[]"), port, Egress(PUBLIC, liar))

    assert isinstance(outcome, Rejected)
    assert reached == []
    assert liar.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
async def test_the_own_network_is_reached_by_default(host: str) -> None:
    """A user who posts to their own machine or network has nothing to configure."""
    async with listening("127.0.0.1", "::1") as (port, reached):
        answer = await post(f"http://{host}:{port}", Egress())

    assert isinstance(answer, Reply)
    assert len(reached) == 1


METADATA = ["169.254.169.254", "[fe80::a9fe:a9fe]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]"]


@pytest.mark.parametrize("host", [*METADATA, "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]"])
@pytest.mark.parametrize(
    "network",
    [Network(), Network(policy=Reach.PUBLIC, allow=(ip_network("0.0.0.0/0"), ip_network("::/0")))],
    ids=["internal", "all allowed"],
)
async def test_metadata_is_reached_under_no_policy(host: str, network: Network) -> None:
    """Neither a webhook nor a mail relay may be there, and the refusal is immediate."""
    answer = await post(f"http://{host}", Egress(network), timeout_s=1)
    outcome = await mail(host.strip("[]"), 25, Egress(network), timeout_s=1)

    for refused in (answer, outcome):
        assert isinstance(refused, Rejected)
        assert refused.reason.endswith("always refused")


async def test_a_refusal_names_the_address_and_what_would_allow_it() -> None:
    """The reason contains only the URL's scheme and host."""
    liar = Liar(["10.0.0.7"])

    answer = await post("http://hook.example", Egress(PUBLIC, liar))
    outcome = await mail("relay.example", 25, Egress(PUBLIC, liar))

    why = "10.0.0.7 is private (10.0.0.0/8), which network: public refuses unless network.allow names it"
    # A name may resolve to another address later, so these are retried.
    assert answer == Retry(reason=f"http://hook.example is not connected to: {why}")
    assert outcome == Retry(reason=f"mail relay relay.example:25 is not connected to: {why}")


async def test_a_name_that_changes_its_mind_is_not_followed_by_http() -> None:
    """DNS rebinding: the second DNS answer gives a private address, and is checked like the first."""
    egress = Egress(PUBLIC_AND_127_0_0_2, Liar(["127.0.0.2"], ["127.0.0.3"]))
    async with listening("127.0.0.2", "127.0.0.3") as (port, reached):
        first = await post(f"http://hook.example:{port}", egress)
        second = await post(f"http://hook.example:{port}", egress)

    assert isinstance(first, Reply)
    assert isinstance(second, Retry)
    assert "127.0.0.3 is loopback" in second.reason
    assert reached == ["127.0.0.2"]


async def test_a_name_is_asked_for_once_a_connection() -> None:
    """There is no second look-up between the check and the connection."""
    liar = Liar(["127.0.0.2"], ["127.0.0.3"])
    async with listening("127.0.0.2", "127.0.0.3") as (port, reached):
        await post(f"http://hook.example:{port}", Egress(PUBLIC_AND_127_0_0_2, liar))
        await mail("relay.example", port, Egress(PUBLIC_AND_127_0_0_2, Liar(["127.0.0.2"], ["127.0.0.3"])))

    assert liar.asked == ["hook.example"]
    assert reached == ["127.0.0.2", "127.0.0.2"]


async def test_of_several_addresses_only_those_that_may_be_are_connected_to() -> None:
    """If a DNS answer has a private and a public address, only the public one is connected to."""
    liar = Liar(["127.0.0.3", "169.254.169.254", "::1", "127.0.0.2"])
    async with listening("127.0.0.2", "127.0.0.3", "::1") as (port, reached):
        answer = await post(f"http://hook.example:{port}", Egress(PUBLIC_AND_127_0_0_2, liar))
        outcome = await mail("relay.example", port, Egress(PUBLIC_AND_127_0_0_2, liar))

    assert isinstance(answer, Reply)
    assert isinstance(outcome, Retry)  # the server speaks no SMTP
    assert reached == ["127.0.0.2", "127.0.0.2"]


async def test_mail_takes_the_next_address_when_one_does_not_answer() -> None:
    """A relay still gets mail if one of its addresses does not respond."""
    async with SmtpSink() as sink:
        outcome = await mail("relay.example", sink.port, Egress(resolve=Liar(["127.0.0.2", "127.0.0.1"])))

    assert outcome == Sent()


async def test_a_connection_does_not_outlive_the_policy_it_was_made_under() -> None:
    """A connection that a new policy refuses is closed."""
    client = HttpClient(egress=Egress())
    async with HttpSink() as sink:
        before = await client.post(sink.url, b"{}", {})
        client.egress.network = PUBLIC
        after = await client.post(sink.url, b"{}", {})
        client.egress.network = Network()
        again = await client.post(sink.url, b"{}", {})
        await client.aclose()

    assert [type(answer) for answer in (before, after, again)] == [Reply, Rejected, Reply]
    assert len(sink.requests) == 2


async def test_a_request_under_way_ends_as_it_began_when_the_policy_changes() -> None:
    """A reload interrupts no request."""
    egress = Egress(resolve=Liar(["127.0.0.1"]))
    client = HttpClient(egress=egress)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://hook.example:{server.sockets[0].getsockname()[1]}"
    under_way = asyncio.create_task(client.post(url, b"{}", {}))
    await arrived.wait()
    egress.network = PUBLIC
    refused = await client.post(url, b"{}", {})
    go_on.set()
    ended = await under_way
    await client.aclose()
    server.close()
    await server.wait_closed()

    assert isinstance(refused, Retry)
    assert isinstance(ended, Reply)
    assert ended.body == b"ok"


async def test_the_configuration_s_network_is_in_force_once_its_notifiers_are_made(tmp_path: Path) -> None:
    """The policy takes effect from the file to the socket, and a reload changes it."""
    http = HttpClient()
    async with HttpSink() as sink:
        ends = []
        for network in (
            "public",
            "internal",
            f"{{policy: public, allow: [{sink.url[7:].partition(':')[0]}]}}",
        ):
            text = (
                f"network: {network}\nroute: {{receiver: a}}\n"
                f"receivers: [{{name: a, notifiers: [{{type: webhook, url: '{sink.url}/x'}}]}}]\n"
            )
            config = read_config(text.encode(), {"webhook": WebhookOptions}).config
            assert config is not None
            made = make_notifiers(config, tmp_path, http, FixedClock(), io.StringIO())
            ends.append(type(await made["a/webhook"].send(sample_message(), {})))
        await http.aclose()

    assert ends == [Rejected, Sent, Sent]


async def test_a_look_up_that_never_ends_is_cut_off_by_the_deadline() -> None:
    """The deadline covers look-ups too, and the outcome is not unknown because nothing was written."""

    async def silent(host: str) -> tuple[str, ...]:
        await asyncio.get_running_loop().create_future()
        return ()

    answer = await post("http://hook.example", Egress(resolve=silent), timeout_s=0.05)
    outcome = await mail("relay.example", 25, Egress(resolve=silent), timeout_s=0.05)

    assert answer == Retry(reason="http://hook.example did not answer within 0.05 s")
    assert outcome == Retry(reason="mail relay relay.example:25 did not answer within 0.05 s")


async def test_a_name_without_addresses_does_not_resolve() -> None:
    """An empty DNS answer counts as a failed look-up."""
    answer = await post("http://hook.example", Egress(resolve=Liar([])))
    outcome = await mail("relay.example", 25, Egress(resolve=Liar([])))

    assert isinstance(answer, Retry)
    assert outcome == Retry(reason="mail relay relay.example:25 cannot be used: its name does not resolve")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "-", "a.example.", "%31%32%37.0.0.1"])
async def test_a_host_that_can_be_no_name_is_an_outcome(host: str) -> None:
    """No host that a URL can contain leads to an exception."""

    async def lookup(name: str) -> tuple[str, ...]:
        if numeric(name):
            return (numeric(name),)
        raise socket.gaierror(socket.EAI_NONAME, "no")

    answer = await post(f"http://{host}", Egress(PUBLIC, lookup))

    assert isinstance(answer, Retry | Rejected)


def test_names_that_no_name_server_can_know_do_not_resolve() -> None:
    """Such names are refused without a look-up."""
    with pytest.raises(socket.gaierror):
        system_lookup("a" * 64 + ".example")


async def test_a_name_is_looked_up_once_however_many_ask() -> None:
    """A caller that is cancelled does not cancel the look-up for the remaining callers."""
    go_on = threading.Event()
    asked: list[str] = []

    def slow(host: str) -> tuple[str, ...]:
        asked.append(host)
        go_on.wait(10)
        return ("127.0.0.1",)

    names = Resolver(slow)
    first, second = (asyncio.create_task(names("hook.example")) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    first.cancel()
    go_on.set()

    assert await second == ("127.0.0.1",)
    assert asked == ["hook.example"]
    assert await names("hook.example") == ("127.0.0.1",)
    assert asked == ["hook.example", "hook.example"]


async def test_names_that_hang_hold_up_no_other_until_there_are_too_many() -> None:
    """Each look-up has its own thread. Their number is limited; beyond the limit, alertd retries later."""
    go_on = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        if host.startswith("hangs"):
            go_on.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answered")
        return ("127.0.0.1",)

    names = Resolver(lookup, limit=3)
    hanging = [asyncio.create_task(names(f"hangs-{n}.example")) for n in range(2)]
    await asyncio.wait(hanging, timeout=0)
    quick = await names("quick.example")
    hanging.append(asyncio.create_task(names("hangs-2.example")))
    await asyncio.wait(hanging, timeout=0)
    with pytest.raises(OSError, match="3 names are being looked up already"):
        await names("quick.example")
    go_on.set()
    ends = await asyncio.gather(*hanging, return_exceptions=True)

    assert quick == ("127.0.0.1",)
    assert [type(end) for end in ends] == [socket.gaierror] * 3


def test_a_refusal_is_an_error_of_the_machine() -> None:
    """An OSError makes every library that opens sockets try the next address."""
    with pytest.raises(AddressRefused) as refused:
        Egress(PUBLIC).open("127.0.0.1")

    assert isinstance(refused.value, OSError)

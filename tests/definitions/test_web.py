"""Test how the section `web` is read, and on which addresses alertd may then listen."""

from ipaddress import ip_network

import pytest

from alertd.core.access import NO_AUTH, Auth, MetricsFor, Scope, Web, check_listening
from alertd.definitions.config.read import read_config

WHOLE = """
web:
  external_url: "https://Alertd.Example.org:8443/under/"
  hosts: [Inside.example., "[2001:DB8::0001]"]
  auth: {tokens_file: t, users_file: u, proxy_header: X-Remote-User, proxy_scope: read, anonymous: read}
  proxies: [127.0.0.1, "fd00::/8"]
  secret_file: s
  embed: ["https://Wiki.example.org/", "http://127.0.0.1:8000"]
  metrics: all
  metrics_per_milestone: true
"""


def read(text: str) -> Web:
    found = read_config(text.encode(), {}, None)
    assert found.config is not None, found.problems
    return found.config.web


def test_every_key_is_read() -> None:
    assert read(WHOLE) == Web(
        external_url="https://alertd.example.org:8443/under",
        hosts=("inside.example", "2001:db8::1"),
        auth=Auth(
            tokens_file="t",
            users_file="u",
            proxy_header="x-remote-user",
            proxy_scope=Scope.READ,
            anonymous=Scope.READ,
        ),
        proxies=(ip_network("127.0.0.1"), ip_network("fd00::/8")),
        secret_file="s",
        embed=("https://wiki.example.org", "http://127.0.0.1:8000"),
        metrics=MetricsFor.ALL,
        metrics_per_milestone=True,
    )


def test_names_and_the_path_come_from_the_external_url() -> None:
    web = read(WHOLE)

    own = ("localhost", "127.0.0.1", "::1")
    assert web.names == (*own, "alertd.example.org", "inside.example", "2001:db8::1")
    assert (web.root, web.is_https) == ("/under", True)
    assert read("web: {external_url: 'http://[::1]:80', auth: none}").external_host == "::1"


def test_default_is_open_to_this_machine() -> None:
    web = read("timezone: UTC")

    assert web == Web()
    assert web.access == NO_AUTH
    assert web.access.anonymous is Scope.ADMIN


@pytest.mark.parametrize(
    "text", ["web: {external_url: 'http://localhost:8480'}", "web: {hosts: ['127.0.0.2']}"]
)
def test_name_of_this_machine_needs_no_auth(text: str) -> None:
    assert read(text).auth is None


@pytest.mark.parametrize(
    ("auth", "on_loopback", "allowed"),
    [
        (None, True, True),
        (None, False, False),
        (NO_AUTH, False, True),
        (Auth(tokens_file="t"), False, True),
    ],
)
def test_beyond_this_machine_the_file_says_who_may_come(
    auth: Auth | None, on_loopback: bool, allowed: bool
) -> None:
    listening = check_listening(Web(auth=auth), on_loopback=on_loopback)

    assert listening.allowed is allowed
    assert allowed or "web.auth says nothing" in listening.refusal

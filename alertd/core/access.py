"""The value of ``web:`` in ``alertd.yaml``: the permissions of users, and the host names of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from alertd.core.network import Block

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Hosts that the server always accepts, so that a browser on this machine can reach it."""


class Scope(IntEnum):
    """A permission. Each scope includes the scopes before it."""

    PUBLIC = 0
    FEED = 1
    READ = 2
    ACT = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The word for the scope in files and on pages."""
        return self.name.lower()


SCOPES = {scope.word: scope for scope in (Scope.FEED, Scope.READ, Scope.ACT, Scope.ADMIN)}
"""The scopes that a token, a user or the users of a proxy can have, by word."""


class MetricsFor(StrEnum):
    """Who may read ``/metrics``."""

    READ = "read"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How the server authenticates requests.

    Attributes:
        tokens_file: the file with one token on each line, a systemd credential or a path; "" for none.
        users_file: the file with users and passwords, a systemd credential or a path; "" for none.
        proxy_header: the request header in which a trusted proxy names the user; "" for none.
        proxy_scope: the scope of users that a trusted proxy names.
        anonymous: the scope of requests without credentials.
    """

    tokens_file: str = ""
    users_file: str = ""
    proxy_header: str = ""
    proxy_scope: Scope = Scope.ACT
    anonymous: Scope = Scope.PUBLIC


NO_AUTH = Auth(anonymous=Scope.ADMIN)
"""The authentication for ``auth: none``: every request has all permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The web server.

    Attributes:
        external_url: the start of every link in messages, without a slash at the end; "" for no links.
        auth: the authentication; None when the file does not set it, which is allowed only on a loopback
            address.
        hosts: host names of the server, in addition to the host of ``external_url`` and
            :data:`LOOPBACK_NAMES`.
        proxies: networks of the proxies in front of the server. alertd trusts the client address and the user
            that these proxies report.
        secret_file: the file with the key that signs sessions and links, which is the same on all nodes. ""
            for a file beside the ledger, which alertd creates if it is missing.
        embed: the sites whose pages may embed a countdown, each as ``https://host``, optionally with a port.
        metrics: who may read ``/metrics``.
        metrics_per_milestone: whether each deadline has a metric.
    """

    external_url: str = ""
    auth: Auth | None = None
    hosts: tuple[str, ...] = ()
    proxies: tuple[Block, ...] = ()
    secret_file: str = ""
    embed: tuple[str, ...] = ()
    metrics: MetricsFor = MetricsFor.READ
    metrics_per_milestone: bool = False

    @property
    def access(self) -> Auth:
        """The authentication that applies."""
        return self.auth or NO_AUTH

    @property
    def is_https(self) -> bool:
        """Whether people reach the server over TLS."""
        return self.external_url.startswith("https://")

    @property
    def names(self) -> tuple[str, ...]:
        """Every host that the server accepts, in lower case and without a port."""
        return tuple(dict.fromkeys(filter(None, (*LOOPBACK_NAMES, self.external_host, *self.hosts))))

    @property
    def external_host(self) -> str:
        """The host of ``external_url`` in lower case, without port and brackets; "" if there is no URL."""
        place = self.external_url.partition("://")[2].partition("/")[0].lower()
        if place.startswith("["):
            return place[1:].partition("]")[0]
        return place.partition(":")[0]

    @property
    def root(self) -> str:
        """The path of ``external_url``, which a proxy removes before it forwards a request; usually ""."""
        _, slash, path = self.external_url.partition("://")[2].partition("/")
        return f"{slash}{path}".rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The decision whether the server may listen on an address.

    Attributes:
        refusal: the reason why it may not listen; "" when it may.
    """

    refusal: str = field(default="")

    @property
    def allowed(self) -> bool:
        """Whether the server may listen on the address."""
        return not self.refusal


def check_listening(web: Web, *, on_loopback: bool) -> Listening:
    """Decide whether the server may listen on an address.

    An address that other machines can reach is allowed only if the file sets ``web.auth``.

    Args:
        web: the settings of the server.
        on_loopback: whether the address is a loopback address.
    """
    if on_loopback or web.auth is not None:
        return Listening()
    return Listening(
        refusal="the address can be reached from other machines and web.auth says nothing; "
        "set web.auth in alertd.yaml, or listen on 127.0.0.1"
    )

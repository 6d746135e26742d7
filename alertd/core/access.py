"""What ``web:`` in ``alertd.yaml`` says: who may see and do what, and the names of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from alertd.core.network import Block

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Hosts that a browser on this machine may ask for, whatever the file says."""


class Scope(IntEnum):
    """What somebody may do; each includes those before it."""

    PUBLIC = 0
    FEED = 1
    READ = 2
    ACT = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """As the files and the pages have it."""
        return self.name.lower()


SCOPES = {scope.word: scope for scope in (Scope.FEED, Scope.READ, Scope.ACT, Scope.ADMIN)}
"""What a token, a user or a proxy's users can be given, by word."""


class MetricsFor(StrEnum):
    """Who may read ``/metrics``."""

    READ = "read"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How somebody shows who they are.

    Attributes:
        tokens_file: a systemd credential or a path; a line a token. "" for none.
        users_file: the same for people with passwords.
        proxy_header: in which a trusted proxy says who it is; "" for none.
        proxy_scope: what those whom it names may do.
        anonymous: what those may do who show nothing.
    """

    tokens_file: str = ""
    users_file: str = ""
    proxy_header: str = ""
    proxy_scope: Scope = Scope.ACT
    anonymous: Scope = Scope.PUBLIC


NO_AUTH = Auth(anonymous=Scope.ADMIN)
"""``auth: none``: whoever reaches it may do everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The web server.

    Attributes:
        external_url: what links in messages begin with, without a slash at the end; "": they have none.
        auth: None: the file says nothing, which will do on a loopback address alone.
        hosts: names under which it is reached, beside ``external_url``'s and the machine's own.
        proxies: networks of the proxies in front of it, whose word on who asks is taken.
        secret_file: what sessions and links are signed with; the same on all nodes. "": a file beside the
            ledger, made when there is none.
        embed: the sites whose pages may have a countdown within them, ``https://host`` or with a port each.
        metrics: who may read ``/metrics``.
        metrics_per_milestone: whether there is a metric for each deadline.
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
        """The authentication that is in force."""
        return self.auth or NO_AUTH

    @property
    def is_https(self) -> bool:
        """Whether people reach it over TLS."""
        return self.external_url.startswith("https://")

    @property
    def names(self) -> tuple[str, ...]:
        """Every host that may be asked for, in lower case, without a port."""
        return tuple(dict.fromkeys(filter(None, (*LOOPBACK_NAMES, self.external_host, *self.hosts))))

    @property
    def external_host(self) -> str:
        """The host of ``external_url``, in lower case, without port and brackets; "" without one."""
        place = self.external_url.partition("://")[2].partition("/")[0].lower()
        if place.startswith("["):
            return place[1:].partition("]")[0]
        return place.partition(":")[0]

    @property
    def root(self) -> str:
        """The path of ``external_url``, which a proxy takes off before it passes a request on; mostly ""."""
        _, slash, path = self.external_url.partition("://")[2].partition("/")
        return f"{slash}{path}".rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Whether an address may be listened on.

    Attributes:
        refusal: why not; "" when it may.
    """

    refusal: str = field(default="")

    @property
    def allowed(self) -> bool:
        return not self.refusal


def check_listening(web: Web, *, on_loopback: bool) -> Listening:
    """Beyond this machine, only once the file says who may come in."""
    if on_loopback or web.auth is not None:
        return Listening()
    return Listening(
        refusal="the address can be reached from other machines and web.auth says nothing; "
        "set web.auth in alertd.yaml, or listen on 127.0.0.1"
    )

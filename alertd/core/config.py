"""The files people write, once read and checked: configuration and timelines as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from alertd.core.access import Web
from alertd.core.ledger.backpressure import Rate
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.network import Network
from alertd.core.routing.route import Quiet, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierSpec:
    """One entry under a receiver's ``notifiers``.

    Attributes:
        name: stable within the receiver; the type when the file names none. Delivery ids are made
            of it, so that reordering the list changes nothing.
        type: name of the entry point in the group ``alertd.notifiers``.
        options: an instance of that notifier's ``Options``.
        rate: how fast it may be sent to; None: as its type says.
        fingerprint: of the options as they are written; by it a change of them is seen.
        follows: whether it shows where a milestone stands, and so is told of an acknowledgement or a
            cancellation.
    """

    name: str
    type: str
    options: object
    rate: Rate | None = None
    fingerprint: str = ""
    follows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told: a name, and one or more ways to tell them.

    Attributes:
        zone: of its quiet hours and its digests; None: the file's.
        quiet: when it is left in peace; the root route has the same, for those who only see that.
    """

    name: str
    notifiers: tuple[NotifierSpec, ...] = ()
    zone: ZoneInfo | None = None
    quiet: Quiet | None = None


def list_followers(receiver: Receiver) -> tuple[str, ...]:
    """The names of its notifiers that follow where a milestone stands."""
    return tuple(spec.name for spec in receiver.notifiers if spec.follows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The mail relay.

    Attributes:
        starttls: upgrade before anything is sent, and fail when the relay does not offer it.
        tls: TLS from the first byte; excludes ``starttls``.
        insecure_auth: the password may cross the network in the clear.
        sender: ``from:`` in the file, an address or ``Name <address>``.
        password_file: a systemd credential or a path.
        ca_file: certificates to trust instead of the system's; a systemd credential or a path.
        client_cert_file: what to show a relay that asks for a certificate.
        client_key_file: its key, unless the certificate's file holds it.
        timeout_s: for a whole message, connecting included.
    """

    host: str = "localhost"
    port: int = 25
    starttls: bool = False
    tls: bool = False
    insecure_auth: bool = False
    sender: str = "alertd@localhost"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The dead man's switch: an address that is told, each minute, how the self-audit ended.

    Attributes:
        url, url_file: one of the two; it is a secret.
    """

    url: str = field(default="", repr=False)
    url_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``alertd.yaml``.

    Attributes:
        catch_up: what is later than this is recorded as expired and not sent.
        damping: a window that flips back within this time says nothing.
        retry_for: how long a delivery is tried before it is dead.
        ack_expires: how long an acknowledgement without ``--until`` holds.
        keep: how long the ledger remembers a milestone that was withdrawn, and a notice to the operator.
        operator: the receiver that is told what goes wrong with alertd itself; "" for none.
        fallback_receiver: the receiver that gets what is dead; "" for none.
        network: which addresses may be connected to.
        heartbeat: the dead man's switch; None for none.
        web: the web server.
    """

    zone: ZoneInfo
    catch_up: timedelta = timedelta(days=35)
    damping: timedelta = timedelta(hours=1)
    retry_for: timedelta = timedelta(hours=72)
    ack_expires: timedelta = timedelta(days=14)
    keep: timedelta = timedelta(days=730)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    route: Route
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    operator: str = ""
    fallback_receiver: str = ""
    smtp: Smtp = field(default_factory=Smtp)
    network: Network = field(default_factory=Network)
    heartbeat: Heartbeat | None = None
    web: Web = field(default_factory=Web)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One definition file: milestones that belong together.

    Attributes:
        file: name relative to the configuration folder, such as ``milestones/iraq.yaml``.
        milestones: in the order of the file, relative claims not yet resolved, recurring ones
            not yet expanded.
        description: a longer text for people.
        url: where to read more.
    """

    id: str
    title: str
    file: str
    milestones: tuple[Milestone, ...] = ()
    description: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in a file. ``line`` and ``column`` count from 1.

    ``str()`` gives ``file:line:column: message``.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """All that was read from a configuration folder.

    Attributes:
        config: None when ``alertd.yaml`` itself has a problem.
        timelines: of the files without a problem.
        problems: of all files, sorted by file, line and column.
        broken: the definition files that have a problem; what was last known of them stays.
        fingerprint: of the bytes of all files, for telling two configurations apart.
    """

    config: Config | None
    timelines: tuple[Timeline, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    fingerprint: str = ""

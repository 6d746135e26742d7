"""The contents of the configuration and of timeline files, after alertd has read and checked the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
        name: the name within the receiver; the type when the file gives no name. Delivery ids are computed
            from this name, so a new order of the list changes no id.
        type: the name of the entry point in the group ``alertd.notifiers``.
        options: an instance of the notifier's ``Options``.
        rate: the rate limit; None for the default of the type.
        fingerprint: the fingerprint of the options as written, which shows when the options have changed.
        follows: whether the notifier shows the status of a milestone. Such a notifier also gets
            acknowledgements and cancellations.
    """

    name: str
    type: str
    options: object
    rate: Rate | None = None
    fingerprint: str = ""
    follows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A recipient of messages, and the notifiers that send the messages.

    Attributes:
        name: the name that routes use.
        notifiers: the notifiers, in the order of the file.
        zone: the time zone of the quiet hours and the digests; None for the time zone of the configuration.
        quiet: the quiet hours; None for none. The root route has a copy, for code that has only the routes.
    """

    name: str
    notifiers: tuple[NotifierSpec, ...] = ()
    zone: ZoneInfo | None = None
    quiet: Quiet | None = None


def list_followers(receiver: Receiver) -> tuple[str, ...]:
    """Return the names of the receiver's notifiers that follow the status of a milestone."""
    return tuple(spec.name for spec in receiver.notifiers if spec.follows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The mail relay.

    Attributes:
        host: the host name or address of the relay.
        port: the TCP port of the relay.
        starttls: switch to TLS before sending, and fail when the relay does not support STARTTLS.
        tls: use TLS from the first byte. This option excludes ``starttls``.
        insecure_auth: allow sending the password without encryption.
        sender: the value of ``from:``, an address or ``Name <address>``.
        username: the user name for the relay; "" for no authentication.
        password_file: the file with the password, a systemd credential or a path.
        ca_file: a file with certificates to trust instead of the system's, a systemd credential or a path.
        client_cert_file: a file with the certificate for a relay that requires a client certificate.
        client_key_file: the file with the key of this certificate; "" when the certificate file contains the
            key.
        timeout_s: the time limit for a whole message in seconds, including the connection.
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
    """The dead man's switch: alertd sends the result of its self-audit to an address every minute.

    Attributes:
        url: the address, which is a secret; "" when ``url_file`` gives it.
        url_file: the file with the address, a systemd credential or a path; "" when ``url`` gives it.
    """

    url: str = field(default="", repr=False)
    url_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The content of ``alertd.yaml``.

    Attributes:
        zone: the default time zone.
        catch_up: a reminder that is later than this is recorded as expired and is not sent.
        damping: alertd sends no message about a window that moves and moves back within this time.
        retry_for: how long alertd retries a delivery before it marks the delivery as dead.
        ack_expires: how long an acknowledgement without ``--until`` applies.
        keep: how long the ledger keeps a withdrawn milestone, a repeat and a notice to the operator.
        policies: the policies by name.
        route: the root of the routes.
        receivers: the receivers by name.
        operator: the name of the receiver for problems of alertd itself; "" for none.
        fallback_receiver: the name of the receiver for dead deliveries; "" for none.
        smtp: the mail relay.
        network: the addresses that alertd may connect to.
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
class UnreadMilestones:
    """What is known of the milestones of a timeline that are in its file, and not in memory.

    Attributes:
        count: the number of milestones.
        bases: the full ids of the milestones that their deadlines count from.
    """

    count: int
    bases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One definition file: milestones that belong together.

    Attributes:
        id: the id of the timeline.
        title: the title for people.
        file: the path relative to the configuration folder, such as ``milestones/iraq.yaml``.
        milestones: the milestones in the order of the file. Their relative claims are not yet resolved, and
            recurring milestones are not yet expanded.
        description: a longer text for people.
        url: an address with more information.
        content: the SHA-256 of the bytes of the file; "" if it is unknown, so that the timeline is reconciled
            each time.
        environment: the fingerprint of what its plan is made of beside the file: the configuration, the
            version of alertd and the time zone database; "" if it is unknown.
    """

    id: str
    title: str
    file: str
    milestones: tuple[Milestone, ...] | UnreadMilestones = ()
    description: str = ""
    url: str = ""
    content: str = ""
    environment: str = ""

    @property
    def count(self) -> int:
        """The number of milestones in the file."""
        return (
            self.milestones.count if isinstance(self.milestones, UnreadMilestones) else len(self.milestones)
        )

    @property
    def bases(self) -> frozenset[str]:
        """The full ids of the milestones that deadlines in the file count from."""
        if isinstance(self.milestones, UnreadMilestones):
            return self.milestones.bases
        return frozenset(relative.base for milestone in self.milestones for relative in milestone.relative)

    def forget_milestones(self) -> Timeline:
        """Return the timeline without its milestones, which are read from the file when they are needed."""
        return replace(self, milestones=UnreadMilestones(count=self.count, bases=self.bases))


def list_milestones(timelines: Iterable[Timeline]) -> dict[str, Milestone]:
    """Return the milestones of timelines by full id.

    Raises:
        TypeError: the milestones of a timeline are not in memory.
    """
    found: dict[str, Milestone] = {}
    for timeline in timelines:
        if isinstance(timeline.milestones, UnreadMilestones):
            raise TypeError(f"the milestones of {timeline.id} are not in memory")
        found.update((milestone.id, milestone) for milestone in timeline.milestones)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A mistake in a file. ``line`` and ``column`` count from 1.

    ``str()`` returns ``file:line:column: message``.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """The contents of a configuration folder.

    Attributes:
        config: the configuration; None when ``alertd.yaml`` has a problem.
        timelines: the timelines from the files without a problem.
        problems: the problems of all files, sorted by file, line and column.
        broken: the definition files that have a problem. Their last valid version stays in force.
        fingerprint: the fingerprint of the bytes of all files, which distinguishes two configurations.
        unconfigured: says that ``alertd.yaml`` is missing or has no content, so that ``config`` holds only
            defaults; None when the file has content.
        identified: the timeline id in each broken file whose id can be read; "" for a file that holds no
            timeline.
        is_absent: the configuration folder does not exist.
        from_ledger: ``config`` is what the ledger keeps, because ``alertd.yaml`` has a problem.
        kept_text: the content of ``alertd.yaml`` for the ledger to keep; "" if it cannot be kept.
    """

    config: Config | None
    timelines: tuple[Timeline, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    fingerprint: str = ""
    unconfigured: Problem | None = None
    identified: Mapping[str, str] = field(default_factory=dict)
    is_absent: bool = False
    from_ledger: bool = False
    kept_text: str = field(default="", repr=False)

    def list_broken_timelines(self) -> tuple[str, ...]:
        """Return the broken files that hold a timeline, known or not, by name: all but `alertd.yaml`."""
        return tuple(sorted(file for file in self.broken if self.identified.get(file) != ""))

    def find_holders(self, timeline: str) -> tuple[str, ...]:
        """Return the broken files that may hold a timeline, by name.

        These are the files that state its id, and the files whose id cannot be read.
        """
        return tuple(sorted(file for file in self.broken if self.identified.get(file, timeline) == timeline))

    def require_config(self) -> Definitions:
        """Return these definitions, without a configuration if ``alertd.yaml`` is missing or has no content.

        The defaults are right for a new installation. Later, they would send all reminders to the console
        and remove the access rules of the web server.
        """
        if self.unconfigured is None:
            return self
        return replace(self, config=None, problems=(self.unconfigured, *self.problems))

    def require_auth(self, before: Config | None) -> Definitions:
        """Return these definitions, without a configuration if ``web.auth`` is missing and was set before.

        A file that is cut off can be valid, and without ``web.auth`` everybody may do everything. Who wants
        that writes ``auth: none``, or an ``alertd.yaml`` with only ``{}``.
        """
        config = self.config
        if config is None or before is None or config.web.auth is not None or before.web.auth is None:
            return self
        if self.kept_text == "{}":
            return self
        message = (
            "web.auth is missing, and was set before; restore it, or, to let everybody do everything, write "
            "web: {auth: none}"
        )
        problem = Problem(file="alertd.yaml", line=1, column=1, message=message)
        return replace(self, config=None, problems=(problem, *self.problems))

"""The composition root: builds the application from the settings.

Only this module names the concrete classes behind the ports. The commands build their parts here too.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from alertd.core.config import Config, Definitions
from alertd.core.message.links import PURPOSE as LINKS
from alertd.core.message.links import Links
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import resolve
from alertd.errors import DefinitionsError, LedgerError, SchemaTooNew
from alertd.system.clock import SystemClock
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from alertd.core.access import Web
    from alertd.core.ledger.outcome import Outcome
    from alertd.core.planning.audit import Audit
    from alertd.engine.daemon import Daemon
    from alertd.engine.deps import Dependencies
    from alertd.engine.observer import Observer
    from alertd.notify.http.client import HttpClient
    from alertd.ports import Clock, Ledger, Notifier
    from alertd.system.telemetry import Log
    from alertd.web.app import Serving
    from alertd.web.metrics import Metrics
    from alertd.web.server.signing import Signer

EX_CONFIG = 78
"""The exit status of a wrong configuration (sysexits.h). A restart would not help."""

EMBEDDED_LEAD_FOR = timedelta(seconds=30)
"""The lease on the lead of an embedded ledger. Only a daemon that was started twice by mistake competes for
the lead, so the lease is long and is renewed less often."""


def now() -> datetime:
    """Return the current time (UTC) by the machine's clock."""
    return SystemClock().now()


def load_option_models() -> dict[str, type[BaseModel]]:
    """Import the installed notifiers. Returns the model of each one's options, by type."""
    from alertd.notify.registry import NotifierUnusable, list_usable

    models = {}
    for name, kind in list_usable().items():
        try:
            models[name] = kind.load().Options
        except NotifierUnusable:
            # This is an error only in a configuration that uses the type, and is reported there.
            continue
    return models


def load_definitions(settings: Settings) -> Definitions:
    """Load all files of the configuration folder, with every problem in them."""
    return make_loader(settings.config)()


def make_loader(folder: Path) -> Callable[[], Definitions]:
    """Return a function that loads the folder. It parses only files that have changed since its last call.

    If the time zone database has changed, it parses all files, because what it read has the old rules.
    """
    from alertd.definitions.load import Cache, forget, load
    from alertd.system.secrets import file_paths
    from alertd.system.zones import ZoneRules

    models = load_option_models()
    cache: Cache = {}
    find = file_paths(folder, os.environ)
    rules = ZoneRules()

    def load_folder() -> Definitions:
        if rules.refresh():
            forget(cache)
        return load(folder, models, cache, find)

    return load_folder


def resolve_milestones(found: Definitions, done: Mapping[str, date] | None = None) -> dict[str, Milestone]:
    """Resolve relative claims. Returns the milestones by full id; recurring milestones are not expanded."""
    by_id = {milestone.id: milestone for timeline in found.timelines for milestone in timeline.milestones}
    return resolve(by_id, done or {})


async def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger. An embedded ledger is migrated first."""
    from alertd import store

    return await store.open_ledger(settings.database_url())


def make_notifiers(
    config: Config, folder: Path, http: HttpClient, clock: Clock, out: TextIO
) -> dict[str, Notifier]:
    """Make every notifier of a configuration, by channel, ``receiver/notifier``, without I/O.

    From now on ``http`` applies the configuration's ``network``.
    """
    from alertd.notify.base import Env
    from alertd.notify.email.address import find_mail_domain
    from alertd.notify.registry import list_usable
    from alertd.notify.smtp.relay import Relay
    from alertd.system.secrets import file_paths, secret_files

    types = list_usable()
    http.egress.network = config.network
    env = Env(
        http=http,
        clock=clock,
        secret=secret_files(folder, os.environ),
        path=file_paths(folder, os.environ),
        out=out,
        smtp=config.smtp,
        relay=Relay(transcript=http.transcript),
        host=find_mail_domain(config.smtp.sender),
    )
    return {
        f"{receiver.name}/{spec.name}": types[spec.type].load()(spec.options, env)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }


def hold_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that was closed before the process started.

    Otherwise the next file to be opened would get the stream's number, and output would be written to it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _find_stdout() -> TextIO:
    """Return standard output, or a closed stream if there is none, so that writing fails."""
    if sys.stdout is not None:
        return sys.stdout
    closed = io.StringIO()
    closed.close()
    return closed


async def run(settings: Settings) -> int:
    """Run the daemon until it is told to stop.

    Everything is built top-down, each value from the values above it: the ledger, the daemon, then the web
    server, which shows the daemon and is attached to it.

    Returns:
        the exit status (sysexits.h).

    Raises:
        LedgerError: the ledger cannot be used.
    """
    from alertd.engine.control import control
    from alertd.engine.daemon import Daemon
    from alertd.engine.observer import Observer
    from alertd.notify.http.client import HttpClient
    from alertd.system.telemetry import Event, configure
    from alertd.web.metrics import Metrics

    hold_standard_streams()
    log, clock, http = configure(settings.log_format, settings.log_level), SystemClock(), HttpClient()
    try:
        ledger = await open_ledger(settings)
    except SchemaTooNew as error:
        log.critical(Event.LEDGER_UPGRADED, reason=str(error))
        return EX_CONFIG

    web = None
    try:
        try:
            shared = await _read_shared_secret(settings, ledger)
            metrics = Metrics(clock.now()) if settings.address else None
            deps = _build_dependencies(
                settings,
                log=log,
                clock=clock,
                ledger=ledger,
                http=http,
                shared=shared,
                observer=metrics or Observer(),
            )
            daemon = Daemon(deps)
            if metrics is not None:
                web = await _build_web(
                    settings, daemon, deps, book=ledger, http=http, shared=shared, metrics=metrics
                )
                daemon.attach(web)
        except LedgerError:
            await ledger.close()
            raise
        await daemon.start()
        if web is not None:
            await web.open()
        async with control(settings.control_path(), settings.config, daemon.requests, log):
            await daemon.run()
    except DefinitionsError as error:
        for problem in error.problems:
            log.error(Event.CONFIG_REFUSED, problem=problem)
        await ledger.close()
        return EX_CONFIG
    finally:
        if web is not None:
            await web.close()
            await web.site.ledger.close()
        await http.aclose()
    return EX_CONFIG if daemon.outdated else 0


def _build_dependencies(
    settings: Settings,
    *,
    log: Log,
    clock: Clock,
    ledger: Ledger,
    http: HttpClient,
    shared: str,
    observer: Observer,
) -> Dependencies:
    """Build what the daemon depends on.

    Args:
        shared: the secret that the nodes share; see :func:`_read_shared_secret`.
    """
    from alertd.definitions.files import read_signature
    from alertd.engine.deps import Dependencies
    from alertd.engine.leader import LEAD_FOR
    from alertd.notify import heartbeat
    from alertd.system.clock import read_suspended_s
    from alertd.system.node import is_gone, make_node_name
    from alertd.system.secrets import secret_files
    from alertd.system.systemd import Systemd
    from alertd.system.zones import read_zone_signature

    async def beat(config: Config, audit: Audit) -> str:
        if config.heartbeat is None:
            return ""
        secret = secret_files(settings.config, os.environ)
        return await heartbeat.beat(http, clock, secret, config.heartbeat, audit)

    return Dependencies(
        ledger=ledger,
        clock=clock,
        log=log,
        load=make_loader(settings.config),
        signature=lambda: (read_signature(settings.config), read_zone_signature()),
        build=lambda config: make_notifiers(config, settings.config, http, clock, _find_stdout()),
        links=lambda config: _make_links(config, _make_signer(settings, lambda: config.web, shared)),
        node=make_node_name(),
        is_gone=is_gone,
        asleep=read_suspended_s,
        lead_for=EMBEDDED_LEAD_FOR if settings.database_url().startswith("sqlite") else LEAD_FOR,
        systemd=Systemd.from_environment(),
        observer=observer,
        beat=beat,
    )


async def _read_shared_secret(settings: Settings, ledger: Ledger) -> str:
    """Read or make the secret that all nodes share; "" for an embedded ledger, whose secret is in a file."""
    from alertd.web.server.signing import new_secret

    return "" if embedded_file(settings.database_url()) else await ledger.ensure_shared_secret(new_secret())


def _make_signer(settings: Settings, web: Callable[[], Web], shared: str) -> Signer:
    """Make the signer of sessions and links. All nodes of a ledger sign with the same secret.

    Args:
        web: returns the section ``web`` of ``alertd.yaml``, which may name a file of secrets.
    """
    from alertd.system.secrets import file_paths
    from alertd.web.server.signing import Signer, SiteSecret

    embedded = embedded_file(settings.database_url())
    find = file_paths(settings.config, os.environ)
    return Signer(SiteSecret(web, find, embedded.parent if embedded else None, shared))


def _make_links(config: Config, signer: Signer) -> Links | None:
    """Make the links of messages. Raises SecretUnreadable if links cannot be signed."""
    base = config.web.external_url
    return Links(base=base, key=signer.derive_key(LINKS)) if base else None


async def _build_web(
    settings: Settings,
    daemon: Daemon,
    deps: Dependencies,
    *,
    book: Ledger,
    http: HttpClient,
    shared: str,
    metrics: Metrics,
) -> Serving:
    """Build the web server, which has a connection to the ledger of its own."""
    from alertd.system.secrets import file_paths, secret_files
    from alertd.web.app import Serving
    from alertd.web.server.context import DEFAULT_WEB, OutboundServices, Site

    def web_in_force() -> Web:
        found = daemon.definitions
        return found.config.web if found and found.config else DEFAULT_WEB

    site = Site(
        # Each connection to a ledger in memory would be a ledger of its own.
        ledger=book if settings.database_url() == "sqlite://" else await open_ledger(settings),
        clock=deps.clock,
        log=deps.log,
        node=deps.node,
        started_at=deps.clock.now(),
        definitions=lambda: daemon.definitions,
        daemon_status=lambda: daemon.status,
        find=file_paths(settings.config, os.environ),
        signer=_make_signer(settings, web_in_force, shared),
        metrics=metrics,
        outbound=OutboundServices(
            http=http,
            secret=secret_files(settings.config, os.environ),
            send_test=lambda config, receiver: send_test(config, settings.config, receiver),
        ),
    )
    return Serving(settings.address, site)


async def send_test(config: Config, folder: Path, receiver: str) -> list[tuple[str, Outcome]]:
    """Send a test message by each notifier of a receiver. Returns the outcomes, each with its channel."""
    from alertd.notify.http.client import HttpClient
    from alertd.notify.trial import try_notifiers

    clock, http = SystemClock(), HttpClient()
    made = make_notifiers(config, folder, http, clock, _find_stdout())
    try:
        return [result async for result in try_notifiers(made, config.receivers[receiver], clock.now())]
    finally:
        for notifier in made.values():
            await notifier.aclose()
        await http.aclose()


def embedded_file(url: str) -> Path | None:
    """Return the file of an embedded ledger; None for any other ledger."""
    path = url.removeprefix("sqlite:///")
    return Path(path) if path != url and path else None

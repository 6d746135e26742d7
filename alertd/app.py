"""The composition root: from settings to a wired application, and what the command line asks of it.

Everything concrete is named here and nowhere else.
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
from alertd.engine import actions as said
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
"""The configuration is wrong (sysexits.h): starting again would not help."""


EMBEDDED_LEAD_FOR = timedelta(seconds=30)
"""Where there is one node the lead is only of use to a second one that was started by mistake: it need not be
written down so often."""

act = said.act


def now() -> datetime:
    return SystemClock().now()


def option_models() -> dict[str, type[BaseModel]]:
    """The options of every installed notifier that can be imported, by type."""
    from alertd.notify.registry import NotifierUnusable, installed

    models = {}
    for name, kind in installed().items():
        try:
            models[name] = kind.load().Options
        except NotifierUnusable:
            # Fatal only where it is used: there the type is then unknown, and named.
            continue
    return models


def definitions(settings: Settings) -> Definitions:
    """All files of the configuration folder, with every problem in them."""
    return loader(settings.config)()


def loader(folder: Path) -> Callable[[], Definitions]:
    """Reads the folder anew at each call; files that have not changed are not parsed again."""
    from alertd.definitions.load import Cache, load
    from alertd.system.secrets import file_paths

    models = option_models()
    cache: Cache = {}
    find = file_paths(folder, os.environ)
    return lambda: load(folder, models, cache, find)


def milestones(found: Definitions, done: Mapping[str, date] | None = None) -> dict[str, Milestone]:
    """By full id, relative claims resolved; recurring ones are not expanded."""
    return resolve({one.id: one for timeline in found.timelines for one in timeline.milestones}, done or {})


async def ledger(settings: Settings) -> Ledger:
    """The ledger, opened; an embedded one is migrated."""
    from alertd.store import open_ledger

    return await open_ledger(settings.database_url())


def notifiers(
    config: Config, folder: Path, http: HttpClient, clock: Clock, out: TextIO
) -> dict[str, Notifier]:
    """Every notifier of a configuration, by channel, ``receiver/notifier``. No I/O.

    The configuration's ``network`` is in force for ``http`` from here on.
    """
    from alertd.notify.base import Env
    from alertd.notify.email.address import mail_domain
    from alertd.notify.email.relay import Relay
    from alertd.notify.registry import installed
    from alertd.system.secrets import file_paths, secret_files

    types = installed()
    http.egress.network = config.network
    env = Env(
        http=http,
        clock=clock,
        secret=secret_files(folder, os.environ),
        path=file_paths(folder, os.environ),
        out=out,
        smtp=config.smtp,
        relay=Relay(transcript=http.transcript),
        host=mail_domain(config.smtp.sender),
    )
    return {
        f"{receiver.name}/{spec.name}": types[spec.type].load()(spec.options, env)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }


def hold_standard_streams() -> None:
    """Where one was closed before the process began, have nothing else take its number.

    Whatever is opened next would, and be written to by whoever means the stream.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _stdout() -> TextIO:
    """Standard output; where there is none, something that refuses what is written to it."""
    if sys.stdout is not None:
        return sys.stdout
    refuses = io.StringIO()
    refuses.close()
    return refuses


async def run(settings: Settings) -> int:
    """Run the daemon until it is told to stop.

    Everything is made top-down, each value from those above it: the ledger, the daemon, then the web server,
    which shows the daemon and is attached to it.

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
        book = await ledger(settings)
    except SchemaTooNew as error:
        log.critical(Event.LEDGER_UPGRADED, reason=str(error))
        return EX_CONFIG

    web = None
    try:
        try:
            shared = await _shared_secret(settings, book)
            metrics = Metrics(clock.now()) if settings.address else None
            deps = _dependencies(
                settings,
                log=log,
                clock=clock,
                book=book,
                http=http,
                shared=shared,
                observer=metrics or Observer(),
            )
            daemon = Daemon(deps)
            if metrics is not None:
                web = await _web(settings, daemon, deps, http=http, shared=shared, metrics=metrics)
                daemon.attach(web)
        except LedgerError:
            await book.close()
            raise
        await daemon.start()
        if web is not None:
            await web.open()
        async with control(settings.control_path(), settings.config, daemon.requests, log):
            await daemon.run()
    except DefinitionsError as error:
        for problem in error.problems:
            log.error(Event.CONFIG_REFUSED, problem=problem)
        await book.close()
        return EX_CONFIG
    finally:
        if web is not None:
            await web.close()
            await web.site.ledger.close()
        await http.aclose()
    return EX_CONFIG if daemon.outdated else 0


def _dependencies(
    settings: Settings,
    *,
    log: Log,
    clock: Clock,
    book: Ledger,
    http: HttpClient,
    shared: str,
    observer: Observer,
) -> Dependencies:
    """What the daemon is given.

    Args:
        shared: the secret that the nodes share; see :func:`_shared_secret`.
    """
    from alertd.definitions.files import read_signature
    from alertd.engine.deps import Dependencies
    from alertd.engine.leader import LEAD_FOR
    from alertd.notify import heartbeat
    from alertd.system.clock import read_suspended_s
    from alertd.system.node import is_gone, make_node_name
    from alertd.system.secrets import secret_files
    from alertd.system.systemd import Systemd

    async def beat(config: Config, audit: Audit) -> str:
        if config.heartbeat is None:
            return ""
        secret = secret_files(settings.config, os.environ)
        return await heartbeat.beat(http, clock, secret, config.heartbeat, audit)

    return Dependencies(
        ledger=book,
        clock=clock,
        log=log,
        load=loader(settings.config),
        signature=lambda: read_signature(settings.config),
        build=lambda config: notifiers(config, settings.config, http, clock, _stdout()),
        links=lambda config: _links(config, _signer(settings, lambda: config.web, shared), log),
        node=make_node_name(),
        is_gone=is_gone,
        asleep=read_suspended_s,
        lead_for=EMBEDDED_LEAD_FOR if settings.database_url().startswith("sqlite") else LEAD_FOR,
        systemd=Systemd.from_environment(),
        observer=observer,
        beat=beat,
    )


async def _shared_secret(settings: Settings, book: Ledger) -> str:
    """The secret that all nodes share; "" for an embedded ledger, which keeps its secret in a file."""
    from alertd.web.server.signing import new_secret

    return "" if embedded_file(settings.database_url()) else await book.shared_secret(new_secret())


def _signer(settings: Settings, web: Callable[[], Web], shared: str) -> Signer:
    """What sessions and links are signed with: the same on all nodes that use the ledger.

    Args:
        web: returns the section ``web`` of ``alertd.yaml``, which may name a file of secrets.
    """
    from alertd.system.secrets import file_paths
    from alertd.web.server.signing import Signer, SiteSecret

    embedded = embedded_file(settings.database_url())
    find = file_paths(settings.config, os.environ)
    return Signer(SiteSecret(web, find, embedded.parent if embedded else None, shared))


def _links(config: Config, signer: Signer, log: Log) -> Links | None:
    """Where messages lead. A message whose links cannot be signed is sent without them."""
    from alertd.system.secrets import SecretUnreadable
    from alertd.system.telemetry import Event

    base = config.web.external_url
    if not base:
        return None
    try:
        return Links(base=base, key=signer.of(LINKS))
    except SecretUnreadable as error:
        log.warning(Event.LINKS_UNSIGNED, reason=str(error))
        return Links(base=base)


async def _web(
    settings: Settings,
    daemon: Daemon,
    deps: Dependencies,
    *,
    http: HttpClient,
    shared: str,
    metrics: Metrics,
) -> Serving:
    """The web server, with a connection to the ledger of its own."""
    from alertd.system.secrets import file_paths, secret_files
    from alertd.web.app import Serving
    from alertd.web.server.context import DEFAULT_WEB, OutboundServices, Site

    def web_in_force() -> Web:
        found = daemon.definitions
        return found.config.web if found and found.config else DEFAULT_WEB

    site = Site(
        # A ledger in memory would be another one for each connection.
        ledger=deps.ledger if settings.database_url() == "sqlite://" else await ledger(settings),
        clock=deps.clock,
        log=deps.log,
        node=deps.node,
        started_at=deps.clock.now(),
        definitions=lambda: daemon.definitions,
        daemon_status=lambda: daemon.status,
        find=file_paths(settings.config, os.environ),
        keys=_signer(settings, web_in_force, shared),
        metrics=metrics,
        outward=OutboundServices(
            http=http,
            secret=secret_files(settings.config, os.environ),
            send_test=lambda config, receiver: send_test(config, settings.config, receiver),
        ),
    )
    return Serving(settings.address, site)


async def send_test(config: Config, folder: Path, receiver: str) -> list[tuple[str, Outcome]]:
    """How each notifier of a receiver fares with a test message, by channel."""
    from alertd.notify.http.client import HttpClient
    from alertd.notify.trial import tried

    clock, http = SystemClock(), HttpClient()
    made = notifiers(config, folder, http, clock, _stdout())
    try:
        return [one async for one in tried(made, config.receivers[receiver], clock.now())]
    finally:
        for notifier in made.values():
            await notifier.aclose()
        await http.aclose()


def embedded_file(url: str) -> Path | None:
    """Where an embedded ledger lies; None for another one."""
    path = url.removeprefix("sqlite:///")
    return Path(path) if path != url and path else None

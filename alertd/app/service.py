"""Runs the daemon: builds everything that it depends on, and returns its exit status."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import TYPE_CHECKING

from alertd.app.access_files import AccessFiles
from alertd.app.definitions import open_folder
from alertd.app.ledger import open_upgraded, read_shared_secret
from alertd.app.notifiers import find_stdout, make_notifiers, prepare_to_send
from alertd.app.web import build_web, close_web
from alertd.core.config import Config, Definitions
from alertd.core.message.links import PURPOSE as LINKS
from alertd.core.message.links import Links
from alertd.errors import DefinitionsError, LedgerDamaged, LedgerError, SchemaTooNew
from alertd.system.clock import SystemClock
from alertd.system.collector import keep_what_is_there
from alertd.system.memory import use_one_arena
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from alertd.core.planning.audit import Audit
    from alertd.engine.deps import Dependencies
    from alertd.engine.observer import Observer
    from alertd.notify.http.client import HttpClient
    from alertd.ports import Clock, Ledger, LedgerFile, Notifier
    from alertd.system.telemetry import Log
    from alertd.web.metrics import Metrics
    from alertd.web.server.signing import Signer

EX_CONFIG = 78
"""The exit status of a wrong configuration (sysexits.h). A restart would not help."""

EX_DATAERR = 65
"""The exit status if the ledger is too damaged to be opened (sysexits.h). A person must restore a backup."""

EX_IOERR = 74
"""The exit status after the ledger's file was taken away (sysexits.h). A restart uses the file that is at the
ledger's path then."""

EX_TEMPFAIL = 75
"""The exit status if the ledger did not answer while the daemon was ending (sysexits.h). A restart may
help."""

EMBEDDED_LEAD_FOR = timedelta(seconds=30)
"""The lease on the lead of an embedded ledger. Only a daemon that was started twice by mistake competes for
the lead, so the lease is long and is renewed less often."""


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
    from alertd.engine.status import make_live_report
    from alertd.notify.http.client import HttpClient
    from alertd.system.telemetry import Event, configure

    hold_standard_streams()
    use_one_arena()
    log, clock, http = configure(settings.log_format, settings.log_level), SystemClock(), HttpClient()
    http.preload()
    try:
        ledger = await open_upgraded(settings, log)
    except SchemaTooNew as error:
        log.critical(Event.LEDGER_UPGRADED, reason=str(error))
        return EX_CONFIG
    except LedgerDamaged as error:
        log.critical(Event.LEDGER_DAMAGED, table="", reason=str(error))
        return EX_DATAERR

    web = None
    try:
        try:
            files = AccessFiles(settings, log, await read_shared_secret(settings, ledger))
            metrics = _make_metrics(clock) if settings.address else None
            deps = _build_dependencies(
                settings,
                log=log,
                clock=clock,
                ledger=ledger,
                http=http,
                files=files,
                observer=metrics or Observer(),
                file=ledger.watch_file(),
            )
            daemon = Daemon(deps)
            if metrics is not None:
                web = await build_web(
                    settings, daemon, deps, book=ledger, http=http, files=files, metrics=metrics
                )
                daemon.attach(web)
        except LedgerError:
            await ledger.close()
            raise
        await daemon.start()
        if web is not None:
            await web.open()
        keep_what_is_there()
        async with control(
            settings.control_path(),
            settings.config,
            daemon.requests,
            log,
            describe=lambda: make_live_report(deps.node, daemon.status),
        ):
            await daemon.run()
    except DefinitionsError as error:
        for problem in error.problems:
            log.error(Event.CONFIG_REFUSED, problem=problem)
        await ledger.close()
        return EX_CONFIG
    finally:
        if web is not None:
            await close_web(web, log)
        await http.aclose()
    if daemon.displaced:
        return EX_IOERR
    if daemon.hung:
        return EX_TEMPFAIL
    return EX_CONFIG if daemon.outdated else 0


def _make_metrics(clock: Clock) -> Metrics:
    from alertd.web.metrics import Metrics

    return Metrics(clock.now())


def hold_standard_streams() -> None:
    """Open /dev/null in place of each standard stream that was closed before the process started.

    Otherwise the next file to be opened would get the stream's number, and output would be written to it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _build_dependencies(
    settings: Settings,
    *,
    log: Log,
    clock: Clock,
    ledger: Ledger,
    http: HttpClient,
    files: AccessFiles,
    observer: Observer,
    file: LedgerFile | None,
) -> Dependencies:
    """Build what the daemon depends on."""
    from alertd.definitions.files import read_signature
    from alertd.engine.deps import Dependencies
    from alertd.engine.leader import LEAD_FOR
    from alertd.notify import heartbeat
    from alertd.system.clock import read_suspended_s, read_synchronised
    from alertd.system.file_thread import FileThread
    from alertd.system.node import is_gone, make_node_name
    from alertd.system.systemd import Systemd
    from alertd.system.zones import ZoneFiles

    async def beat(config: Config, audit: Audit) -> str:
        if config.heartbeat is None:
            return ""
        return await heartbeat.beat(http, clock, files.read_secret, config.heartbeat, audit)

    def build(config: Config) -> dict[str, Notifier]:
        files.adopt(config)
        return make_notifiers(
            config,
            settings.config,
            http,
            clock,
            find_stdout(),
            secret=files.read_secret,
            template=files.read_template,
            tls=files.find_tls,
        )

    (folder, load_folder), zones = open_folder(settings.config), ZoneFiles(clock.monotonic)

    def load(kept: str = "") -> Definitions:
        definitions = load_folder(kept)
        if definitions.config is not None:
            files.watch(definitions.config)
        return definitions

    def read_signature_of_all() -> Hashable:
        files.kept.refresh()
        return read_signature(settings.config), zones.read_signature()

    return Dependencies(
        ledger=ledger,
        clock=clock,
        log=log,
        load=load,
        load_with=load,
        know=folder.know,
        read_timeline=folder.read,
        file_worker=FileThread(),
        file_problems=lambda: files.kept.problems,
        signature=read_signature_of_all,
        build=build,
        prepare=lambda config: prepare_to_send(config, http),
        links=lambda config: _make_links(config, lambda: files.make_signer(lambda: config.web)),
        node=make_node_name(),
        is_gone=is_gone,
        asleep=read_suspended_s,
        is_synchronised=read_synchronised,
        lead_for=EMBEDDED_LEAD_FOR if settings.database_url().startswith("sqlite") else LEAD_FOR,
        systemd=Systemd.from_environment(),
        observer=observer,
        file=file,
        beat=beat,
    )


def _make_links(config: Config, make_signer: Callable[[], Signer]) -> Links | None:
    """Make the links of messages. Raises SecretUnreadable if links cannot be signed."""
    base = config.web.external_url
    return Links(base=base, key=make_signer().derive_key(LINKS)) if base else None

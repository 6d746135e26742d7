"""The composition root: builds the application from the settings.

Only this module names the concrete classes behind the ports. The commands build their parts here too.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
from collections.abc import Callable, Hashable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from alertd.core.config import Config, Definitions, list_milestones
from alertd.core.message.links import PURPOSE as LINKS
from alertd.core.message.links import Links
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import resolve
from alertd.errors import DefinitionsError, LedgerDamaged, LedgerError, SchemaTooNew
from alertd.system.clock import SystemClock
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from alertd.core.access import Web
    from alertd.core.config import NotifierSpec
    from alertd.core.ledger.outcome import Outcome
    from alertd.core.planning.audit import Audit
    from alertd.definitions.folder import DefinitionFolder
    from alertd.engine.daemon import Daemon
    from alertd.engine.deps import Dependencies
    from alertd.engine.observer import Observer
    from alertd.notify.http.client import HttpClient
    from alertd.notify.http.tls import Tls, TlsFiles, TlsLoader
    from alertd.ports import Clock, Ledger, LedgerFile, Notifier
    from alertd.store.sql import SqlLedger
    from alertd.system.kept_files import FileUse
    from alertd.system.telemetry import Log
    from alertd.web.app import Serving
    from alertd.web.metrics import Metrics
    from alertd.web.server.signing import Signer, SiteSecret

CERTIFICATES = "certificates"

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

WEB_CLOSE_S = 2.0
"""How long the web server may take to close when the daemon has ended. The daemon has closed it before."""

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


class Loader(Protocol):
    """Loads a configuration folder.

    ``kept`` is the content of ``alertd.yaml`` that the ledger keeps, which is used if the file has a problem.
    """

    def __call__(self, kept: str = "") -> Definitions: ...


def make_loader(folder: Path) -> Loader:
    """Return a function that loads the folder. It parses only files that have changed since its last call.

    If the time zone database has changed, it parses all files, because what it read has the old rules.
    """
    from alertd.definitions.load import load_whole

    found, load_outlines = _open_folder(folder)

    def load_folder(kept: str = "") -> Definitions:
        return load_whole(found, load_outlines(kept))

    return load_folder


def _open_folder(folder: Path) -> tuple[DefinitionFolder, Loader]:
    """Return a configuration folder, and a function that loads it without keeping milestones in memory."""
    from alertd.definitions.folder import DefinitionFolder
    from alertd.system.secrets import file_paths
    from alertd.system.zones import ZoneRules, hash_zones

    rules = ZoneRules()
    found = DefinitionFolder(
        folder, load_option_models(), find_named=file_paths(folder, os.environ), hash_zones=hash_zones
    )

    def load(kept: str = "") -> Definitions:
        if rules.refresh():
            found.forget()
        return found.load(kept)

    return found, load


def resolve_milestones(found: Definitions, done: Mapping[str, date] | None = None) -> dict[str, Milestone]:
    """Resolve relative claims. Returns the milestones by full id; recurring milestones are not expanded."""
    return resolve(list_milestones(found.timelines), done or {})


async def open_ledger(settings: Settings, *, create: bool = True) -> SqlLedger:
    """Open the ledger, without an upgrade of its schema.

    Args:
        create: whether to create an embedded ledger that is missing.
    """
    from alertd import store

    return await store.open_ledger(settings.database_url(), create=create)


async def _open_upgraded(settings: Settings, log: Log) -> SqlLedger:
    """Open the daemon's ledger. An embedded ledger is created if it is missing, and upgraded after a copy."""
    from alertd import store
    from alertd.system.telemetry import Event

    if embedded_file(settings.database_url()):
        upgrade = await store.migrate(settings.database_url())
        if upgrade.copy is not None:
            log.info(
                Event.LEDGER_MIGRATED, before=upgrade.before, after=upgrade.after, copy=str(upgrade.copy)
            )
    return await open_ledger(settings)


def make_notifiers(
    config: Config,
    folder: Path,
    http: HttpClient,
    clock: Clock,
    out: TextIO,
    *,
    secret: Callable[[str], str] | None = None,
    template: Callable[[str], str] | None = None,
    tls: Callable[[TlsFiles], Tls] | None = None,
) -> dict[str, Notifier]:
    """Make every notifier of a configuration, by channel, ``receiver/notifier``, without I/O.

    An :class:`alertd.notify.unmade.Unmade` stands for a notifier that cannot be made, so that the other
    notifiers are used. From now on ``http`` applies the configuration's ``network``.

    Args:
        secret: reads the secret file that an option names; by default, each time from the file.
        template: the same for a file with a template.
        tls: the same for certificate files.
    """
    from alertd.notify.base import Env
    from alertd.notify.email.address import find_mail_domain
    from alertd.notify.registry import list_usable
    from alertd.notify.smtp.relay import Relay
    from alertd.notify.unmade import Unmade
    from alertd.system.secrets import file_paths, secret_files

    types = list_usable()
    http.egress.network = config.network
    env = Env(
        http=http,
        clock=clock,
        secret=secret or secret_files(folder, os.environ),
        path=file_paths(folder, os.environ),
        template=template,
        tls=tls,
        out=out,
        smtp=config.smtp,
        relay=Relay(transcript=http.transcript, system=http.system),
        host=find_mail_domain(config.smtp.sender),
    )

    def make(spec: NotifierSpec) -> Notifier:
        try:
            return types[spec.type].load()(spec.options, env)
        except Exception as error:  # a third-party notifier may raise anything
            return Unmade(error)

    return {
        f"{receiver.name}/{spec.name}": make(spec)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }


class AccessFiles:
    """The files that access depends on: tokens, users, the signing secret, and the secrets of notifiers.

    Templates of webhooks are read in the same way.

    A thread reads them, and the loop uses their last good content.

    Args:
        shared: the secret that the nodes share; see :func:`_read_shared_secret`.
    """

    def __init__(self, settings: Settings, log: Log, shared: str) -> None:
        from alertd.system.file_thread import FileThread
        from alertd.system.kept_files import KeptFiles
        from alertd.system.secrets import file_paths, secret_files
        from alertd.web.server.credentials import CredentialFiles

        # These files have their own thread, since the thread of the definitions may be busy with thousands.
        self.kept = KeptFiles(log, FileThread())
        self.find = file_paths(settings.config, os.environ)
        self._read_secret = secret_files(settings.config, os.environ)
        self._credentials = CredentialFiles(self.find, log)
        embedded = embedded_file(settings.database_url())
        self._state = embedded.parent if embedded else None
        self._shared = shared
        self._serves = settings.address is not None
        self._in_force: Config | None = None

    def read_secret(self, name: str) -> str:
        """Return the secret in the file that a ``*_file`` option names. Raises SecretUnreadable."""
        from alertd.system.kept_files import FileUse

        return self.kept.read(FileUse("secret", name), partial(self._read_secret, name))

    def find_tls(self, options: TlsFiles) -> Tls:
        """Return the certificate files that options name, with their context. Raises TlsUnusable."""
        from alertd.notify.http.tls import SYSTEM, NamedTlsFiles, TlsLoader, TlsUnusable
        from alertd.system.kept_files import FileUse
        from alertd.system.secrets import SecretUnreadable

        names = NamedTlsFiles.copy(options)
        if not names:
            return SYSTEM
        try:
            return self.kept.read(
                FileUse(CERTIFICATES, str(names)), partial(_load_tls, TlsLoader(names, self.find))
            )
        except SecretUnreadable as error:
            raise TlsUnusable(str(error)) from error

    def read_template(self, name: str) -> str:
        """Return the template in the file that an option names. Raises SecretUnreadable."""
        from alertd.system.kept_files import FileUse

        return self.kept.read(FileUse("template", name), partial(self._load_template, name))

    def _load_template(self, name: str) -> str:
        from alertd.notify.webhook.options import read_template
        from alertd.system.secrets import SecretUnreadable

        try:
            return read_template(self.find(name))
        except ValueError as error:
            raise SecretUnreadable(f"template {error}") from error

    def make_signer(self, web: Callable[[], Web]) -> Signer:
        """Make the signer of sessions and links. All nodes of a ledger sign with the same secret.

        Args:
            web: returns the section ``web`` of ``alertd.yaml``, which may name a file of secrets.
        """
        from alertd.web.server.signing import Signer

        return Signer(self._make_site_secret(web))

    def watch(self, config: Config) -> None:
        """Read the files that a configuration names, and again at each refresh of :attr:`kept`.

        The configuration may still be refused, so the files of the one in force are watched on.
        """
        in_force = self._in_force
        self.kept.watch({**(self._list_uses(in_force) if in_force else {}), **self._list_uses(config)})

    def adopt(self, config: Config) -> None:
        """Forget the files that only other configurations name. Reads nothing, and so does not wait."""
        self._in_force = config
        self.kept.keep_only(self._list_uses(config).keys())

    def _list_uses(self, config: Config) -> dict[FileUse, Callable[[], Any]]:
        """Return the uses of files in a configuration, each with the function that reads the file."""
        from alertd.notify.http.tls import TlsLoader
        from alertd.notify.secret_files import list_secret_files, list_template_files, list_tls_files
        from alertd.system.kept_files import FileUse
        from alertd.web.server.signing import make_signing_use

        uses: dict[FileUse, Callable[[], Any]] = {
            FileUse("secret", name): partial(self._read_secret, name) for name in list_secret_files(config)
        }
        uses |= {
            FileUse("template", name): partial(self._load_template, name)
            for name in list_template_files(config)
        }
        for names in list_tls_files(config):
            use = FileUse(CERTIFICATES, str(names))
            # The same function as before, which knows whether the files have changed.
            uses[use] = self.kept.find_loader(use) or partial(_load_tls, TlsLoader(names, self.find))
        uses |= self._credentials.list_uses(config.web.access)
        named = config.web.secret_file
        if (self._serves or config.web.external_url) and (named or self._state is not None):
            use = make_signing_use(named)
            # The same function as before, which knows whether alertd has made its own file already.
            uses[use] = self.kept.find_loader(use) or partial(
                self._make_site_secret(lambda: config.web).load, named
            )
        return uses

    def _make_site_secret(self, web: Callable[[], Web]) -> SiteSecret:
        from alertd.web.server.signing import SiteSecret

        return SiteSecret(web, self.find, self._state, self._shared, self.kept)


def _load_tls(loader: TlsLoader) -> Tls:
    from alertd.notify.http.tls import TlsUnusable
    from alertd.system.secrets import SecretUnreadable

    try:
        return loader.load()
    except TlsUnusable as error:
        raise SecretUnreadable(str(error)) from error


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
    from alertd.engine.status import make_live_report
    from alertd.notify.http.client import HttpClient
    from alertd.system.telemetry import Event, configure
    from alertd.web.metrics import Metrics

    hold_standard_streams()
    log, clock, http = configure(settings.log_format, settings.log_level), SystemClock(), HttpClient()
    http.preload()
    try:
        ledger = await _open_upgraded(settings, log)
    except SchemaTooNew as error:
        log.critical(Event.LEDGER_UPGRADED, reason=str(error))
        return EX_CONFIG
    except LedgerDamaged as error:
        log.critical(Event.LEDGER_DAMAGED, table="", reason=str(error))
        return EX_DATAERR

    web = None
    try:
        try:
            files = AccessFiles(settings, log, await _read_shared_secret(settings, ledger))
            metrics = Metrics(clock.now()) if settings.address else None
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
                web = await _build_web(
                    settings, daemon, deps, book=ledger, http=http, files=files, metrics=metrics
                )
                daemon.attach(web)
        except LedgerError:
            await ledger.close()
            raise
        await daemon.start()
        # What is in memory by now stays, so no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        if web is not None:
            await web.open()
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
            await _close_web(web, log)
        await http.aclose()
    if daemon.displaced:
        return EX_IOERR
    if daemon.hung:
        return EX_TEMPFAIL
    return EX_CONFIG if daemon.outdated else 0


async def _close_web(web: Serving, log: Log) -> None:
    """Stop the web server, and give up its ledger if that does not answer."""
    from alertd.system.telemetry import Event

    try:
        async with asyncio.timeout(WEB_CLOSE_S):
            await web.close()
        await web.site.ledger.close()
    except (TimeoutError, LedgerError) as error:
        log.error(Event.LEDGER_FAILED, reason=str(error) or "the web server cannot be closed")


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
    from alertd.system.zones import read_zone_signature

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
            _find_stdout(),
            secret=files.read_secret,
            template=files.read_template,
            tls=files.find_tls,
        )

    folder, load_folder = _open_folder(settings.config)

    def load(kept: str = "") -> Definitions:
        definitions = load_folder(kept)
        if definitions.config is not None:
            files.watch(definitions.config)
        return definitions

    def read_signature_of_all() -> Hashable:
        files.kept.refresh()
        return read_signature(settings.config), read_zone_signature()

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
        links=lambda config: _make_links(config, files.make_signer(lambda: config.web)),
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


async def _read_shared_secret(settings: Settings, ledger: Ledger) -> str:
    """Read or make the secret that all nodes share; "" for an embedded ledger, whose secret is in a file."""
    from alertd.web.server.signing import new_secret

    return "" if embedded_file(settings.database_url()) else await ledger.ensure_shared_secret(new_secret())


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
    files: AccessFiles,
    metrics: Metrics,
) -> Serving:
    """Build the web server, which has a connection to the ledger of its own."""
    from alertd.system.descriptors import raise_descriptor_limit
    from alertd.web.app import Serving
    from alertd.web.server.context import DEFAULT_WEB, OutboundServices, Site
    from alertd.web.server.limits import derive_limits

    def web_in_force() -> Web:
        found = daemon.definitions
        return found.config.web if found and found.config else DEFAULT_WEB

    site = Site(
        # Each connection to a ledger in memory would be a ledger of its own.
        ledger=book if settings.database_url() == "sqlite://" else await open_ledger(settings, create=False),
        clock=deps.clock,
        log=deps.log,
        node=deps.node,
        started_at=deps.clock.now(),
        definitions=lambda: daemon.definitions,
        daemon_status=lambda: daemon.status,
        find=files.find,
        kept=files.kept,
        signer=files.make_signer(web_in_force),
        metrics=metrics,
        outbound=OutboundServices(
            http=http,
            secret=files.read_secret,
            send_test=lambda config, receiver: send_test(
                config, settings.config, receiver, secret=files.read_secret
            ),
        ),
    )
    return Serving(settings.address, site, limits=derive_limits(raise_descriptor_limit()))


async def send_test(
    config: Config, folder: Path, receiver: str, *, secret: Callable[[str], str] | None = None
) -> list[tuple[str, Outcome]]:
    """Send a test message by each notifier of a receiver. Returns the outcomes, each with its channel.

    Args:
        secret: reads the secret file that an option names; by default, each time from the file.
    """
    from alertd.notify.http.client import HttpClient
    from alertd.notify.trial import try_notifiers

    clock, http = SystemClock(), HttpClient()
    made = make_notifiers(config, folder, http, clock, _find_stdout(), secret=secret)
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

"""The way of a reload, from who asks to who is answered.

:meth:`Reloader.begin` and :meth:`Reloader.finish` are that way on one page. A signal, the control socket or
changed files ask for a reload. The files are read in a thread, since a folder may hang. Only the loop puts
them in force, so that nothing else is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alertd.core.config import Config, Definitions
from alertd.core.ledger.records import Known
from alertd.engine.backpressure import find_rates
from alertd.engine.binding import Binder
from alertd.engine.delivery import Dispatcher
from alertd.engine.deps import Companion, Dependencies
from alertd.engine.files import HANGS_AFTER_S, DefinitionFiles
from alertd.engine.known import make_known
from alertd.engine.planner import Planner
from alertd.engine.sender import Sender
from alertd.engine.status import StatusReporter
from alertd.errors import LedgerError
from alertd.system.telemetry import Event

HUNG = (
    f"the configuration folder has not answered for {HANGS_AFTER_S:g} s; the previous configuration stays in "
    "force, and the files are read again when the folder answers"
)
UNCONFIGURED = "alertd.yaml is missing or has no content; the previous configuration stays in force"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    """How a reload ended.

    Attributes:
        accepted: ``alertd.yaml`` and every timeline without a problem are in force. False: everything that
            was in force before the reload still is.
        problems: one ``file:line:column: message`` each. A file with a problem keeps its last good version.
    """

    accepted: bool
    problems: tuple[str, ...] = ()


class ReloadRequests:
    """Connects the callers who ask for a reload with the loop, which carries it out.

    Args:
        want: makes the loop reload soon, and returns at once.
    """

    def __init__(self, want: Callable[[], None]) -> None:
        self.want = want
        self._waiting: list[asyncio.Future[ReloadResult]] = []

    async def ask(self) -> ReloadResult:
        """Ask for a reload that begins after this call, and wait until it has ended."""
        answer: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self.want()
        try:
            return await answer
        finally:
            self._waiting.remove(answer)

    def list_pending(self) -> tuple[asyncio.Future[ReloadResult], ...]:
        """List the callers who wait now. A reload that begins now answers them, but not later callers."""
        return tuple(self._waiting)

    @staticmethod
    def answer(asked: Iterable[asyncio.Future[ReloadResult]], result: ReloadResult) -> None:
        """Answer the callers. A caller that has gone away in the meantime gets no answer."""
        for future in asked:
            if not future.done():
                future.set_result(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """The configuration in force, with its binder and its dispatcher.

    Attributes:
        since: when it was adopted, an aware UTC instant.
    """

    config: Config
    binder: Binder
    dispatcher: Dispatcher
    since: datetime

    def make_known(self, elsewhere: frozenset[str], now: datetime) -> Known:
        """Make what this node knows at this instant.

        Args:
            elsewhere: the receivers that other live nodes know.
        """
        return make_known(
            self.config, self.binder.digest_keys, since=self.since, elsewhere=elsewhere, now=now
        )


class Reloader:
    """Reads the definition files and puts them in force, at the start and at each reload.

    Args:
        on_read: called when files have been read, so that :meth:`finish` is next.

    Attributes:
        files: the definition files.
        requests: the callers who have asked for a reload.
        companion: follows each configuration that is adopted; None: no server runs beside the daemon.
    """

    def __init__(
        self,
        deps: Dependencies,
        *,
        planner: Planner,
        sender: Sender,
        status: StatusReporter,
        requests: ReloadRequests,
        on_read: Callable[[], None],
        measure_absence: Callable[[datetime, datetime], timedelta] = lambda _since, _until: timedelta(),
    ) -> None:
        """
        Args:
            measure_absence: as for :class:`Dispatcher`.
        """
        self.files = DefinitionFiles(
            deps.load,
            deps.signature,
            load_with=deps.load_with,
            worker=deps.file_worker,
            clock=deps.clock,
            on_change=requests.want,
            on_read=on_read,
            read_timeline=deps.read_timeline,
        )
        self.requests = requests
        self.companion: Companion | None = None
        self._deps = deps
        self._planner = planner
        self._sender = sender
        self._status = status
        self._measure_absence = measure_absence
        self._active: Active | None = None
        self._is_planned = False
        self._asked: tuple[asyncio.Future[ReloadResult], ...] = ()
        self._is_unconfigured = False
        self._began_s = 0.0
        self._is_wanted_again = False
        self._is_hang_told = True

    @property
    def config(self) -> Config | None:
        """The configuration in force; None before the first :meth:`adopt`."""
        return self._active.config if self._active else None

    @property
    def active(self) -> Active:
        """The configuration in force, with its binder and its dispatcher.

        Raises:
            RuntimeError: :meth:`adopt` has not been called.
        """
        if self._active is None:
            raise RuntimeError("start() comes first")
        return self._active

    async def reload(self) -> bool:
        """Carry out one reload. Returns whether the files were accepted.

        Raises:
            LedgerError: the ledger cannot be used. The callers still wait; call :meth:`finish` later.
        """
        self.begin()
        await self.files.wait()
        return await self.finish()

    def begin(self) -> None:
        """Begin a reload, in which the loop goes on. When the files are read, :meth:`finish` is next.

        A reload that is asked for while files are read begins after that, since a file may have been read
        before it was changed. While the folder hangs, those who ask are answered at once.
        """
        if self._status.hung:
            # systemd waits for both states (systemd.service(5), Type=notify-reload).
            self._deps.systemd.reloading(self._deps.clock.monotonic())
            self._deps.systemd.ready(self._status.line)
            self._answer_hung()
        elif not self.files.begin():
            self._is_wanted_again = True
        else:
            # Who asks: everybody who waits by now.
            self._asked = self.requests.list_pending()
            self._began_s = self._deps.clock.monotonic()
            self._deps.systemd.reloading(self._began_s)

    async def finish(self) -> bool:
        """Put in force what was read. Returns whether the files were accepted.

        Raises:
            LedgerError: the ledger cannot be used. The callers still wait; call again later.
        """
        deps = self._deps
        accepted = False
        try:
            # What is read: all files. Only those that have changed are parsed again.
            definitions = self.files.result
            if definitions is None:
                raise RuntimeError("begin() comes first")
            if isinstance(definitions, Exception):
                raise definitions
            if self._planner.is_configured:
                self._status.config_fault = self._find_config_fault(definitions)
                definitions = definitions.require_config().require_auth(self.config)

            # What is decided: without a sound alertd.yaml nothing changes. A broken timeline changes nothing
            # but itself: its last good version stays in the ledger.
            if definitions.config is None:
                await self._refuse(tuple(str(problem) for problem in definitions.problems))
            else:
                # What changes: the plan in the ledger, then who sends.
                await self.adopt(definitions, definitions.config)
                self._status.config_fault = ""
                accepted = True
        except LedgerError:
            raise
        except Exception as error:  # a file that triggers a bug must not end the running daemon
            deps.log.error(Event.CONFIG_REFUSED, exc_info=error)
            await self._refuse((f"the files could not be read: {type(error).__name__}: {error}",))
        finally:
            took_s = deps.clock.monotonic() - self._began_s
            deps.observer.reloaded(accepted=accepted, took_s=took_s, at=deps.clock.now())
            deps.systemd.ready(self._status.line)
        self.files.result = None

        # Who is answered: those who had asked before the files were read.
        self.requests.answer(self._asked, ReloadResult(accepted=accepted, problems=self._status.all_problems))
        if self._is_wanted_again:
            self._is_wanted_again = False
            self.requests.want()
        return accepted

    async def check_hang(self) -> None:
        """Give up a call to the file system that hangs, and tell everybody; tell them too when it has ended.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        deps, hangs_s = self._deps, self.files.hangs_s
        if hangs_s and not self._status.hung:
            self._status.hung = HUNG
            deps.log.error(Event.FILES_HUNG, reason=HUNG)
            if self.files.is_reading:
                self.files.give_up()
                deps.observer.reloaded(accepted=False, took_s=hangs_s, at=deps.clock.now())
                deps.systemd.ready(self._status.line)
            self._answer_hung()
            self._is_hang_told = False
        if hangs_s and not self._is_hang_told:
            await self._status.tell_hung(self.config)
            self._is_hang_told = True
        elif self._status.hung and not hangs_s:
            self._status.hung = ""
            deps.log.info(Event.FILES_ANSWERED)
            self.requests.want()

    def _answer_hung(self) -> None:
        self._is_wanted_again = False
        self.requests.answer(
            self.requests.list_pending(), ReloadResult(accepted=False, problems=(self._status.hung,))
        )

    def _find_config_fault(self, definitions: Definitions) -> str:
        """Return why the configuration in force is not that of ``alertd.yaml``, for the self-audit."""
        was_unconfigured, self._is_unconfigured = self._is_unconfigured, definitions.unconfigured is not None
        if self._is_unconfigured:
            return UNCONFIGURED
        return "" if was_unconfigured else self._status.config_fault

    async def adopt(self, definitions: Definitions, config: Config) -> None:
        """Put these definitions in force: the plan in the ledger first, then the receivers.

        Raises:
            LedgerError: the ledger cannot be used; the previous definitions stay in force.
        """
        is_new, before = config != self.config, self._active
        if before is None:
            # What the ledger owes is sent while planning goes on.
            self._use(config)
        elif is_new:
            # What the new routes plan may fall due before planning ends, and the old routes do not mute it.
            self._active = replace(before, binder=Binder(self._deps.ledger, config))
        try:
            await self._planner.adopt(definitions, config, reconsider=is_new or not self._is_planned)
        except BaseException:
            self._active = before or self._active
            raise
        self._is_planned = True
        if is_new and before is not None:
            self._use(config)
        await self._status.report(config)

    def send_by(self, config: Config) -> None:
        """Send what the ledger owes by this configuration, until :meth:`adopt` puts definitions in force.

        A start calls this before it reads the files. Reconciling then takes back what the files have changed.
        """
        self._use(config)

    def adopt_unplanned(self, definitions: Definitions, config: Config) -> None:
        """Send what the ledger owes by these definitions, until :meth:`adopt` can plan by them.

        At a start on a ledger that is damaged, what is owed already is sent where its pages are sound.
        """
        self._planner.definitions = definitions
        if self._active is None:
            self._use(config)

    def _use(self, config: Config) -> None:
        """Have the web server, the binder and the sender follow a new configuration."""
        deps = self._deps
        if self.companion is not None:
            self.companion.use(config)
        notifiers = deps.build(config)
        dispatcher = Dispatcher(
            clock=deps.clock,
            config=config,
            notifiers=notifiers,
            on_fault=self._log_fault,
            links=lambda: deps.links(config),
            measure_absence=self._measure_absence,
        )
        self._active = Active(
            config=config,
            binder=Binder(deps.ledger, config),
            dispatcher=dispatcher,
            since=deps.clock.now(),
        )
        self._sender.use(notifiers, find_rates(config, notifiers))

    async def _refuse(self, problems: tuple[str, ...]) -> None:
        """Keep everything that is in force, and tell the operator why."""
        for problem in problems:
            self._deps.log.error(Event.CONFIG_REFUSED, problem=problem)
        self._status.problems = problems
        headline = "The configuration was refused; the previous configuration stays in force"
        await self._status.tell_problems(self.config, headline)
        await self._status.report(self.config)

    def _log_fault(self, channel: str, error: BaseException) -> None:
        self._deps.log.error(Event.NOTIFIER_FAILED, channel=channel, exc_info=error)

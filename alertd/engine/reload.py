"""The way of a reload, from who asks to who is answered.

:meth:`Reloader.reload` is that way on one page. A signal, the control socket or changed files ask for a
reload. Only the loop carries it out, so that nothing else is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime

from alertd.core.config import Config, Definitions
from alertd.core.ledger.records import Known
from alertd.engine.binding import Binder
from alertd.engine.delivery import Dispatcher
from alertd.engine.deps import Companion, Dependencies
from alertd.engine.known import make_known
from alertd.engine.planner import Planner
from alertd.engine.sender import Sender, find_rates
from alertd.engine.status import StatusReporter
from alertd.errors import LedgerError
from alertd.system.telemetry import Event


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


class DefinitionFiles:
    """Reads the definition files, and tells whether they have changed since.

    Args:
        load: reads the definition files.
        signature: returns another value whenever a definition file or the time zone database has changed.
    """

    def __init__(self, load: Callable[[], Definitions], signature: Callable[[], Hashable]) -> None:
        self._load = load
        self._signature = signature
        self._read: Hashable = None
        self._seen: Hashable = None

    def read(self) -> Definitions:
        """Read all definition files as they are now."""
        # The signature is taken first: files that change while they are read are then read again.
        self._read = self._seen = self._signature()
        return self._load()

    def have_changed(self) -> bool:
        """Return whether a file has changed since the files were last read."""
        return self._signature() != self._read

    def have_settled(self) -> bool:
        """Return whether a file has changed, but not since the last call, when it may still be written."""
        signature = self._signature()
        settled = signature == self._seen and signature != self._read
        self._seen = signature
        return settled


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
    ) -> None:
        self.files = DefinitionFiles(deps.load, deps.signature)
        self.requests = requests
        self.companion: Companion | None = None
        self._deps = deps
        self._planner = planner
        self._sender = sender
        self._status = status
        self._active: Active | None = None

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
            LedgerError: the ledger cannot be used. The callers still wait; call again later.
        """
        deps = self._deps

        # Who asks: everybody who waits by now.
        asked = self.requests.list_pending()
        began_s = deps.clock.monotonic()
        deps.systemd.reloading(began_s)

        accepted = False
        try:
            # What is read: all files. Only those that have changed are parsed again.
            definitions = self.files.read()
            if self._planner.is_configured:
                definitions = definitions.require_config()

            # What is decided: without a sound alertd.yaml nothing changes. A broken timeline changes nothing
            # but itself: its last good version stays in the ledger.
            if definitions.config is None:
                await self._refuse(tuple(str(problem) for problem in definitions.problems))
            else:
                # What changes: the plan in the ledger, then who sends.
                await self.adopt(definitions, definitions.config)
                accepted = True
        except LedgerError:
            raise
        except Exception as error:  # a file that triggers a bug must not end the running daemon
            deps.log.error(Event.CONFIG_REFUSED, exc_info=error)
            await self._refuse((f"the files could not be read: {type(error).__name__}: {error}",))
        finally:
            took_s = deps.clock.monotonic() - began_s
            deps.observer.reloaded(accepted=accepted, took_s=took_s, at=deps.clock.now())
            deps.systemd.ready(self._status.line)

        # Who is answered: those who had asked before the files were read.
        self.requests.answer(asked, ReloadResult(accepted=accepted, problems=self._status.all_problems))
        return accepted

    async def adopt(self, definitions: Definitions, config: Config) -> None:
        """Put these definitions in force: the plan in the ledger first, then the receivers.

        Raises:
            LedgerError: the ledger cannot be used; the previous definitions stay in force.
        """
        deps, is_new = self._deps, config != self.config
        await self._planner.adopt(definitions, config, reconsider=is_new)
        if is_new:
            if self.companion is not None:
                self.companion.use(config)
            notifiers = deps.build(config)
            dispatcher = Dispatcher(
                clock=deps.clock,
                config=config,
                notifiers=notifiers,
                on_fault=self._log_fault,
                links=lambda: deps.links(config),
            )
            self._active = Active(
                config=config,
                binder=Binder(deps.ledger, config),
                dispatcher=dispatcher,
                since=deps.clock.now(),
            )
            self._sender.use(notifiers, find_rates(config, notifiers))
        await self._status.report(config)

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

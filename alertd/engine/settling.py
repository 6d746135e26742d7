"""Writes down how sends ended, in groups, and the notices that come of it.

- One transaction settles everything that has ended since the last one, up to :data:`SETTLE_LIMIT`.
- An outcome that cannot be written now is kept and written later. Of an outcome whose content the ledger
  refuses, only whether the message was sent is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from alertd.core.ledger.records import Delivery, DeliveryState, Lease
from alertd.core.reason import DeliveryFailed, PlainReason
from alertd.engine.delivery import retry_plainly
from alertd.engine.observer import Observer, log_settlement
from alertd.errors import LedgerRefused, is_about_content
from alertd.ports import Changes, ChangeWriter, DeliveryQueue, Settlement
from alertd.system.telemetry import Event, Log

SETTLE_LIMIT = 200
"""Deliveries that are settled in one transaction."""


class SenderLedger(DeliveryQueue, ChangeWriter, Protocol):
    """The roles of the ledger that a sender needs: it writes notices besides."""


class Settler:
    """Keeps the outcomes and the notices until they are written.

    Args:
        observer: is told how each attempt was settled.
        write: writes a group of settlements as :meth:`alertd.ports.DeliveryQueue.settle` does, and may do
            more in the same transaction.

    Attributes:
        finished: how the sends ended that are not settled yet, the first one first.
        notices: the notices that are not written yet.
    """

    def __init__(
        self,
        ledger: SenderLedger,
        log: Log,
        observer: Observer,
        write: Callable[[Sequence[Settlement]], Awaitable[frozenset[str]]],
    ) -> None:
        self._ledger = ledger
        self._write = write
        self._log = log
        self._observer = observer
        self.finished: list[Settlement] = []
        self.notices: list[Delivery] = []

    def renew(self, lease: Lease) -> bool:
        """Settle by this lease what has ended under an earlier lease of the same delivery.

        Returns:
            whether the delivery is not settled yet.
        """
        name = lease.delivery.id
        places = [place for place, ended in enumerate(self.finished) if ended.lease.delivery.id == name]
        for place in places:
            self.finished[place] = replace(self.finished[place], lease=lease)
        return bool(places)

    def list_unsettled(self) -> Iterable[Lease]:
        """List the leases of what has ended and is not settled yet."""
        return [ended.lease for ended in self.finished]

    async def settle(self) -> list[Settlement]:
        """Write everything. Returns what was settled.

        Raises:
            LedgerError: the ledger cannot be written; what is not written is kept.
        """
        if self.notices:
            # Notices are written first and on their own, so that they are not lost with a settlement that the
            # ledger refuses because another node has the delivery.
            await self._write_notices()
        limit, settled = SETTLE_LIMIT, []
        while self.finished:
            batch = self.finished[:limit]
            try:
                stale = await self._write(batch)
            except Exception as error:
                if not is_about_content(error):
                    raise
                # A settlement cannot be written, such as one whose reason is no valid text. Find it, and put
                # a plain one in its place, so that it does not hold up the others.
                limit = 1
                if len(batch) == 1:
                    self._replace_unwritable(error)
                continue
            # What another lease was taken of meanwhile was refused, and is settled by that lease.
            renewed = [
                ended for ended, wrote in zip(self.finished, batch, strict=False) if ended is not wrote
            ]
            self.finished[: len(batch)] = [ended for ended in renewed if ended.lease.delivery.id in stale]
            settled += batch
            for settlement in batch:
                fenced = settlement.lease.delivery.id in stale
                log_settlement(self._log, settlement, fenced=fenced)
                self._observer.settled(settlement, fenced=fenced)
        return settled

    async def _write_notices(self) -> None:
        """Write the notices that wait. One that the ledger refuses is logged and holds up no other."""
        limit = len(self.notices)
        while self.notices:
            batch = tuple(self.notices[:limit])
            try:
                await self._ledger.apply(Changes(deliveries=batch))
            except Exception as error:
                if not is_about_content(error):
                    raise
                limit = 1
                if len(batch) > 1:
                    continue
                self._log.error(Event.NOTIFIER_FAILED, channel=batch[0].channel, exc_info=error)
            del self.notices[: len(batch)]

    def _replace_unwritable(self, error: Exception) -> None:
        """Replace the first settlement, which cannot be written, by one without anything from outside.

        A message that was sent stays sent, and any other is tried again later. If the ledger refuses this as
        well, the settlement is dropped: the lease runs out and counts as lost. Any other error the second
        time is raised.
        """
        settlement = self.finished[0]
        lease, attempt = settlement.lease, settlement.attempt
        self._log.error(Event.NOTIFIER_FAILED, channel=lease.delivery.channel, exc_info=error)
        reason = (
            PlainReason.UNRECORDED
            if isinstance(error, LedgerRefused)
            else DeliveryFailed(error=type(error).__name__)
        )
        if settlement.reason == reason:
            if not isinstance(error, LedgerRefused):
                raise error
            del self.finished[0]
        elif settlement.state is DeliveryState.SENT:
            plain = attempt and replace(attempt, reason=reason)
            sent = replace(settlement, reason=reason, attempt=plain)
            self.finished[0] = replace(sent, remember={}, follow_up=())
        else:
            self.finished[0] = retry_plainly(lease, settlement.at, reason)

"""What planning reads and writes: what is scheduled, and the configuration that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.ledger.records import Delivery, HistoryEntry, Record, ScheduledReminder
from alertd.core.reason import Reason
from alertd.core.routing.digest import NextDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What reconciling writes, in one transaction.

    Attributes:
        records: definitions, values, revision, file and withdrawn are written; ``status`` and
            ``loaded_at`` of a record that is there already are left as they are, since a person
            may be changing the status at this moment.
        owed: inserted when the key is new, in the state that it carries; when it is there and
            pending or cancelled, ``at``, ``wake_at``, ``group``, ``move``, ``state`` and ``reason``
            become exactly what is given, so that what was cancelled can be pending again and what
            waits waits no longer; in any other state it is left alone, so nothing is ever owed twice.
        cancelled: keys of pending occurrences that are owed no more, each with the reason.
        history: appended.
        deliveries: notices to the operator; one whose id is there already is left alone.
        digests: inserted when the key is new; when it is there, ``at`` is written unless that digest has
            been made since (another ``since``).
        no_digests: keys of digests that are owed no more.
        fingerprints: written in place of the fingerprints of the same timelines, after everything else.
        no_fingerprints: the ids of timelines that are about to change, or of which nothing is known any more:
            their fingerprints are deleted.
    """

    records: tuple[Record, ...] = ()
    owed: tuple[ScheduledReminder, ...] = ()
    cancelled: tuple[tuple[str, Reason], ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    digests: tuple[NextDigest, ...] = ()
    no_digests: tuple[str, ...] = ()
    fingerprints: tuple[TimelineFingerprint, ...] = ()
    no_fingerprints: tuple[str, ...] = ()


class ChangeWriter(Protocol):
    """Writes changes to what is scheduled, and notices to the operator.

    Any node may write notices. Only the leader may write the rest, and passes the term of its leadership.
    The same changes may be written twice.
    """

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        """Write ``changes`` in one transaction.

        Args:
            term: the term of the leadership under which the changes were computed; None: check no term.

        Raises:
            LeadLost: another node leads now, so nothing was written.
        """


class DigestSchedule(Protocol):
    """Lists the digests that are owed next. Any node may call."""

    async def read_digests(self) -> Sequence[NextDigest]:
        """Return every digest that is owed next, the earliest first."""


class TimelineReader(Protocol):
    """Reads what the ledger has of whole timelines. Anybody may call, and nothing is changed."""

    async def read_timelines(self) -> Mapping[str, str]:
        """Return the file of each timeline that has a record that is not withdrawn, by timeline id."""

    async def read_timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        """Return all records of a timeline, withdrawn ones too, and the reminders that may still be sent.

        These are the pending ones, and the moves that were held back because their milestone was closed.
        """

    async def read_milestones(
        self, milestones: Sequence[str]
    ) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        """Return the records with these full ids, and their reminders as :meth:`read_timeline` does."""

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """As :meth:`MilestoneLookup.read_records_by_id`."""

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        """As :meth:`MilestoneLookup.read_reminders`."""

    async def read_latest(self, milestones: Sequence[str]) -> Sequence[ScheduledReminder]:
        """Return what tells who knows what about these milestones, sorted by ``at`` and key.

        Of each receiver, window, cause and state, this is the reminder that was told last, or due last. Of
        the moves, these are the last :data:`MOVES_READ` of each receiver. The number does not grow with the
        history.
        """

    async def read_done_dates(self) -> Mapping[str, date]:
        """Return the local done date of each milestone that is done, by full id."""

    async def read_fingerprints(self) -> Sequence[TimelineFingerprint]:
        """Return the fingerprint of each timeline that has one, sorted by timeline.

        One whose row cannot be read is left out, and so is one whose timeline has no longer as many records
        that are not withdrawn as it had when the fingerprint was written.
        """

    async def read_snapshots(self, timeline: str) -> Mapping[str, str]:
        """Return how each milestone of a timeline is defined in the ledger, packed, by full id.

        Those that are withdrawn are left out. The texts are those of
        :func:`alertd.core.ledger.snapshot.dump_milestone`.
        """

    async def read_deferred(self, now: datetime, limit: int, after: str = "") -> Sequence[ScheduledReminder]:
        """Return at most ``limit`` pending reminders with ``wake_at > max(at, now)``, sorted by key.

        Args:
            after: only reminders with a greater key are returned.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConfig:
    """The content of ``alertd.yaml`` as a node last accepted it.

    Attributes:
        text: the content, in YAML and without secrets; "" if the configuration cannot be kept.
        node: the node that accepted it.
        at: when, an aware UTC instant.
    """

    text: str = field(repr=False)
    node: str
    at: datetime


class ConfigKeeper(Protocol):
    """Keeps the configuration with which a daemon starts while ``alertd.yaml`` is broken.

    Any node may read. Only the leader may write, as often as it likes.
    """

    async def keep_config(self, kept: KeptConfig, *, term: int) -> None:
        """Replace the kept configuration. Without a text, none is kept from now on.

        Raises:
            LeadLost: another node leads now, so nothing was written.
        """

    async def read_kept_config(self) -> KeptConfig | None:
        """Return the kept configuration; None if none is kept."""


class KeyLookup(Protocol):
    """Tells which reminders and deliveries there are, also those that cannot be read. Anybody may call."""

    async def find_known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        """Return those of the reminders' keys and the deliveries' ids that the ledger has."""


class PlanningLedger(TimelineReader, DigestSchedule, KeyLookup, ChangeWriter, Protocol):
    """What reconciling reads and writes.

    Any node may read. Only the leader may write, so that nodes with different files do not undo each other's
    changes. A pass that was interrupted may be repeated: the same definitions write nothing the second time.
    """


MOVES_READ = 50
"""How many moves of a milestone to a receiver planning looks at, the latest ones."""

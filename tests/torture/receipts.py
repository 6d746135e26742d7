"""Receipts: what a sink has got, on disk before it answers, so that they survive whatever is killed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.torture.bell import Bell

ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One request or mail.

    Attributes:
        at: when it had been read, in seconds since 1970.
        receiver: whom it was for.
        id: the delivery's, as it came.
        attempt: the number of the attempt, as it came; 0 where none is told.
        pid: the process that sent it; 0 when that is not known.
        milestones: full ids, in order.
        answer: ``accepted``, or what was done instead of answering in full, or which refusal.
        text: what it says, of a notice.
    """

    at: float
    receiver: str
    id: str
    attempt: int
    pid: int
    milestones: tuple[str, ...]
    answer: str
    text: str = ""

    @property
    def accepted(self) -> bool:
        return self.answer == ACCEPTED


class Receipts:
    """A file of them, each on the disk when ``write`` returns."""

    def __init__(self, file: Path, bell: Bell) -> None:
        self._file = file
        self._bell = bell
        self._descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.accepted: set[tuple[str, str]] = set()
        self.count = 0

    def write(self, receipt: Receipt) -> None:
        os.write(self._descriptor, json.dumps(asdict(receipt)).encode() + b"\n")
        os.fsync(self._descriptor)
        self.count += 1
        if receipt.accepted:
            self.accepted.update((receipt.receiver, name) for name in receipt.milestones)
        self._bell.ring()

    def read(self) -> Sequence[Receipt]:
        """All of them, from the file."""
        found = []
        for line in self._file.read_text().splitlines():
            fields = json.loads(line)
            found.append(Receipt(**{**fields, "milestones": tuple(fields["milestones"])}))
        return found

    def close(self) -> None:
        os.close(self._descriptor)


def now_s() -> float:
    return time.time()

"""What happened, a line each, for people; and its digest, for telling two runs apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime

Line = tuple[datetime, str, str, str]


class Trace:
    """Appended to and read at the end."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.lines: list[Line] = []

    def add(self, who: str, what: str, detail: str = "") -> None:
        self.lines.append((self._now(), who, what, detail))

    def digest(self) -> str:
        hasher = hashlib.blake2b(digest_size=16)
        for at, who, what, detail in self.lines:
            hasher.update(f"{at.isoformat()} {who} {what} {detail}\n".encode())
        return hasher.hexdigest()

    def about(self, words: Iterable[str], limit: int = 40) -> list[str]:
        """The last lines that name one of ``words``, as text."""
        wanted = [word for word in words if word]
        found = [line for line in self.lines if any(word in line[3] or word == line[2] for word in wanted)]
        return [_text(line) for line in found[-limit:]]


def _text(line: Line) -> str:
    at, who, what, detail = line
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {who:<8} {what:<12} {detail}"

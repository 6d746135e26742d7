"""Draws the misfortunes: one seeded generator for each thing that draws, so that none disturbs another."""

from __future__ import annotations

import random
from enum import StrEnum

from tests.sim.profile import Profile


class StoreFault(StrEnum):
    NONE = ""
    FAILS_BEFORE = "fails before commit"
    FAILS_AFTER = "fails after commit"
    SLOW_BEFORE = "slow before commit"
    SLOW_AFTER = "slow after commit"
    CRASH_BEFORE = "crash before commit"
    CRASH_AFTER = "crash after commit"
    STALL_BEFORE = "stall before commit"
    STALL_AFTER = "stall after commit"


class SendFault(StrEnum):
    NONE = ""
    ANSWER_LOST = "accepted, answer lost"
    TIMED_OUT = "timed out before it arrived"
    REFUSED = "connection refused"
    TOO_MANY = "429 with Retry-After"
    BROKEN = "503"
    HANGS = "hangs"
    HANGS_ACCEPTED = "accepted, then hangs"
    SLOW = "slow"
    LATE = "timed out, arrives later"
    REJECTED = "rejected"
    RAISES = "raises"
    CRASH = "crash while sending"
    STALL = "stall while sending"


def generator(seed: int, *parts: str) -> random.Random:
    """A generator of its own for each name."""
    return random.Random(f"{seed}/{'/'.join(parts)}")


class Dice:
    """One node's luck. ``quiet`` from the moment at which everything has healed."""

    def __init__(self, seed: int, name: str, profile: Profile) -> None:
        self.random = generator(seed, "node", name)
        self._profile = profile
        self.quiet = False

    def jitter_s(self) -> float:
        """How long a port takes: mostly nothing at all."""
        draw = self.random.random()
        if draw < 0.6:
            return 0.0
        if draw < 0.97:
            return self.random.uniform(0.0005, 0.03)
        return self.random.uniform(0.03, 1.5)

    def store_fault(self) -> StoreFault:
        if self.quiet:
            return StoreFault.NONE
        draw, profile = self.random.random(), self._profile
        if draw < profile.crash:
            return self._either(StoreFault.CRASH_BEFORE, StoreFault.CRASH_AFTER)
        draw -= profile.crash
        if draw < profile.stall:
            return self._either(StoreFault.STALL_BEFORE, StoreFault.STALL_AFTER)
        draw -= profile.stall
        if draw < profile.store:
            return self.random.choice(
                (
                    StoreFault.FAILS_BEFORE,
                    StoreFault.FAILS_AFTER,
                    StoreFault.SLOW_BEFORE,
                    StoreFault.SLOW_AFTER,
                )
            )
        return StoreFault.NONE

    def send_fault(self) -> SendFault:
        if self.quiet:
            return SendFault.NONE
        profile = self._profile
        if self.random.random() < profile.crash:
            return SendFault.CRASH
        if self.random.random() < profile.stall:
            return SendFault.STALL
        if self.random.random() >= profile.send:
            return SendFault.NONE
        names = [one for one in SendFault if one not in {SendFault.NONE, SendFault.CRASH, SendFault.STALL}]
        weights = [
            0.2 if one is SendFault.REJECTED else 0.3 if one is SendFault.RAISES else 1 for one in names
        ]
        return self.random.choices(names, weights)[0]

    def slow_s(self) -> float:
        return self.random.choice((2.0, 20.0, 90.0, 400.0)) * self.random.uniform(0.5, 1.5)

    def stall_s(self) -> float:
        return self.random.choice((20.0, 250.0, 400.0, 4000.0)) * self.random.uniform(0.8, 1.2)

    def down_s(self) -> float:
        return self.random.choice((1.0, 10.0, 300.0, 7200.0)) * self.random.uniform(0.5, 1.5)

    def _either(self, one: StoreFault, other: StoreFault) -> StoreFault:
        return one if self.random.random() < 0.5 else other

"""One seed's verdict: what does not hold, the part of the trace that shows it, and how to see it again."""

from __future__ import annotations

from tests.sim.invariants import violations
from tests.sim.profile import PROFILES
from tests.sim.world import Parts, run

LINES = 30


def verdict(profile: str, seed: int, parts: Parts | None = None) -> str:
    """ "" when all invariants hold; else a text for people."""
    played = run(seed, PROFILES[profile], parts)
    found = violations(played)
    if not found:
        return ""
    first = found[0]
    names = ", ".join(dict.fromkeys(one.invariant for one in found))
    lines = "\n".join(f"  {line}" for line in played.trace.about(first.words, LINES))
    return (
        f"profile {profile}, seed {seed}: {first.invariant}: {first.what}\n"
        f"broken: {names}\n{lines}\n"
        f"see it again: make sim PROFILE={profile} SEED={seed}"
    )

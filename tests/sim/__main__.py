"""``make sim``: more seeds than ``make test`` has time for, or one of them in full."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.sim.planted import table
from tests.sim.profile import PROFILES, SHARES
from tests.sim.verdict import verdict

MAX_SHOWN = 5
MONTH_DAYS = 30.4


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=500, help="in all, spread over the profiles by their shares"
    )
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--profile", choices=[*PROFILES, ""], default="", help="only this one")
    parser.add_argument(
        "--planted",
        action="store_true",
        help="instead: print how soon each planted fault is found, as a table",
    )
    wanted = parser.parse_args()
    if wanted.planted:
        print(table())
        return 0
    profiles = [wanted.profile] if wanted.profile else list(PROFILES)
    whole = PROFILES[wanted.profile].share if wanted.profile else SHARES
    began, played, days, broken = time.monotonic(), 0, 0, 0
    for profile in profiles:
        number = -(-wanted.seeds * PROFILES[profile].share // whole)
        seeds = [wanted.seed] if wanted.seed is not None else range(number)
        broken += _play(profile, seeds, MAX_SHOWN - broken)
        played, days = played + len(seeds), days + PROFILES[profile].days * len(seeds)
    print(_line("in all", played, time.monotonic() - began, days, broken))
    return 1 if broken else 0


def _play(profile: str, seeds: Sequence[int], most_shown: int) -> int:
    """How many of them break something."""
    began, broken = time.monotonic(), 0
    for seed in seeds:
        said = verdict(profile, seed)
        broken += bool(said)
        if said and broken <= most_shown:
            print(said, end="\n\n")
    days = PROFILES[profile].days * len(seeds)
    print(_line(profile, len(seeds), time.monotonic() - began, days, broken), flush=True)
    return broken


def _line(name: str, seeds: int, took_s: float, days: int, broken: int) -> str:
    months = days / MONTH_DAYS
    return (
        f"{name:10} {seeds:5} seeds  {months:7.0f} months in {took_s:7.1f} s, {months / took_s:5.1f} a second"
        f"  {broken} broken"
    )


if __name__ == "__main__":
    sys.exit(main())

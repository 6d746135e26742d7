"""``make sim``: more seeds than ``make test`` has time for, or one of them in full."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.profile import PROFILES
from tests.sim.verdict import verdict

MAX_SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="in all, spread over the profiles")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--profile", choices=[*PROFILES, ""], default="", help="only this one")
    wanted = parser.parse_args()
    profiles = [wanted.profile] if wanted.profile else list(PROFILES)
    each = -(-wanted.seeds // len(profiles))
    seeds = [wanted.seed] if wanted.seed is not None else range(each)
    failed = 0
    for profile in profiles:
        began, broken, days = time.monotonic(), 0, PROFILES[profile].days
        for seed in seeds:
            said = verdict(profile, seed)
            broken += bool(said)
            if said and failed + broken <= MAX_SHOWN:
                print(said, end="\n\n")
        failed += broken
        took = time.monotonic() - began
        months = days * len(seeds) / 30.4 / took
        print(
            f"{profile:8} {len(seeds):5} seeds  {took:7.1f} s  {months:6.0f} months a second  {broken} broken"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

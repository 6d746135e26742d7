"""How often somebody may show what is no token and no password, by where they ask from."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address, ip_network

BURST = 10
"""Failures in a row that are borne."""

EVERY_S = 30.0
"""After that, one in so many seconds."""

MAX_PLACES = 4096
"""Places that are remembered; whoever was seen longest ago is forgotten first."""


class Limiter:
    """A bucket of failures for each place, in memory; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, address: str, now_s: float) -> float:
        """How long until another try is heard; 0 for at once."""
        owed_s = self._full_at.get(place_of(address), now_s) - now_s
        return max(0.0, owed_s - (BURST - 1) * EVERY_S)

    def failed(self, address: str, now_s: float) -> None:
        """There was another failure."""
        place = place_of(address)
        # At the time that is kept all failures are forgiven; each moves it on.
        self._full_at[place] = max(self._full_at.get(place, now_s), now_s) + EVERY_S
        self._full_at.move_to_end(place)
        while len(self._full_at) > MAX_PLACES:
            self._full_at.popitem(last=False)


def place_of(address: str) -> str:
    """Where an address is: of IPv6 the network of 64 bits, all of which one customer has."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ip_network((int(found) >> 64 << 64, 64)))

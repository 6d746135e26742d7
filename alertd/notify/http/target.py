"""What is the same for every request to a URL: the parsed URL, its credentials, and the secrets in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from alertd.notify.http.redact import find_origin, find_secrets
from alertd.notify.http.url import build_proxy_login, split_login

MAX_TARGETS = 256
"""How many targets are kept. A notifier whose URLs differ with each message makes each of them anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that requests go to, perhaps by way of a proxy.

    Attributes:
        place: the URL without its user and password.
        headers: the headers that carry these, with names in lower case.
        origin: the scheme and host of the URL.
        over: the same with those of the proxy, in words.
        host: the host that is connected to: that of the proxy, if there is one.
        secrets: what must be redacted in an answer.
    """

    url: str = field(repr=False)
    proxy: str = field(repr=False)
    place: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    origin: str
    over: str
    host: str
    secrets: tuple[str, ...] = field(repr=False)


class Targets:
    """Keeps the targets that were used, so that no URL is parsed at each request."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Target] = {}

    def find(self, url: str, proxy: str) -> Target:
        """Return the target. Raises ValueError if ``url`` is not a URL."""
        target = self._kept.get((url, proxy))
        if target is None:
            target = make_target(url, proxy)
            if len(self._kept) >= MAX_TARGETS:
                del self._kept[next(iter(self._kept))]
            self._kept[url, proxy] = target
        return target


def make_target(url: str, proxy: str = "") -> Target:
    """Make a target. Raises ValueError if ``url`` is not a URL."""
    import httpx

    place, login = split_login(url)
    headers = login
    # For https, the request that opens the tunnel carries the proxy's login.
    if proxy and urlsplit(url).scheme == "http":
        headers = login | build_proxy_login(proxy)
    origin = find_origin(url)
    try:
        parsed = httpx.URL(place)
    except httpx.InvalidURL as error:
        raise ValueError("is not a URL") from error
    return Target(
        url=url,
        proxy=proxy,
        place=str(parsed),
        headers=headers,
        origin=origin,
        over=f"{origin} by way of {find_origin(proxy)}" if proxy else origin,
        host=urlsplit(proxy or url).hostname or "",
        secrets=(*find_secrets(url), *find_secrets(proxy), *login.get("authorization", "").split()),
    )

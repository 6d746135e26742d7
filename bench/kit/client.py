"""The bare client: httpx on aiohttp, 8 requests in flight, bodies made beforehand, no ledger.

    python -m bench.kit.client URL COUNT BYTES

prints its CPU seconds. It shares no code with alertd, so it stays the same while alertd changes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

IN_FLIGHT = 8


def make_bodies(count: int, size: int) -> list[bytes]:
    """Make different bodies of about ``size`` bytes."""
    return [json.dumps({"id": number, "text": "x" * max(0, size - 30)}).encode() for number in range(count)]


def make_client() -> httpx.AsyncClient:
    """Make a client configured as alertd's is: no cookies, no redirects, nothing from the environment."""
    transport = AiohttpTransport(
        client=lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        ),
        trust_env=False,
    )
    return httpx.AsyncClient(
        transport=transport,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        trust_env=False,
        follow_redirects=False,
        timeout=None,
    )


async def post_all(url: str, bodies: Iterator[bytes], client: httpx.AsyncClient) -> None:
    for body in bodies:
        response = await client.post(url, content=body, headers={"content-type": "application/json"})
        response.raise_for_status()


async def main(url: str, count: int, size: int) -> None:
    bodies = iter(make_bodies(count, size))
    async with make_client() as client:
        await client.get(f"{url}-warm")
        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(post_all(url, bodies, client))
        print(time.process_time() - began)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

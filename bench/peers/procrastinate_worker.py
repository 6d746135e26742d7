"""Queues jobs and works them off. Runs in an environment that has Procrastinate, without alertd.

python procrastinate_worker.py DATABASE URL COUNT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import procrastinate

sys.path.append(str(Path(__file__).parents[1] / "kit"))

from client import IN_FLIGHT, make_bodies, make_client

PER_STATEMENT = 500


async def main(database: str, url: str, count: int) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database))
    bodies = make_bodies(count, 1_000)
    async with app.open_async(), make_client() as client:
        await app.schema_manager.apply_schema_async()

        @app.task(name="post")
        async def post(number: int) -> None:
            response = await client.post(
                url, content=bodies[number], headers={"content-type": "application/json"}
            )
            response.raise_for_status()

        for first in range(0, count, PER_STATEMENT):
            numbers = range(first, min(first + PER_STATEMENT, count))
            await post.batch_defer_async(*({"number": number} for number in numbers))
        await app.run_worker_async(wait=False, concurrency=IN_FLIGHT, install_signal_handlers=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

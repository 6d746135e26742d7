"""Settle deliveries one after another and print their ids, until the process is killed.

Run as ``python settling_child.py DATABASE NAME``.
"""

import asyncio
import sys

from alertd.store import open_ledger
from tests.contract.samples import a_delivery, an_owed, fill, sent, take


async def settle_forever(path: str, name: str) -> None:
    ledger = await open_ledger(f"sqlite:///{path}")
    number = 0
    while True:
        number += 1
        key = f"{name}-{number}"
        await fill(ledger, an_owed(key), deliveries=[a_delivery(key, receiver=name)])
        for lease in await take(ledger, owner=name):
            if lease.delivery.receiver == name and not await ledger.settle([sent(lease)]):
                sys.stdout.write(lease.delivery.id + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(settle_forever(*sys.argv[1:]))

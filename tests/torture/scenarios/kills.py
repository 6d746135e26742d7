"""Nodes killed and stalled at random moments."""

from __future__ import annotations

import asyncio
import signal

from tests.torture.arena import HOLDS_S, LEASE_S, LONG_LEASE_S, Arena, Size
from tests.torture.faults import Fault, Kind
from tests.torture.http_sink import Mode
from tests.torture.nodes import Node
from tests.torture.postgres import Postgres
from tests.torture.receipts import Receipt, now_s

TAKEN_S = LEASE_S + 40.0
"""A lease has run out by then, and has a breaker that a busy machine may have opened, probed."""

TRIES = 3
"""Rounds beyond those asked for, until one has stalled a node. A node may end its request before it stops."""

ANSWERS_WITHIN_S = 4.0
STOPPED_S = ANSWERS_WITHIN_S + 2.0
"""Longer than a receiver has to answer, and than a comparison of the clocks may be late."""

AT_ONCE = 6
"""Requests that hang when the node is stopped: as many failures would pause their channel, and one more."""

ROUND_S = 1.4
"""About how long a node takes to start, to work a little, and to be killed."""


async def kill_sqlite(arena: Arena, size: Size) -> None:
    """``kill -9`` in a loop: one node, SQLite."""
    _promise(arena, size)
    node = arena.node("a")
    node.restart_s = 0
    for _ in range(size.rounds):
        await kill_somewhere(arena, node)
    await arena.finish()


async def kill_postgres(arena: Arena, size: Size) -> None:
    """``kill -9`` in a loop: two nodes, PostgreSQL, either of them or both at once."""
    await a_server(arena)
    _promise(arena, size)
    nodes = [arena.node("a"), arena.node("b")]
    for node in nodes:
        node.restart_s = 0
    for _ in range(size.rounds):
        await kill_somewhere(arena, *nodes)
        if arena.rng.random() < 0.15:
            for node in nodes:
                await arena.kill(node)
    await arena.finish()


async def stall(arena: Arena, size: Size) -> None:
    """SIGSTOP in the middle of a send, until another node has taken the delivery; then SIGCONT."""
    await a_server(arena)
    arena.configure()
    for node in [arena.node("a"), arena.node("b")]:
        await node.ready()
    arena.http.hold_s = 0.3
    per = size.milestones // size.rounds
    for number in range(size.rounds + TRIES):
        if number >= size.rounds and arena.counted.get("stalls"):
            break
        # Watched from before anything is due, however slow the machine is.
        trap = asyncio.create_task(arena.trapped("read", arena.rng.randint(1, 12), TAKEN_S))
        arena.promise(per, span_s=LEASE_S + 2, name=f"t{number}x")
        if (caught := await trap) is not None:
            await _stalled(arena, caught)
    arena.http.hold_s = 0.0
    await arena.finish()
    arena.demand(bool(arena.counted.get("stalls")), "nothing was stalled")
    arena.demand(bool(arena.events("delivery.fenced")), "no stale lease was refused")


async def _stalled(arena: Arena, caught: Receipt) -> None:
    node = arena.node_of(caught.pid)
    if node is None:
        return
    fenced = len(node.events("delivery.fenced"))
    fault = Fault(kind=Kind.STALLED, begins=now_s(), ends=now_s(), pid=caught.pid)
    node.signal(signal.SIGSTOP)
    arena.faults.append(fault)
    arena.count("stalls")
    taken = await arena.bell.happens(TAKEN_S, lambda: _came_again(arena, caught))
    node.signal(signal.SIGCONT)
    fault.ends = now_s()
    arena.demand(taken, f"{caught.id} of a stalled node was taken by no other one")
    if taken:
        refused = await arena.bell.happens(10.0, lambda: len(node.events("delivery.fenced")) > fenced)
        arena.demand(refused, f"the stale lease of {caught.id} was not refused")


async def stopped(arena: Arena, size: Size) -> None:
    """SIGSTOP while a receiver has yet to answer, until it is too late for it; then SIGCONT. SQLite."""
    arena.lease_s = LONG_LEASE_S
    arena.hook_timeout_s = ANSWERS_WITHIN_S
    arena.configure({"desk": arena.hook("desk")})
    per = size.milestones // size.rounds
    for number in range(size.rounds):
        # It hangs before anything is due, and is watched from then on, however slow the machine is.
        arena.http.modes["desk"] = Mode.HANGS
        trap = asyncio.create_task(arena.trapped("read", AT_ONCE, TAKEN_S))
        arena.promise(per, span_s=1.0, name=f"t{number}x")
        node = arena.nodes[0] if arena.nodes else arena.node("a")
        if await trap is not None:
            await _stopped(arena, node)
        arena.http.modes.clear()
        await arena.finish()
    arena.demand(bool(arena.counted.get("stops")), "nothing was stopped")


async def _stopped(arena: Arena, node: Node) -> None:
    pauses = len(node.events("channel.paused"))
    stalled, retried = len(node.events("node.stalled")), len(node.events("delivery.retried"))
    node.signal(signal.SIGSTOP)
    arena.count("stops")
    await arena.passes(STOPPED_S)
    arena.http.modes.clear()
    node.signal(signal.SIGCONT)

    def is_over() -> bool:
        again = len(node.events("delivery.retried")) - retried
        return len(node.events("node.stalled")) > stalled and again >= AT_ONCE

    seen = await arena.bell.happens(TAKEN_S, is_over)
    arena.demand(seen, "its time-outs did not go off, or it has not seen that it was stopped")
    paused = len(node.events("channel.paused")) > pauses
    arena.demand(not paused, "a receiver was blamed for what a stopped node missed")


def _came_again(arena: Arena, caught: Receipt) -> bool:
    return any(one.id == caught.id and one.pid != caught.pid for one in arena.receipts.read())


async def kill_somewhere(arena: Arena, *nodes: Node) -> None:
    """Kill one of the nodes: while it starts, at any time later, just before or after the sink's answer."""
    rng = arena.rng
    node = rng.choice(nodes)
    await node.started()
    if rng.random() < 0.15:
        await arena.passes(rng.uniform(0.02, 0.7))
    else:
        await node.ready()
        caught = await arena.moment(0.6)
        node = (arena.node_of(caught.pid) if caught else None) or node
    await arena.kill(node)


async def a_server(arena: Arena, *settings: str) -> Postgres:
    """A PostgreSQL server for the arena's ledger; it ends with the scenario."""
    server = Postgres(arena.folder, "one", arena.bell)
    await server.create()
    arena.cleanups.push_async_callback(server.stop)
    await server.start(*settings)
    arena.database = server.url
    await server.migrate()
    return server


def _promise(arena: Arena, size: Size) -> None:
    arena.http.hold_s = HOLDS_S
    arena.configure()
    arena.promise(size.milestones, span_s=max(6.0, size.rounds * ROUND_S))

"""Receivers that misbehave for a while: over HTTP, over SMTP, and with names that do not resolve.

``fair`` is a receiver beside the failing one, which must not notice.
"""

from __future__ import annotations

from pathlib import Path

from tests.torture.arena import FALLBACK, LONG_LEASE_S, Arena, Size
from tests.torture.http_sink import MALFORMED, Mode

BAD, FAIR = "bad", "fair"
WELL = frozenset({Mode.ACCEPTS, Mode.CLOSES, *MALFORMED})
"""Modes in which a receiver accepts everything at once."""

PAUSES_S = 240.0
"""After this its retries and the pauses of its breaker are over."""

MAX_RESIDENT_KB = 200_000


async def hangs(arena: Arena, size: Size) -> None:
    """A receiver that reads the request and never answers."""
    await _misbehaves(arena, size, Mode.HANGS)


async def resets(arena: Arena, size: Size) -> None:
    """A receiver that resets the connection, before its answer and in the middle of it."""
    await _misbehaves(arena, size, Mode.RESETS, Mode.RESETS_MID)


async def drips(arena: Arena, size: Size) -> None:
    """A receiver that answers a byte at a time: its status, and after it its body."""
    await _misbehaves(arena, size, Mode.DRIPS, Mode.DRIPS_BODY)


async def huge(arena: Arena, size: Size) -> None:
    """A receiver that answers with 10 MB, with a status of 503 and of 200."""
    await _misbehaves(arena, size, Mode.HUGE_ERROR, Mode.HUGE)


async def redirects(arena: Arena, size: Size) -> None:
    """A receiver that redirects: what it gets is dead, told to the operator, and goes to the fallback."""
    await _misbehaves(arena, size, Mode.REDIRECTS, fallback=arena.hook(FALLBACK))
    receipts = arena.receipts.read()
    arena.demand(not [one for one in receipts if one.receiver == "elsewhere"], "a redirect was followed")
    _took_over(arena, BAD)


async def malformed(arena: Arena, size: Size) -> None:
    """Receivers that accept with an answer that HTTP libraries refuse to read: each reminder comes once."""
    arena.lease_s = LONG_LEASE_S
    arena.hook_timeout_s = 10.0  # a slow machine must cause no copy
    modes: dict[str, Mode] = {mode.name.lower().replace("_", "-"): mode for mode in MALFORMED}
    arena.configure({name: arena.hook(name) for name in modes})
    arena.promise(size.milestones, span_s=size.fails_s)
    arena.http.modes.update(modes)
    node = arena.node("a")
    await node.ready()
    await arena.finish(PAUSES_S)
    receipts = arena.receipts.read()
    arena.count("malformed answers", sum(receipt.receiver in modes for receipt in receipts))
    copies = len(receipts) - len({(receipt.receiver, receipt.id) for receipt in receipts})
    arena.demand(copies == 0, f"{copies} copies of what had been accepted")


async def _misbehaves(arena: Arena, size: Size, *modes: Mode, fallback: str = "") -> None:
    """A receiver for each of the modes, all failing at the same time, and then none of them."""
    arena.lease_s = LONG_LEASE_S
    bad = {f"{BAD}{number}" if number else BAD: mode for number, mode in enumerate(modes)}
    arena.configure({name: arena.hook(name) for name in (*bad, FAIR)}, fallback=fallback)
    arena.promise(size.milestones, span_s=size.fails_s * 2)
    # From the start: on a busy machine all may be due, and sent, by the time that the node says it is ready.
    arena.http.modes.update(bad)
    node = arena.node("a")
    await node.ready()
    await arena.bell.happens(20.0, lambda: any(one.receiver == BAD for one in arena.receipts.read()))
    await arena.passes(size.fails_s)
    arena.count("requests it failed", sum(one.receiver in bad for one in arena.receipts.read()))
    peak = resident_kb(node.pid)
    arena.http.modes.clear()
    await arena.finish(PAUSES_S)
    arena.demand(peak < MAX_RESIDENT_KB, f"its memory grew to {peak} KiB")
    arena.fair(FAIR)


async def together(arena: Arena, size: Size) -> None:
    """All of these at the same time, and one node: what each of them does, without a node for each."""
    arena.lease_s = LONG_LEASE_S
    arena.hook_timeout_s = 4.0
    names = arena.folder / "names"
    resolve(names, "again")
    modes = {mode.name.lower().replace("_", "-"): mode for mode in Mode if mode not in WELL}
    mails = {name: f"{{type: email, to: [{name}@example.org]}}" for name in ("greylists", "refuses", "drops")}
    arena.configure(
        {
            **{name: arena.hook(name) for name in (*modes, FAIR)},
            BAD: arena.hook(BAD, f"http://bad.example:{arena.http.port}"),
            **mails,
        },
        fallback=arena.hook(FALLBACK),
    )
    arena.promise(size.milestones, span_s=size.fails_s)
    arena.http.modes.update(modes)
    arena.smtp.rcpt_to = {
        "greylists@example.org": "451 4.7.1 greylisted, come back later",
        "refuses@example.org": "550 5.1.1 no such user",
    }
    arena.smtp.drop = "data"
    node = arena.node("a", TORTURE_NAMES=str(names))
    await node.ready()
    failing = {*modes, *mails, BAD}
    all_failed = await arena.bell.happens(PAUSES_S, lambda: failing <= _failed(arena))
    arena.demand(all_failed, f"{sorted(failing - _failed(arena))} never failed: not put to the test")
    arena.count("ways to fail", len(failing))
    peak = resident_kb(node.pid)
    arena.http.modes.clear()
    arena.smtp.rcpt_to, arena.smtp.drop = {}, ""
    resolve(names, "127.0.0.1")
    await arena.finish(PAUSES_S)
    arena.demand(peak < MAX_RESIDENT_KB, f"its memory grew to {peak} KiB")
    receipts = arena.receipts.read()
    arena.demand(not [one for one in receipts if one.receiver == "elsewhere"], "a redirect was followed")
    for name in ("redirects", "refuses"):
        _took_over(arena, name)


def _failed(arena: Arena) -> set[str]:
    """Receivers that misbehaved: by what the sink did, and by what the node has logged of the others."""
    at_the_sink = {one.receiver for one in arena.receipts.read() if one.receiver in arena.http.modes}
    ended = [*arena.events("delivery.retried"), *arena.events("delivery.died")]
    return at_the_sink | {str(event["channel"]).partition("/")[0] for event in ended}


def _took_over(arena: Arena, failed: str) -> None:
    """Whatever is dead for one receiver was accepted by the fallback."""
    accepted = arena.receipts.accepted
    dead = {name for receiver, name in arena.owed() if receiver == failed and (failed, name) not in accepted}
    arena.count("taken by the fallback", len(dead))
    arena.demand(bool(dead), "nothing was dead: nothing was put to the test")
    missing = sorted(name for name in dead if (FALLBACK, name) not in accepted)
    arena.demand(not missing, f"the fallback has not got {missing[:5]}")


async def greylists(arena: Arena, size: Size) -> None:
    """A mail server that says 451 to a recipient at first, and accepts later."""
    await _mails(arena, size, rcpt_to={f"{BAD}@example.org": "451 4.7.1 greylisted, come back later"})


async def refuses(arena: Arena, size: Size) -> None:
    """A mail server that says 550 to a recipient: dead, told to the operator, and sent to the fallback."""
    spare = f"{{type: email, to: [{FALLBACK}@example.org]}}"
    await _mails(arena, size, fallback=spare, rcpt_to={f"{BAD}@example.org": "550 5.1.1 no such user"})
    _took_over(arena, BAD)


async def drops(arena: Arena, size: Size) -> None:
    """A mail server that reads the mail and drops the connection instead of saying that it has it."""
    await _mails(arena, size, drop="data")


async def _mails(
    arena: Arena, size: Size, *, rcpt_to: dict[str, str] | None = None, drop: str = "", fallback: str = ""
) -> None:
    arena.lease_s = LONG_LEASE_S
    mailed = f"{{type: email, to: [{BAD}@example.org]}}"
    arena.configure({BAD: mailed, FAIR: arena.hook(FAIR)}, fallback=fallback)
    arena.promise(size.milestones, span_s=size.fails_s * 2)
    arena.smtp.rcpt_to, arena.smtp.drop = rcpt_to or {}, drop
    node = arena.node("a")
    await node.ready()
    await arena.bell.happens(30.0, lambda: any(name == FAIR for name, _ in arena.receipts.accepted))
    await arena.passes(size.fails_s)
    failed = [*arena.events("delivery.retried"), *arena.events("delivery.died")]
    arena.count("mails it failed", len(failed))
    arena.smtp.rcpt_to, arena.smtp.drop = {}, ""
    await arena.finish(PAUSES_S)
    arena.fair(FAIR)


async def dns(arena: Arena, size: Size) -> None:
    """A name that fails for now, does not exist, and is not answered for; then it resolves."""
    arena.lease_s = LONG_LEASE_S
    names = arena.folder / "names"
    resolve(names, "again")
    port = arena.http.port
    arena.configure({
        BAD: arena.hook(BAD, f"http://bad.example:{port}"),
        FAIR: arena.hook(FAIR, f"http://fair.example:{port}"),
    })  # fmt: skip
    answers = ("again", "none", f"blocks/{size.fails_s * 2:g}")
    # So that it has to be asked for again and again, and is not told from what was kept of its last answer.
    arena.http.modes[FAIR] = Mode.CLOSES
    # In a whole run for longer than the client keeps what it was told of a name (10 s).
    blocks_s = size.fails_s * 3.5
    arena.promise(size.milestones, span_s=size.fails_s * (len(answers) - 1) + blocks_s)
    node = arena.node("a", TORTURE_NAMES=str(names))
    await node.ready()
    for answer in answers:
        resolve(names, answer)
        arena.count("answers")
        await arena.passes(blocks_s if answer == answers[-1] else size.fails_s)
    resolve(names, "127.0.0.1")
    await arena.finish(PAUSES_S)
    arena.fair(FAIR)


def resolve(names: Path, bad: str) -> None:
    draft = names.with_suffix(".new")
    draft.write_text(f"bad.example {bad}\nfair.example 127.0.0.1\n")
    draft.rename(names)


def resident_kb(pid: int) -> int:
    """The most memory that it has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))

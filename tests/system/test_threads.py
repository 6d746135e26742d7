"""Threads that the system does not start at one moment, because it has too many: later calls are made."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from alertd.notify import OwnThreads
from alertd.notify.http.egress import Resolver
from alertd.system.file_thread import FileThread
from alertd.system.worker_threads import WorkerThreads


@contextlib.contextmanager
def no_thread_left() -> Iterator[None]:
    """Have every start of a thread fail, because no address space is large enough for its stack."""
    before = threading.stack_size(2**46)
    try:
        yield
    finally:
        threading.stack_size(before)


async def test_a_call_whose_thread_does_not_start_keeps_no_place() -> None:
    threads = OwnThreads("file", limit=1)
    with no_thread_left(), pytest.raises(RuntimeError):
        await threads.run(lambda: "written", 10)

    assert await threads.run(lambda: "written", 10) == "written"


async def test_a_name_whose_look_up_does_not_start_is_looked_up_later() -> None:
    names = Resolver(lambda _: ("127.0.0.1",))
    with no_thread_left(), pytest.raises(OSError, match="the system starts no more threads"):
        await names("hook.example")

    assert await names("hook.example") == ("127.0.0.1",)


async def test_a_look_up_that_fails_in_any_way_ends() -> None:
    """Otherwise all later messages to this host would wait for it."""
    answers: list[Exception | tuple[str, ...]] = [MemoryError(), ("127.0.0.1",)]

    def lookup(_: str) -> tuple[str, ...]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    names = Resolver(lookup)
    with pytest.raises(OSError, match=r"the look-up failed \(MemoryError\)"):
        await names("hook.example")

    assert await names("hook.example") == ("127.0.0.1",)


async def test_a_call_to_the_file_system_whose_thread_does_not_start_ends() -> None:
    """Otherwise the files would count as a folder that hangs, and would never be read again."""
    thread, ends = FileThread(), asyncio.Queue[object]()
    with no_thread_left():
        thread.submit(lambda: "read", ends.put_nowait)
        refused = await ends.get()
    thread.submit(lambda: "read", ends.put_nowait)

    assert isinstance(refused, RuntimeError)
    assert await ends.get() == "read"


def test_a_pool_whose_thread_does_not_start_starts_it_later() -> None:
    threads = WorkerThreads("ledger")
    with no_thread_left(), pytest.raises(RuntimeError):
        threads.submit(lambda: "written")

    assert threads.submit(lambda: "written").result(10) == "written"
    threads.end()

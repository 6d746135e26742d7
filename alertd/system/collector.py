"""Have the garbage collector run less often, and keep it from stopping the process for long.

Where many objects are created and few become cyclic garbage, most collections find nothing. And a full
collection looks at every object that it knows, and all threads wait meanwhile: a tenth of a second for a
daemon, although nearly all of its objects belong to modules and live as long as the process.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """Turn the garbage collector off in the block. With the collector on, loading takes twice as long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


YOUNG_OBJECTS = 20_000
"""After how many new objects the collector looks for cycles among them. Python's default of 700 is about two
deliveries. Almost all objects of a delivery end without the collector, so most collections find nothing: they
took an eighth of the processor time of a busy daemon."""


def collect_rarely() -> None:
    """Have the garbage collector of this process run seldom enough for a daemon that sends much."""
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def keep_what_is_there() -> None:
    """Collect what is garbage, and have the collector never look at the rest again.

    Call this once, when a process has made what it keeps. From then on, a full collection looks only at what
    has been made since.
    """
    gc.collect()
    gc.freeze()

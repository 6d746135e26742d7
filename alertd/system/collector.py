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


THRESHOLDS = 10_000, 10, 20
"""The thresholds of the collector's three generations. With Python's own (700, 10 and 10), a full collection
comes every two seconds while a backlog is sent, and the first generation is looked at every two deliveries,
which took an eighth of the processor time. Almost all objects of a delivery end without the collector."""


def keep_what_is_there() -> None:
    """Collect what is garbage. Then have the collector never look at the rest again, and collect less often.

    Call this once, when a process has made what it keeps. From then on, a full collection looks only at what
    has been made since.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

"""The arenas of the C library."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from alertd.system.memory import use_one_arena

use_one_arena()
made = threading.Event()
threads = [threading.Thread(target=lambda: (bytearray(100_000), made.wait())) for _ in range(4)]
for thread in threads:
    thread.start()
sys.stderr.flush()
ctypes.CDLL(None).malloc_stats()
made.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_one_arena() -> None:
    """glibc's own statistics list one arena although several threads have allocated memory."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stderr.count("Arena ") == 1

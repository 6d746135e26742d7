"""Name this node, and find out whether another node on this machine is dead."""

from __future__ import annotations

import os
import socket
from functools import cache

INITIAL_NAMESPACE = "pid:[4026531836]"
"""The PID namespace of the host, outside of all containers (``PROC_PID_INIT_INO`` in Linux)."""


def make_node_name() -> str:
    """Return the host name and the process id, such as ``web-1:4711``.

    In a container, the name also has the PID namespace, because the process id is often 1 in every container.
    """
    namespace = _read_namespace()
    inside = "" if namespace in ("", INITIAL_NAMESPACE) else "@" + namespace.strip("pid:[]")
    return f"{socket.gethostname()}:{os.getpid()}{inside}"


def is_gone(node: str) -> bool:
    """Return whether ``node`` ran on this machine and in this PID namespace, and has ended.

    The answer is False for nodes on other machines, because their processes are not visible here.
    """
    ours = make_node_name()
    host, _, rest = node.rpartition(":")
    pid, _, inside = rest.partition("@")
    if (host, inside) != (socket.gethostname(), ours.rpartition(":")[2].partition("@")[2]):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError):
        return False
    return False


@cache
def _read_namespace() -> str:
    """Return the PID namespace of this process, which never changes (pid_namespaces(7)); "" if unknown."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""

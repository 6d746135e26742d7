"""The name of this node, and whether another node of this machine is dead."""

from __future__ import annotations

import os
import socket

INITIAL_NAMESPACE = "pid:[4026531836]"


def node_name() -> str:
    """Host and process id; in a container also which, since there every first process has the id 1."""
    namespace = _namespace()
    inside = "" if namespace in ("", INITIAL_NAMESPACE) else "@" + namespace.strip("pid:[]")
    return f"{socket.gethostname()}:{os.getpid()}{inside}"


def is_gone(node: str) -> bool:
    """Whether ``node`` ran where this one does, and runs no more. Of other machines nothing is known."""
    ours = node_name()
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


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""

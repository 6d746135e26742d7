"""Raises the limit of open files, from which the web server derives how many connections it accepts."""

from __future__ import annotations

WANTED = 4096
"""How many open files alertd asks for. The unit asks systemd for the same number."""

UNKNOWN = 1024
"""The limit that is assumed on a system that does not tell."""


def raise_descriptor_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit of open files to ``wanted``, or to the hard limit. Return the limit in force.

    Shells set a soft limit of 1024, or 256 on macOS, for old programs that call select(). alertd does not
    call it. A soft limit that is higher already is kept.
    """
    try:
        import resource
    except ImportError:
        return UNKNOWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return wanted if soft == unlimited else soft
    raised = wanted if hard == unlimited else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (ValueError, OSError):
        return soft
    return raised

"""The real ``alertd``, as its command line starts it, on a leash and with what a scenario changes around it.

    TORTURE_LEASE_S=4 python -m tests.torture.node run --config ... --database ...

Nobody else can set these, so they are no settings of alertd:

``TORTURE_LEASE_S``   how long a delivery is taken for, and with it the longest that one send may take
``TORTURE_NAMES``     a file that answers for DNS, see :class:`Names`
``TORTURE_MODES``     obey the modes of files, also as root
``TORTURE_NEWER``     a folder for the migration that makes this an alertd of a later version
"""

from __future__ import annotations

import os
import socket
import threading
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.torture.leash import die_with_parent, obey_modes

SEND_SHARE = 0.4
"""The longest send as a part of a lease: 120 s of five minutes."""


class Names:
    """What ``getaddrinfo`` says, from a file with lines such as ``a.example again``, read each time.

    ``again``: a temporary failure; ``none``: no such name; ``blocks/SECONDS``: no answer so long, and then
    a temporary failure; anything else is the address. What the file does not name is asked as ever.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._asked = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("flags", 0) & socket.AI_NUMERICHOST:
            # Whether it is a spelling of an address is no question to a name server.
            return self._asked(host, *arguments, **named)
        known = dict(line.split() for line in self._file.read_text().splitlines())
        match known.get(host):
            case None:
                return self._asked(host, *arguments, **named)
            case "again":
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            case "none":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            case answer if answer.startswith("blocks/"):
                threading.Event().wait(float(answer.partition("/")[2]))
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            case address:
                return self._asked(address, *arguments, **named)


def put(module: ModuleType, name: str, value: object) -> None:
    """Replace a constant; one that is not there any more would make the scenario another than it says."""
    if name not in vars(module):
        raise SystemExit(f"{module.__name__} has no {name}: tests/torture/node.py is out of date")
    setattr(module, name, value)


def main() -> None:
    die_with_parent()
    if os.environ.get("TORTURE_MODES"):
        obey_modes()
    names = os.environ.get("TORTURE_NAMES")
    if names:
        put(socket, "getaddrinfo", Names(Path(names)).getaddrinfo)
    lease_s = float(os.environ.get("TORTURE_LEASE_S", "0"))
    if lease_s:
        from alertd.engine import delivery, leasing, self_audit, sender
        from alertd.ports import AHEAD_FOR

        for module in (leasing, self_audit, sender):
            put(module, "LEASE_FOR", timedelta(seconds=lease_s))
        put(leasing, "AHEAD_FOR", min(AHEAD_FOR, timedelta(seconds=lease_s)))
        put(delivery, "SEND_LIMIT_S", lease_s * SEND_SHARE)
        put(delivery, "SEND_WITHIN", timedelta(seconds=lease_s * (1 - SEND_SHARE)))

    confirmed_s = float(os.environ.get("TORTURE_CONFIRMED_S", "0"))
    if confirmed_s:
        from alertd.engine import clocks

        put(clocks, "CONFIRMED_AFTER_S", confirmed_s)

    newer = os.environ.get("TORTURE_NEWER")
    if newer:
        from tests.torture.newer import become_newer

        become_newer(Path(newer))

    from alertd.cli import main as alertd

    alertd()


if __name__ == "__main__":
    main()

"""The composition root: builds the application from the settings.

Only this package names the concrete classes behind the ports. The commands build their parts here too. Heavy
modules are imported inside the functions that need them.
"""

from datetime import datetime

from alertd.app.access_files import AccessFiles
from alertd.app.definitions import OptionModels, load_definitions, make_loader, resolve_milestones
from alertd.app.ledger import embedded_file, open_ledger
from alertd.app.notifiers import make_notifiers, send_test
from alertd.app.service import (
    EMBEDDED_LEAD_FOR,
    EX_CONFIG,
    EX_DATAERR,
    EX_IOERR,
    EX_TEMPFAIL,
    hold_standard_streams,
    run,
)
from alertd.system.clock import SystemClock

__all__ = [
    "EMBEDDED_LEAD_FOR",
    "EX_CONFIG",
    "EX_DATAERR",
    "EX_IOERR",
    "EX_TEMPFAIL",
    "AccessFiles",
    "OptionModels",
    "embedded_file",
    "hold_standard_streams",
    "load_definitions",
    "make_loader",
    "make_notifiers",
    "now",
    "open_ledger",
    "resolve_milestones",
    "run",
    "send_test",
]


def now() -> datetime:
    """Return the current time (UTC) by the machine's clock."""
    return SystemClock().now()

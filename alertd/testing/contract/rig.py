"""What a contract is tried on: one notifier, its surroundings, and what its receiver saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.base import Env, NotifierClass
from alertd.notify.registry import installed
from alertd.ports import Notifier

CANARY = "canary-5f0c9b"
"""Every secret of every rig. It must come out nowhere but at the receiver."""


class Trouble(Enum):
    """What the receiver does.

    NONE: it takes the message. LATER: it says that it cannot now. NEVER: it refuses the message for good.
    NOBODY: nothing can be reached. HANGS_UP: it has read all, and goes without an answer. HANGS: it has read
    all and does not answer. What it says of LATER and NEVER holds :data:`CANARY`.
    """

    NONE = auto()
    LATER = auto()
    NEVER = auto()
    NOBODY = auto()
    HANGS_UP = auto()
    HANGS = auto()


EXPECTED: Mapping[Trouble, tuple[type[Retry | Rejected], bool]] = MappingProxyType(
    {
        Trouble.LATER: (Retry, False),
        Trouble.NEVER: (Rejected, False),
        # Nothing was written, so nothing can have arrived.
        Trouble.NOBODY: (Retry, False),
        # All was written and no answer came: it may have arrived.
        Trouble.HANGS_UP: (Retry, True),
        Trouble.HANGS: (Retry, True),
    }
)
"""The outcome of each trouble, and whether it is unknown."""


class Rig:
    """One notifier, made of options as ``alertd.yaml`` would give them, and what its receiver saw."""

    def __init__(self, type_name: str, options: Mapping[str, object], env: Env) -> None:
        self.made: NotifierClass = installed()[type_name].load()
        self.options = self.made.Options.model_validate(options)
        self.env = env
        self.notifier: Notifier = self.made(self.options, env)

    def seen(self) -> str:
        """All that the receiver got, as text; in any form that shows what a receiver can see."""
        raise NotImplementedError

    def bodies(self) -> Sequence[str]:
        """The same, but only the body of each request: what ``render`` gives."""
        return [self.seen()]

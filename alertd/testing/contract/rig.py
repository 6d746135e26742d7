"""The objects that a contract test needs: a notifier, its environment, and what its receiver got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.base import Env, NotifierClass
from alertd.notify.registry import list_usable
from alertd.ports import Notifier

CANARY = "canary-5f0c9b"
"""Every secret of every rig contains this text. Only the receiver may see it."""


SOON_S = 0.3
"""The timeout in seconds for tests in which only the notifier can end the request."""

LONG_S = 10.0
"""The timeout in seconds for all other tests."""


class Trouble(Enum):
    """What the receiver does with a message.

    NONE: it accepts the message. LATER: it reports a temporary error. NEVER: it rejects the message for good.
    NOBODY: no connection is possible. HANGS_UP: it reads the message and closes the connection without an
    answer. HANGS: it reads the message and does not answer. The answers for LATER and NEVER contain
    :data:`CANARY`.
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
        # The whole message was written and no answer came, so it may have arrived.
        Trouble.HANGS_UP: (Retry, True),
        Trouble.HANGS: (Retry, True),
    }
)
"""The type of outcome for each trouble, and whether the outcome is unknown."""


class Rig:
    """A notifier made from options as in ``alertd.yaml``, and the record of what its receiver got."""

    def __init__(self, type_name: str, options: Mapping[str, object], env: Env) -> None:
        self.made: NotifierClass = list_usable()[type_name].load()
        self.options = self.made.Options.model_validate(options)
        self.env = env
        self.notifier: Notifier = self.made(self.options, env)

    def seen(self) -> str:
        """Return everything that the receiver got, as text, in any form that contains all that it can see."""
        raise NotImplementedError

    def bodies(self) -> Sequence[str]:
        """Return the body of each request that the receiver got, in the form that ``render`` returns."""
        return [self.seen()]

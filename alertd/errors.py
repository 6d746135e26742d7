"""Every error that alertd raises itself, in one tree.

    AlertdError
    ├── ParseError                 a text in a small grammar of ours could not be read
    │   ├── DeadlineError          core/deadline/
    │   ├── DurationError          core/time/duration.py
    │   ├── MatcherError           core/routing/matcher.py
    │   ├── IntervalError          core/time/interval.py
    │   ├── RecurrenceError        core/milestones/recurrence.py
    │   ├── RateError              core/ledger/backpressure.py
    │   └── NetworkError           core/network.py
    ├── MomentError                core/time/moments.py: not a date or a time as people type them
    ├── FieldProblem               core/explain/request.py: a form field holds what cannot be
    ├── DefinitionsError           one or more problems in the files people write
    ├── CredentialsError           a token, a user or their file cannot be made, read or written
    ├── SettingsError              the environment or a command line option is wrong
    ├── SecretUnreadable           system/secrets.py: a file that should hold a secret cannot be read
    ├── TlsUnusable                notify/http/tls.py: a certificate or a key cannot be used
    ├── AddressRefused             notify/http/egress.py: an address that alertd does not connect to
    ├── NotifierUnusable           notify/registry.py: an installed notifier cannot be imported
    ├── TimelineMissing            demo/stage.py: the package was built without its timeline
    ├── NoAnswer                   engine/control.py: the daemon was asked, and does not answer or not do it
    ├── UnknownMilestone           no milestone of that id is loaded or in the ledger
    ├── UnknownReceiver            no receiver of that name is configured
    ├── UnknownDelivery            no delivery of that id is in the ledger
    ├── RefusedAction              an action that does not fit the milestone's state
    └── LedgerError                the store
        ├── LedgerBusy             somebody else holds it; trying again may succeed
        ├── LedgerUnavailable      it cannot be reached, read or written now
        ├── LeadLost               another node reconciles by now
        ├── SchemaTooNew           a newer alertd has migrated it
        └── SchemaTooOld           `alertd migrate` has not been run

A remote failure is never one of these: it is an Outcome (core/planning/decide.py).
"""

from __future__ import annotations


class AlertdError(Exception):
    """The root. Its text is one line in lower case and holds the offending value."""


class ParseError(AlertdError):
    """A text could not be read.

    Attributes:
        text: the text as it was given.
        reason: what is wrong with it, without the text itself.
        advice: what would be right, or "" when there is nothing to say.
        offset: where in ``text`` the trouble begins, counted in characters from 0.
    """

    def __init__(self, text: str, reason: str, advice: str = "", offset: int = 0) -> None:
        self.text = text
        self.reason = reason
        self.advice = advice
        self.offset = offset
        shown = text if len(text) <= 60 else text[:57] + "..."
        super().__init__(f"{shown!r}: {reason}" + (f"; {advice}" if advice else ""))


class DeadlineError(ParseError):
    """Not a deadline of the profile in docs/reference/deadlines.md."""


class DurationError(ParseError):
    """Not a duration such as ``90d``, ``1mo``, ``12h`` or ``P1M``."""


class MatcherError(ParseError):
    """Not a matcher such as ``country="iraq"``."""


class IntervalError(ParseError):
    """Not a range of a time interval, such as ``monday:friday``."""


class RecurrenceError(ParseError):
    """Not a recurrence rule that alertd can expand."""


class RateError(ParseError):
    """Not a rate such as ``1/s``."""


class NetworkError(ParseError):
    """Not a network that may be allowed."""


class MomentError(AlertdError):
    """Not a date, a time, an instant or a duration."""


class FieldProblem(AlertdError):
    """What somebody filled in cannot be.

    Attributes:
        field: its name: ``until``, ``on``, ``why`` or ``evidence``.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(reason)


class DefinitionsError(AlertdError):
    """Problems in definition or configuration files; ``problems`` holds each as one line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class CredentialsError(AlertdError):
    """A token, a user or the file of them; the text holds nothing secret."""


class SettingsError(AlertdError):
    """The environment or a command line option is wrong."""


class NoAnswer(AlertdError):
    """No daemon answers, or it does not do what it was asked."""


class UnknownMilestone(AlertdError):
    """No milestone of that id."""


class UnknownReceiver(AlertdError):
    """No receiver of that name."""


class UnknownDelivery(AlertdError):
    """No delivery of that id."""


class RefusedAction(AlertdError):
    """An action that does not fit the milestone's state."""


class LedgerError(AlertdError):
    """The store could not do what was asked; nothing of it was done."""


class LedgerBusy(LedgerError):
    """Another writer holds the ledger; the same call may succeed later."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be reached, read or written now."""


class LeadLost(LedgerError):
    """Another node has taken the lead; what this one reconciled since was not written."""


class SchemaTooNew(LedgerError):
    """A newer alertd has migrated this ledger; this one must not write to it."""


class SchemaTooOld(LedgerError):
    """The ledger has not been migrated to the schema that this alertd needs."""

"""Define every error that alertd raises itself, in one tree.

    AlertdError
    ├── ParseError                 a text does not match one of alertd's small grammars
    │   ├── DeadlineError          core/deadline/
    │   ├── DurationError          core/time/duration.py
    │   ├── MatcherError           core/routing/matcher.py
    │   ├── IntervalError          core/time/interval.py
    │   ├── RecurrenceError        core/milestones/recurrence.py
    │   ├── RateError              core/ledger/backpressure.py
    │   └── NetworkError           core/network.py
    ├── MomentError                core/time/moments.py: not a date, time or duration that a person can enter
    ├── FieldProblem               core/explain/request.py: a form field has an impossible value
    ├── DefinitionsError           the configuration or timeline files have problems
    ├── CredentialsError           a token, a user or their file cannot be created, read or written
    ├── SettingsError              an environment variable or a command-line option is wrong
    ├── SecretUnreadable           system/secrets.py: a file that should hold a secret cannot be read
    ├── TlsUnusable                notify/http/tls.py: a certificate or a key cannot be used
    ├── ZoneMissing                core/time/instant.py: this machine's time zone database lacks the zone
    ├── AddressRefused             notify/http/egress.py: alertd does not connect to this address
    ├── NotifierUnusable           notify/registry.py: an installed notifier cannot be imported
    ├── TimelineMissing            demo/stage.py: the package was built without its timeline
    ├── NoAnswer                   engine/control.py: the daemon does not answer or does not do it
    ├── UnknownMilestone           no milestone with that id is loaded or in the ledger
    ├── UnknownReceiver            no receiver with that name is configured
    ├── UnknownDelivery            no delivery with that id is in the ledger
    ├── RefusedAction              the action does not fit the milestone's state
    └── LedgerError                the ledger cannot do what was asked
        ├── LedgerBusy             another process has locked it; a retry may succeed
        ├── LedgerUnavailable      the database cannot be reached, read or written now
        │   └── LedgerDamaged      the database cannot be read as a whole: pages are damaged
        ├── LedgerRefused          the database takes no row with this content; other rows can be written
        ├── LeadLost               another node has become the leader
        ├── UnreadableRow          store/: a row cannot be read; the store sets it apart
        ├── SchemaTooNew           a newer version of alertd has migrated the database
        └── SchemaTooOld           `alertd migrate` has not been run

The failure of a remote service is not an exception but an Outcome (core/ledger/outcome.py).
"""

from __future__ import annotations


class AlertdError(Exception):
    """The root of the tree. A message is one line in lower case and contains the offending value."""


class ParseError(AlertdError):
    """A text does not match its grammar.

    Attributes:
        text: the text as it was given.
        reason: the problem. It does not contain the text.
        advice: a suggestion that would be valid, or "".
        offset: the position of the problem in ``text``, in characters from 0.
    """

    def __init__(self, text: str, reason: str, advice: str = "", offset: int = 0) -> None:
        self.text = text
        self.reason = reason
        self.advice = advice
        self.offset = offset
        shown = text if len(text) <= 60 else text[:57] + "..."
        super().__init__(f"{shown!r}: {reason}" + (f"; {advice}" if advice else ""))


class DeadlineError(ParseError):
    """The text is not a deadline as docs/reference/deadlines.md describes it."""


class DurationError(ParseError):
    """The text is not a duration such as ``90d``, ``1mo``, ``12h`` or ``P1M``."""


class MatcherError(ParseError):
    """The text is not a matcher such as ``country="iraq"``."""


class IntervalError(ParseError):
    """The text is not a range in a time interval, such as ``monday:friday``."""


class RecurrenceError(ParseError):
    """The text is not a recurrence rule that alertd can expand."""


class RateError(ParseError):
    """The text is not a rate such as ``1/s``."""


class NetworkError(ParseError):
    """The text is not an address or a network that can be allowed."""


class MomentError(AlertdError):
    """The text is not a date, a time, an instant or a duration."""


class FieldProblem(AlertdError):
    """A field of a form has an impossible value.

    Attributes:
        field: the field's name: ``until``, ``on``, ``why`` or ``evidence``.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(reason)


class DefinitionsError(AlertdError):
    """The configuration or timeline files have problems.

    Attributes:
        problems: the problems, one line each.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class TimelineUnread(AlertdError):
    """A definition file cannot be read again, or is not the file any more that was loaded."""


class CredentialsError(AlertdError):
    """A token, a user or their file cannot be created, read or written. The message contains no secret."""


class SettingsError(AlertdError):
    """An environment variable or a command-line option is wrong."""


class ZoneMissing(AlertdError):
    """This machine's time zone database does not have the zone.

    Attributes:
        zone: the name of the zone.
    """

    def __init__(self, zone: str) -> None:
        self.zone = zone
        super().__init__(f"the time zone {zone!r} is not in this machine's time zone database")


class NoAnswer(AlertdError):
    """The daemon does not answer, or does not do what it was asked."""


class UnknownMilestone(AlertdError):
    """There is no milestone with that id."""


class UnknownReceiver(AlertdError):
    """There is no receiver with that name."""


class UnknownDelivery(AlertdError):
    """There is no delivery with that id."""


class RefusedAction(AlertdError):
    """The action does not fit the milestone's state."""


class LedgerError(AlertdError):
    """The ledger could not do what was asked. Nothing was written."""


class LedgerBusy(LedgerError):
    """Another process has locked the ledger. The same call may succeed later."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be reached, read or written now."""


class LedgerDamaged(LedgerUnavailable):
    """The pages that a statement needs are damaged. Other pages of the ledger may be sound."""


class LedgerRefused(LedgerError):
    """The database takes no row with this content, whenever it is written. Other rows can be written."""


class LeadLost(LedgerError):
    """Another node has become the leader, so the changes of this node were not written."""


class UnreadableRow(LedgerError):
    """A row of the ledger cannot be read. Nothing else is wrong with the ledger.

    Attributes:
        table: the table of the row.
        key: the value of its primary key; a tuple where the key has several columns.
        reason: why the row cannot be read, in one line.
        zone: the zone that this machine's time zone database lacks; "" if something else is wrong.
    """

    def __init__(self, table: str, key: object, reason: str, zone: str = "") -> None:
        self.table = table
        self.key = key
        self.reason = reason
        self.zone = zone
        super().__init__(f"the row {key!r} of the table {table} cannot be read: {reason}")


class SchemaTooNew(LedgerError):
    """A newer version of alertd has migrated this ledger, so this version must not write to the ledger."""


class SchemaTooOld(LedgerError):
    """The ledger must be migrated before this version of alertd can use it."""


def is_about_content(error: Exception) -> bool:
    """Return whether the ledger failed because of what was to be written, so that a retry would not help.

    Otherwise the ledger itself has failed, and the same call may succeed later.
    """
    return isinstance(error, LedgerRefused) or not isinstance(error, LedgerError)

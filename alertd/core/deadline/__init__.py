"""Everything about deadlines, in one place to import from; each name's own module says what it is.

`deadline_value` has the types, `deadline_parse` reads them, `deadline_refusal` explains what can't be read,
`deadline_window` finds their instants, `deadline_text` says them to people and `deadline_shift` moves them.
"""

from alertd.core.deadline.parse import parse_deadline
from alertd.core.deadline.shift import shift_deadline
from alertd.core.deadline.text import format_deadline, format_deadline_phrase
from alertd.core.deadline.value import (
    Deadline,
    Precision,
    Qualifier,
    Reading,
    Unbounded,
    Window,
    compute_window,
    read_window,
)

__all__ = [
    "Deadline",
    "Precision",
    "Qualifier",
    "Reading",
    "Unbounded",
    "Window",
    "compute_window",
    "format_deadline",
    "format_deadline_phrase",
    "parse_deadline",
    "read_window",
    "shift_deadline",
]

"""Deadlines. Other packages import the names that they need from here.

- :mod:`value` defines the types, and computes the window of a deadline;
- :mod:`parse` reads a deadline from its EDTF text;
- :mod:`refusal` explains why a text is not a deadline;
- :mod:`text` writes a deadline in English;
- :mod:`shift` moves a deadline by a duration.
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

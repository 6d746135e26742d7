"""alertd: reminders for deadlines that are imprecise, sourced, contested, and that move."""

__version__ = "0.1.0"

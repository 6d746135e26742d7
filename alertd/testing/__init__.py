"""Tools for tests of notifiers, both alertd's and yours: sample messages and servers on the loopback
interface.

    from alertd.testing import Answer, Fault, HttpSink, SmtpSink, sample_message, notifier_env

A server with TLS needs the package trustme, which alertd itself does not need.
"""

from __future__ import annotations

from alertd.testing.env import FixedClock, notifier_env
from alertd.testing.http_sink import Answer, Fault, HttpSink, Received
from alertd.testing.messages import SAMPLES, sample_message, with_links
from alertd.testing.smtp_sink import Mail, SmtpSink

__all__ = [
    "SAMPLES",
    "Answer",
    "Fault",
    "FixedClock",
    "HttpSink",
    "Mail",
    "Received",
    "SmtpSink",
    "notifier_env",
    "sample_message",
    "with_links",
]

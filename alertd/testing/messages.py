"""Sample messages, one for each kind and cause, as notifiers get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alertd.core.ledger.records import Delivery, Lease, Notice
from alertd.core.message.compose import ItemContext, compose, make_test_message
from alertd.core.message.message import ActionLink, Message
from alertd.core.milestones.occurrence import fingerprint
from alertd.core.routing.digest import DigestIssue
from alertd.testing import items
from alertd.testing.items import NOW, RECEIVER, ROUTE, Scene


def _compose(name: str, scene: Scene, fallback_for: str = "", edition: DigestIssue | None = None) -> Message:
    delivery = replace(
        _delivery(name),
        members=tuple(owed.key for owed in scene.owed),
        fallback_for=fallback_for,
        edition=edition,
    )
    lease = _lease(delivery, scene)
    return compose(lease, lease.owed, NOW, ItemContext(route=ROUTE, upcoming=scene.upcoming))


def _notice(name: str, headline: str, *lines: str) -> Message:
    delivery = replace(_delivery(name), notice=Notice(slot=name, headline=headline, lines=lines))
    lease = _lease(delivery, Scene(records={}, owed=(), upcoming={}))
    return compose(lease, (), NOW, ItemContext(route=ROUTE))


def _delivery(name: str) -> Delivery:
    return Delivery(
        id="msg_" + fingerprint("sample", name),
        receiver=RECEIVER,
        notifier="sample",
        members=(),
        bound_at=NOW,
        next_at=NOW,
    )


def _lease(delivery: Delivery, scene: Scene) -> Lease:
    return Lease(delivery=delivery, owner="", fence=1, until=NOW, owed=scene.owed, records=scene.records)


def _many() -> Scene:
    return (
        items.contested()
        + items.approaching()
        + items.moved("advisers", "New advisory relationship begins")
        + items.opens()
        + items.done()
    )


def _digest() -> Message:
    """Return a digest with the same five milestones, each under its heading, collected until this Tuesday."""
    edition = DigestIssue(
        name="every Tuesday at 09:00 (Asia/Baghdad)",
        zone="Asia/Baghdad",
        at=NOW,
        since=NOW - timedelta(days=7),
        until=datetime(2026, 12, 8, 21, tzinfo=UTC),
    )
    return _compose("digest", _many(), edition=edition)


SAMPLES: Mapping[str, Callable[[], Message]] = {
    "approaching": lambda: _compose("approaching", items.approaching()),
    "contested": lambda: _compose("contested", items.contested()),
    "moved": lambda: _compose("moved", items.moved()),
    "opens": lambda: _compose("opens", items.opens()),
    "due": lambda: _compose("due", items.due()),
    "owned": lambda: _compose("owned", items.owned()),
    "done": lambda: _compose("done", items.done(), fallback_for="leads/email"),
    "acknowledged": lambda: _compose("acknowledged", items.acknowledged()),
    "cancelled": lambda: _compose("cancelled", items.cancelled()),
    "many": lambda: _compose("many", _many()),
    "digest": _digest,
    "notice": lambda: _notice(
        "notice",
        "2 definition files cannot be read; what they said before stays in force",
        "milestones/iraq.yaml:14:17: '2026-21': a season; say which months are meant",
        "milestones/audit.yaml:3:1: unknown key 'mileston'; did you mean 'milestones'?",
    ),
    "test": lambda: make_test_message(_delivery("test"), NOW),
}
"""Functions that make the samples, by name. All samples are composed at 2026-11-24T06:00Z."""


def with_links(message: Message) -> Message:
    """Return ``message`` with links, as if alertd served its page at ``https://alertd.example``."""
    base = "https://alertd.example"
    return replace(
        message,
        page=f"{base}/",
        items=tuple(
            replace(
                item,
                page=f"{base}/milestones/{item.milestone}",
                actions=tuple(
                    ActionLink(
                        kind=kind, label=label, url=f"{base}/act/{kind}.{fingerprint(kind, item.milestone)}"
                    )
                    for kind, label in (
                        ("acknowledge", "Acknowledge"),
                        ("snooze", "Snooze"),
                        ("done", "Done"),
                    )
                ),
            )
            for item in message.items
        ),
    )


def sample_message(kind: str = "contested", **changes: object) -> Message:
    """Return one of :data:`SAMPLES`, with the given fields replaced."""
    return replace(SAMPLES[kind](), **changes)  # type: ignore[arg-type]

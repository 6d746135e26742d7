"""Numbers in the documentation are those of the code, and headers are those that arrive."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.app import EMBEDDED_LEAD_FOR
from alertd.core.config import Config, Smtp
from alertd.core.deadline.parse import MAX_TEXT
from alertd.core.deadline.value import FIRST_YEAR, LAST_YEAR
from alertd.core.ledger.outcome import FIRST_STEP, GROWTH, JITTER, LONGEST_STEP, Sent
from alertd.core.milestones.occurrence import SERIES_REPEAT_SPAN
from alertd.core.planning.decide import MAX_MEMBERS
from alertd.core.planning.reminders import HORIZON
from alertd.core.routing.matcher import MAX_LENGTH
from alertd.core.time.duration import Duration, parse_duration
from alertd.definitions.config.keys import MAX_NOTIFIERS, MAX_RUNGS
from alertd.definitions.files import MAX_FILES
from alertd.definitions.load import MAX_PROBLEMS_OF_ALL
from alertd.definitions.reading import keys, yaml
from alertd.definitions.reading.reader import MAX_PROBLEMS
from alertd.definitions.timeline.keys import MAX_CLAIMS, MAX_MILESTONES, MAX_SOURCES_OF_CLAIM
from alertd.engine.backoff import LONGEST_BACKOFF_S
from alertd.engine.chores import RECONCILE_EVERY_S, REPORT_EVERY_S
from alertd.engine.deps import Dependencies
from alertd.engine.health import DEAD_FOR, FAILING_AFTER, GONE_AFTER, LATE_AFTER, SILENT_AFTER
from alertd.engine.leader import LEAD_FOR
from alertd.engine.liveness import LATE_AFTER_S, STUCK_AFTER_S, UNWRITABLE_AFTER_S
from alertd.engine.self_audit import STALE_AFTER_S
from alertd.engine.sender import MAX_IN_FLIGHT, PER_CHANNEL
from alertd.engine.timer import LOOK_AGAIN_S
from alertd.notify.http.client import TIMEOUT_S
from alertd.notify.webhook.notifier import WebhookNotifier, WebhookOptions
from alertd.ports import LEASE_FOR
from alertd.testing import HttpSink, notifier_env, sample_message
from tests.docs_pages import ROOT, codes, first_column, prose, section, tables


def said(page: str) -> str:
    """The text of a page on one line."""
    return " ".join(prose(ROOT / page).split())


# Each with the page that says it, and how.
SAYINGS: list[tuple[str, str]] = [
    ("docs/reference/deadlines.md", f"Years go from {FIRST_YEAR} to {LAST_YEAR}"),
    ("docs/reference/deadlines.md", f"at most {MAX_TEXT} characters"),
    ("docs/reference/routes.md", f"at most {MAX_MEMBERS} of them"),
    ("docs/reference/routes.md", f"at most {MAX_LENGTH:,} characters"),
    ("docs/reference/notifiers.md", f"At most {PER_CHANNEL} sends to one notifier"),
    ("docs/reference/notifiers.md", f"and {MAX_IN_FLIGHT} in all"),
    ("docs/reference/notifiers.md", f"from {FIRST_STEP.seconds} seconds by factors of {GROWTH}"),
    ("docs/howto/webhook.md", f"within {TIMEOUT_S:.0f} seconds"),
    (
        "docs/reference/cli.md",
        f"for at most {Dependencies.__dataclass_fields__['drain_s'].default:.0f} seconds",
    ),
    ("docs/reference/config.md", f"from the last day; at most {MAX_RUNGS}"),
    ("docs/reference/config.md", f"the ways to tell it, at most {MAX_NOTIFIERS}"),
    ("docs/reference/timeline.md", f"the milestones, at most {MAX_MILESTONES:,}"),
    ("docs/explanation/ledger.md", f"{HORIZON.days} days ahead"),
    ("docs/explanation/ledger.md", f"at least every {LOOK_AGAIN_S:.0f} seconds"),
    ("docs/howto/run-several-nodes.md", f"takes over within {LEAD_FOR.seconds} seconds"),
    ("docs/howto/monitor.md", f"`unwritable` after {UNWRITABLE_AFTER_S:.0f} seconds"),
    ("docs/howto/monitor.md", f"has not been sent for {LATE_AFTER_S:.0f} seconds"),
    ("docs/howto/monitor.md", f"`stuck` after {STUCK_AFTER_S:.0f} seconds"),
    ("docs/howto/monitor.md", f"A daemon reports every {REPORT_EVERY_S} seconds"),
    ("docs/howto/monitor.md", f"not reported for {SILENT_AFTER.seconds} seconds"),
    ("docs/reference/cli.md", f"not reported for {SILENT_AFTER.seconds} seconds"),
    ("docs/howto/run-several-nodes.md", f"and so on up to {LONGEST_BACKOFF_S:.0f} s"),
    ("docs/decisions/0009-then-every.md", f"{SERIES_REPEAT_SPAN.days} days at most"),
]


@pytest.mark.parametrize(("page", "saying"), SAYINGS)
def test_what_is_said_has_the_numbers_of_the_code(page: str, saying: str) -> None:
    assert saying in said(page)


TEN = timedelta(seconds=10)
# A page, words on it, the number of the code that they tell, and the number that they mean.
WORDS: list[tuple[str, str, object, object]] = [
    ("docs/explanation/promise.md", "for five minutes", LEASE_FOR, timedelta(minutes=5)),
    ("docs/reference/notifiers.md", "up to an hour", LONGEST_STEP, timedelta(hours=1)),
    ("docs/reference/notifiers.md", "by up to a fifth", JITTER, 0.2),
    ("docs/decisions/0002-the-ledger-is-the-schedule.md", "every six hours", RECONCILE_EVERY_S, 6 * 3600),
    ("docs/howto/run-several-nodes.md", "after five minutes", LEASE_FOR, timedelta(minutes=5)),
    ("docs/decisions/0015-many-nodes-on-postgresql.md", "every ten seconds", EMBEDDED_LEAD_FOR / 3, TEN),
    ("docs/reference/cli.md", "seen for five minutes", GONE_AFTER, timedelta(minutes=5)),
    ("docs/reference/cli.md", "in the last seven days", DEAD_FOR, timedelta(days=7)),
    ("docs/reference/cli.md", "failed for half an hour", FAILING_AFTER, timedelta(minutes=30)),
    ("docs/reference/cli.md", "late for a minute", LATE_AFTER, timedelta(minutes=1)),
    ("docs/howto/monitor.md", "only after ten minutes", STALE_AFTER_S, 600),
]


@pytest.mark.parametrize(("page", "words", "is_", "meant"), WORDS)
def test_what_is_said_in_words_is_so(page: str, words: str, is_: object, meant: object) -> None:
    assert words in said(page)
    assert is_ == meant


def test_limits_of_files_are_those_of_the_reader() -> None:
    (table,) = tables(section("timeline.md", "Limits"))
    told = {what: most for what, most in table.rows}  # noqa: C416  rows are of any length to mypy

    assert told == {
        "a file": f"{yaml.MAX_BYTES >> 20} MiB, {yaml.MAX_NODES:,} values, {yaml.MAX_DEPTH} levels",
        "files": f"{MAX_FILES:,}",
        "milestones of a file": f"{MAX_MILESTONES:,}",
        "claims of a milestone": f"{MAX_CLAIMS}",
        "sources of a claim": f"{MAX_SOURCES_OF_CLAIM}",
        "labels": f"{keys.MAX_LABELS}",
        "title, label value": f"{keys.TITLE} characters",
        "owner": f"{keys.NAME} characters",
        "note": f"{keys.NOTE} characters",
        "description": f"{keys.DESCRIPTION:,} characters",
        "problems reported of a file": f"{MAX_PROBLEMS}",
        "problems reported of all files": f"{MAX_PROBLEMS_OF_ALL:,}",
    }
    assert keys.TITLE == keys.LABEL_VALUE


def test_defaults_of_the_configuration_are_those_of_the_code() -> None:
    (table,) = tables(section("config.md", "The file"))
    told = {codes(row[0])[0]: row[1] for row in table.rows}
    defaults = {one.name: one.default for one in fields(Config)}

    for name in ("catch_up", "damping", "retry_for", "ack_expires"):
        assert _span(codes(told[name])[0]) == defaults[name], name


def test_defaults_of_the_relay_are_those_of_the_code() -> None:
    (table,) = tables(section("config.md", "The mail relay"))
    told = {codes(row[0])[0]: row[1].strip("`") for row in table.rows}
    relay = Smtp()

    assert (told["host"], told["port"], told["from"]) == (relay.host, str(relay.port), relay.sender)
    assert (told["tls"], told["starttls"]) == (str(relay.tls).lower(), str(relay.starttls).lower())
    assert _span(told["timeout"]) == timedelta(seconds=relay.timeout_s)


async def test_headers_of_a_webhook_are_documented() -> None:
    told = set(first_column(section("webhook.md", "Headers"), "header"))
    env = notifier_env()

    async with HttpSink() as sink:
        options = WebhookOptions.model_validate({"url": sink.url, "secret": "any text"})
        outcome = await WebhookNotifier(options, env).send(sample_message("approaching"), {})
    await env.http.aclose()

    assert isinstance(outcome, Sent)
    arrived = {name.lower() for name in sink.requests[0].headers}
    # What every HTTP client says is no part of the contract.
    assert arrived - {"host", "accept", "accept-encoding", "connection", "content-length"} == told


def test_every_decision_is_listed_and_names_files_that_there_are() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = prose(folder / "README.md")

    for page in sorted(folder.glob("[0-9]*.md")):
        assert page.name in listed
        for name in codes(prose(page)):
            if name.endswith(".py"):
                assert (ROOT / name).exists() or (ROOT / "alertd" / Path(name)).exists(), (
                    f"{page.name}: {name}"
                )


def _span(text: str) -> timedelta:
    duration: Duration = parse_duration(text)
    return timedelta(days=duration.days, seconds=duration.seconds)

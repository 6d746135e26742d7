"""Whatever exists is documented, and what the reference says of it is so."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.core import TyperGroup

from alertd import app as application
from alertd.cli import make_app
from alertd.core.deadline import compute_window, format_deadline_phrase, parse_deadline
from alertd.core.explain.words import KINDS
from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.message.message import Kind, Tone
from alertd.core.milestones.milestone import Claim as MilestoneClaim
from alertd.core.milestones.milestone import Milestone, Rank, State
from alertd.core.milestones.occurrence import Cause, list_occurrences
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.network import TABLE as NETWORKS
from alertd.core.network import find_row
from alertd.core.reason import CODES
from alertd.core.routing.labels import TABLE as ADDED_LABELS
from alertd.core.routing.matcher import MatchOp
from alertd.core.time.duration import parse_duration
from alertd.definitions.config.keys import CONFIG_SHAPES
from alertd.definitions.reading.keys import Shape
from alertd.definitions.timeline.keys import CLAIM, MILESTONE, SOURCE, TIMELINE
from alertd.errors import DeadlineError, DurationError
from alertd.notify.registry import OWN, list_usable
from alertd.notify.webhook.payload import build_payload, find_type
from alertd.system.settings import Settings
from alertd.system.telemetry import Event
from alertd.testing import SAMPLES, sample_message
from tests.docs_pages import ROOT, codes, first_column, prose, section, tables

REFERENCE = ROOT / "docs" / "reference"

CONFIG_HEADINGS = {
    "config": "The file",
    "policy": "A policy",
    "calendar": "A calendar",
    "named_interval": "A named time interval",
    "time_interval": "A time interval",
    "time_range": "A range of times",
    "root_route": "The root route",
    "route": "A route",
    "digest": "A digest",
    "receiver": "A receiver",
    "quiet": "Quiet hours",
    "notifier": "A notifier",
    "smtp": "The mail relay",
    "network": "The network",
    "web": "The web server",
    "auth": "Who may come in",
}
FORMS = (
    "IPv4-compatible", "IPv4-mapped", "IPv4-translated", "NAT64", "NAT64 of a network of its own", "Teredo",
    "6to4",
)  # fmt: skip
TIMELINE_HEADINGS = {
    "timeline": "A timeline",
    "milestone": "A milestone",
    "claim": "A claim",
    "source": "A source",
}


def text_of(page: str) -> str:
    return prose(REFERENCE / page)


def commands() -> dict[str, set[str]]:
    """The long options of every command, by its name."""
    group = typer.main.get_command(make_app())
    assert isinstance(group, TyperGroup)
    return {name: options_of(command) for name, command in group.commands.items()} | {"": options_of(group)}


def options_of(command: object) -> set[str]:
    """Of a command that has commands of its own, all of theirs."""
    if isinstance(command, TyperGroup) and command.name == "routes":
        return set().union(*(options_of(one) for one in command.commands.values()))
    return {
        option
        for one in command.params  # type: ignore[attr-defined]
        if one.param_type_name == "option"
        for option in (*one.opts, *one.secondary_opts)
        if option.startswith("--")
    }


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented_with_its_options(command: str) -> None:
    told = first_column(section("cli.md", f"alertd {command}".strip()), "option")

    assert {name.partition(" ")[0] for name in told} == commands()[command]


def test_no_command_is_documented_that_there_is_not() -> None:
    headings = re.findall(r"^## alertd ?(.*)$", text_of("cli.md"), re.M)

    assert sorted(headings) == sorted(commands())


@pytest.mark.parametrize("shape", CONFIG_SHAPES, ids=lambda shape: shape.name)
def test_every_key_of_the_configuration_is_documented(shape: Shape) -> None:
    told = first_column(section("config.md", CONFIG_HEADINGS[shape.name]), "key")

    assert sorted(told) == sorted(shape.keys)


@pytest.mark.parametrize("shape", [TIMELINE, MILESTONE, CLAIM, SOURCE], ids=lambda shape: shape.name)
def test_every_key_of_a_timeline_file_is_documented(shape: Shape) -> None:
    heading = TIMELINE_HEADINGS[shape.name]
    (table,) = tables(section("timeline.md", heading))

    assert sorted(code for row in table.rows for code in codes(row[0])) == sorted(shape.keys)
    needed = {codes(row[0])[0] for row in table.rows if row[1] == "yes"}
    assert needed == {name for name, key in shape.keys.items() if key.required}


@pytest.mark.parametrize("heading", ["Always refused", "Internal", "Public", "Forms of IPv4 addresses"])
def test_every_network_is_documented_as_it_is_judged(heading: str) -> None:
    (table,) = tables(section("network.md", heading))
    (tier,) = {find_row(ip_network(codes(row[0])[0])).tier for row in table.rows[:1]}
    forms = heading.startswith("Forms")

    told = {(codes(block)[0], words, why) for block, words, why in table.rows}

    assert told == {
        (str(row.block), row.words, row.why)
        for row in NETWORKS
        if (row.words in FORMS if forms else row.tier is tier and row.words not in FORMS)
    }


def test_every_setting_is_documented_with_its_default() -> None:
    (table,) = tables(text_of("environment.md"))
    told = {codes(row[0])[0]: row[1] for row in table.rows}

    assert set(told) == {f"ALERTD_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default:
            assert told[f"ALERTD_{name.upper()}"] == f"`{field.default}`"


def test_every_log_event_is_documented() -> None:
    assert sorted(first_column(text_of("logs.md"), "event")) == sorted(Event)


def test_every_type_of_notifier_is_documented() -> None:
    ours = {name for name, kind in list_usable().items() if kind.distribution == OWN}

    assert set(first_column(text_of("notifiers.md"), "type")) == ours


@pytest.mark.parametrize("kind", [n for n, one in list_usable().items() if one.distribution == OWN])
def test_every_key_of_a_notifier_is_documented(kind: str) -> None:
    told = first_column(section("notifiers.md", kind), "key")

    fields = application.OptionModels()[kind].model_fields
    assert sorted(told) == sorted(field.alias or name for name, field in fields.items())


def test_every_default_rate_is_documented() -> None:
    table = tables(text_of("notifiers.md"))[0]
    types = {name: kind.load() for name, kind in list_usable().items() if kind.distribution == OWN}

    told = {row[0].strip("`"): row[3].strip("`") for row in table.rows}

    assert table.head[0] == "type"
    assert told == {name: str(getattr(kind, "rate", "")) for name, kind in types.items()}


def test_every_state_is_documented() -> None:
    occurrence, delivery, milestone = (
        first_column(section("ledger.md", heading), "state")
        for heading in ("Occurrences", "Deliveries", "Milestones")
    )

    assert sorted(occurrence) == sorted(ReminderState)
    assert sorted(delivery) == sorted(DeliveryState)
    assert sorted(milestone) == sorted(State)


def test_every_reason_is_documented() -> None:
    assert set(first_column(section("ledger.md", "Reasons"), "code")) == set(CODES)


def test_every_kind_of_history_is_documented() -> None:
    told = first_column(section("ledger.md", "History"), "entry")

    assert set(told) >= {*KINDS, *ActionKind}


def test_every_label_and_cause_is_documented() -> None:
    labels = section("routes.md", "Labels")

    (documented,) = [table.rows for table in tables(labels) if table.head[0] == "label"]
    assert documented == tuple((f"`{label.name}`", label.about) for label in ADDED_LABELS)
    assert sorted(first_column(labels, "cause")) == sorted(Cause)
    assert first_column(text_of("routes.md"), "operator") == [op.value for op in MatchOp]


def test_every_rank_is_documented() -> None:
    assert set(Rank) <= set(codes(section("timeline.md", "A claim")))


def test_every_exit_code_is_documented() -> None:
    told = {row[0] for table in tables(text_of("exit-codes.md")) for row in table.rows}

    of_run = (application.EX_DATAERR, application.EX_IOERR, application.EX_TEMPFAIL, application.EX_CONFIG)
    assert told == {"0", "1", "2", *map(str, of_run)}


def test_every_name_in_a_webhook_is_documented() -> None:
    text = text_of("webhook.md")
    told = {name.rpartition(".")[2] for name in codes(text)}

    for name in SAMPLES:
        assert names_in(build_payload(sample_message(name))) <= told


def names_in(value: object) -> set[str]:
    """The keys of a value at every depth, but for labels, which people name."""
    if isinstance(value, list):
        return {name for one in value for name in names_in(one)}
    if isinstance(value, dict):
        inner = {name for key, one in value.items() if key != "labels" for name in names_in(one)}
        return set(value) | inner
    return set()


def test_every_type_of_webhook_is_documented() -> None:
    told = first_column(text_of("webhook.md"), "`type`")
    causes = {f"milestone.{cause.value}" for cause in Cause}
    others = {
        find_type(sample_message(name)) for name in SAMPLES if sample_message(name).kind is not Kind.SINGLE
    }

    assert set(told) == causes | others


def test_every_tone_and_state_of_a_webhook_is_documented() -> None:
    told = set(codes(text_of("webhook.md")))

    assert {*Tone, *(state.name.lower() for state in State)} <= told


def test_policy_defaults_are_those_that_are_built_in() -> None:
    (table,) = tables(section("config.md", "A policy"))
    told = {codes(row[0])[0]: codes(row[1])[0] for row in table.rows}
    built = Policy()

    assert told["before"] == f"[{', '.join(map(str, built.before))}]"
    assert told["after"] == f"[{', '.join(map(str, built.after))}]"
    assert told["at"] == f'"{built.at:%H:%M}"'
    assert (told["contested"], told["roll"]) == (built.contested, built.roll)
    assert (told["on_day"], told["opens"]) == (str(built.on_day).lower(), str(built.opens).lower())
    assert (told["then_every"], built.then_every) == ("none", None)
    assert told["calendar"] == built.calendar.name


@pytest.mark.parametrize("row", tables(section("deadlines.md", "Accepted"))[0].rows, ids=lambda row: row[0])
def test_accepted_deadlines_are_read_as_told(row: tuple[str, ...]) -> None:
    written, kept, phrase, window = row

    deadline = parse_deadline(codes(written)[0])

    assert f"`{deadline.edtf}`" == kept
    assert format_deadline_phrase(deadline) == phrase
    assert f"`{compute_window(deadline, ZoneInfo('Asia/Baghdad')).id}`" == window


@pytest.mark.parametrize("row", tables(section("deadlines.md", "Refused"))[0].rows, ids=lambda row: row[0])
def test_refused_deadlines_are_refused_as_told(row: tuple[str, ...]) -> None:
    (written,) = codes(row[0])

    with pytest.raises(DeadlineError) as refused:
        parse_deadline(written)

    assert str(refused.value) == f"{written!r}: {row[1]}"


@pytest.mark.parametrize("row", tables(section("deadlines.md", "Instants"))[0].rows, ids=lambda row: row[0])
def test_instants_are_those_of_the_plan(row: tuple[str, ...]) -> None:
    zone = ZoneInfo(row[1])
    claim = MilestoneClaim(deadline=parse_deadline(codes(row[0])[0]))
    milestone = Milestone(
        id="t/m", timeline="t", timeline_title="T", title="M", zone=zone, policy=Policy(), claims=(claim,)
    )
    window = compute_window(claim.deadline, zone)
    at = {
        one.offset: one.at
        for one in list_occurrences(
            milestone, datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
        )
    }

    told = (window.begins, window.ends, at["-90d"], at["-7d"], at["0d"], at["+1d"])

    assert tuple(f"{instant:%Y-%m-%dT%H:%MZ}" for instant in told) == row[2:]


@pytest.mark.parametrize("row", tables(section("durations.md", "Accepted"))[0].rows, ids=lambda row: row[0])
def test_accepted_durations_are_read_as_told(row: tuple[str, ...]) -> None:
    assert f"`{parse_duration(codes(row[0])[0])}`" == row[1]


@pytest.mark.parametrize("row", tables(section("durations.md", "Refused"))[0].rows, ids=lambda row: row[0])
def test_refused_durations_are_refused_as_told(row: tuple[str, ...]) -> None:
    (written,) = codes(row[0])

    with pytest.raises(DurationError) as refused:
        parse_duration(written)

    assert str(refused.value) == f"{written!r}: {row[1]}"

"""Test that the JSON Schemas agree with the reader."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from alertd.definitions.config.keys import CONFIG_SHAPES
from alertd.definitions.config.read import Inherited, read_config
from alertd.definitions.reading.keys import Shape
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar, Sequence
from alertd.definitions.reading.yaml import read_yaml
from alertd.definitions.schema import format_schema, make_config_schema, make_timeline_schema
from alertd.definitions.timeline.keys import TIMELINE_SHAPES
from alertd.definitions.timeline.read import read_timeline

CONFIG = Path(__file__).parent.parent.parent / "config"

CONFIGS = (
    "{}",
    "timezone: Asia/Baghdad\ncatch_up: 35d\ndamping: 1h\nretry_for: PT72H\nack_expires: 14d\nkeep: 730d\n",
    "policies: {default: {before: [1mo, 7d], on_day: true, after: [], then_every: none, opens: false,"
    " at: '09:00'}}\n",
    "calendars: {c: {weekend: [friday], holidays: [2026-01-06]}}\n"
    "policies: {p: {contested: earliest, roll: earlier, calendar: c}}\n",
    "time_intervals: [{name: n, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}],"
    " weekdays: ['monday:friday'], days_of_month: [1, '-3:-1'], months: [6], years: [2026],"
    " location: UTC}]}]\n",
    "receivers: [{name: a, notifiers: [{type: webhook, rate: 1/s, url: x, codes: [200]}]}, {name: b}]\n"
    "route: {receiver: a, group_by: [...],"
    " routes: [{receiver: b, matchers: [a=b], continue: true, group_by: []}]}\n"
    "fallback_receiver: b\noperator: a\n",
    "receivers: [{name: a, timezone: Europe/Berlin, quiet: {from: '22:00', to: '07:00', days: [sunday],"
    " except: ['cause=\"overdue\"']}}]\n"
    "route: {receiver: a, digest: {every: [monday, thursday], at: '08:00', timezone: UTC, ahead: 7d,"
    " even_if_empty: true}, routes: [{digest: {every: month}}]}\n",
    "smtp: {host: h, port: 25, starttls: true, tls: false, insecure_auth: true, from: a@b, username: u,"
    " password_file: p,"
    " ca_file: c, client_cert_file: d, client_key_file: k, timeout: 30s}\n",
    "network: public\n",
    "network: {policy: internal}\n",
    "network: {policy: public, allow: [10.0.0.0/8, 'fd12:3456::7']}\n",
    "heartbeat_url: https://example.org/ping\n",
    "heartbeat_url_file: ping\n",
    "web: {auth: none, external_url: 'http://a.example', metrics: all}\n",
    "web: {external_url: 'https://a.example/x', hosts: [b.example, '::1'], proxies: [10.0.0.0/8, '::1'],"
    " secret_file: s, embed: ['https://wiki.example'], metrics: read,"
    " metrics_per_milestone: true, auth: {tokens_file: t, users_file: u,"
    " proxy_header: X-Remote-User, proxy_scope: read, anonymous: act}}\n",
)
TIMELINES = (
    "timeline: t\ntitle: T\nmilestones: []\n",
    "timeline: 2026\ntitle: 2026\ntimezone: UTC\nlabels: {phase: 2}\npolicy: default\ndescription: d\n"
    "url: http://a\nowner: Ada\n"
    "sources: {r: {who: R, short: r, publisher: P, published: 2024-09-06, url: https://a.b/c}}\n"
    "milestones:\n"
    "  - {id: 1, title: true, deadline: 2026, source: r, reading: start, note: 5, tentative: true}\n"
    "  - {id: b, title: B, after: 1 + 90d, sources: [r], policy: {opens: false}, timezone: UTC, url: http://a}\n"
    "  - {id: c, title: C, deadline: 2026-01-31, repeat: 'RRULE:FREQ=MONTHLY'}\n"
    "  - id: d\n    title: D\n    labels: {}\n    description: x\n    claims:\n"
    "      - {deadline: '[2026-09,2026-12]', rank: preferred}\n"
    "      - {after: b + 1d, source: r, rank: deprecated, note: n}\n",
)
# Mistakes that a schema can detect.
WRONG_CONFIGS = (
    "time_zone: UTC\n",
    "smtp: {tls: true, starttls: true}\n",
    "smtp: {client_key_file: k}\n",
    "network: none\n",
    "network: {allow: [10.0.0.0/8]}\n",
    "network: {policy: internal, allow: [10.0.0.0/8]}\n",
    "route: {receiver: console, matchers: [a=b]}\n",
    "route: {group_by: [timeline]}\n",
    "receivers: [{notifiers: []}]\n",
    "receivers: [{name: a, quiet: {from: '22:00'}}]\n",
    "receivers: [{name: a, quiet: {except: ['a=b']}}]\n",
    "route: {receiver: console, digest: {at: '08:00'}}\n",
    "route: {receiver: console, digest: {every: weekly}}\n",
    "route: {receiver: console, digest: {every: []}}\n",
    "policies: {default: {at: '9:00'}}\n",
    "policies: {default: {contested: never}}\n",
    "route: {receiver: console, group_by: [..., timeline]}\n",
)
WRONG_TIMELINES = (
    "timeline: t\nmilestones: []\n",
    "timeline: T x\ntitle: T\nmilestones: []\n",
    *(
        f"timeline: t\ntitle: T\nsources: {{r: {{who: R}}}}\nmilestones:\n  - {{id: a, title: A, {rest}}}\n"
        for rest in (
            "note: x",
            "claims: []",
            "claims: [{note: x}]",
            "claims: [{deadline: 2026, after: b + 1d}]",
            "deadline: 2026, claims: [{deadline: 2026}]",
            "claims: [{deadline: 2026}], source: r",
            "deadline: 2026, source: r, sources: [r]",
            "deadline: 2026, labels: {cause: x}",
            "deadline: 2026, labels: {a-b: x}",
            "deadline: 2026, url: example.org",
            "deadline: 2026, reading: middle",
            "deadline: 2026, tentative: perhaps",
        )
    ),
)


def _json(text: str) -> object:
    """Convert a node to the value that a YAML 1.2 parser passes to a schema, with numbers and booleans."""
    node, problems = read_yaml(text, "f.yaml")
    assert node is not None, problems
    return _plain(node)


def _plain(node: Node) -> object:
    match node:
        case Scalar(text=text, is_plain=True) if text in ("true", "false"):
            return text == "true"
        case Scalar(text=text, is_plain=True) if re.fullmatch("-?[0-9]+", text):
            return int(text)
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [_plain(item) for item in items]
        case MappingNode(values=values):
            return {key: _plain(value) for key, value in values.items()}
        case _:
            raise AssertionError(node)


def _is_valid(text: str, schema: Mapping[str, object]) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(_json(text))


def _folder_texts(*patterns: str) -> Iterable[str]:
    return [path.read_text("utf-8") for pattern in patterns for path in sorted(CONFIG.glob(pattern))]


@pytest.mark.parametrize(
    ("file", "schema"),
    [("alertd.schema.json", make_config_schema()), ("timeline.schema.json", make_timeline_schema())],
)
def test_the_schemas_that_are_kept_are_those_that_are_made(file: str, schema: dict[str, object]) -> None:
    """The schemas in config/schema/ are the output of `alertd schema`."""
    jsonschema.Draft202012Validator.check_schema(schema)

    assert (CONFIG / "schema" / file).read_text("utf-8") == format_schema(schema)


@pytest.mark.parametrize("text", [*_folder_texts("*.yaml"), *CONFIGS])
def test_a_configuration_that_can_be_read_fits_its_schema(
    text: str, options: dict[str, type[BaseModel]]
) -> None:
    """A file that alertd can read is valid in its schema, so editors mark nothing."""
    assert not read_config(text.encode(), options).problems
    assert _is_valid(text, make_config_schema())


@pytest.mark.parametrize("text", [*_folder_texts("milestones/*.yaml"), *TIMELINES])
def test_a_timeline_that_can_be_read_fits_its_schema(text: str) -> None:
    """A file that alertd can read is valid in its schema, so editors mark nothing."""
    assert not read_timeline(text.encode(), "milestones/t.yaml", Inherited()).problems
    assert _is_valid(text, make_timeline_schema())


@pytest.mark.parametrize("text", WRONG_CONFIGS)
def test_a_configuration_that_does_not_fit_cannot_be_read(
    text: str, options: dict[str, type[BaseModel]]
) -> None:
    """A file that is invalid in its schema is rejected by the reader too."""
    assert not _is_valid(text, make_config_schema())
    assert read_config(text.encode(), options).problems


@pytest.mark.parametrize("text", WRONG_TIMELINES)
def test_a_timeline_that_does_not_fit_cannot_be_read(text: str) -> None:
    """A file that is invalid in its schema is rejected by the reader too."""
    assert not _is_valid(text, make_timeline_schema())
    assert read_timeline(text.encode(), "milestones/t.yaml", Inherited()).problems


@pytest.mark.parametrize(
    ("shapes", "samples"),
    [(CONFIG_SHAPES, CONFIGS), (TIMELINE_SHAPES, (*TIMELINES, CONFIGS[2], CONFIGS[3]))],
    ids=["config", "timeline"],
)
def test_every_key_is_in_a_sample_and_in_the_schema(
    shapes: tuple[Shape, ...], samples: tuple[str, ...]
) -> None:
    """Every key of the reader is in the schema and in a sample."""
    schema = make_config_schema() if shapes is CONFIG_SHAPES else make_timeline_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    written = set(re.findall(r"(\w+):", " ".join(samples)))

    for shape in shapes:
        properties = (schema if shape is shapes[0] else definitions[shape.name])["properties"]
        assert isinstance(properties, dict)
        assert properties.keys() == shape.keys.keys()
        missing = shape.keys.keys() - written - {"country", "subdivision"}
        missing -= {"mute_time_intervals", "active_time_intervals"}
        assert not missing
        assert all(key.about for key in shape.keys.values())

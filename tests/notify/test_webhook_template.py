"""Templates of webhook bodies: what they may do, what is refused at load, and what happens if one fails."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.core.milestones.fields import FIELDS
from alertd.definitions.config.read import read_config
from alertd.notify.render.clean import clean_message
from alertd.notify.render.text import render_text
from alertd.notify.webhook.body import collect_values
from alertd.notify.webhook.notifier import WebhookNotifier, WebhookOptions
from alertd.notify.webhook.payload import build_payload, encode_body
from alertd.notify.webhook.template import FILTERS, MAX_RESULT, MAX_STEPS, MAX_WORK, compile_template
from alertd.notify.webhook.template_syntax import MAX_LOOPS, MAX_PARTS, VARIABLES
from alertd.notify.webhook.template_trial import ODD, list_trials, try_out
from alertd.notify.webhook.template_values import MAX_SOURCE, TemplateFailed, TemplateRefused
from alertd.testing import SAMPLES, Answer, HttpSink, Received, notifier_env, sample_message
from tests.docs_pages import first_column, section, tables
from tests.notify.sending import crowd

HOOK = {"url": "https://a.example/"}


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as server:
        yield server


def made(source: str, values: dict[str, Any], content_type: str = "application/json") -> str:
    return compile_template(source, content_type).render(values).decode()


async def posted(
    sink: HttpSink, folder: Path | None = None, message: Message | None = None, **options: object
) -> tuple[Received, Sent | Retry | Rejected]:
    env = notifier_env()
    if folder is not None:
        object.__setattr__(env, "path", folder.joinpath)
    chosen = WebhookOptions.model_validate({"url": sink.url, "format": "template", **options})
    try:
        outcome = await WebhookNotifier(chosen, env).send(message or sample_message(), {})
    finally:
        await env.http.aclose()
    return sink.requests[-1], outcome


# -- what a template sees, and how values are written


async def test_the_body_is_what_the_template_makes_of_the_message(sink: HttpSink) -> None:
    source = """{"text": {{ subject }}
      {% for item in items %},
        {{ item.milestone }}: {"days": {{ item.claims[0].days }}, "none": {{ item.moved }}}
      {% endfor %}}"""

    request, outcome = await posted(sink, template=source)

    assert outcome == Sent(note="HTTP 200")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "text": sample_message().subject,
        "iraq-coalition-withdrawal/phase-2": {"days": -55, "none": None},
    }


def test_a_template_sees_the_body_of_format_alertd_and_the_text() -> None:
    values = collect_values(clean_message(sample_message()))

    assert values.keys() == VARIABLES
    data = build_payload(clean_message(sample_message()))["data"]
    # Fields that the milestone has no value for are missing from the body; a template sees them empty.
    empty = {field.key: field.empty for field in FIELDS}
    assert {name: values[name] for name in data} == {
        **data,
        "items": [{**empty, **item} for item in data["items"]],
    }
    assert values["text"] == render_text(clean_message(sample_message()))


@given(text=st.text(), other=st.text())
def test_whatever_a_value_holds_the_result_is_json_that_says_the_same(text: str, other: str) -> None:
    source = """{"a": {{ subject }}, "b": {{ "<" ~ intro ~ ">" }},
      "c": [{% for line in lines %}{{ line }}{% endfor %}]}"""

    body = made(source, {"subject": text, "intro": other, "lines": [text]})

    assert json.loads(body) == {"a": text, "b": f"<{other}>", "c": [text]}


def test_each_content_type_has_its_way_of_writing_a_value() -> None:
    source, values = "<a>{{ subject }}</a>", {"subject": ODD}

    xml = made(source, values, "application/xml")
    form = made(
        "text={{ subject }}&n={{ lines }}", {**values, "lines": [1]}, "application/x-www-form-urlencoded"
    )
    plain = made("{{ subject }}", values, "text/plain; charset=utf-8")

    assert ElementTree.fromstring(xml).text == ODD
    assert parse_qs(form) == {"text": [ODD], "n": ["[1]"]}
    assert plain == ODD


def test_loops_conditions_tests_and_filters() -> None:
    source = """{"a": [
      {% for item in items if item.cause in ["due", "overdue"] %}
        {{ item.labels.team|default("nobody")|upper }}{{ "," if not loop.last else "" }}
      {% else %}
        "none"
      {% endfor %}
      ], "b": {{ items|length }}, "c": {{ items[0].details|join("; ")|truncate(5) }},
      "d": {{ (items|first).title|lower }}, "e": {{ items[0].labels|dictsort }},
      "f": {{ page is defined and page == "" and not intro }}, "g": {{ (items|last).title }}}"""
    item = {"cause": "due", "title": "T", "labels": {"team": "ops"}, "details": ["ab", "cd"]}
    values = {"items": [item], "page": "", "intro": ""}

    with pytest.raises(TemplateFailed, match="result is no JSON"):
        compile_template(source).render(values)  # the value is inserted as JSON: a comma between quotes
    body = made(source.replace('{{ "," if not loop.last else "" }}', ""), values)

    assert json.loads(body) == {
        "a": ["OPS"], "b": 1, "c": "ab;…", "d": "t", "e": [["team", "ops"]], "f": True, "g": "T",
    }  # fmt: skip


def test_a_label_that_is_not_there_is_empty() -> None:
    assert made("{{ items[0].labels.nobody }}", collect_values(clean_message(sample_message()))) == '""'


# -- refused syntax


@pytest.mark.parametrize(
    ("source", "line", "why"),
    [
        # Calls, and other constructs that could reach Python objects or grow without a limit.
        ("\n{{ range(10) }}", 2, "a call: not allowed"),
        ("{{ subject.upper() }}", 1, "a call: not allowed"),
        ("{{ cycler }}", 1, "cycler: no such value"),
        ("{% set x = 1 %}", 1, "{% set %}: not allowed"),
        ("{% set x %}a{% endset %}", 1, "{% set %}: not allowed"),
        ("{% include 'x' %}", 1, "{% include %}: not allowed"),
        ("{% import 'x' as y %}", 1, "{% import %}: not allowed"),
        ("{% from 'x' import y %}", 1, "{% from %}: not allowed"),
        ("{% extends 'x' %}", 1, "{% extends %}: not allowed"),
        ("{% block a %}{% endblock %}", 1, "{% block %}: not allowed"),
        ("{% macro a() %}{% endmacro %}", 1, "{% macro %}: not allowed"),
        ("{% with a = 1 %}{% endwith %}", 1, "{% with %}: not allowed"),
        ("{% filter upper %}{% endfilter %}", 1, "{% filter %}: not allowed"),
        ("{% autoescape true %}{% endautoescape %}", 1, "{% autoescape %}: not allowed"),
        ("{{ 9 ** 9 }}", 1, "arithmetic: not allowed"),
        ("{{ 'a' * 1000000000 }}", 1, "arithmetic: not allowed"),
        ("{{ -1 }}", 1, "arithmetic: not allowed"),
        ("{{ 1e999 }}", 1, "a number that is too large"),
        ("{{ lines[1:] }}", 1, "a slice: not allowed"),
        ("{{ {'a': 1} }}", 1, "a mapping: not allowed"),
        ("{{ self }}", 1, "self: no such value"),
        ("{{ joiner }}", 1, "joiner: no such value"),
        ("{% for a in items recursive %}{% endfor %}", 1, "a recursive loop: not allowed"),
        ("{% for a in items %}" * 4 + "{% endfor %}" * 4, 1, f"at most {MAX_LOOPS} may be nested"),
        ("{% for _steps in items %}{% endfor %}", 1, "_steps: a name begins with a letter"),
        ("{{ loop }}", 1, "loop: no such value"),
        # Names.
        ("{{ subjct }}", 1, "subjct: no such value; did you mean subject?"),
        ("{% for a in items %}{% endfor %}{{ a }}", 1, "a: no such value"),
        ("{{ subject|uper }}", 1, "|uper: no such filter; did you mean upper?"),
        ("{{ lines|map('upper') }}", 1, "|map: no such filter"),
        ("{{ subject|attr('x') }}", 1, "|attr: no such filter"),
        ("{{ subject|format(1) }}", 1, "|format: no such filter"),
        ("{{ subject|replace('a', 'b') }}", 1, "|replace: no such filter"),
        ("{{ lines|join(*lines) }}", 1, "*: not allowed"),
        ("{{ subject is callable }}", 1, "is callable: no such test"),
        # Syntax.
        ("a\n{{ subject", 2, "unexpected end of template"),
        ("{% if subject %}", 1, "Unexpected end of template"),
        ("{% nonsense %}", 1, "unknown tag 'nonsense'"),
        # Quotes: a value is inserted as JSON, with its own quotes.
        ('{\n"a": "Due: {{ subject }}"}', 2, "a value between quotes"),
        ('{"a": "\\"{{ subject }}"}', 1, "a value between quotes"),
        # Size.
        ("x" * (MAX_SOURCE + 1), 1, "at most 16,384 are taken"),
        ("{{ " + "~".join(["subject"] * 201) + " }}", 1, "201 texts joined by ~; at most 200"),
        ("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", 1, "nested too deeply"),
        ("{% if subject %}" * 500 + "{% endif %}" * 500, 1, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_with_its_line(source: str, line: int, why: str) -> None:
    with pytest.raises(TemplateRefused) as refused:
        compile_template(source)

    assert why in refused.value.why
    assert refused.value.line == line


@pytest.mark.parametrize(
    "source",
    [
        "{{ subject.__class__ }}",
        "{{ items.__class__ }}",
        "{{ items[0].items }}",
        "{{ items.append }}",
        '{{ subject["format"] }}',
        "{{ subject.format }}",
        "{% for item in items %}{{ loop.previtem }}{% endfor %}",
        "{% for item in items %}{{ loop._iterator }}{% endfor %}",
        "{{ items[9] }}",
        "{{ items.nothing }}",
        "{{ subject[0] }}",
    ],
)
def test_no_attribute_of_python_is_reached(source: str) -> None:
    with pytest.raises(TemplateFailed, match="there is no"):
        compile_template(source).render(collect_values(clean_message(sample_message())))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% for a in lines %}{% for b in lines %}{% endfor %}{% endfor %}", "more than 10,000 steps"),
        ("{% for a in lines %}{{ subject }}{% endfor %}", f"longer than {MAX_RESULT:,} characters"),
        ("{% for a in subject %}{% endfor %}", "a loop goes over a list"),
        ("{% for a in extra.labels %}{% endfor %}", "over a mapping with |dictsort"),
        ("{{ subject|join }}", "join takes a list"),
        ("{{ lines|join(subject) }}", "at most 100 characters"),
        ("{{ subject|truncate(0) }}", "truncate takes a number"),
        ("{{ subject|truncate(subject) }}", "truncate takes a number"),
        ("{{ subject|dictsort }}", "dictsort takes a mapping"),
        ("{{ version|length }}", "length takes a text"),
        ("{{ subject|upper(1) }}", "line 1:"),
        ("{{ version < subject }}", "line 1:"),
    ],
)  # fmt: skip
def test_a_template_is_stopped_where_the_data_is_not_what_it_takes_it_for(source: str, why: str) -> None:
    values = {"lines": ["x"] * 300, "subject": "y" * 2_000, "version": 1, "extra": {"labels": {"a": "b"}}}

    with pytest.raises(TemplateFailed) as failed:
        compile_template(source.replace("extra.labels", "items"), "text/plain").render(
            {**values, "items": values["extra"]}
        )

    assert why in str(failed.value)


BIG = {
    "items": [{"title": "t" * 100, "details": ["d" * 200] * 5, "labels": {"a": "b"}} for _ in range(200)],
    "subject": "y" * 20_000,
    "lines": ["x" * 100] * 50,
}
"""Values of which a message may have more: 200 milestones, in 260 kB."""
LOOP = "{% for a in items %}{% for b in a.details %}{{ body }}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "body",
    [
        # An operation reads everything, in each of 1,000 steps, and writes almost nothing.
        "{{ items|join|truncate(1) }}",
        "{% if items|join|upper == 'x' %}{% endif %}",
        "{% if subject|lower|upper|lower == 'x' %}{% endif %}",
        "{% if items ~ '' == 'x' %}{% endif %}",
        "{% if items == items %}{% endif %}",
        "{% if [items] in [[items]] %}{% endif %}",
        "{% if 'z' in subject %}{% endif %}",
        "{{ (subject ~ subject)|length }}",
        # Each step is a thousand cheap operations.
        "{% if b is defined %}{% endif %}" * 350,
        "{% if " + " and ".join(["b"] * 100) + " %}{% endif %}" + "{{ '' }}" * 1_000,
    ],
)
def test_what_operations_read_is_counted_although_the_steps_are_few(body: str) -> None:
    """No message takes the event loop for more than a moment."""
    template = compile_template(LOOP.replace("{{ body }}", body), "text/plain")

    with pytest.raises(TemplateFailed, match=f"more than {MAX_WORK:,} operations"):
        template.render(BIG)


def test_a_text_cannot_grow_from_loop_to_loop() -> None:
    source = "{% for a in [A] %}{% for b in [B] %}{% for c in [C] %}{{ c|length }}" + "{% endfor %}" * 3
    for name, inner in (("A", "subject"), ("B", "a"), ("C", "b")):
        source = source.replace(f"[{name}]", "[" + "~".join([inner] * 20) + "]")

    with pytest.raises(TemplateFailed, match=f"more than {MAX_WORK:,} operations"):
        compile_template(source, "text/plain").render(BIG)


def test_a_large_message_is_within_the_limits() -> None:
    source = """{% for item in items %}
      {{ loop.index }}/{{ items|length }}: {{ item.title|upper|truncate(20) ~ "!" }}
      {% for detail in item.details if detail != "x" %}{{ detail|truncate(9) }}{% endfor %}{% endfor %}"""

    body = compile_template(source, "text/plain").render(BIG).decode()

    assert body.count("TTTTTTTTTTTTTTTTTTT…!") == 200
    assert body.count("dddddddd…") == 1_000


async def test_a_message_for_which_the_template_takes_too_long_goes_out_in_the_built_in_format(
    sink: HttpSink,
) -> None:
    source = '{"a": [{% for item in items %}{{ items|join|length }},{% endfor %} 0]}'
    long = crowd(500)

    request, outcome = await posted(sink, message=long, template=source)

    assert isinstance(outcome, Sent)
    assert "more than 1,000,000 operations for this message" in outcome.note
    assert json.loads(request.body)["data"]["id"] == long.id


def test_the_line_of_a_failure_is_the_templates() -> None:
    with pytest.raises(TemplateFailed) as failed:
        compile_template("[\n{% for item in items %}\n{{ item.nothing }}\n{% endfor %}\n]").render(
            {"items": [{}]}
        )

    assert failed.value.line == 3


def test_every_filter_is_tried_here() -> None:
    assert FILTERS.keys() == {
        "default", "dictsort", "first", "join", "last", "length", "lower", "truncate", "upper",
    }  # fmt: skip


def test_the_reference_names_every_filter_and_limit() -> None:
    page = section("webhook.md", "Templates")
    limits = next(table for table in tables(page) if table.head[0] == "limit")

    assert {name.partition("(")[0] for name in first_column(page, "filter")} | {
        "last",
        "upper",
    } == FILTERS.keys()
    assert {row[0]: row[1] for row in limits.rows} == {
        "characters of a template": f"{MAX_SOURCE:,}",
        "loops within each other": f"{MAX_LOOPS}",
        "steps of all loops together": f"{MAX_STEPS:,}",
        "operations for one message": f"{MAX_WORK:,}",
        "texts that are joined by `~`": f"{MAX_PARTS}",
        "characters of the result": f"{MAX_RESULT:,}",
    }


# -- trial before use


def test_the_trial_has_every_kind_and_the_odd_text_in_every_one() -> None:
    kinds = {message.kind for _, message in list_trials()}

    assert {message.kind for message in (sample_message(name) for name in SAMPLES)} <= kinds
    for words, message in list_trials():
        try_out(compile_template("{{ subject }}"))
        assert ODD in message.subject, words


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('{"a": {{ items[0].title }}}', "there is no 0 here, in a message of kind notice"),
        ("{% if items %}{{ items[0].moved.to }}{% endif %}", "there is no to here, in a message of cause"),
        ('{"a": {{ subject }}', "the result is no JSON"),
        ('{"a": {{ subject }},}', "the result is no JSON"),
        ("", "the result is no JSON"),
        ("NaN", "the result is no JSON"),
    ],
)
def test_a_template_that_would_fail_on_some_message_is_refused(source: str, why: str) -> None:
    with pytest.raises(TemplateFailed) as failed:
        try_out(compile_template(source))

    assert why in str(failed.value)


CONFIG = """\
receivers:
  - name: desk
    notifiers:
      - type: webhook
        url: https://a.example/
        format: template
        {key}
"""


def problems(key: str, folder: Path) -> list[str]:
    text = CONFIG.replace("{key}", key)
    return [
        str(problem)
        for problem in read_config(text.encode(), {"webhook": WebhookOptions}, folder.joinpath).problems
    ]


def test_a_problem_of_a_template_has_its_place_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "Hook.j2").write_text('{"a":\n  {{ subjct }}\n}', "utf-8")
    (tmp_path / "good.j2").write_text('{"a": {{ subject }} }', "utf-8")
    (tmp_path / "odd.j2").write_bytes(b"\xff")

    assert problems('template: |\n          {"a":\n            {{ subjct }}\n          }', tmp_path) == [
        "alertd.yaml:9:1: template: subjct: no such value; did you mean subject?"
    ]
    assert problems("template: '{{ subjct }}'", tmp_path) == [
        "alertd.yaml:7:9: template: line 1: subjct: no such value; did you mean subject?"
    ]
    assert problems("template_file: Hook.j2", tmp_path) == [
        "alertd.yaml:7:9: template_file: Hook.j2:2: subjct: no such value; did you mean subject?"
    ]
    assert problems("template_file: none.j2", tmp_path) == [
        "alertd.yaml:7:9: template_file: none.j2: no such file or directory"
    ]
    assert problems("template_file: odd.j2", tmp_path) == [
        "alertd.yaml:7:9: template_file: odd.j2 is not UTF-8 text"
    ]
    assert problems("template_file: good.j2", tmp_path) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"format": "template"}, "template or template_file is required"),
        ({"format": "template", "template": "1", "template_file": "a"}, "exclude each other"),
        ({"template": "1"}, "template is nothing without format: template"),
        ({"template_file": "a"}, "template_file is nothing without format: template"),
        ({"content_type": "text/plain"}, "content_type is nothing without format: template"),
        ({"format": "template", "template": "1", "content_type": "image/png"}, "is not JSON, XML"),
        ({"format": "template", "template": "1", "content_type": "a\r\nX: 1"}, "is not a content type"),
        ({"format": "alertmanager", "source": "/a"}, "source is nothing without format: cloudevents"),
        ({"format": "cloudevents", "source": "a b"}, "should match pattern"),
        ({"format": "yaml"}, "Input should be 'alertd'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match="validation error") as refused:
        WebhookOptions.model_validate({**HOOK, **options})

    assert why in str(refused.value)


# -- failure in use


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Sent(note="HTTP 200; {why}")),
        (503, Retry(reason="{url} answered 503; {why}")),
        (400, Rejected(reason="{url} answered 400; {why}")),
    ],
)
async def test_a_reminder_goes_out_in_format_alertd_when_the_template_fails(
    sink: HttpSink, tmp_path: Path, status: int, outcome: Sent | Retry | Rejected
) -> None:
    sink.answers = [Answer(status=status, body=b"")]
    (tmp_path / "hook.j2").write_text("{{ items[0].moved.to }}", "utf-8")

    request, got = await posted(sink, tmp_path, template_file="hook.j2")

    why = "the template failed, so the body is of format alertd (line 1: there is no to here)"
    said = got.note if isinstance(got, Sent) else got.reason
    expected = outcome.note if isinstance(outcome, Sent) else outcome.reason
    assert type(got) is type(outcome)
    assert said == expected.format(url=sink.url, why=why)
    assert request.body == encode_body(clean_message(sample_message()))
    assert request.headers["content-type"] == "application/json"


async def test_a_template_file_is_read_at_each_send(sink: HttpSink, tmp_path: Path) -> None:
    path = tmp_path / "hook.j2"
    bodies = []
    for text in ('["a", {{ id }}]', '["b", {{ id }}]', '["c", {{ id.x }}'):
        path.write_text(text, "utf-8")
        request, _ = await posted(
            sink, tmp_path, template_file="hook.j2", content_type="application/vnd.x+json"
        )
        bodies.append((request.headers["content-type"], request.body))
    path.unlink()
    request, outcome = await posted(sink, tmp_path, template_file="hook.j2")

    name = sample_message().id
    assert bodies[:2] == [("application/vnd.x+json", f'["{letter}", "{name}"]'.encode()) for letter in "ab"]
    assert bodies[2] == ("application/json", encode_body(clean_message(sample_message())))
    assert isinstance(outcome, Sent)
    assert "hook.j2: no such file or directory" in outcome.note
    assert request.body == encode_body(clean_message(sample_message()))


def test_sorting_a_mapping_counts_as_much_as_the_mapping_has() -> None:
    """Otherwise a template could sort large mappings for seconds within its limit of operations."""
    labels = {f"name{number}": "value" for number in range(100)}
    items = [{"labels": labels}] * 90
    source = (
        "{% for a in items %}{% for b in items %}{% if b.labels|dictsort or a %}{% endif %}"
        "{% endfor %}{% endfor %}"
    )

    with pytest.raises(TemplateFailed, match="more than 1,000,000 operations"):
        compile_template(source, "text/plain").render({"items": items})

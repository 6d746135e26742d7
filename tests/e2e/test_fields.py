"""Every field of a milestone is shown everywhere: from its line in a file to messages, page, API, explain."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email import message_from_string
from email.policy import SMTP
from html import unescape
from pathlib import Path

import pytest

from alertd import app
from alertd.core.config import Smtp
from alertd.core.explain.rehearsal import rehearse
from alertd.core.ledger.snapshot import pack, unpack
from alertd.core.message.message import Item, Kind, Message
from alertd.core.milestones.fields import (
    FIELDS,
    FieldKind,
    FieldReach,
    MilestoneField,
    collect_field_values,
    select_shown_fields,
)
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.definitions.load import load
from alertd.notify.base import Renders
from alertd.notify.registry import list_usable
from alertd.testing import notifier_env, sample_message
from alertd.testing.items import ROUTE
from tests.cli.stage import run, write_folder
from tests.notify.contract import contract_of, own_types
from tests.scene import Scene, when
from tests.web.stage import a_stage

CONFIG = "{route: {receiver: desk}, receivers: [{name: desk, notifiers: [{type: console}]}]}"
NOWHERE = "http://127.0.0.1:9"
VARIANTS: Mapping[str, tuple[Mapping[str, object], ...]] = {
    "console": ({},),
    "email": ({"to": ["desk@example.org"]},),
    "exec": ({"command": ["/bin/true"]},),
    "file": ({"path": "/nonexistent/messages.jsonl"},),
    "slack": ({"webhook_url": f"{NOWHERE}/x"}, {"api_url": NOWHERE, "token": "xoxb-1", "channel": "#c"}),
    "webhook": tuple(
        {"url": f"{NOWHERE}/x", "format": form}
        for form in ("alertd", "cloudevents", "cloudevents-binary", "alertmanager")
    ),
}
"""The options of the types that send in several ways; the others are tried with those of their contract."""
DATA = ("exec", "file", "webhook")
"""Types whose body holds the data itself."""
BRIEF = ("sms",)
"""Types that show of a single milestone what others show of each in a list."""


def written(field: MilestoneField, name: str) -> str:
    """What a file says in a field, different for every field and milestone, without a letter to escape."""
    return f"https://{name}.example/{field.key}" if field.kind is FieldKind.LINK else f"{name}{field.key}"


def timeline(*names: str) -> str:
    milestones = [
        {
            "id": name,
            "title": f"Milestone {name}",
            "deadline": "2026-09",
            **{
                field.key: {"label": text} if field.kind is FieldKind.LABELS else text
                for field in FIELDS
                for text in (written(field, name),)
            },
        }
        for name in names
    ]
    # JSON is YAML.
    return json.dumps({"timeline": "t", "title": "A timeline", "milestones": milestones})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "config", CONFIG, t=timeline("alpha", "beta"))


@pytest.fixture
def milestones(folder: Path) -> list[Milestone]:
    definitions = load(folder, app.OptionModels())
    assert not definitions.problems
    return list(app.resolve_milestones(definitions).values())


def item_of(milestone: Milestone) -> Item:
    found = rehearse(milestone, "desk", Cause.OVERDUE, ROUTE, at=None, now=when("2026-11-24T06:00"))
    assert found is not None
    return found.compose_message("hook").items[0]


def message_about(*milestones: Milestone) -> Message:
    kind = Kind.SINGLE if len(milestones) == 1 else Kind.MANY
    return replace(sample_message("due"), kind=kind, items=tuple(map(item_of, milestones)))


def missing(text: str, milestone: Milestone, reach: FieldReach) -> list[str]:
    """The fields that reach so far and are not in a text."""
    name = milestone.id.partition("/")[2]
    return [field.key for field in FIELDS if field.reach >= reach and written(field, name) not in text]


def bodies(type_name: str, message: Message) -> Iterator[str]:
    """What a notifier sends, decoded, for each of the options that it is tried with."""
    env = replace(notifier_env(out=io.StringIO()), smtp=Smtp(host="127.0.0.1", sender="alertd@example.org"))
    made = list_usable()[type_name].load()
    for options in VARIANTS.get(type_name) or (contract_of(type_name)().golden_options(),):
        notifier = made(made.Options.model_validate(options), env)
        assert isinstance(notifier, Renders)
        yield "\n".join(decoded(body.media_type, body.text) for body in notifier.render(message))


def decoded(media_type: str, text: str) -> str:
    if media_type != "message/rfc822":
        return text
    parts = [
        part.get_content()
        for part in message_from_string(text, policy=SMTP).walk()
        if not part.is_multipart()
    ]
    for part in parts:
        assert isinstance(part, str)
    return unescape("\n".join(parts))


def test_a_field_is_a_key_of_a_milestone_in_a_file(milestones: list[Milestone]) -> None:
    """The key of a field is its key in the file, and what is written there is its value."""
    found = collect_field_values(milestones[0])

    assert set(found) == {field.key for field in FIELDS}
    assert missing(json.dumps(found), milestones[0], FieldReach.DATA) == []


def test_the_ledger_keeps_every_field(milestones: list[Milestone]) -> None:
    """A snapshot shows the same when it is read; one that is older than a field shows that field empty."""
    packed = pack(milestones[0])

    assert collect_field_values(unpack(packed)) == collect_field_values(milestones[0])
    for field in FIELDS:
        older = {name: value for name, value in packed.items() if name != field.key}
        assert field.key not in collect_field_values(unpack(older))


@pytest.mark.parametrize("type_name", own_types())
def test_a_message_about_one_milestone_shows_its_fields(type_name: str, milestones: list[Milestone]) -> None:
    """Every notifier shows each field that is meant for such messages; data formats carry every field."""
    reach = FieldReach.DATA if type_name in DATA else FieldReach.ALONE
    reach = FieldReach.LISTED if type_name in BRIEF else reach

    for body in bodies(type_name, message_about(milestones[0])):
        assert missing(body, milestones[0], reach) == []


@pytest.mark.parametrize("type_name", own_types())
def test_a_message_about_several_shows_the_fields_of_each(
    type_name: str, milestones: list[Milestone]
) -> None:
    """Each of several milestones is shown with its own values."""
    for body in bodies(type_name, message_about(*milestones)):
        for milestone in milestones:
            assert missing(body, milestone, FieldReach.LISTED) == []


def test_explain_shows_every_field(folder: Path, milestones: list[Milestone]) -> None:
    """For people and as JSON."""
    for form in ("text", "json"):
        ran = run("explain", "alpha", "--config", folder, "--no-ledger", "--format", form)

        assert ran.code == 0
        assert missing(ran.out, milestones[0], FieldReach.DATA) == []


async def test_page_and_api_show_every_field(
    tmp_path: Path, folder: Path, milestones: list[Milestone]
) -> None:
    """A milestone's page, the list of all, and the API."""
    async with a_stage(tmp_path) as stage:
        scene = Scene(stage.ledger, "2026-08-01")
        scene.define(*milestones)
        await scene.reconcile()
        stage.definitions = load(folder, app.OptionModels())

        page = (await stage.get("/milestones/t/alpha")).text
        listed = (await stage.get("/")).text
        whole = (await stage.get("/api/v1/milestones/t/alpha")).text
        several = (await stage.get("/api/v1/milestones")).text

    for milestone in milestones:
        assert missing(listed, milestone, FieldReach.LISTED) == []
        assert missing(several, milestone, FieldReach.DATA) == []
    assert missing(unescape(page), milestones[0], FieldReach.DATA) == []
    assert missing(whole, milestones[0], FieldReach.DATA) == []


def test_a_field_without_a_value_is_not_shown() -> None:
    assert list(select_shown_fields({field.key: field.empty for field in FIELDS}, FieldReach.DATA)) == []

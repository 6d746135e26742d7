"""`alertd doctor` and `alertd routes`: on real folders, real files and real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertd import app
from tests.cli.stage import Ran, run, write_folder

CONFIG = """
route:
  receiver: desk
  routes:
    - {matchers: ['country="iraq"', 'cause=~"overdue|moved"'], receiver: leads, continue: true}
    - {matchers: ['phase="2"'], receiver: boss, digest: {every: monday, at: "08:00"}}
operator: desk
receivers:
  - {name: desk, notifiers: [{type: webhook, url_file: hook}]}
  - {name: leads, notifiers: [{type: console}]}
  - {name: boss, notifiers: [{type: console}]}
"""
TIMELINE = """
timeline: talks
title: Talks
labels: {country: iraq}
timezone: Europe/Berlin
milestones:
  - {id: signed, title: It is signed, deadline: 2027-03, labels: {phase: "2"}}
"""
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody listens there, and is only ever connected to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(app, "now", lambda: NOW)
    folder = write_folder(tmp_path / "config", CONFIG, talks=TIMELINE)
    secret(folder, f"http://127.0.0.1:{port}/canary-hook")
    return folder


def secret(folder: Path, text: str) -> Path:
    path = folder / "hook"
    path.write_text(text)
    path.chmod(0o600)
    return path


def doctor(folder: Path) -> tuple[Ran, list[dict[str, str]]]:
    ran = run(
        "doctor", "--config", folder, "--database", f"sqlite:///{folder}/ledger.db", "--format", "jsonl"
    )
    return ran, [json.loads(line) for line in ran.lines]


def told(found: list[dict[str, str]], topic: str) -> list[tuple[str, str]]:
    return [(one["verdict"], one["text"]) for one in found if one["topic"] == topic]


def test_what_is_in_order_is_said_to_be(folder: Path, port: int) -> None:
    _, found = doctor(folder)

    assert told(found, "files") == [("well", f"{folder} is in order")]
    assert told(found, "secrets") == [("well", "1 file, readable, not by everybody")]
    assert told(found, "receivers") == [("well", f"a connection to 127.0.0.1 port {port} (desk/webhook)")]
    assert told(found, "milestones") == [
        ("well", "somebody is reminded of each of the 1 that are still to come")
    ]
    assert [verdict for verdict, _ in told(found, "ledger")] == ["well"]
    assert not (folder / "ledger.db").exists()


def test_a_receiver_that_nobody_answers_for_is_named_and_its_address_is_not(folder: Path, port: int) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        shut = unused.getsockname()[1]
        secret(folder, f"http://127.0.0.1:{shut}/canary-hook")
        ran, found = doctor(folder)

    assert ran.code == 1
    assert told(found, "receivers") == [
        ("wrong", f"no connection to 127.0.0.1 port {shut} (desk/webhook): Connection refused")
    ]
    assert "canary" not in ran.out + ran.err


def test_a_proxy_stands_before_what_is_behind_it(folder: Path, port: int) -> None:
    config = CONFIG.replace("url_file: hook", f"url: 'https://192.0.2.1/x', proxy: 'http://127.0.0.1:{port}'")
    write_folder(folder, config)

    _, found = doctor(folder)

    assert told(found, "receivers") == [("well", f"a connection to 127.0.0.1 port {port} (desk/webhook)")]


@pytest.mark.parametrize(
    ("mode", "said"), [(0o644, "can be read by everybody"), (0o602, "can be read by everybody")]
)
def test_a_secret_that_everybody_can_read_is_none(folder: Path, mode: int, said: str) -> None:
    (folder / "hook").chmod(mode)

    ran, found = doctor(folder)

    ((verdict, text),) = told(found, "secrets")
    assert (ran.code, verdict) == (1, "wrong")
    assert said in text


def test_a_secret_that_is_not_there_is_wrong(folder: Path) -> None:
    (folder / "hook").unlink()

    ran, found = doctor(folder)

    assert ran.code == 1
    assert [verdict for verdict, _ in told(found, "secrets")] == ["wrong"]


def test_secrets_within_options_are_looked_at_too(folder: Path) -> None:
    """A list of them, and those of headers by name."""
    within = "secret_file: [old], headers_file: {X-Key: key}"
    config = CONFIG.replace("url_file: hook", f"url_file: hook, {within}")
    write_folder(folder, config)

    _, found = doctor(folder)

    texts = [text for _, text in told(found, "secrets")]
    assert [text.split("'")[1] for text in texts] == ["key", "old"]


def test_every_problem_of_the_files_is_there(folder: Path) -> None:
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE.replace("2027-03", "2027-13"))

    ran, found = doctor(folder)

    assert ran.code == 1
    ((verdict, text),) = told(found, "files")
    assert verdict == "wrong"
    assert text.startswith("milestones/talks.yaml:7:")


def test_a_milestone_that_nobody_is_reminded_of_is_noted(folder: Path) -> None:
    silent = "  - {id: silent, title: S, deadline: 2027-05, policy: silent}\n"
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE + silent)
    write_folder(
        folder, CONFIG + "policies: {silent: {before: [], on_day: false, after: [], opens: false}}\n"
    )

    _, found = doctor(folder)

    assert told(found, "milestones") == [("note", "nobody is reminded of talks/silent in the next two years")]


def test_receivers_without_a_way_to_them_or_from_them_are_noted(folder: Path) -> None:
    config = (
        CONFIG.replace("{name: boss, notifiers: [{type: console}]}", "{name: boss}") + "  - {name: idle}\n"
    )
    write_folder(folder, config.replace("operator: desk\n", ""))

    _, found = doctor(folder)

    assert ("note", "no route leads to idle") in told(found, "receivers")
    assert ("wrong", "boss has no notifiers, so nobody is told") in told(found, "receivers")
    assert [verdict for verdict, _ in told(found, "operator")] == ["note"]


@pytest.mark.parametrize(
    ("deadline", "at", "said"),
    [
        ("2027-03-28", "02:30", "at 02:30 on 2027-03-28, a time that does not exist in Europe/Berlin"),
        ("2027-10-31", "02:30", "at 02:30 on 2027-10-31, a time that comes twice in Europe/Berlin"),
    ],
    ids=["gap", "fold"],
)
def test_a_reminder_at_a_time_that_is_none_or_two_is_noted(
    folder: Path, deadline: str, at: str, said: str
) -> None:
    text = TIMELINE.replace("deadline: 2027-03,", f"deadline: {deadline}, policy: {{at: '{at}'}},")
    (folder / "milestones" / "talks.yaml").write_text(text)

    _, found = doctor(folder)

    assert any(said in text for _, text in told(found, "time zones")), told(found, "time zones") + told(
        found, "files"
    )


def test_a_zone_without_a_place_is_noted(folder: Path) -> None:
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE.replace("Europe/Berlin", "Etc/GMT+3"))

    _, found = doctor(folder)

    assert any(text.startswith("Etc/GMT+3 knows no summer time") for _, text in told(found, "time zones"))


def test_people_read_a_line_each(folder: Path) -> None:
    (folder / "hook").chmod(0o644)

    ran = run("doctor", "--config", folder, "--database", f"sqlite:///{folder}/ledger.db", columns=120)

    words = " ".join(ran.out.split())
    assert f"✗ secrets {folder}/hook can be read by everybody" in words
    assert "✓ receivers A connection to 127.0.0.1" in words


def test_routes_test_says_who_is_told_and_why(folder: Path) -> None:
    told = run(
        "routes", "test", "--config", folder, "--labels", "country=iraq,cause=overdue", "--labels", "phase=2"
    )
    plain = run("routes", "test", "--config", folder, "--labels", "country=chad")

    assert told.lines == [
        'leads  by route.routes[0]: country="iraq", cause=~"overdue|moved"',
        'boss  by route.routes[1]: phase="2"',
    ]
    assert plain.lines == ["desk  by route: it takes everything"]


def test_routes_test_takes_a_milestones_labels(folder: Path) -> None:
    ran = run("routes", "test", "--config", folder, "--milestone", "signed", "--format", "json")

    assert [(one["receiver"], one["digest"]) for one in json.loads(ran.out)] == [
        ("boss", "every Monday at 08:00 (UTC)")
    ]


def test_routes_test_takes_no_label_without_a_value(folder: Path) -> None:
    ran = run("routes", "test", "--config", folder, "--labels", "country")

    assert ran.code == 2
    assert "write name=value" in ran.err


def test_routes_show_draws_the_tree(folder: Path) -> None:
    ran = run("routes", "show", "--config", folder)

    assert ran.lines == [
        "desk  takes everything",
        '├── leads  country="iraq", cause=~"overdue|moved"  and on',
        '└── boss  phase="2"  digest: every Monday at 08:00 (UTC)',
    ]

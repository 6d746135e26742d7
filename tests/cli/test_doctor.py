"""`alertd doctor` and `alertd routes` on real folders, real files and real sockets."""

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
    """A port of this machine that accepts connections and never reads from them."""
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
    return [(finding["verdict"], finding["text"]) for finding in found if finding["topic"] == topic]


def test_everything_in_order(folder: Path, port: int) -> None:
    """doctor reports each check that finds no problem, and creates no ledger."""
    _, found = doctor(folder)

    assert told(found, "files") == [("well", f"{folder} is in order")]
    assert told(found, "secrets") == [("well", "1 file, readable, not by everybody")]
    assert told(found, "receivers") == [("well", f"a connection to 127.0.0.1 port {port} (desk/webhook)")]
    assert told(found, "milestones") == [
        ("well", "somebody is reminded of each of the 1 that are still to come")
    ]
    assert [verdict for verdict, _ in told(found, "ledger")] == ["well"]
    assert not (folder / "ledger.db").exists()


def test_a_configuration_without_content(folder: Path) -> None:
    """doctor notes that the defaults apply, and does not report the folder as in order."""
    (folder / "alertd.yaml").write_text("# nothing yet\n")

    _, found = doctor(folder)

    ((verdict, text),) = told(found, "files")
    assert verdict == "note"
    assert text.startswith("alertd.yaml:1:1: the file has no content; ")


def test_an_unreachable_receiver(folder: Path, port: int) -> None:
    """doctor names a receiver that refuses connections, and does not show the path of its address."""
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


def test_a_proxy_is_checked_instead_of_the_target(folder: Path, port: int) -> None:
    """doctor connects to the proxy of a notifier and not to the address behind the proxy."""
    config = CONFIG.replace("url_file: hook", f"url: 'https://192.0.2.1/x', proxy: 'http://127.0.0.1:{port}'")
    write_folder(folder, config)

    _, found = doctor(folder)

    assert told(found, "receivers") == [("well", f"a connection to 127.0.0.1 port {port} (desk/webhook)")]


@pytest.mark.parametrize(
    ("mode", "said"), [(0o644, "can be read by everybody"), (0o602, "can be read by everybody")]
)
def test_a_world_accessible_secret_is_wrong(folder: Path, mode: int, said: str) -> None:
    """A secret file that all users can read or write is a problem."""
    (folder / "hook").chmod(mode)

    ran, found = doctor(folder)

    ((verdict, text),) = told(found, "secrets")
    assert (ran.code, verdict) == (1, "wrong")
    assert said in text


def test_a_missing_secret_is_wrong(folder: Path) -> None:
    """A missing secret file is a problem."""
    (folder / "hook").unlink()

    ran, found = doctor(folder)

    assert ran.code == 1
    assert [verdict for verdict, _ in told(found, "secrets")] == ["wrong"]


def test_secret_in_the_configuration_is_noted(folder: Path) -> None:
    """The ledger keeps no such configuration, so a broken file ends the next start."""
    write_folder(folder, CONFIG.replace("url_file: hook", "url: 'http://127.0.0.1/c4nary'"), talks=TIMELINE)

    ran, found = doctor(folder)

    assert "c4nary" not in ran.out
    assert told(found, "files") == [
        ("well", f"{folder} is in order"),
        ("note", "alertd.yaml has a secret in it, so no copy is kept to start with while the file is broken"),
    ]


def test_nested_secrets_are_checked(folder: Path) -> None:
    """doctor also checks secret files in a list, and secret files of headers."""
    within = "secret_file: [old], headers_file: {X-Key: key}"
    config = CONFIG.replace("url_file: hook", f"url_file: hook, {within}")
    write_folder(folder, config)

    _, found = doctor(folder)

    texts = [text for _, text in told(found, "secrets")]
    assert [text.split("'")[1] for text in texts] == ["key", "old"]


def test_problems_in_files_are_reported(folder: Path) -> None:
    """doctor reports the problems that check finds in the files."""
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE.replace("2027-03", "2027-13"))

    ran, found = doctor(folder)

    assert ran.code == 1
    ((verdict, text),) = told(found, "files")
    assert verdict == "wrong"
    assert text.startswith("milestones/talks.yaml:7:")


def test_a_milestone_without_reminders_is_noted(folder: Path) -> None:
    """doctor notes a future milestone whose policy has no reminders."""
    silent = "  - {id: silent, title: S, deadline: 2027-05, policy: silent}\n"
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE + silent)
    write_folder(
        folder, CONFIG + "policies: {silent: {before: [], on_day: false, after: [], opens: false}}\n"
    )

    _, found = doctor(folder)

    assert told(found, "milestones") == [("note", "nobody is reminded of talks/silent in the next two years")]


def test_unused_receivers_are_noted(folder: Path) -> None:
    """doctor reports receivers without a route, receivers without notifiers and a missing operator."""
    config = (
        CONFIG.replace("{name: boss, notifiers: [{type: console}]}", "{name: boss}") + "  - {name: idle}\n"
    )
    write_folder(folder, config.replace("operator: desk\n", ""))

    _, found = doctor(folder)

    assert ("note", "no route leads to idle") in told(found, "receivers")
    assert ("wrong", "boss has no notifiers, so no message is sent") in told(found, "receivers")
    assert [verdict for verdict, _ in told(found, "operator")] == ["note"]


@pytest.mark.parametrize(
    ("deadline", "at", "said"),
    [
        ("2027-03-28", "02:30", "at 02:30 on 2027-03-28, a time that does not exist in Europe/Berlin"),
        ("2027-10-31", "02:30", "at 02:30 on 2027-10-31, a time that comes twice in Europe/Berlin"),
    ],
    ids=["gap", "fold"],
)
def test_a_reminder_in_a_gap_or_a_fold_is_noted(folder: Path, deadline: str, at: str, said: str) -> None:
    """doctor notes a reminder at a local time that does not exist or that occurs twice."""
    text = TIMELINE.replace("deadline: 2027-03,", f"deadline: {deadline}, policy: {{at: '{at}'}},")
    (folder / "milestones" / "talks.yaml").write_text(text)

    _, found = doctor(folder)

    assert any(said in text for _, text in told(found, "time zones")), told(found, "time zones") + told(
        found, "files"
    )


def test_a_zone_with_a_fixed_offset_is_noted(folder: Path) -> None:
    """doctor notes a time zone that has a fixed offset instead of the rules of a place."""
    (folder / "milestones" / "talks.yaml").write_text(TIMELINE.replace("Europe/Berlin", "Etc/GMT+3"))

    _, found = doctor(folder)

    assert any(text.startswith("Etc/GMT+3 knows no summer time") for _, text in told(found, "time zones"))


def test_the_text(folder: Path) -> None:
    """For people, doctor prints a line with a mark for each finding."""
    (folder / "hook").chmod(0o644)

    ran = run("doctor", "--config", folder, "--database", f"sqlite:///{folder}/ledger.db", columns=120)

    words = " ".join(ran.out.split())
    assert f"✗ secrets {folder}/hook can be read by everybody" in words
    assert "✓ receivers A connection to 127.0.0.1" in words


def test_routes_test_names_receivers_and_routes(folder: Path) -> None:
    """routes test names the receivers for given labels, with the route and the matchers of each."""
    told = run(
        "routes", "test", "--config", folder, "--labels", "country=iraq,cause=overdue", "--labels", "phase=2"
    )
    plain = run("routes", "test", "--config", folder, "--labels", "country=chad")

    assert told.lines == [
        'leads  by route.routes[0]: country="iraq", cause=~"overdue|moved"',
        'boss  by route.routes[1]: phase="2"',
    ]
    assert plain.lines == ["desk  by route: it takes everything"]


def test_routes_test_uses_the_labels_of_a_milestone(folder: Path) -> None:
    """routes test --milestone matches the labels of that milestone."""
    ran = run("routes", "test", "--config", folder, "--milestone", "signed", "--format", "json")

    assert [(match["receiver"], match["digest"]) for match in json.loads(ran.out)] == [
        ("boss", "every Monday at 08:00 (UTC)")
    ]


def test_routes_test_rejects_a_label_without_a_value(folder: Path) -> None:
    """A label without a value is wrong usage."""
    ran = run("routes", "test", "--config", folder, "--labels", "country")

    assert ran.code == 2
    assert "write name=value" in ran.err


def test_routes_show_draws_the_tree(folder: Path) -> None:
    """routes show draws the routes as a tree, with their matchers and digests."""
    ran = run("routes", "show", "--config", folder)

    assert ran.lines == [
        "desk  takes everything",
        '├── leads  country="iraq", cause=~"overdue|moved"  and on',
        '└── boss  phase="2"  digest: every Monday at 08:00 (UTC)',
    ]

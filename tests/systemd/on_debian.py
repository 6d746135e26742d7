"""alertd under a real systemd: installed, reloaded, killed, hung, upgraded and removed on Debian 12 and 13.

Run by `make test-systemd`, not by `make test`: it needs root, systemd-nspawn, and the packages in dist/. What
the pages tell root to do is done as they tell it; with ALERTD_UPDATE_GOLDEN=1 docs/first-five-minutes.md is
written anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alertd import __version__
from tests.docs_console import matches, steps
from tests.docs_pages import ROOT, blocks
from tests.systemd.machine import Machine, booted
from tests.systemd.transcript import Transcript
from tests.systemd.unit import exposures, told_exposures

HOWTO = ROOT / "docs/howto/systemd.md"
README = ROOT / "README.md"
TRANSCRIPT = ROOT / "docs/first-five-minutes.md"
BY_HAND = "## Without the package"
UPDATE = bool(os.environ.get("ALERTD_UPDATE_GOLDEN"))

RELEASES = {"bookworm": "12", "trixie": "13"}
HASTE = "[Service]\nWatchdogSec=4s\nRestartSec=1s\n"


def package(release: str) -> Path:
    (found,) = (ROOT / "dist").glob(f"alertd_{__version__}-*~deb{RELEASES[release]}_*.deb")
    return found


def furnished(machine: Machine, release: str) -> None:
    """The package where commands are run, and a receiver that listens."""
    shutil.copy(package(release), machine.root / "srv")
    shutil.copy(ROOT / "tests/systemd/desk.py", machine.root / "srv")
    machine.done("systemd-run --quiet --unit=desk python3 /srv/desk.py /srv/received")


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def transcript(release: str) -> Transcript:
    return Transcript(release=release)


@pytest.fixture(scope="module")
def machine(release: str, transcript: Transcript) -> Iterator[Machine]:
    """One for the whole story: each test goes on where the one before it has ended."""
    with booted(release) as made:
        furnished(made, release)
        yield made
    print(f"\n{transcript.figures()}")


def follow(machine: Machine, page: Path, transcript: Transcript, *, by_hand: bool = False) -> int:
    """Do what a page tells root to do; how many commands that were."""
    followed = 0
    begins = page.read_text(encoding="utf-8").find(BY_HAND)
    for block in blocks(page, "shellsession"):
        if begins >= 0 and (block.start > begins) != by_hand:
            continue
        for step in steps(block, "# "):
            machine.run("journalctl --sync")
            ran = machine.run(step.command)
            transcript.add(step.command, ran)
            followed += 1
            if step.shown:
                assert matches(step.shown, ran.out), (
                    f"{block}: {step.command}\n{ran.out}\nis not\n{step.shown}"
                )
            else:
                assert ran.status == 0, f"{block}: {step.command}: exit {ran.status}\n{ran.out}"
                assert ran.out == "", f"{block}: {step.command}\n{ran.out}"
    return followed


def log(machine: Machine, *options: str) -> list[dict[str, object]]:
    """The service's own lines in the journal, as they are written."""
    machine.done("journalctl --sync")
    said = machine.done(f"journalctl -u alertd -o cat --no-pager {' '.join(options)}")
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def received(machine: Machine, kind: str = "") -> list[str]:
    """The ids of what the receiver got, one a request; all types of message, or one."""
    file = machine.root / "srv/received"
    bodies = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [one["data"]["id"] for one in bodies if kind in ("", one["type"])]


def a_timeline(**deadlines: str) -> str:
    listed = "".join(
        f"  - {{id: {name}, title: It comes about, deadline: {deadline}, source: m}}\n"
        for name, deadline in deadlines.items()
    )
    return (
        "timeline: t\ntitle: A timeline\ntimezone: UTC\n"
        "policy: {before: [1min], on_day: false, after: [], opens: false}\n"
        f"sources: {{m: {{who: A. Minister}}}}\nmilestones:\n{listed}"
    )


# -- what the pages say


def test_the_readme_is_followed_line_by_line(release: str) -> None:
    with booted(release) as fresh:
        furnished(fresh, release)

        followed = follow(fresh, README, Transcript(release=release))

    assert followed == 5


def test_the_way_without_the_package_is_followed_line_by_line(release: str) -> None:
    """What it would fetch lies there: the machine has no network. Then nobody has made a user for it."""
    with booted(release) as fresh:
        clone = fresh.root / "srv"
        shutil.copytree(ROOT / "deploy", clone / "deploy")
        shutil.copytree(ROOT / f"build/debian/wheels-{release}", clone / "wheels")
        (clone / "dist").mkdir()
        (wheel,) = clone.glob(f"wheels/alertd-{__version__}-*.whl")
        wheel.rename(clone / "dist" / wheel.name)
        (fresh.root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /srv/wheels\n")
        follow_by_hand = follow(fresh, HOWTO, Transcript(release=release), by_hand=True)

        uid = int(fresh.done("stat -c %u /proc/$(systemctl show -P MainPID alertd)").strip())
        reloaded = fresh.run("systemctl reload alertd")
        state = fresh.done("readlink -f /var/lib/alertd").strip()

    assert follow_by_hand == 9
    assert 61184 <= uid <= 65519  # one of those that systemd gives away for a while
    assert reloaded.status == 0, reloaded.out
    assert state == "/var/lib/private/alertd"


def test_the_page_is_followed_line_by_line(machine: Machine, release: str, transcript: Transcript) -> None:
    followed = follow(machine, HOWTO, transcript)

    assert followed > 20
    assert received(machine, "alertd.test")
    if UPDATE and release == "bookworm":
        system = machine.done(". /etc/os-release; echo $PRETTY_NAME").strip()
        transcript.write(TRANSCRIPT, system, machine.done("date +%F").strip())


# -- what the service is


def test_it_runs_in_its_sandbox(machine: Machine) -> None:
    """As somebody who may do nothing: no capability, filtered system calls, nobody else's files."""
    pid = machine.shown("MainPID")
    status = dict(
        line.split(":\t", 1) for line in machine.done(f"cat /proc/{pid}/status").splitlines() if ":\t" in line
    )
    judged = machine.done("systemd-analyze security alertd")
    inside = f"nsenter -t {pid} -m setpriv --reuid {status['Uid'].split()[0]} --clear-groups"
    kept_out = machine.run(f"{inside} ls /etc/alertd/secrets").out
    as_root = f"nsenter -t {pid} -m touch"
    read_only = machine.run(f"{as_root} /etc/alertd/x /usr/x").out
    not_run = machine.run(
        f"{inside} sh -c 'cp /bin/true /var/lib/alertd/x; /var/lib/alertd/x'; rm /var/lib/alertd/x"
    ).out

    assert status["Uid"].split()[0] != "0"
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {int(status[one], 16) for one in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert exposures(judged) == told_exposures()
    assert "Permission denied" in kept_out
    assert read_only.count("Read-only file system") == 2
    assert "Permission denied" in not_run


def test_the_secret_is_a_credential(machine: Machine) -> None:
    """Under the name that `*_file` keys and settings look for; root's commands read it where it lies."""
    folder = machine.done("ls /run/credentials/alertd.service").split()

    assert folder == ["alertd_desk_url"]
    assert "alertd_desk_url" not in machine.done("journalctl -u alertd -o cat")
    assert machine.run("journalctl -u alertd -o cat | grep 9000/hook").status == 1


def test_a_reminder_arrives(machine: Machine, transcript: Transcript) -> None:
    """In a real minute, after a reload that has said that it is done."""
    before = received(machine)
    deadline = datetime.now(UTC) + timedelta(seconds=64)
    machine.write("/etc/alertd/milestones/t.yaml", a_timeline(m=f"{deadline:%Y-%m-%dT%H:%M:%S}"))
    ran = machine.run("systemctl reload alertd")
    known = machine.done("alertd status")
    machine.until(f"[ $(wc -l < /srv/received) -gt {len(before)} ]")

    transcript.measure("reload", ran.took_s)
    assert ran.status == 0, ran.out
    assert "t/m" in known
    assert len(received(machine)) == len(before) + 1


def test_a_refused_configuration_changes_nothing(machine: Machine, transcript: Transcript) -> None:
    pid = machine.shown("MainPID")
    sound = (machine.root / "etc/alertd/alertd.yaml").read_text()
    machine.write("/etc/alertd/alertd.yaml", sound.replace("type: webhook", "type: webhok"))

    ran = machine.run("systemctl reload alertd")
    refused = [one["problem"] for one in log(machine, "-p err") if one["event"] == "config.refused"]
    told = machine.run("alertd reload --wait")
    state, pid_after = machine.shown("ActiveState"), machine.shown("MainPID")
    machine.write("/etc/alertd/alertd.yaml", sound)
    mended = machine.run("systemctl reload alertd")

    transcript.measure("reload that is refused", ran.took_s)
    assert ran.status == 1
    assert str(refused[-1]).startswith("alertd.yaml:4:16: ")
    assert told.status == 1
    assert told.out.splitlines()[0] == refused[-1]
    assert (state, pid_after) == ("active", pid)
    assert mended.status == 0, mended.out


def test_killed_it_starts_again_and_repeats_nothing(machine: Machine, transcript: Transcript) -> None:
    machine.done("mkdir -p /etc/systemd/system/alertd.service.d")
    machine.write("/etc/systemd/system/alertd.service.d/haste.conf", HASTE)
    machine.done("systemctl daemon-reload && systemctl restart alertd")
    before, pid = received(machine), machine.shown("MainPID")

    machine.done(f"kill -9 {pid}")
    took_s = machine.until("[ $(systemctl show -P NRestarts alertd) = 1 ] && systemctl is-active -q alertd")

    transcript.measure("killed until active again, of which RestartSec=1", took_s)
    assert machine.shown("MainPID") not in (pid, "0")
    assert received(machine) == before
    assert machine.run("alertd status").status == 0


def test_hung_it_is_ended_by_the_watchdog_and_starts_again(machine: Machine, transcript: Transcript) -> None:
    """Fed while it turns; a process that stands still is ended, and says where it stood."""
    pid = machine.shown("MainPID")
    machine.until(f"[ $(($(date +%s) - $(stat -c %Y /proc/{pid}))) -ge 6 ]")
    fed = machine.shown("MainPID")

    machine.done(f"kill -STOP {pid}")
    took_s = machine.until("[ $(systemctl show -P NRestarts alertd) = 2 ] && systemctl is-active -q alertd")
    machine.done("journalctl --sync")
    said = machine.done("journalctl -u alertd -o cat")

    transcript.measure("hung until active again, of which WatchdogSec=4 and RestartSec=1", took_s)
    assert fed == pid
    assert "Failed with result 'watchdog'" in said
    assert "Fatal Python error: Aborted" in said
    assert machine.shown("MainPID") != pid


def test_a_broken_timeline_does_not_keep_it_from_starting(machine: Machine) -> None:
    """It starts with what the ledger has; the journal says what is wrong before it does."""
    machine.write("/etc/alertd/milestones/broken.yaml", "timeline: broken\n")

    machine.done("systemctl restart alertd")
    said = machine.done(
        "journalctl --sync; journalctl -u alertd -o cat _SYSTEMD_INVOCATION_ID="
        "$(systemctl show -P InvocationID alertd)"
    )
    machine.done("rm /etc/alertd/milestones/broken.yaml; systemctl reload alertd")

    assert machine.shown("ActiveState") == "active"
    assert said.index("milestones/broken.yaml:1:1: ") < said.index("daemon.started")


def test_a_broken_configuration_keeps_it_down_until_it_is_mended(machine: Machine) -> None:
    """Status 78 is not tried again and again: nothing but a person can mend that."""
    sound = (machine.root / "etc/alertd/alertd.yaml").read_text()
    machine.write("/etc/alertd/alertd.yaml", "receivers: []\n")

    ran = machine.run("systemctl restart alertd")
    machine.until("[ $(systemctl show -P ActiveState alertd) = failed ]")
    status = machine.shown("ExecMainStatus")
    machine.write("/etc/alertd/alertd.yaml", sound)
    machine.done("systemctl start alertd")

    assert ran.status == 1
    assert status == "78"
    assert machine.shown("ActiveState") == "active"


def test_the_journal_has_the_level_of_each_line(machine: Machine) -> None:
    errors = log(machine, "-p err")

    assert {one["level"] for one in errors} == {"error"}
    assert {one["event"] for one in errors} >= {"config.refused", "file.refused"}
    assert {one["level"] for one in log(machine)} >= {"info", "error"}


# -- the package


def test_an_upgrade_keeps_what_was_changed_and_what_was_sent(
    machine: Machine, release: str, transcript: Transcript
) -> None:
    before, pid = received(machine), machine.shown("MainPID")
    name = package(release).name
    machine.done(
        f"dpkg-deb -R {name} newer && sed -i 's/^Version: .*/Version: 99/' newer/DEBIAN/control"
        " && echo '# new' >> newer/etc/alertd/alertd.yaml && dpkg-deb -Znone -b newer newer.deb"
    )
    config = (machine.root / "etc/alertd/alertd.yaml").read_text()

    ran = machine.run("apt-get install -y -o Dpkg::Options::=--force-confold ./newer.deb")
    transcript.measure("upgrade", ran.took_s)

    assert ran.status == 0, ran.out
    assert machine.done("dpkg-query -W -f '${Version}' alertd") == "99"
    assert (machine.root / "etc/alertd/alertd.yaml").read_text() == config
    assert machine.shown("ActiveState") == "active"
    assert machine.shown("MainPID") != pid
    assert received(machine) == before
    assert machine.run("alertd status").status == 0
    assert machine.run("systemctl is-active alertd@second").status == 0


def test_removed_it_leaves_the_ledger_and_purged_it_leaves_nothing(machine: Machine) -> None:
    machine.done("dpkg --remove alertd")
    removed = machine.run("systemctl is-active alertd alertd@second").out.split()
    kept = machine.done("ls /var/lib/alertd/ /etc/alertd/secrets").split()
    machine.done("dpkg --purge alertd")
    left = machine.run(
        "ls -d /var/lib/alertd /var/lib/private/alertd /etc/alertd/secrets /usr/lib/alertd"
    ).out

    assert set(removed) == {"inactive"}
    assert {"alertd.sqlite3", "desk_url"} <= set(kept)
    assert left.count("No such file") == 4

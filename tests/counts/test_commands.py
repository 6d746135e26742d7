"""``alertd check`` and ``alertd plan`` read each file once, and no database."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FILES = 7
PROGRAM = """
import json, sys
from collections import Counter

found = Counter()

def count(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".yaml"):
        found[arguments[0].rpartition("/")[2]] += 1
    elif event.startswith(("sqlite3.connect", "subprocess.")):
        found[event] += 1

sys.addaudithook(count)
from alertd.cli import main

try:
    main()
except SystemExit as ended:
    print(json.dumps({"status": ended.code or 0, "found": found}), file=sys.stderr)
"""


@pytest.mark.server
@pytest.mark.parametrize("command", [["check"], ["plan", "--from", "2027-03-01", "--to", "1mo"]])
def test_each_file_is_read_once(tmp_path: Path, command: list[str]) -> None:
    """The interpreter's audit events say which files are opened, and that no database is."""
    folder = tmp_path / "milestones"
    folder.mkdir()
    (tmp_path / "alertd.yaml").write_text(
        "route: {receiver: desk}\nreceivers: [{name: desk, notifiers: [{type: console}]}]\n"
    )
    for number in range(FILES):
        (folder / f"t{number}.yaml").write_text(
            f"timeline: t{number}\ntitle: T\nsources: {{m: {{who: A. Minister}}}}\nmilestones:\n"
            "  - {id: m, title: It comes about, deadline: 2027-03, source: m}\n"
        )

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command, "--config", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    ended = json.loads(done.stderr.splitlines()[-1])
    assert ended["status"] == 0
    names = ["alertd.yaml", *(f"t{number}.yaml" for number in range(FILES))]
    assert ended["found"] == dict.fromkeys(names, 1)

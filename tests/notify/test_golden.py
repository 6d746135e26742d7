"""Golden files of what people see: tests/golden/notify/, composed at 2026-11-24T06:00Z.

Each built-in type has a file for each sample, with what the notifier of its contract would send.
`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_golden.py` writes them again: read the difference.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.core.message.message import Message
from alertd.core.milestones.occurrence import Cause
from alertd.notify import clean_message, render_text
from alertd.notify.email.body import render_html
from alertd.testing import SAMPLES, sample_message
from tests.notify.contract import golden_of, own_types

GOLDEN = Path(__file__).parent.parent / "golden" / "notify"


def html(message: Message) -> str:
    # Remove the blank lines that templates leave.
    return re.sub(r"\n\s*\n+", "\n", render_html(message)) + "\n"


TEXTS: dict[str, Callable[[Message], str]] = {"txt": render_text, "html": html}


def assert_golden(path: Path, shown: str) -> None:
    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert path.exists(), "write it with ALERTD_UPDATE_GOLDEN=1, and read it"
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_reads_as_it_did_when_somebody_last_looked(name: str, ending: str) -> None:
    assert_golden(GOLDEN / f"{name}.{ending}", TEXTS[ending](clean_message(sample_message(name))))


@pytest.mark.parametrize("type_name", own_types())
@pytest.mark.parametrize("name", SAMPLES)
def test_each_type_sends_each_sample_as_it_did_when_somebody_last_looked(name: str, type_name: str) -> None:
    golden = golden_of(type_name, sample_message(name))

    if golden is not None:  # else other files show what it sends
        ending, shown = golden
        assert_golden(GOLDEN / f"{name}.{ending}", shown)


def test_no_golden_file_is_left_over() -> None:
    by_type = [golden_of(type_name, sample_message("test")) for type_name in own_types()]
    endings = {*TEXTS, *(golden[0] for golden in by_type if golden is not None)}

    expected = {f"{name}.{ending}" for name in SAMPLES for ending in endings}

    assert {path.name for path in GOLDEN.iterdir()} == expected


def test_every_cause_is_kept() -> None:
    shown = {item.cause for name in SAMPLES for item in sample_message(name).items}

    assert shown == set(Cause)

"""What people see, kept in files that people read: tests/golden/notify/, composed at 2026-11-24T06:00Z.

`ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_golden.py` writes them again: read the difference.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.core.message import Message
from alertd.notify.clean import fit
from alertd.notify.email_body import render_html
from alertd.notify.payload import payload_of
from alertd.notify.slack_blocks import whole
from alertd.notify.text import render_text
from alertd.testing import SAMPLES, sample_message

GOLDEN = Path(__file__).parent.parent / "golden" / "notify"


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def html(message: Message) -> str:
    # Without the blank lines that templates leave.
    return re.sub(r"\n\s*\n+", "\n", render_html(message)) + "\n"


RENDERINGS: dict[str, Callable[[Message], str]] = {
    "txt": render_text,
    "html": html,
    "slack.json": lambda message: as_json([post.payload() for post in whole(message)]),
    "webhook.json": lambda message: as_json(payload_of(message)),
}


@pytest.mark.parametrize("ending", RENDERINGS)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_looks_as_it_did_when_somebody_last_looked(name: str, ending: str) -> None:
    path = GOLDEN / f"{name}.{ending}"

    rendered = RENDERINGS[ending](fit(sample_message(name)))

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}.{ending}" for name in SAMPLES for ending in RENDERINGS}

    assert {path.name for path in GOLDEN.iterdir()} == expected

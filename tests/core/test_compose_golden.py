"""Messages as people read them; ``ALERTD_UPDATE_GOLDEN=1`` writes the files anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alertd.core.message.headlines import MAX_SUBJECT
from tests.core.rendering import render
from tests.core.scenes import SCENES

GOLDEN = Path(__file__).parents[1] / "golden" / "messages"


@pytest.mark.parametrize("name", SCENES)
def test_reads_as_in_the_golden_file(name: str) -> None:
    """A message equals its golden file, which a person has read and approved."""
    path = GOLDEN / f"{name}.txt"

    text = render(SCENES[name]())

    if os.environ.get("ALERTD_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    """Every golden file belongs to a scene."""
    files = {path.stem for path in GOLDEN.glob("*.txt")}

    assert files == set(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_says_no_more_than_is_known(name: str) -> None:
    """No message calls a date missed, and every subject is within its limit."""
    message = SCENES[name]()

    text = render(message)

    assert "missed" not in text.lower()
    assert len(message.subject) <= MAX_SUBJECT

"""The machine's clocks, as the kernel tells them."""

import os
from pathlib import Path

import pytest

from alertd.system.clock import SystemClock, read_synchronised, read_timesyncd


def test_kernel_says_whether_its_time_is_synchronised() -> None:
    """Linux answers every process, without any privilege."""
    assert read_synchronised() in {True, False}


def test_kernel_says_nothing_about_a_time_that_is_not_its_own() -> None:
    """A process that goes by another time is neither synchronised nor unsynchronised."""
    in_40_days_s = SystemClock().now().timestamp() + 40 * 86_400

    assert read_synchronised(at_s=in_40_days_s) is None


@pytest.mark.parametrize(
    ("touched_s_ago", "says"),
    [
        # right after it has set the clock
        (1.0, True),
        # half an hour ago: somebody may have set the clock since
        (1800.0, None),
        # by a clock that was ahead
        (-1800.0, None),
    ],
)
def test_timesyncd_has_just_set_the_clock(tmp_path: Path, touched_s_ago: float, says: bool | None) -> None:
    """Its file is as old as the last time that it set the clock."""
    file = tmp_path / "synchronized"
    file.touch()
    at = SystemClock().now().timestamp() - touched_s_ago
    os.utime(file, (at, at))

    assert read_timesyncd(tmp_path) is says


def test_timesyncd_has_not_set_the_clock_yet(tmp_path: Path) -> None:
    """It runs, and has reached no server since the machine was started; or it does not run at all."""
    assert read_timesyncd(tmp_path) is False
    assert read_timesyncd(tmp_path / "none") is None

"""What the pages on escalation, digests and quiet hours say happens with the files that they show."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alertd import app
from alertd.core.config import Config
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.plan import Planned, plan
from alertd.core.reason import QuietHours
from alertd.core.routing.route import match_routes
from alertd.system.settings import read_settings
from tests.docs_pages import ROOT, blocks

HOWTO = ROOT / "docs" / "howto"
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
TIMELINE = """\
timeline: t
title: T
timezone: Asia/Baghdad
milestones:
  - {id: a, title: A, deadline: 2026-09-30}
"""


def shown(page: str, number: int, folder: Path, timeline: str = TIMELINE) -> tuple[Config, list[Milestone]]:
    """The configuration of a page's block, and a timeline beside it."""
    (folder / "milestones").mkdir(exist_ok=True)
    (folder / "alertd.yaml").write_text(blocks(HOWTO / page, "yaml")[number].body, encoding="utf-8")
    (folder / "milestones" / "t.yaml").write_text(timeline, encoding="utf-8")
    definitions = app.load_definitions(read_settings(config=folder))
    assert not definitions.problems
    assert definitions.config is not None
    return definitions.config, list(app.resolve_milestones(definitions).values())


def planned(page: str, number: int, folder: Path, timeline: str = TIMELINE) -> tuple[Planned, ...]:
    config, milestones = shown(page, number, folder, timeline)
    return plan(milestones, config.route, BEGIN, END)


def test_escalation_goes_from_the_channel_to_the_owner_to_the_boss(tmp_path: Path) -> None:
    """90 days before it is for the channel, from seven on for the owner, overdue for the boss too."""
    found: dict[str, list[str]] = {}
    for one in planned("escalate.md", 0, tmp_path):
        found.setdefault(one.receiver, []).append(one.occurrence.offset)

    assert found["channel"] == ["-90d", "-30d"]
    assert found["owner"][:6] == ["-7d", "-1d", "0d", "+1d", "+7d", "+14d"]
    assert found["boss"] == found["owner"][4:]


@pytest.mark.parametrize("cause", ["moved", "done"])
def test_news_goes_to_the_owner_and_the_channel(tmp_path: Path, cause: str) -> None:
    config, _ = shown("escalate.md", 0, tmp_path)

    found = match_routes(config.route, {"cause": cause, "offset": cause})

    assert [one.receiver for one in found] == ["owner", "channel"]


def test_the_digest_of_the_page_comes_on_monday_at_eight_in_berlin(tmp_path: Path) -> None:
    """What approaches waits for it; what is due or has passed does not."""
    found = planned("digests.md", 0, tmp_path)

    waiting = {one.occurrence.offset: f"{one.at:%a %m-%d %H:%M}" for one in found if one.muted_by}
    # That of the day before would come on the Monday after: the one on the day takes its place.
    assert waiting == {"-90d": "Mon 07-06 06:00", "-30d": "Mon 08-31 06:00", "-7d": "Mon 09-28 06:00"}
    assert [one.occurrence.offset for one in found if not one.muted_by] == [
        "0d",
        "+1d",
        "+7d",
        "+14d",
        "+28d",
    ]


def test_the_second_digest_has_what_the_boss_got_at_once(tmp_path: Path) -> None:
    found = planned("digests.md", 1, tmp_path)

    overdue = [(one.receiver, bool(one.muted_by)) for one in found if one.occurrence.offset == "+7d"]
    assert overdue == [("boss", False), ("desk", True)]


def test_quiet_hours_of_the_page(tmp_path: Path) -> None:
    """At night and on the weekend nothing comes, but for what is due or has passed."""
    policy = 'deadline: "2026-10-04T03:00", policy: {before: [7d, 1d], after: [1h]}'
    timeline = TIMELINE.replace("deadline: 2026-09-30", policy)

    found = planned("quiet-hours.md", 0, tmp_path, timeline)

    at = {one.occurrence.offset: f"{one.at:%a %m-%d %H:%M}" for one in found}
    # That of the day before falls into Saturday: by its end the one on the day has been sent.
    assert at == {"-7d": "Mon 09-28 05:00", "0d": "Sun 10-04 00:00", "+1h": "Sun 10-04 01:00"}
    assert {one.occurrence.offset: one.muted_by for one in found if one.muted_by} == {
        "-7d": QuietHours(hours="22:00 to 07:00 and all Saturday and Sunday (Europe/Berlin)")
    }

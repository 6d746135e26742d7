"""Test that the shipped configuration works and agrees with the article."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel

from alertd.core.config import Definitions, list_milestones
from alertd.core.milestones.milestone import (
    Milestone,
    Rank,
    State,
    compute_state,
    is_contested,
    list_stated_windows,
)
from alertd.core.milestones.occurrence import Cause, list_occurrences
from alertd.core.milestones.status import NO_ACTIONS
from alertd.core.routing.route import match_routes
from alertd.definitions.load import load

CONFIG = Path(__file__).parent.parent.parent / "config"


@pytest.fixture
def shipped(options: dict[str, type[BaseModel]]) -> Definitions:
    """Load the files in config/."""
    return load(CONFIG, options)


@pytest.fixture
def milestones(shipped: Definitions) -> dict[str, Milestone]:
    """Return the milestones of the timeline by their ids."""
    found = list_milestones(shipped.timelines)
    return {milestone.id.partition("/")[2]: milestone for milestone in found.values()}


def test_it_has_no_problem_and_prints(shipped: Definitions) -> None:
    """The shipped configuration prints all reminders."""
    assert not shipped.problems
    assert shipped.config is not None
    (match,) = match_routes(shipped.config.route, {"timeline": "iraq-coalition-withdrawal"})
    assert [notifier.type for notifier in shipped.config.receivers[match.receiver].notifiers] == ["console"]
    assert match.group_by == ("timeline",)
    assert {shipped.config.operator, shipped.config.fallback_receiver} <= shipped.config.receivers.keys()


def test_its_commented_examples_are_right(tmp_path: Path) -> None:
    """The commented examples are valid when the number signs are removed."""

    class Any(BaseModel, extra="allow"):
        pass

    lines = (CONFIG / "alertd.yaml").read_text("utf-8").splitlines()
    examples = [
        line.replace("# ", "", 1)
        if line.lstrip().startswith("# ") and ("- " in line or ": " in line or line.endswith(":"))
        else line
        for line in lines
        if not line.startswith("# yaml-language-server")
    ]
    prose = [line for line in examples if line.lstrip()[:1].isupper()]
    (tmp_path / "alertd.yaml").write_text("\n".join(line for line in examples if line not in prose))

    definitions = load(tmp_path, dict.fromkeys(("console", "slack", "email", "webhook"), Any))

    assert not definitions.problems
    assert definitions.config is not None
    assert [notifier.type for notifier in definitions.config.receivers["desk"].notifiers] == [
        "console",
        "slack",
        "email",
    ]
    assert [notifier.type for notifier in definitions.config.receivers["leads"].notifiers] == ["webhook"]
    assert definitions.config.route.routes[0].mute[0].name == "weekend"
    assert definitions.config.smtp.starttls


def test_the_milestones_and_their_claims(milestones: dict[str, Milestone]) -> None:
    """The timeline has both phases and the signing, with the claims of each source."""
    said = {
        name: [(claim.deadline.edtf, claim.sources[0].brief, claim.rank) for claim in milestone.claims]
        for name, milestone in milestones.items()
    }

    assert said == {
        "signing": [("2024-09~", "the minister", Rank.NORMAL)],
        "phase-1": [("2025-09", "the minister", Rank.NORMAL), ("2025-09", "Reuters", Rank.NORMAL)],
        "phase-2": [
            ("2026-09", "the minister", Rank.NORMAL),
            ("2026", "Reuters", Rank.NORMAL),
            ("2027-09~", "the minister", Rank.DEPRECATED),
        ],
    }
    assert all(milestone.tentative for milestone in milestones.values())
    assert all(claim.sources[0].published for milestone in milestones.values() for claim in milestone.claims)


def test_phase_two_is_contested_and_phase_one_is_not(milestones: dict[str, Milestone]) -> None:
    """Two sources that claim the same month give one deadline."""
    assert is_contested(milestones["phase-2"])
    assert not is_contested(milestones["phase-1"])
    assert [stated.source_ids for stated in list_stated_windows(milestones["phase-1"])] == [
        ("al-abassi", "reuters")
    ]
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert compute_state(milestones["phase-2"], NO_ACTIONS, now) is State.PASSED_BY_SOME
    assert compute_state(milestones["phase-1"], NO_ACTIONS, now) is State.PASSED_BY_ALL


def test_the_reminders_of_phase_two_are_those_of_the_design(milestones: dict[str, Milestone]) -> None:
    """The reminders by the minister's account are those in the table of section 3 of the design."""
    found = {
        occurrence.offset: occurrence.at
        for occurrence in list_occurrences(
            milestones["phase-2"], datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
        )
        if occurrence.stated.source_ids == ("al-abassi",)
    }

    assert found == {
        "-90d": datetime(2026, 7, 2, 6, tzinfo=UTC),
        "-30d": datetime(2026, 8, 31, 6, tzinfo=UTC),
        Cause.OPENS.value: datetime(2026, 9, 1, 6, tzinfo=UTC),
        "-7d": datetime(2026, 9, 23, 6, tzinfo=UTC),
        "-1d": datetime(2026, 9, 29, 6, tzinfo=UTC),
        "0d": datetime(2026, 9, 30, 6, tzinfo=UTC),
        "+1d": datetime(2026, 10, 1, 6, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    "fact",
    [
        "2014", "December", "March 2019", "October 2023", "advisory", "economic", "Germany", "France",
        "Spain", "Italy", "8 September 2024", "Saudi", "militias", "signed", "Middle East",
    ],
)  # fmt: skip
def test_what_has_no_deadline_is_told_too(shipped: Definitions, fact: str) -> None:
    """The description contains history and context."""
    (timeline,) = shipped.timelines

    assert fact in timeline.description

"""Test how a timeline file is read into a Timeline."""

from datetime import date
from zoneinfo import ZoneInfo

from alertd.core.config import Timeline, list_milestones
from alertd.core.deadline import Reading
from alertd.core.milestones.milestone import Milestone, Rank, Recurrence, RelativeClaim, Source
from alertd.core.milestones.policy import Policy
from alertd.core.time.duration import Duration
from alertd.definitions.config.read import Inherited
from alertd.definitions.timeline.read import read_timeline

REUTERS = Source(
    id="reuters",
    who="people close to the talks",
    short="Reuters",
    publisher="Reuters",
    published="2024-09-06",
    url="https://example.org/report",
)
MINISTER = Source(id="minister", who="the minister")


def _timeline(text: str, inherited: Inherited | None = None) -> Timeline:
    read = read_timeline(text.encode(), "milestones/t.yaml", inherited or Inherited())
    assert not read.problems, [str(problem) for problem in read.problems]
    assert read.timeline is not None
    return read.timeline


def _list_milestones(timeline: Timeline) -> list[Milestone]:
    """Return the milestones of a timeline that was read, in the order of the file."""
    return list(list_milestones([timeline]).values())


def _milestone(lines: str, inherited: Inherited | None = None) -> Milestone:
    """Return the only milestone of a timeline with two sources; ``lines`` are keys besides id and title."""
    keys = "".join(f"    {line}\n" for line in lines.strip().splitlines())
    text = f"""
timeline: t
title: T
sources:
  minister: {{who: the minister}}
  reuters:
    who: people close to the talks
    short: Reuters
    publisher: Reuters
    published: 2024-09-06
    url: https://example.org/report
milestones:
  - id: a
    title: A
{keys}"""
    (milestone,) = _list_milestones(_timeline(text, inherited))
    return milestone


def test_a_milestone_with_one_claim_in_short() -> None:
    """A milestone with one claim can have the claim's keys itself."""
    milestone = _milestone("deadline: 2026-09~\nsource: reuters\nreading: start\nnote: before autumn")

    assert (milestone.id, milestone.timeline, milestone.timeline_title) == ("t/a", "t", "T")
    (claim,) = milestone.claims
    assert claim.deadline.edtf == "2026-09~"
    assert claim.reading is Reading.START
    assert claim.sources == (REUTERS,)
    assert (claim.rank, claim.note) == (Rank.NORMAL, "before autumn")


def test_a_milestone_with_several_claims() -> None:
    """Claims keep the order of the file, each with its sources and rank."""
    milestone = _milestone(
        """
claims:
  - {deadline: 2026-09, sources: [minister, reuters], rank: preferred}
  - {deadline: 2026-Q4}
  - {deadline: "[2026-09,2027]", source: minister, rank: deprecated, note: refused}
"""
    )

    assert [claim.deadline.edtf for claim in milestone.claims] == ["2026-09", "2026-36", "[2026-09,2027]"]
    assert [claim.rank for claim in milestone.claims] == [Rank.PREFERRED, Rank.NORMAL, Rank.DEPRECATED]
    assert [claim.sources for claim in milestone.claims] == [(MINISTER, REUTERS), (), (MINISTER,)]


def test_a_deadline_counted_from_another_milestone() -> None:
    """``after`` refers to a milestone in the same file by id, and in another file by full id."""
    milestone = _milestone(
        """
claims:
  - {after: phase-1 + 90d, source: minister, note: as agreed}
  - {after: other/x.y+1mo, rank: deprecated}
"""
    )

    assert milestone.claims == ()
    assert milestone.relative == (
        RelativeClaim(base="t/phase-1", by=Duration(days=90), sources=(MINISTER,), note="as agreed"),
        RelativeClaim(base="other/x.y", by=Duration(months=1), rank=Rank.DEPRECATED),
    )


def test_a_recurring_milestone() -> None:
    """The text of a recurrence rule is kept without its prefix."""
    milestone = _milestone("deadline: 2026-01-31\nrepeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1")

    assert milestone.repeat == Recurrence(rule="FREQ=MONTHLY;BYMONTHDAY=-1")
    assert milestone.claims[0].deadline.latest == date(2026, 1, 31)


def test_labels_and_zone_come_from_the_timeline_unless_the_milestone_says_otherwise() -> None:
    """A milestone's labels override those of the timeline, and its zone defaults to the timeline's."""
    timeline = _timeline(
        """
timeline: t
title: T
timezone: Asia/Baghdad
labels: {country: iraq, phase: 1}
milestones:
  - {id: a, title: A, deadline: 2026}
  - {id: b, title: B, deadline: 2026, timezone: Africa/Cairo, labels: {phase: 2, team: desk}}
"""
    )

    a, b = _list_milestones(timeline)
    assert (a.zone, b.zone) == (ZoneInfo("Asia/Baghdad"), ZoneInfo("Africa/Cairo"))
    assert a.labels == {"country": "iraq", "phase": "1"}
    assert b.labels == {"country": "iraq", "phase": "2", "team": "desk"}


def test_the_owner_of_a_milestone_wins_over_that_of_its_timeline() -> None:
    """A milestone without an owner of its own has its timeline's."""
    timeline = _timeline(
        """
timeline: t
title: T
owner: The desk
milestones:
  - {id: a, title: A, deadline: 2026}
  - {id: b, title: B, deadline: 2026, owner: Ada}
"""
    )

    assert [milestone.owner for milestone in _list_milestones(timeline)] == ["The desk", "Ada"]


def test_the_zone_of_the_configuration_is_the_last_resort() -> None:
    """The zone of the configuration applies if neither milestone nor timeline names one."""
    milestone = _milestone("deadline: 2026", Inherited(zone=ZoneInfo("Asia/Tokyo")))

    assert milestone.zone == ZoneInfo("Asia/Tokyo")


def test_policies_by_name_and_in_place() -> None:
    """A milestone can override values of the timeline's policy or name another policy."""
    insistent = Policy(name="insistent", then_every=Duration(days=28))
    inherited = Inherited(policies={"default": Policy(), "insistent": insistent})

    timeline = _timeline(
        """
timeline: t
title: T
policy: insistent
milestones:
  - {id: a, title: A, deadline: 2026}
  - {id: b, title: B, deadline: 2026, policy: default}
  - {id: c, title: C, deadline: 2026, policy: {opens: false}}
""",
        inherited,
    )

    a, b, c = (milestone.policy for milestone in _list_milestones(timeline))
    assert a == insistent
    assert b == Policy()
    assert (c.opens, c.then_every, c.name) == (False, Duration(days=28), "inline")


def test_texts_of_a_timeline_and_of_a_milestone() -> None:
    """Descriptions can have several lines, and a milestone can be tentative."""
    timeline = _timeline(
        """
timeline: t
title: 'The "T"'
description: |
  One.

  Two.
url: https://example.org/
milestones:
  - {id: a, title: A, deadline: 2026, tentative: true, url: "http://example.org/a?b=1&c=2", description: D}
"""
    )

    assert timeline.title == 'The "T"'
    assert (timeline.description, timeline.url) == ("One.\n\nTwo.", "https://example.org/")
    assert timeline.file == "milestones/t.yaml"
    (milestone,) = _list_milestones(timeline)
    assert milestone.tentative
    assert (milestone.url, milestone.description) == ("http://example.org/a?b=1&c=2", "D")


def test_a_timeline_may_have_no_milestone_yet() -> None:
    """A timeline can have an empty list of milestones."""
    assert _timeline("timeline: t\ntitle: T\nmilestones: []\n").milestones == ()


def test_letters_of_every_script_are_text() -> None:
    """Right-to-left text is accepted; only invisible characters are rejected."""
    # Arabic with a right-to-left mark. Unlike an override, a mark cannot reorder other text.
    text = "\u0627\u0646\u0633\u062d\u0627\u0628 \u200f2026"

    milestone = _milestone(f"deadline: 2026\ndescription: {text}")

    assert milestone.description == text

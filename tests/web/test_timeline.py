"""The timeline's geometry and its filters, without a server: pure functions of values."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading, Window, compute_window, parse_deadline, read_window
from alertd.core.ledger.records import HistoryEntry, Record
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.web.timeline.axis import MOST_TICKS, Axis, Zoom, choose_zoom, make_axis
from alertd.web.timeline.choice import LISTED, PER_PAGE, choose
from alertd.web.timeline.entries import Group, TimelineEntry, make_entry
from alertd.web.timeline.marks import Bar, Drawing, draw
from alertd.web.timeline.query import Query, read_query
from alertd.web.timeline.rows import TimelineRow, make_row
from tests.scene import REUTERS, UTC_ZONE, a_claim, a_milestone, when

NOW = when("2026-09-11T12:00")
YEAR = Axis(first=date(2026, 1, 1), last=date(2026, 12, 31), zone=UTC_ZONE, now=NOW)
BAGHDAD = ZoneInfo("Asia/Baghdad")


def drawn(edtf: str, reading: Reading = Reading.END, axis: Axis = YEAR, **more: object) -> Drawing:
    deadline = parse_deadline(edtf)
    return draw(deadline, reading, compute_window(deadline, UTC_ZONE, reading), axis, **more)  # type: ignore[arg-type]


def windows(*ids: str) -> tuple[Window, ...]:
    return tuple(read_window(ident, UTC_ZONE) for ident in ids)


def percent(day: str) -> float:
    return round((date.fromisoformat(day) - date(2026, 1, 1)).days / 365 * 100, 2)


# -- the axis


@pytest.mark.parametrize(
    ("zoom", "first", "last", "labels"),
    [
        (Zoom.DAYS, date(2026, 9, 6), date(2026, 10, 5), ["7 Sep", "14 Sep", "21 Sep", "28 Sep", ""]),
        (Zoom.YEAR, date(2026, 7, 12), date(2027, 7, 12), ["Aug", "Sep", "Oct", "Nov", "Dec", "Jan"]),
        (Zoom.ALL, date(1993, 8, 22), date(2057, 5, 12), ["1995", "2000", "2005", "2010", "2015", "2020"]),
    ],
)
def test_zoom(zoom: Zoom, first: date, last: date, labels: list[str]) -> None:
    """Today is near the beginning, the ticks are as fine as there is room for, and ``all`` has a margin."""
    bounds = [(when("1996-01-01"), when("2055-01-01"))]

    axis = make_axis(zoom, None, bounds, UTC_ZONE, NOW)

    assert (axis.first, axis.last) == (first, last)
    assert [tick.label for tick in axis.ticks][:6] == labels
    assert axis.today is not None


def test_axis_is_of_local_days() -> None:
    """The days of the axis are those of its zone: midnight in Baghdad is 21:00 in UTC."""
    axis = make_axis(Zoom.DAYS, None, [], BAGHDAD, when("2026-09-11T22:00"))

    assert axis.first + timedelta(days=5) == date(2026, 9, 12)
    assert axis.begins == when("2026-09-06T21:00")


@pytest.mark.parametrize("last", ["2027-03-01", "2029-03-01", "2077-03-01", "9990-01-01"])
def test_all_is_what_is_seen_first_when_it_is_not_too_long(last: str) -> None:
    """The default range is at most five years, so that a far future deadline does not spoil the page."""
    assert choose_zoom([(NOW, when(last))], UTC_ZONE, NOW) is (Zoom.ALL if last < "2030" else Zoom.YEAR)


@given(st.dates(date(3, 1, 1), date(9990, 1, 1)), st.integers(0, 3_000_000))
def test_every_axis_has_few_marks_and_all_within(first: date, days: int) -> None:
    """An axis of any length has a limited number of ticks, in order, and none beyond its ends."""
    last = date.fromordinal(min(first.toordinal() + days, date(9998, 1, 1).toordinal()))
    axis = Axis(first=first, last=last, zone=UTC_ZONE, now=NOW)

    places = [tick.x for tick in axis.ticks]

    assert len(places) <= MOST_TICKS
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert axis.shifted(0.6) >= axis.first or axis.first.year > 9980


# -- the drawing

MONTH = Bar(x=percent("2026-09-01"), width=round(percent("2026-10-01") - percent("2026-09-01"), 2))


@pytest.mark.parametrize(
    ("edtf", "wanted"),
    [
        # a month has the width of a month; a day and an instant are ticks in their middle
        ("2026-09", Drawing(bars=(MONTH,))),
        ("2026-07-02", Drawing(ticks=(50.0,))),
        ("2026-07-02T12:00", Drawing(ticks=(50.0,))),
        # approximate: soft edges; uncertain: a mark; both: both
        ("2026-09~", Drawing(bars=(replace(MONTH, edges="soft"),))),
        ("2026-09?", Drawing(bars=(MONTH,), unsure=70.69)),
        ("2026-09%", Drawing(bars=(replace(MONTH, edges="soft"),), unsure=70.69)),
        # a bar is cut off at the end of the axis, and that edge is sharp
        ("2026~", Drawing(bars=(Bar(x=0, width=100, edges="soft"),))),
        # a window without a bound fades out on that side
        ("../2026-09", Drawing(bars=(Bar(x=0, width=MONTH.end, edges="fade-left"),))),
        ("2026-09/..", Drawing(bars=(Bar(x=MONTH.x, width=round(100 - MONTH.x, 2), edges="fade-right"),))),
        # each choice of a set has a bar or a tick, and a line from the first to the last
        (
            "[2026-07-02,2026-09]",
            Drawing(bars=(MONTH,), ticks=(50.0,), hull=Bar(x=49.86, width=round(MONTH.end - 49.86, 2))),
        ),
        # a window that is not on the axis: an arrow to its side
        ("2025-09", Drawing(beyond="left")),
        ("2027-09", Drawing(beyond="right")),
        ("2027-01-01", Drawing(beyond="right")),
    ],
)
def test_window_is_drawn_as_a_window(edtf: str, wanted: Drawing) -> None:
    found = drawn(edtf)

    assert found == wanted


def test_before_a_month_ends_where_the_month_begins() -> None:
    found = drawn("2026-09", Reading.START)

    assert found.bars == (Bar(x=0, width=MONTH.x, edges="fade-left"),)


def test_tail_of_what_is_overdue_ends_now() -> None:
    found = drawn("2026-08", overdue=True)

    assert found.tail is not None
    assert (found.tail.x, round(found.tail.end, 1)) == (MONTH.x, round(YEAR.place(NOW), 1))


@pytest.mark.parametrize(
    ("before", "ghost", "tick", "arrow"),
    [
        # from a month to a later one: from the old end to the new end
        (("2026-03-01/2026-04-01",), 1, 0, (percent("2026-04-01"), MONTH.end)),
        # from a later day to an earlier month
        (("2026-12-30/2026-12-31",), 0, 1, (99.59, MONTH.end)),
        # from a window beyond the axis: the arrow begins at the edge
        (("2025-03-01/2025-04-01",), 0, 0, (0, MONTH.end)),
        # from a window without an end
        (("2026-03-01/..",), 1, 0, None),
        # the end is the same, so there is no arrow
        (("2026-08-01/2026-10-01",), 1, 0, None),
    ],
)
def test_ghost_stays_where_it_was(
    before: tuple[str, ...], ghost: int, tick: int, arrow: tuple[float, float] | None
) -> None:
    """A move leaves a ghost at the old place, and an arrow leads from it to the new place."""
    found = drawn("2026-09", before=windows(*before))

    assert (len(found.ghosts), len(found.ghost_ticks)) == (ghost, tick)
    assert found.arrow == arrow


@given(
    st.sampled_from(
        ["2026-09", "2026-09~", "2026?", "2026-05-05", "../2026-03", "2025-11/..", "[2025-02,2027-01-05]"]
    ),
    st.dates(date(2024, 1, 1), date(2029, 1, 1)),
    st.integers(1, 900),
    st.booleans(),
)
def test_nothing_is_drawn_beyond_the_axis(edtf: str, first: date, days: int, overdue: bool) -> None:
    axis = Axis(first=first, last=first + timedelta(days=days), zone=UTC_ZONE, now=NOW)

    before = windows("2025-05-01/2025-06-01", "2028-01-01/2028-01-02")
    found = drawn(edtf, axis=axis, overdue=overdue, before=before)

    spans = [*found.bars, *found.ghosts, *(bar for bar in (found.hull, found.tail) if bar)]
    places = [
        *found.ticks,
        *found.ghost_ticks,
        *(found.arrow or ()),
        *([found.unsure] if found.unsure else []),
    ]
    assert all(0 <= bar.x <= bar.x + bar.width <= 100.01 for bar in spans)
    assert all(0 <= place <= 100 for place in places)


# -- the rows


def a_record(milestone: Milestone, status: MilestoneStatus = NO_ACTIONS) -> Record:
    return Record(
        milestone=milestone,
        file="m.yaml",
        revision=1,
        values=(),
        loaded_at=NOW,
        changed_at=NOW,
        status=status,
    )


def a_move(before: str, after: str) -> HistoryEntry:
    facts = {"from_windows": before, "to_windows": after}
    return HistoryEntry(milestone="t/m", at=when("2026-09-05"), kind="moved", facts=facts)


def looks(row: TimelineRow) -> list[tuple[str, str, str]]:
    return [(line.look, line.phrase, line.status) for line in row.lines]


def test_each_claim_of_a_contested_one_has_its_own_line() -> None:
    """Each line has its source and its status. Claims that do not count come last, with a note."""
    milestone = a_milestone("t/m", "2026-08", "2026", a_claim("2027", REUTERS))
    old = replace(milestone.claims[2], rank=type(milestone.claims[2].rank)("deprecated"))

    row = make_row(a_record(replace(milestone, claims=(*milestone.claims[:2], old))), None, YEAR)

    assert (row.state, row.group, row.tags) == ("passed by some", "overdue", ("contested",))
    assert looks(row) == [
        ("overdue", "by August 2026", "passed 11 days ago"),
        ("open", "by the end of 2026", "due in 111 days"),
        ("off", "by the end of 2027", "never reminds"),
    ]
    assert [line.who for line in row.lines] == ["the minister", "Reuters", "Reuters"]


def test_done_is_marked_on_its_day_and_has_no_tail() -> None:
    status = MilestoneStatus(done_on=date(2026, 7, 2), done_by="ada")

    row = make_row(a_record(a_milestone("t/m", "2026-08"), status), None, YEAR)

    (line,) = row.lines
    assert (line.look, line.status) == ("done", "done 60 days before the end")
    assert (line.drawing.done, line.drawing.tail) == (50.0, None)


def test_cancelled_counts_no_longer() -> None:
    row = make_row(a_record(a_milestone("t/m", "2026-08"), MilestoneStatus(cancelled=True)), None, YEAR)

    assert (row.group, [line.look for line in row.lines]) == ("cancelled", ["off"])


@pytest.mark.parametrize(
    ("deadlines", "move", "ghosts"),
    [
        # one window has replaced one
        (("2026-10",), ("2026-09-01/2026-10-01", "2026-10-01/2026-11-01"), [1]),
        # one window of two was replaced, and only its successor has a ghost
        (("2026-10", "2026-12"), ("2026-09-01/2026-10-01; 2026-12-01/2027-01-01", ""), [1, 0]),
        # one window has replaced two
        (("2026-10",), ("2026-08-01/2026-09-01; 2026-09-01/2026-10-01", ""), [2]),
        # the window is back at its old place: no ghost
        (("2026-10",), ("2026-10-01/2026-11-01", ""), [0]),
    ],
)
def test_ghosts_stand_beside_what_took_their_place(
    deadlines: tuple[str, ...], move: tuple[str, str], ghosts: list[int]
) -> None:
    row = make_row(a_record(a_milestone("t/m", *deadlines)), a_move(*move), YEAR)

    assert [len(line.drawing.ghosts) for line in row.lines] == ghosts
    assert "moved on 5 September 2026" in row.tags


# -- the query


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"state": "late"}, "no state 'late'"),
        ({"zoom": "week"}, "no zoom 'week'"),
        ({"from": "yesterday"}, "'yesterday' is no date"),
        ({"from": "9999-01-01"}, "is no date"),
        ({"label": "country"}, "cannot be read"),
        # a regular expression may take forever, and readers are not trusted as the configuration is
        ({"label": 'country=~"(a+)+b"'}, "asked for by = or !="),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said(params: dict[str, str], refusal: str) -> None:
    query = read_query(params)

    assert refusal in query.refusal
    assert (query.state, query.zoom, query.start, query.matcher) == ("", None, None, None)


def test_address_says_what_is_asked() -> None:
    """The query of a form and the query of the page's own address are read equally."""
    params = {
        "text": "a b",
        "label": "country=iraq",
        "state": "moved",
        "order": "date",
        "zoom": "year",
        "from": "2026-09-01",
        "page": "3",
    }
    query = read_query(params)

    assert query.href(page=3) == (
        "?text=a+b&label=country%3Diraq&state=moved&order=date&zoom=year&from=2026-09-01&page=3"
    )
    assert query.href(text="", label="", state="", zoom=None, start=None, order="timeline") == "?"


def entries(*milestones: Milestone) -> list[TimelineEntry]:
    return [make_entry(a_record(milestone), None) for milestone in milestones]


MANY = entries(
    a_milestone("a/late", "2026-08", labels={"country": "iraq"}, title="Late things"),
    a_milestone("a/open", "2026-09", labels={"country": "iraq"}),
    a_milestone("b/soon", "2026-10-01", "2026-12"),
    a_milestone("b/far", "2031"),
    a_milestone("b/never", "2026-01/.."),
    a_milestone("c/none"),
)


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"zoom": "all"}, ["a/late", "a/open", "b/soon", "b/far", "b/never", "c/none"]),
        ({"zoom": "all", "order": "date"}, ["a/late", "a/open", "b/soon", "b/far", "b/never", "c/none"]),
        # an overdue window extends until now, and a milestone without a date is always shown
        ({"zoom": "30d"}, ["a/late", "a/open", "b/soon", "b/never", "c/none"]),
        ({"zoom": "30d", "from": "2031-03-01"}, ["b/far", "b/never", "c/none"]),
        ({"state": "overdue"}, ["a/late"]),
        ({"state": "open"}, ["a/open", "b/never"]),
        ({"state": "contested"}, ["b/soon"]),
        ({"text": "LATE things"}, ["a/late"]),
        ({"text": "reuters", "zoom": "all"}, ["b/soon"]),
        ({"label": "country=iraq"}, ["a/late", "a/open"]),
        ({"label": "timeline!=b", "zoom": "all"}, ["a/late", "a/open", "c/none"]),
        ({"label": "milestone=b/far", "zoom": "all"}, ["b/far"]),
        ({"text": "nothing of the kind"}, []),
    ],
)
def test_filters(params: dict[str, str], ids: list[str]) -> None:
    choice = choose(read_query(params), MANY, UTC_ZONE, NOW)

    assert [entry.id for entry in choice.shown] == ids


def test_counts_are_of_all_that_match_whatever_state_is_asked_for() -> None:
    choice = choose(Query(state="overdue"), MANY, UTC_ZONE, NOW)

    assert {name: number for name, number in choice.counts.items() if number} == {
        "overdue": 1,
        "open": 2,
        "upcoming": 3,
        "contested": 1,
    }


def test_lists_have_the_most_urgent_first() -> None:
    late = [a_milestone(f"t/{day:02}", f"2026-08-{day:02}") for day in range(1, 20)]
    soon = [a_milestone(f"t/s{day:02}", f"2026-10-{day:02}") for day in range(1, 20)]

    choice = choose(Query(), entries(*late, *soon), UTC_ZONE, NOW)

    assert [entry.id for entry in choice.overdue] == [f"t/{day:02}" for day in range(19, 19 - LISTED, -1)]
    assert [entry.id for entry in choice.coming] == [f"t/s{day:02}" for day in range(1, LISTED + 1)]
    assert (choice.overdue_count, choice.coming_count) == (19, 19)


def test_thousands_are_paged_and_seen_as_a_whole() -> None:
    """Each milestone is on one page, and the histogram counts all milestones."""
    many = entries(*(a_milestone(f"t/{number:04}", f"2026-{number % 12 + 1:02}") for number in range(450)))
    seen = []

    for page in range(1, 6):
        seen += [entry.id for entry in choose(Query(zoom=Zoom.ALL, page=page), many, UTC_ZONE, NOW).shown]
    choice = choose(Query(zoom=Zoom.ALL, page=5), many, UTC_ZONE, NOW)

    assert (choice.pages, choice.matching, len(seen), len(set(seen))) == (5, 450, 450, 450)
    assert choose(Query(page=99), many, UTC_ZONE, NOW).page == 5
    assert len(choice.shown) == 450 - 4 * PER_PAGE
    told = [int(bucket.words.partition(": ")[2].split()[0]) for bucket in choice.buckets]
    assert sum(told) == 450
    assert max(bucket.height for bucket in choice.buckets) == 100


def test_group_is_that_of_the_state() -> None:
    """An instant before its end a window is open, at its end it is overdue."""
    (entry,) = entries(a_milestone("t/m", "2026-09"))

    assert entry.group(datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)) is Group.OPEN
    assert entry.group(datetime(2026, 10, 1, tzinfo=UTC)) is Group.OVERDUE

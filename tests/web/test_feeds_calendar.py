"""The calendar as programs that subscribe to it read it, from a real server over a real ledger."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import httpx
import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from alertd.core.milestones.milestone import Milestone, Rank
from alertd.core.milestones.policy import Contested, Policy
from alertd.core.milestones.status import ActionKind
from alertd.core.time.duration import parse_duration
from alertd.notify.email.address import find_mail_domain, parse_mailbox
from alertd.notify.email.message import Letterhead, build_mail
from alertd.notify.render.clean import clean_message
from alertd.web.feeds.calendar import MOST_ALARMS, CalendarContext, CalendarRequest, make_calendar
from tests.cli.stage import run
from tests.contract.samples import a_record
from tests.scene import Scene, a_claim, a_ledger, a_milestone, when
from tests.web import example
from tests.web.stage import Stage, a_stage

ALL = "/feeds/all.ics"
ODD = 'Commas, semicolons; colons: \\ "quotes" 🚀 and ' + "ünïcödé " * 12 + "end"


@asynccontextmanager
async def a_scene(
    folder: Path, *milestones: Milestone, at: str = "2026-09-01"
) -> AsyncIterator[tuple[Stage, Scene]]:
    """Run the server, and the reconciler over the same ledger and with the same clock."""
    web = "external_url: 'https://alertd.example', auth: none"
    # This is the daemon's connection. The server has its own.
    async with a_stage(folder, web, at=when(at)) as stage, a_ledger("file", folder) as ledger:
        scene = Scene(ledger, at)
        scene.clock = stage.clock
        scene.define(*milestones)
        await scene.reconcile()
        yield stage, scene


async def read(stage: Stage, path: str = ALL, **headers: str) -> icalendar.Calendar:
    answer = await stage.get(path, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return icalendar.Calendar.from_ical(answer.content)


async def entries(stage: Stage, path: str = ALL) -> list[Any]:
    """Return the entries in the order of their ends."""
    found = (await read(stage, path)).walk("VEVENT")
    return sorted(found, key=lambda entry: str(entry.get("DTEND", entry["DTSTART"]).to_ical()))


async def entry(stage: Stage, path: str = ALL) -> Any:
    (found,) = await entries(stage, path)
    return found


def rings(entry: Any) -> list[datetime]:
    return [alarm["TRIGGER"].dt for alarm in entry.walk("VALARM")]


# -- the entries


async def test_each_live_window_is_an_entry_over_all_of_its_days(tmp_path: Path) -> None:
    """A contested milestone has an entry for each window, with its sources. Deprecated claims have none."""
    phase = a_milestone(
        "iraq/phase-2",
        "2026-09",
        "2026",
        title="Forces leave",
        tentative=True,
        description="They go.",
    )
    old = a_claim("2027-09~", rank=Rank.DEPRECATED)
    async with a_scene(tmp_path, replace(phase, claims=(*phase.claims, old))) as (stage, _):
        first, second = await entries(stage)

    assert str(first["SUMMARY"]) == "Forces leave (by September 2026, the minister)"
    assert str(second["SUMMARY"]) == "Forces leave (by the end of 2026, Reuters)"
    assert (first["DTSTART"].dt, first["DTEND"].dt) == (date(2026, 9, 1), date(2026, 10, 1))
    assert (second["DTSTART"].dt, second["DTEND"].dt) == (date(2026, 1, 1), date(2027, 1, 1))
    assert "Contested: the minister says by September 2026" in first["DESCRIPTION"]
    assert {str(entry["STATUS"]) for entry in (first, second)} == {"TENTATIVE"}
    assert {str(entry["TRANSP"]) for entry in (first, second)} == {"TRANSPARENT"}
    assert str(first["URL"]) == "https://alertd.example/milestones/iraq/phase-2"
    assert first["CATEGORIES"].cats == ["A timeline"]


async def test_calendar_says_what_it_is_and_when_to_ask_again(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, _):
        every, filtered = await read(stage), await read(stage, "/feeds/timelines/iraq.ics?label=country!%3Dx")

    assert (str(every["NAME"]), str(every["X-WR-CALNAME"])) == ("Deadlines", "Deadlines")
    assert str(filtered["NAME"]) == "A timeline: country!=x"
    assert every["REFRESH-INTERVAL"].to_ical() == b"PT1H"
    assert every["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"
    assert "METHOD" not in every


async def test_a_move_raises_sequence_and_last_modified(tmp_path: Path) -> None:
    """Each move raises SEQUENCE and keeps the UID. The entries that have not moved stay the same."""
    still = a_milestone("iraq/still", "2027-01-31")
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30"), still) as (stage, scene):
        seen = [await entries(stage)]
        for at, deadline in (("2026-09-03", "2026-10"), ("2026-09-05", "2026-12-31")):
            await scene.change(at, a_milestone("iraq/a", deadline), still)
            seen.append(await entries(stage))

    moved = [found[0] for found in seen]
    assert len({str(entry["UID"]) for entry in moved}) == 1
    assert [entry["SEQUENCE"] for entry in moved] == [1, 2, 3]
    assert [entry["LAST-MODIFIED"].dt for entry in moved] == [
        when("2026-09-01"),
        when("2026-09-03"),
        when("2026-09-05"),
    ]
    assert [entry["DTEND"].dt for entry in moved] == [date(2026, 10, 1), date(2026, 11, 1), date(2027, 1, 1)]
    assert all(entry["DTSTAMP"].dt == entry["LAST-MODIFIED"].dt for entry in moved)
    assert len({found[1].to_ical() for found in seen}) == 1


async def test_what_becomes_contested_gets_a_second_entry_and_loses_it_again(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, scene):
        (before,) = await entries(stage)
        await scene.change("2026-09-03", a_milestone("iraq/a", "2026-09-30", "2026-12-31"))
        first, second = await entries(stage)
        await scene.change("2026-09-05", a_milestone("iraq/a", "2026-12-31"))
        (after,) = await entries(stage)

    assert first["UID"] == before["UID"] == after["UID"] != second["UID"]
    assert [int(entry["SEQUENCE"]) for entry in (before, first, after)] == [1, 2, 3]
    assert after["DTSTART"].dt == date(2026, 12, 31)


async def test_entry_of_a_mail_is_the_same_one(tmp_path: Path) -> None:
    """A calendar that imported the entry from a mail and then subscribes has the entry only once."""
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, scene):
        await scene.until("2026-09-24")
        message = scene.log[0].message
        sender = parse_mailbox(scene.config.smtp.sender)
        letterhead = Letterhead(sender=sender, to=(sender,), host=find_mail_domain(scene.config.smtp.sender))
        mail = message_from_bytes(
            build_mail(clean_message(message), letterhead, stage.clock.now()), policy=SMTP
        )
        (part,) = [candidate for candidate in mail.walk() if candidate.get_content_type() == "text/calendar"]
        sent = icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT")[0]
        shown = await entry(stage)

    same = ("UID", "SEQUENCE", "SUMMARY", "DTSTART", "DTEND", "STATUS", "X-ALERTD-EDTF")
    assert [str(sent[name].to_ical()) for name in same] == [str(shown[name].to_ical()) for name in same]


async def test_standing_is_its_status(tmp_path: Path) -> None:
    """A cancelled milestone is CANCELLED. A milestone that is done stays, with a word before its title."""
    names = ("done", "cancel", "gone", "open")
    milestones = [a_milestone(f"iraq/{name}", "2026-10-31", title=name) for name in names]
    async with a_scene(tmp_path, *milestones) as (stage, scene):
        await scene.until("2026-09-04T08:00")
        await scene.act(ActionKind.DONE, "iraq/done", done_on="2026-09-04")
        await scene.act(ActionKind.CANCEL, "iraq/cancel")
        scene.define(milestones[0], milestones[1], milestones[3])
        await scene.reconcile()
        found = {str(entry["X-ALERTD-MILESTONE"]): entry for entry in await entries(stage)}
        stage.clock.advance(when("2026-10-05"))
        later = [str(entry["X-ALERTD-MILESTONE"]) for entry in await entries(stage)]

    assert {name: str(entry["STATUS"]) for name, entry in found.items()} == {
        "iraq/done": "CONFIRMED",
        "iraq/cancel": "CANCELLED",
        "iraq/gone": "CANCELLED",
        "iraq/open": "CONFIRMED",
    }
    assert str(found["iraq/done"]["SUMMARY"]) == "Done: done (by 31 October 2026)"
    assert "Withdrawn: it is no longer followed." in found["iraq/gone"]["DESCRIPTION"]
    assert [name for name, entry in found.items() if entry.walk("VALARM")] == ["iraq/open"]
    assert found["iraq/done"]["LAST-MODIFIED"].dt == when("2026-09-04T08:00")
    assert "iraq/gone" not in later, "after a month it is not shown any more"


async def test_time_of_day_is_an_instant(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30T17:00")) as (stage, _):
        found = await entry(stage)

    assert found["DTSTART"].dt == when("2026-09-30T17:00")
    assert "DTEND" not in found


async def test_another_reader_finds_each_on_its_days(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09", "2026-10-15")) as (stage, _):
        found = recurring_ical_events.of(await read(stage))

    days = ("20260831", "20260901", "20260930", "20261001", "20261015", "20261016")
    assert [len(found.at(day)) for day in days] == [0, 1, 1, 0, 1, 0]


async def test_odd_characters_survive(tmp_path: Path) -> None:
    """No text ends a line or an entry. Lines are folded at 75 octets between characters (RFC 5545, 3.1)."""
    text = f"{ODD}\nsecond line, with; more\r\nEND:VEVENT"
    odd = a_milestone("iraq/a", "2026-09-30", title=ODD, timeline_title=ODD, description=text)
    async with a_scene(tmp_path, odd) as (stage, _):
        raw = (await stage.get(ALL)).content
        found = await entry(stage)

    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert all(line.decode() is not None and b"\n" not in line for line in lines)
    assert str(found["SUMMARY"]) == f"{ODD} (by 30 September 2026)"
    assert f"{ODD}\nsecond line, with; more\n" in found["DESCRIPTION"]
    assert found["CATEGORIES"].cats == [ODD]
    assert raw.count(b"END:VEVENT\r\n") == 1


async def test_labels_choose(tmp_path: Path) -> None:
    """All labels must match, the timeline is a label too, and a regular expression is refused."""
    first = a_milestone("iraq/a", "2026-09-30", labels={"country": "iraq", "phase": "1"})
    two = a_milestone("iraq/b", "2026-10-31", labels={"country": "iraq", "phase": "2"})
    three = a_milestone("tax/c", "2026-11-30", labels={"country": "de"})

    async with a_scene(tmp_path, first, two, three) as (stage, _):

        async def chosen(query: str) -> list[str]:
            return [str(each["X-ALERTD-MILESTONE"]) for each in await entries(stage, f"{ALL}?{query}")]

        assert await chosen("label=country%3Diraq") == ["iraq/a", "iraq/b"]
        assert await chosen("label=country=iraq&label=phase!=1") == ["iraq/b"]
        assert await chosen('label=timeline="tax"') == ["tax/c"]
        assert await chosen("label=country=nowhere") == []
        for wrong in ("label=country", "label=country=~i.*", "label=" + "x" * 300, "alarms=maybe"):
            assert (await stage.get(f"{ALL}?{wrong}")).status_code == 400
        assert (await stage.get("/feeds/timelines/none.ics")).status_code == 404


async def test_recurring_milestone_is_an_entry_for_each_time(tmp_path: Path) -> None:
    monthly = a_milestone("tax/vat", "2026-09-10", every="RRULE:FREQ=MONTHLY;BYMONTHDAY=10;COUNT=3")
    async with a_scene(tmp_path, monthly) as (stage, _):
        found = await entries(stage)

    assert [entry["DTSTART"].dt for entry in found] == [date(2026, month, 10) for month in (9, 10, 11)]
    assert len({str(entry["UID"]) for entry in found}) == 3


# -- the alarms


async def test_alarms_are_those_of_the_plan(tmp_path: Path) -> None:
    """Each future reminder has an alarm at the instant that `alertd plan` shows. Past reminders have none."""
    folder = example.write(tmp_path / "config")
    found = example.read(folder)
    async with a_stage(tmp_path, at=example.NOW) as stage:
        scene = Scene(stage.ledger, "2026-11-24", found.config)
        scene.clock, scene.timelines = stage.clock, found.timelines
        await scene.reconcile()
        shown: dict[str, set[str]] = {}
        for entry in await entries(stage):
            instants = {f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in rings(entry)}
            shown.setdefault(str(entry["X-ALERTD-MILESTONE"]), set()).update(instants)
    asked = ("--from", "2026-11-24T12:03:00Z", "--to", "2027-12-29T12:03:00Z", "--format", "jsonl")
    ran = await asyncio.to_thread(run, "plan", "--config", folder, *asked)

    assert ran.code == 0, ran.err
    planned: dict[str, set[str]] = {name: set() for name in shown}
    for line in ran.lines:
        planned[json.loads(line)["milestone"]].add(json.loads(line)["at"])
    assert shown == planned
    assert sum(map(len, planned.values())) > 60


async def test_what_people_said_silences(tmp_path: Path) -> None:
    """An acknowledgement suppresses alarms until its end, and a snooze moves them to its end."""
    policy = Policy(before=(), opens=False, after=tuple(map(parse_duration, ("1d", "2d", "7d"))))
    names = ("ack", "snooze", "plain")
    milestones = [a_milestone(f"iraq/{name}", "2026-09-10", policy=policy) for name in names]
    async with a_scene(tmp_path, *milestones, at="2026-09-10T12:00") as (stage, scene):
        for kind in (ActionKind.ACK, ActionKind.SNOOZE):
            await scene.act(kind, f"iraq/{kind}", until="2026-09-14")
        found = {str(entry["X-ALERTD-MILESTONE"]): rings(entry) for entry in await entries(stage)}
        silent = [rings(entry) for entry in await entries(stage, f"{ALL}?alarms=no")]

    first, second, last = (when(f"2026-09-{day}T09:00") for day in (11, 12, 17))
    assert found == {
        "iraq/plain": [first, second, last],
        "iraq/ack": [last],
        "iraq/snooze": [when("2026-09-14"), last],
    }
    assert silent == [[], [], []]


async def test_endless_nagging_is_bounded(tmp_path: Path) -> None:
    policy = Policy(then_every=parse_duration("1d"))
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-08-01", policy=policy)) as (stage, _):
        found = await entry(stage)

    assert len(rings(found)) == MOST_ALARMS
    assert min(rings(found)) == when("2026-09-01T09:00")


async def test_only_what_reminds_rings(tmp_path: Path) -> None:
    """With `contested: earliest` the later date is an entry without alarms."""
    policy = Policy(contested=Contested.EARLIEST)
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-10", "2026-12", policy=policy)) as (stage, _):
        first, second = await entries(stage)

    assert rings(first)
    assert not rings(second)


# -- conditional requests


async def test_who_has_it_is_told_so(tmp_path: Path) -> None:
    """Both headers give 304 until something moves, and HEAD answers like GET."""
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, scene):

        async def get(**headers: str) -> httpx.Response:
            return await stage.get(ALL, **{name.replace("_", "-"): value for name, value in headers.items()})

        first = await get()
        tag, modified = first.headers["etag"], first.headers["last-modified"]
        assert modified == "Tue, 01 Sep 2026 00:00:00 GMT"
        stage.clock.advance(when("2026-09-02"))
        for headers in (
            {"if_none_match": tag},
            {"if_none_match": f'"x", W/{tag}'},
            {"if_none_match": "*"},
            {"if_modified_since": modified},
            {"if_none_match": tag, "if_modified_since": "Tue, 01 Jan 2019 00:00:00 GMT"},
        ):
            again = await get(**headers)
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        for headers in (
            {"if_none_match": '"x"'},
            {"if_modified_since": "soon"},
            {"if_none_match": '"x"', "if_modified_since": modified},
        ):
            assert (await get(**headers)).status_code == 200
        assert (await stage.client().head(ALL)).headers["etag"] == tag

        await scene.change("2026-09-02T10:00", a_milestone("iraq/a", "2026-10-31"))
        assert (await get(if_none_match=tag)).status_code == 200
        assert (await get(if_modified_since=modified)).status_code == 200


async def test_a_new_title_is_seen_by_who_asks_by_date(tmp_path: Path) -> None:
    """A new title changes Last-Modified even within the same second, although it is not in the history."""
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, scene):
        before = await stage.get(ALL)
        scene.define(a_milestone("iraq/a", "2026-09-30", title="It has another name"))
        await scene.reconcile()
        stage.clock.seconds += 60
        after = await stage.get(ALL, **{"if-modified-since": before.headers["last-modified"]})

    assert after.status_code == 200
    assert "another name" in after.text


async def test_an_alarm_that_has_passed_is_dropped(tmp_path: Path) -> None:
    async with a_scene(tmp_path, a_milestone("iraq/a", "2026-09-30")) as (stage, _):
        before = rings(await entry(stage))
        stage.clock.advance(when("2026-09-23T09:00"))
        at = rings(await entry(stage))
        stage.clock.advance(when("2026-09-23T09:01"))
        after = rings(await entry(stage))

    assert before == at
    assert after == before[1:]


def test_a_large_one_is_bounded_and_says_so() -> None:
    """The milestones nearest to today are kept, and the calendar reports that others are left out."""
    now = when("2026-09-01")
    records = [
        replace(
            a_record(f"iraq/m{number}"),
            milestone=a_milestone(f"iraq/m{number}", (date(2026, 9, 1) + timedelta(days=number)).isoformat()),
        )
        for number in range(12)
    ]
    around = CalendarContext(now=now, host="example.org", base="")

    made = make_calendar([(record, now) for record in records], CalendarRequest(rings=False), around, most=10)

    found = icalendar.Calendar.from_ical(made.content)
    assert [str(entry["X-ALERTD-MILESTONE"]) for entry in found.walk("VEVENT")] == [
        f"iraq/m{n}" for n in range(10)
    ]
    assert str(found["DESCRIPTION"]) == "10 of 12 milestones, those nearest to today; ask for fewer by label"

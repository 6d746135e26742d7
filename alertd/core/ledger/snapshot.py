"""Converts a milestone, and related values of the ledger, to lists and dicts for JSON and back.

Rules that hold here:
- unpacking returns a value equal to the packed one (with an exception for holidays, see :func:`pack`);
- the format omits only empty values and never a default of the code, so a later default does not change the
  meaning of rows that are already written;
- unpacking fails on anything that packing cannot have made, because the caller sets such a row apart;
- a deadline is packed as its EDTF, and its instants are computed again, since the rules of zones change.

The file is longer than 300 lines because both directions of the format belong together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from alertd.core.deadline import Deadline, Reading, Unbounded, parse_deadline
from alertd.core.ledger.records import DeadHour, Grounds, Move, Notice, Value
from alertd.core.milestones.milestone import Claim, Milestone, Rank, Recurrence, Source
from alertd.core.milestones.policy import Contested, Policy, Roll, WorkCalendar
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.routing.digest import DigestIssue
from alertd.core.time.duration import Duration
from alertd.core.time.instant import find_zone

VERSION = 1
HOLIDAYS_BEYOND = timedelta(days=3 * 366)
"""How far from a milestone's deadlines its holidays are packed."""

_CACHED = 1_024
"""How many sources and deadlines stay in memory, because many milestones have the same ones."""

Plain = dict[str, Any]
"""Values that JSON returns unchanged: strings, numbers, booleans, lists and dicts."""


def pack(milestone: Milestone) -> Plain:
    """Pack a milestone as ``{"v": 1, "id": ..., "claims": [...], ...}``.

    Only the holidays within three years of a deadline are packed, since the calendar of a country holds
    thousands. A recurring milestone has no last deadline, so all of its holidays are packed.

    Raises:
        ValueError: the milestone has relative claims, which have to be resolved first.
    """
    if milestone.relative:
        raise ValueError(f"{milestone.id} has relative claims that are not resolved")
    sources = list(dict.fromkeys(source for claim in milestone.claims for source in claim.sources))
    places = {source: place for place, source in enumerate(sources)}
    packed: Plain = {
        "v": VERSION,
        "id": milestone.id,
        "timeline": milestone.timeline,
        "timeline_title": milestone.timeline_title,
        "title": milestone.title,
        "zone": milestone.zone.key,
        "policy": _pack_policy(milestone.policy, _find_span(milestone)),
        "sources": [_pack_source(source) for source in sources],
        "claims": [_pack_claim(claim, places) for claim in milestone.claims],
        "repeat": milestone.repeat.rule if milestone.repeat else "",
        "labels": dict(milestone.labels),
        "description": milestone.description,
        "url": milestone.url,
        "owner": milestone.owner,
        "tentative": milestone.tentative,
    }
    return _drop_empty(packed)


def dump_milestone(milestone: Milestone) -> str:
    """Return a milestone as the ledger keeps it. Equal milestones have equal texts."""
    return json.dumps(pack(milestone), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def unpack(packed: Mapping[str, Any]) -> Milestone:
    """Unpack the result of :func:`pack`.

    Raises:
        ValueError: a newer version of alertd packed the milestone, or a value is impossible.
        KeyError: a required key is missing.
        TypeError: a value has the wrong type.
        ZoneMissing: this machine's time zone database does not have the zone.
    """
    if packed["v"] != VERSION:
        raise ValueError(f"a snapshot of version {packed['v']!r}; this alertd reads version {VERSION}")
    sources = tuple(_unpack_source(source) for source in packed.get("sources", ()))
    get, labels = packed.get, dict(packed.get("labels", {}))
    name, timeline, rule = packed["id"], packed["timeline"], get("repeat", "")
    timeline_title, title, url, owner = (
        get("timeline_title", ""),
        get("title", ""),
        get("url", ""),
        get("owner", ""),
    )
    description = get("description", "")
    check_texts(name, timeline, rule, timeline_title, title, url, owner, description)
    check_texts(*labels, *labels.values())
    return Milestone(
        id=name,
        timeline=timeline,
        timeline_title=timeline_title,
        title=title,
        zone=find_zone(packed["zone"]),
        policy=_unpack_policy(packed["policy"]),
        claims=tuple(_unpack_claim(claim, sources) for claim in packed.get("claims", ())),
        repeat=Recurrence(rule=rule) if rule else None,
        labels=labels,
        description=description,
        url=url,
        owner=owner,
        tentative=_read_flag(packed, "tentative"),
    )


def pack_status(status: MilestoneStatus) -> Plain:
    """Pack the status of a milestone: ``{}`` if no action is in force."""
    return _drop_empty({
        "ack_until": _format_instant(status.ack_until),
        "ack_windows": list(status.ack_windows),
        "ack_by": status.ack_by,
        "ack_why": status.ack_why,
        "snooze_until": _format_instant(status.snooze_until),
        "snooze_by": status.snooze_by,
        "done_on": status.done_on.isoformat() if status.done_on else "",
        "done_by": status.done_by,
        "evidence": status.evidence,
        "cancelled": status.cancelled,
        "cancelled_by": status.cancelled_by,
        "cancelled_why": status.cancelled_why,
    })  # fmt: skip


def unpack_status(packed: Mapping[str, Any]) -> MilestoneStatus:
    """Unpack the result of :func:`pack_status`."""
    return MilestoneStatus(
        ack_until=_parse_instant(packed.get("ack_until", "")),
        ack_windows=_read_texts(packed, "ack_windows"),
        ack_by=_read_text(packed, "ack_by"),
        ack_why=_read_text(packed, "ack_why"),
        snooze_until=_parse_instant(packed.get("snooze_until", "")),
        snooze_by=_read_text(packed, "snooze_by"),
        done_on=date.fromisoformat(packed["done_on"]) if "done_on" in packed else None,
        done_by=_read_text(packed, "done_by"),
        evidence=_read_text(packed, "evidence"),
        cancelled=_read_flag(packed, "cancelled"),
        cancelled_by=_read_text(packed, "cancelled_by"),
        cancelled_why=_read_text(packed, "cancelled_why"),
    )


def pack_values(values: Sequence[Value]) -> list[Plain]:
    """Pack each value as a dict, in the same order."""
    return [
        _drop_empty({
            "window": value.window_id,
            "edtf": value.edtf,
            "phrase": value.phrase,
            "accounts": list(value.accounts),
            "sources": list(value.source_ids),
        })
        for value in values
    ]  # fmt: skip


def unpack_values(packed: Sequence[Mapping[str, Any]]) -> tuple[Value, ...]:
    """Unpack the result of :func:`pack_values`."""
    return tuple(_unpack_value(value) for value in packed)


def _unpack_value(packed: Mapping[str, Any]) -> Value:
    get = packed.get
    window_id, edtf, phrase = get("window", ""), get("edtf", ""), get("phrase", "")
    accounts, source_ids = tuple(get("accounts", ())), tuple(get("sources", ()))
    check_texts(window_id, edtf, phrase, *accounts, *source_ids)
    return Value(window_id=window_id, edtf=edtf, phrase=phrase, accounts=accounts, source_ids=source_ids)


def pack_move(move: Move) -> Plain:
    """Pack a move as ``{"before": [...], "after": [...]}``."""
    return {"before": pack_values(move.before), "after": pack_values(move.after)}


def unpack_move(packed: Mapping[str, Any]) -> Move:
    """Unpack the result of :func:`pack_move`."""
    return Move(before=unpack_values(packed["before"]), after=unpack_values(packed["after"]))


def pack_grounds(grounds: Grounds) -> Plain:
    """Pack grounds as ``{"route": ..., "matchers": [...], "policy": ...}``."""
    return _drop_empty({
        "route": grounds.route,
        "matchers": list(grounds.matchers),
        "policy": grounds.policy,
    })  # fmt: skip


def unpack_grounds(packed: Mapping[str, Any]) -> Grounds:
    """Unpack the result of :func:`pack_grounds`."""
    return Grounds(
        route=_read_text(packed, "route"),
        matchers=_read_texts(packed, "matchers"),
        policy=_read_text(packed, "policy"),
    )


def pack_notice(notice: Notice) -> Plain:
    """Pack a notice as ``{"slot": ..., "headline": ..., "lines": [...]}``."""
    packed: Plain = {"slot": notice.slot, "headline": notice.headline, "lines": list(notice.lines)}
    if notice.counts is not None:
        packed["counts"] = [notice.counts.channel, _format_instant(notice.counts.begins)]
    return packed


def unpack_notice(packed: Mapping[str, Any]) -> Notice:
    """Unpack the result of :func:`pack_notice`."""
    counts = packed.get("counts")
    return Notice(
        slot=check_text(packed["slot"]),
        headline=check_text(packed["headline"]),
        lines=_read_texts(packed, "lines"),
        counts=DeadHour(channel=check_text(counts[0]), begins=datetime.fromisoformat(counts[1]))
        if counts
        else None,
    )


def pack_edition(edition: DigestIssue) -> Plain:
    """Pack an issue as ``{"name": ..., "at": ..., "since": ..., "until": ..., "overview": [...]}``."""
    return _drop_empty({
        "name": edition.name,
        "zone": edition.zone,
        "at": _format_instant(edition.at),
        "since": _format_instant(edition.since),
        "until": _format_instant(edition.until),
        "overview": list(edition.overview),
        "more": edition.more,
        "even_if_empty": edition.even_if_empty,
    })  # fmt: skip


def unpack_edition(packed: Mapping[str, Any]) -> DigestIssue:
    """Unpack the result of :func:`pack_edition`."""
    return DigestIssue(
        name=check_text(packed["name"]),
        zone=find_zone(packed["zone"]).key,
        at=_check_instant(packed["at"]),
        since=_check_instant(packed["since"]),
        until=_check_instant(packed["until"]),
        overview=_read_texts(packed, "overview"),
        more=_check_number(packed.get("more", 0)),
        even_if_empty=_read_flag(packed, "even_if_empty"),
    )


def _pack_source(source: Source) -> Plain:
    return _drop_empty({
        "id": source.id,
        "who": source.who,
        "short": source.short,
        "publisher": source.publisher,
        "published": source.published,
        "url": source.url,
    })  # fmt: skip


def _unpack_source(packed: Mapping[str, Any]) -> Source:
    get = packed.get
    name, who, short, publisher = get("id", ""), get("who", ""), get("short", ""), get("publisher", "")
    published, url = get("published", ""), get("url", "")
    check_texts(name, who, short, publisher, published, url)
    return _make_source(name, who, short=short, publisher=publisher, published=published, url=url)


@lru_cache(maxsize=_CACHED)
def _make_source(name: str, who: str, *, short: str, publisher: str, published: str, url: str) -> Source:
    """Make a source once for all milestones that share it."""
    return Source(id=name, who=who, short=short, publisher=publisher, published=published, url=url)


def _pack_claim(claim: Claim, places: Mapping[Source, int]) -> Plain:
    return _drop_empty({
        "deadline": _pack_deadline(claim.deadline),
        "reading": claim.reading.value,
        "sources": [places[source] for source in claim.sources],
        "rank": claim.rank.value,
        "note": claim.note,
        "derived": claim.derived,
    })  # fmt: skip


def _unpack_claim(packed: Mapping[str, Any], sources: Sequence[Source]) -> Claim:
    check_texts(packed.get("note", ""), packed.get("derived", ""))
    return Claim(
        deadline=_unpack_deadline(packed["deadline"]),
        reading=Reading(packed["reading"]),
        sources=tuple(sources[place] for place in packed.get("sources", ())),
        rank=Rank(packed["rank"]),
        note=packed.get("note", ""),
        derived=packed.get("derived", ""),
    )


def _pack_deadline(deadline: Deadline) -> str | list[str]:
    """Pack the EDTF, followed by the original texts of the deadline and of its choices if they can differ."""
    if deadline.text == deadline.edtf and not deadline.choices:
        return deadline.edtf
    return [deadline.edtf, deadline.text, *(choice.text for choice in deadline.choices)]


_parse_deadline = lru_cache(maxsize=_CACHED)(parse_deadline)


def _unpack_deadline(packed: str | Sequence[str]) -> Deadline:
    if isinstance(packed, str):
        return _parse_deadline(packed)
    edtf, text, *choice_texts = packed
    deadline = _parse_deadline(edtf)
    choices = tuple(
        replace(choice, text=written) for choice, written in zip(deadline.choices, choice_texts, strict=True)
    )
    return replace(deadline, text=text, choices=choices)


def _pack_policy(policy: Policy, span: tuple[date, date] | None) -> Plain:
    days = policy.calendar.holidays
    if span:
        days = frozenset(day for day in days if span[0] <= day <= span[1])
    return {
        "name": policy.name,
        "before": [_pack_duration(lead) for lead in policy.before],
        "on_day": policy.on_day,
        "after": [_pack_duration(delay) for delay in policy.after],
        "then_every": _pack_duration(policy.then_every) if policy.then_every is not None else [],
        "opens": policy.opens,
        "at": policy.at.isoformat(),
        "contested": policy.contested.value,
        "roll": policy.roll.value,
        "calendar": policy.calendar.name,
        "weekend": sorted(policy.calendar.weekend),
        "holidays": [day.isoformat() for day in sorted(days)],
    }


def _unpack_policy(packed: Mapping[str, Any]) -> Policy:
    return _make_policy(
        packed["name"],
        on_day=packed["on_day"],
        opens=packed["opens"],
        before=tuple(map(tuple, packed["before"])),
        after=tuple(map(tuple, packed["after"])),
        then_every=tuple(packed["then_every"]),
        at=packed["at"],
        contested=packed["contested"],
        roll=packed["roll"],
        calendar=packed["calendar"],
        weekend=tuple(packed["weekend"]),
        holidays=tuple(packed["holidays"]),
    )


@lru_cache(maxsize=64)
def _make_policy(
    name: str,
    *,
    on_day: bool,
    opens: bool,
    before: tuple[tuple[int, ...], ...],
    after: tuple[tuple[int, ...], ...],
    then_every: tuple[int, ...],
    at: str,
    contested: str,
    roll: str,
    calendar: str,
    weekend: tuple[int, ...],
    holidays: tuple[str, ...],
) -> Policy:
    """Make a policy once for all milestones that share it."""
    return Policy(
        name=name,
        before=tuple(_unpack_duration(lead) for lead in before),
        on_day=on_day,
        after=tuple(_unpack_duration(delay) for delay in after),
        then_every=_unpack_duration(then_every) if then_every else None,
        opens=opens,
        at=time.fromisoformat(at),
        contested=Contested(contested),
        roll=Roll(roll),
        calendar=WorkCalendar(
            name=calendar,
            weekend=frozenset(weekend),
            holidays=frozenset(date.fromisoformat(day) for day in holidays),
        ),
    )


def _pack_duration(duration: Duration) -> list[int]:
    return [duration.months, duration.days, duration.seconds]


def _unpack_duration(packed: Sequence[int]) -> Duration:
    months, days, seconds = packed
    return Duration(months=months, days=days, seconds=seconds)


def _find_span(milestone: Milestone) -> tuple[date, date] | None:
    """Find the first and last day between which holidays matter; None if all of them do."""
    if milestone.repeat is not None:
        return None
    days: list[date] = []
    for claim in milestone.claims:
        for end in (claim.deadline.earliest, claim.deadline.latest):
            if isinstance(end, datetime):
                days.append(end.date())
            elif not isinstance(end, Unbounded):
                days.append(end)
    if not days:
        return None
    # Stay within the range of ``date``, which three years beyond a deadline could leave.
    first = max(min(days), date.min + HOLIDAYS_BEYOND) - HOLIDAYS_BEYOND
    last = min(max(days), date.max - HOLIDAYS_BEYOND) + HOLIDAYS_BEYOND
    return first, last


def _format_instant(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat() if at else ""


def _parse_instant(text: str) -> datetime | None:
    return _check_instant(text) if text else None


def _check_instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return at


def check_text(value: Any) -> str:
    """Return ``value``; raise TypeError if it is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def check_texts(*values: Any) -> None:
    """Raise TypeError unless all values are texts. Joining them is the fastest way to find out."""
    try:
        "".join(values)
    except TypeError:
        for value in values:
            check_text(value)


def _check_number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value


def _read_text(packed: Mapping[str, Any], name: str) -> str:
    """Return a text that packing leaves out if it is empty."""
    return check_text(packed.get(name, ""))


def _read_texts(packed: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts that packing leaves out if it is empty."""
    values = packed.get(name, ())
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{values!r} is no list")
    check_texts(*values)
    return tuple(values)


def _read_flag(packed: Mapping[str, Any], name: str) -> bool:
    """Return a flag that packing leaves out if it is false."""
    value = packed.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is no flag")
    return value


def _drop_empty(packed: Plain) -> Plain:
    return {name: value for name, value in packed.items() if value not in ("", [], {}, False, None)}

"""Action links: a token allows a single kind of action, and cannot be made without the key."""

import string
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.message.compose import compose
from alertd.core.message.item import ItemContext
from alertd.core.message.links import LASTS, Link, LinkKind, Links, make_token, read_token
from alertd.core.message.message import Message
from alertd.core.milestones.status import MilestoneStatus
from alertd.testing.items import NOW, ROUTE, approaching
from alertd.testing.messages import _delivery, _lease
from tests.scene import when

KEY, OTHER = b"k" * 32, b"o" * 32
LINK = Link(
    kind=LinkKind.ACKNOWLEDGE, milestone="t/m@2026-09-30", receiver="desk", expires=when("2026-10-01")
)


@given(
    kind=st.sampled_from(LinkKind),
    milestone=st.text(string.ascii_lowercase + string.digits + "/@._-", min_size=1, max_size=200),
    receiver=st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=80),
    expires=st.datetimes(min_value=when("1971-01-01").replace(tzinfo=None)),
    undoes=st.none() | st.datetimes(min_value=when("1971-01-01").replace(tzinfo=None)),
)
def test_what_is_signed_is_read(kind, milestone, receiver, expires, undoes) -> None:  # type: ignore[no-untyped-def]
    link = Link(
        kind=kind,
        milestone=milestone,
        receiver=receiver,
        expires=expires.replace(tzinfo=when("2026-01-01").tzinfo),
        undoes=undoes.replace(tzinfo=when("2026-01-01").tzinfo) if undoes else None,
    )

    token = make_token(link, KEY)

    assert read_token(token, [OTHER, KEY]) == link
    assert read_token(token, [OTHER]) is None
    assert read_token(token, []) is None
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


@pytest.mark.parametrize("place", range(0, 150, 7))
def test_token_that_was_changed_is_none(place: int) -> None:
    token = make_token(LINK, KEY)
    place %= len(token)
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]

    assert read_token(changed, [KEY]) in (None, LINK)  # the last letter of base64 may mean the same
    assert read_token(changed, [KEY]) is None or place in (token.index(".") - 1, len(token) - 1)


@pytest.mark.parametrize(
    "token", ["", ".", "a.b", "é." + "A" * 43, "A." + "A" * 43, "A" * 5000 + "." + "A" * 43]
)
def test_nonsense_is_none(token: str) -> None:
    assert read_token(token, [KEY]) is None


def test_each_of_what_it_allows_is_signed() -> None:
    """Different links have different signatures."""
    others = [
        replace(LINK, kind=LinkKind.DONE),
        replace(LINK, milestone="t/m@2026-10-31"),
        replace(LINK, receiver="leads"),
        replace(LINK, expires=LINK.expires + timedelta(microseconds=1)),
        replace(LINK, undoes=LINK.expires),
    ]

    signatures = {make_token(link, KEY).partition(".")[2] for link in [LINK, *others]}

    assert len(signatures) == 1 + len(others)


def a_message(
    links: Links | None, at: str = "2026-11-24T06:00", status: MilestoneStatus | None = None
) -> Message:
    scene = approaching()
    lease = _lease(replace(_delivery("links"), members=tuple(owed.key for owed in scene.owed)), scene)
    if status is not None:
        records = {name: replace(record, status=status) for name, record in lease.records.items()}
        lease = replace(lease, records=records)
    return compose(
        lease, lease.owed, when(at), ItemContext(route=ROUTE, upcoming=scene.upcoming, links=links)
    )


def test_message_leads_to_the_page_and_offers_what_can_be_done() -> None:
    message = a_message(Links(base="https://alertd.example", key=KEY))

    (item,) = message.items
    assert message.page == "https://alertd.example/"
    assert item.page == f"https://alertd.example/milestones/{item.milestone}"
    assert [action.label for action in item.actions] == ["Acknowledge", "Snooze", "Done"]
    read = [read_token(action.url.rpartition("/act/")[2], [KEY]) for action in item.actions]
    assert read == [
        Link(
            kind=LinkKind(action.kind),
            milestone=item.milestone,
            receiver=message.receiver,
            expires=NOW + LASTS,
        )
        for action in item.actions
    ]


def test_links_are_the_same_over_retries() -> None:
    links = Links(base="https://alertd.example", key=KEY)

    first, later = a_message(links), a_message(links, at="2026-11-27T11:00")

    assert first.items[0].actions == later.items[0].actions


def test_what_is_done_offers_nothing_more() -> None:
    done = MilestoneStatus(done_on=NOW.date(), done_by="ada")

    message = a_message(Links(base="https://alertd.example", key=KEY), status=done)

    assert message.items[0].actions == ()
    assert message.items[0].page


def test_without_a_key_messages_still_lead_to_the_page() -> None:
    message = a_message(Links(base="https://alertd.example"))

    assert message.items[0].actions == ()
    assert message.items[0].page == f"https://alertd.example/milestones/{message.items[0].milestone}"


def test_nothing_leads_anywhere_without_a_server() -> None:
    message = a_message(None)

    assert (message.page, message.items[0].page, message.items[0].actions) == ("", "", ())


def test_key_is_in_no_text() -> None:
    assert KEY.decode() not in repr(Links(base="https://alertd.example", key=KEY))

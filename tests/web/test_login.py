"""The login, the session that it begins, and the limit of failures."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from alertd.web.pages.login import choose_next
from alertd.web.server.authenticate import BURST, EVERY_S, MAX_PLACES, Limiter
from tests.web.echo import ROUTES
from tests.web.stage import PASSWORD, TOKENS, Stage, a_stage, csrf_of


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, TOKENS, routes=ROUTES) as made:
        yield made


async def test_login_begins_a_session(stage: Stage) -> None:
    token = stage.token("ada", "act")

    browser, answer = await stage.log_in(token, next="/t/act")
    after = await browser.get("/t/act")

    assert (answer.status_code, answer.headers["location"]) == (303, "/t/act")
    assert after.text == "ada act session 127.0.0.1"
    assert {"event": "login.passed", "level": "info", "name": "ada", "address": "127.0.0.1"} in stage.events
    assert token not in str(stage.events)
    assert token not in str(browser.cookies)


async def test_login_takes_a_password_too(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: {users_file: users}", routes=ROUTES) as stage:
        stage.user("ada", "act")

        browser, answer = await stage.log_in(PASSWORD, name="ada")
        _, wrong = await stage.log_in(PASSWORD, name="bob")

        assert (answer.status_code, wrong.status_code) == (303, 401)
        assert (await browser.get("/t/act")).text == "ada act session 127.0.0.1"


async def test_login_gives_another_session_than_before(stage: Stage) -> None:
    """A session that an attacker planted before the login (session fixation) is worthless afterwards."""
    token = stage.token("ada", "act")
    browser = stage.client()
    form = await browser.get("/login")
    planted = browser.cookies["alertd"]
    await browser.post("/login", data={"csrf": csrf_of(form.text), "secret": token})

    after = browser.cookies["alertd"]
    with_planted = await stage.get("/t/read", Cookie=f"alertd={planted}")

    assert planted.partition(".")[0] != after.partition(".")[0]
    assert with_planted.status_code == 401


async def test_logout_ends_the_session(stage: Stage) -> None:
    """The session ends in the browser, and for anyone who has copied its cookie."""
    browser, _ = await stage.log_in(stage.token("ada", "act"))
    page = await browser.get("/")
    stolen = browser.cookies["alertd"]

    answer = await browser.post("/logout", data={"csrf": csrf_of(page.text)})

    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["clear-site-data"] == '"cookies", "storage"'
    assert (await browser.get("/t/read")).status_code == 401
    assert (await stage.get("/t/read", Cookie=f"alertd={stolen}")).status_code == 401


@pytest.mark.parametrize(
    ("steps_min", "status"),
    [
        ([59], 200),
        ([61], 401),  # idle for an hour
        ([59] * 12, 200),
        ([59] * 13, 401),  # too old, although it was always in use
        ([-2], 401),  # from the future
    ],
)
async def test_session_ends_by_itself(stage: Stage, steps_min: list[int], status: int) -> None:
    browser, _ = await stage.log_in(stage.token("ada", "act"))

    statuses = []
    for minutes in steps_min:
        stage.clock.step(timedelta(minutes=minutes))
        statuses.append((await browser.get("/t/read")).status_code)

    assert statuses[-1] == status


async def test_session_ends_with_its_token(stage: Stage) -> None:
    """The session ends even if another token gets the same name."""
    browser, _ = await stage.log_in(stage.token("ada", "act"))

    (stage.folder / "tokens").unlink()
    stage.token("ada", "admin")

    assert (await browser.get("/t/read")).status_code == 401


@pytest.mark.parametrize("place", range(6))
async def test_session_that_was_altered_is_none(stage: Stage, place: int) -> None:
    browser, _ = await stage.log_in(stage.token("ada", "act"))
    parts = browser.cookies["alertd"].split(".")
    parts[place] = "admin" if place == 3 else parts[place][:-1] + ("0" if parts[place][-1] != "0" else "4")

    answer = await stage.get("/t/read", Cookie=f"alertd={'.'.join(parts)}")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/t/act?x=1", "/t/act?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_login_leads_back_to_this_site_alone(asked: str, given: str) -> None:
    assert choose_next(asked) == given


async def test_failures_from_one_address_are_limited(stage: Stage) -> None:
    """After some failures, an address can log in only with a token in a header, which cannot be guessed."""
    token = stage.token("ada", "act")
    for _ in range(BURST):
        _, answer = await stage.log_in("alertd_guess")
        assert answer.status_code == 401

    _, right = await stage.log_in(token)
    bearer = await stage.get("/t/read", Authorization=f"Bearer {token}")
    guess = await stage.get("/t/read", Authorization="Bearer guess")
    stage.clock.seconds += 2 * EVERY_S
    _, later = await stage.log_in(token)

    assert (right.status_code, right.headers["retry-after"]) == (429, "31")
    assert (bearer.status_code, guess.status_code, later.status_code) == (200, 429, 303)
    refused = [event for event in stage.events if event["event"] == "login.refused"]
    assert [(event["how"], event["address"]) for event in refused] == [("form", "127.0.0.1")]
    assert "guess" not in str(refused)


async def test_failures_behind_a_gateway_limit_their_own_visitor_alone(tmp_path: Path) -> None:
    """Azure's gateway adds the port of each connection to the visitor's address in X-Forwarded-For."""
    async with a_stage(tmp_path, f"proxies: [127.0.0.1], {TOKENS}", routes=ROUTES) as stage:
        statuses = [
            (
                await stage.get("/t/read", Authorization="Bearer guess", **{"X-Forwarded-For": visitor})
            ).status_code
            for visitor in (
                *(f"203.0.113.9:{40_000 + number}" for number in range(BURST + 1)),
                "198.51.100.7:1",
            )
        ]

        assert statuses == [401] * BURST + [429, 401]


async def test_guesses_at_the_same_time_are_limited_too(tmp_path: Path) -> None:
    """Only as many as the limit allows are checked, and the right user must not wait longer for the rest."""
    async with a_stage(tmp_path, "auth: {users_file: users}", routes=ROUTES) as stage:
        stage.user("ada", "act")
        browser = stage.client(timeout=60)

        guesses = await asyncio.gather(
            *(browser.get("/t/act", auth=("ada", f"wrong guess {number}")) for number in range(4 * BURST))
        )
        at_once = await browser.get("/t/act", auth=("ada", PASSWORD))
        stage.clock.seconds += EVERY_S
        later = await browser.get("/t/act", auth=("ada", PASSWORD))

        assert Counter(guess.status_code for guess in guesses) == {401: BURST, 429: 3 * BURST}
        assert (at_once.status_code, later.status_code) == (429, 200)


async def test_right_passwords_at_the_same_time_are_not_limited(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: {users_file: users}", routes=ROUTES) as stage:
        stage.user("ada", "act")
        browser = stage.client(timeout=60)

        answers = await asyncio.gather(
            *(browser.get("/t/act", auth=("ada", PASSWORD)) for _ in range(2 * BURST))
        )

        assert {answer.status_code for answer in answers} == {200}


def test_limiter_forgets_rather_than_grows() -> None:
    limiter = Limiter()

    for number in range(MAX_PLACES + 500):
        limiter.reserve_try(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)

    assert len(limiter) == MAX_PLACES


def test_limiter_takes_a_network_of_ipv6_for_one() -> None:
    limiter = Limiter()

    for number in range(BURST):
        limiter.reserve_try(f"2001:db8::{number:x}", 0.0)

    assert limiter.wait_s("2001:db8::ffff:1", 0.0) > 0
    assert limiter.wait_s("2001:db8:0:1::1", 0.0) == 0


def test_limiter_keeps_the_clients_of_a_translator_apart() -> None:
    """An IPv4 address that is written as an IPv6 address counts as the IPv4 address."""
    limiter = Limiter()

    for _ in range(BURST):
        limiter.reserve_try("::ffff:203.0.113.9", 0.0)
        limiter.reserve_try("64:ff9b::192.0.2.1", 0.0)

    assert limiter.wait_s("203.0.113.9", 0.0) > 0
    assert limiter.wait_s("192.0.2.1", 0.0) > 0
    assert limiter.wait_s("::ffff:198.51.100.7", 0.0) == 0
    assert limiter.wait_s("64:ff9b::198.51.100.7", 0.0) == 0


def test_limiter_keeps_texts_that_are_no_addresses_apart() -> None:
    limiter = Limiter()

    for _ in range(BURST):
        limiter.reserve_try("testclient", 0.0)

    assert limiter.wait_s("testclient", 0.0) > 0
    assert limiter.wait_s("", 0.0) == 0


def test_limiter_gives_back_a_try_that_succeeded() -> None:
    """A success leaves the failures before it as they are. Without failures, nothing is remembered."""
    limiter = Limiter()

    for _ in range(BURST):
        assert limiter.reserve_try("203.0.113.9", 0.0) == 0
        limiter.give_back("203.0.113.9", 0.0)
    remembered = len(limiter)
    for _ in range(BURST):
        limiter.reserve_try("203.0.113.9", 0.0)
    refused_s = limiter.reserve_try("203.0.113.9", 0.0)
    limiter.give_back("203.0.113.9", 0.0)

    assert (remembered, refused_s) == (0, EVERY_S)
    assert [limiter.reserve_try("203.0.113.9", 0.0) for _ in range(2)] == [0, EVERY_S]

"""Access to the feeds: a scope of its own, and secret addresses for programs that cannot send a header."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.core.access import SCOPES
from alertd.web.server.authenticate import BURST, EVERY_S
from alertd.web.server.credentials import drop
from alertd.web.server.middleware import hide_token
from tests.cli.stage import run
from tests.scene import Scene, a_milestone
from tests.web.stage import TOKENS, Stage, a_stage

PATHS = (
    "/all.ics",
    "/all.atom",
    "/timelines/iraq.ics",
    "/timelines/iraq.atom",
    "/badges/iraq/a.svg",
    "/embed/iraq/a",
)


def plain(path: str) -> str:
    """Return the path without the secret."""
    return path if path.startswith(("/badges", "/embed")) else f"/feeds{path}"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, TOKENS) as made:
        await fill(made)
        yield made


async def fill(stage: Stage) -> None:
    scene = Scene(stage.ledger, "2026-09-01")
    scene.define(a_milestone("iraq/a", "2026-09-30"))
    await scene.reconcile()


@pytest.mark.parametrize("path", PATHS)
async def test_feed_needs_its_scope_or_a_secret(stage: Stage, path: str) -> None:
    """The scope to read includes the feeds. The scope for feeds includes nothing else."""
    secret, reader = stage.token("cal", "feed"), stage.token("reader", "read")

    stranger = await stage.get(plain(path))
    shown = [
        (await stage.get(plain(path), Authorization=f"Bearer {token}")).status_code
        for token in (secret, reader)
    ]
    by_address = await stage.get(f"/feeds/{secret}{path}")

    assert stranger.status_code == 401
    assert shown == [200, 200]
    assert by_address.status_code == 200
    assert secret not in by_address.text
    assert secret not in str(by_address.headers)


@pytest.mark.parametrize("path", ["/", "/deliveries", "/milestones/iraq/a", "/api/v1/milestones", "/metrics"])
async def test_secret_of_a_feed_opens_nothing_else(stage: Stage, path: str) -> None:
    secret = stage.token("cal", "feed")

    answer = await stage.get(path, Authorization=f"Bearer {secret}")

    assert answer.status_code == 403
    assert (await stage.get(f"/feeds/{secret}{path}")).status_code == 404


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "feed"])
async def test_no_other_token_may_stand_in_an_address(stage: Stage, scope: str) -> None:
    """A token of a wider scope is refused, because an address is stored in histories and logs."""
    token = stage.token("bot", scope)

    answer = await stage.get(f"/feeds/{token}/all.ics")

    assert answer.status_code == 403
    assert "only a token of the scope feed" in answer.text


async def test_secret_that_is_dropped_is_so_at_once(stage: Stage) -> None:
    """The answer is 404, because after 401 a calendar program would ask its user for a password."""
    kept, dropped = stage.token("kept", "feed"), stage.token("dropped", "feed")
    before = await stage.get(f"/feeds/{dropped}/all.ics")

    drop(stage.folder / "tokens", "dropped")
    after = await stage.get(
        f"/feeds/{dropped}/all.ics", Accept="text/html", **{"if-none-match": before.headers["etag"]}
    )

    assert (before.status_code, after.status_code) == (200, 404)
    assert "www-authenticate" not in after.headers
    assert dropped not in after.text
    assert (await stage.get(f"/feeds/{kept}/all.ics")).status_code == 200


async def test_guessing_is_limited_and_whoever_has_one_is_heard(stage: Stage) -> None:
    secret = stage.token("cal", "feed")

    wrong = [(await stage.get(f"/feeds/alertd_{number}/all.ics")).status_code for number in range(BURST + 1)]
    right = await stage.get(f"/feeds/{secret}/all.ics")
    stage.clock.seconds += 2 * EVERY_S
    later = await stage.get("/feeds/alertd_x/all.ics")

    assert wrong == [404] * BURST + [429]
    assert right.status_code == 200
    assert later.status_code == 404


async def test_no_log_has_a_secret(stage: Stage) -> None:
    """The log never contains the secret: not a valid one, not a wrong one, and not if the answer fails."""
    secret, other = stage.token("cal", "feed"), stage.token("bot", "admin")
    for path in PATHS:
        await stage.get(f"/feeds/{secret}{path}")
    await stage.get("/feeds/alertd_wrong/all.ics")
    await stage.get(f"/feeds/{other}/all.ics")
    await stage.ledger.close()
    failed = await stage.get(f"/feeds/{secret}/all.ics")

    said = str(stage.events)
    assert failed.status_code in (500, 503)
    assert "login.refused" in said
    assert not any(token in said + failed.text for token in (secret, other, "alertd_wrong"))
    assert hide_token(f"/feeds/{secret}/all.ics") == "/feeds/..."


async def test_anonymous_may_be_let_subscribe_alone(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: {tokens_file: tokens, anonymous: feed}") as stage:
        await fill(stage)
        feed, badge, page = [await stage.get(path) for path in ("/feeds/all.ics", "/badges/iraq/a.svg", "/")]

    assert (feed.status_code, badge.status_code, page.status_code) == (200, 200, 401)
    assert badge.headers["cache-control"] == "public, max-age=300"


async def test_all_that_is_asked_for_is_only_read(stage: Stage) -> None:
    secret = stage.token("cal", "feed")

    answers = [await stage.client().post(f"/feeds/{secret}{path}") for path in PATHS]

    assert {answer.status_code for answer in answers} == {405}


def test_secret_is_made_and_dropped_by_command(tmp_path: Path) -> None:
    """The command shows the token once, and the file contains only its hash."""
    file = tmp_path / "tokens"

    made = run("token", "new", "team-calendar", "--scope", "feed", "--file", file)
    listed = run("token", "list", "--file", file)
    dropped = run("token", "drop", "team-calendar", "--file", file)

    assert made.code == 0, made.err
    assert made.err.startswith(
        "team-calendar may subscribe with it as part of an address, /feeds/TOKEN/all.ics;"
    )
    assert made.lines[0].startswith("alertd_")
    assert listed.lines == ["team-calendar  feed"]
    assert dropped.code == 0
    assert file.read_text() == "# nobody\n"


async def test_configuration_in_force_counts(stage: Stage) -> None:
    """A token is invalid once the configuration no longer names its file."""
    secret = stage.token("cal", "feed")
    config = stage.configure("auth: {users_file: users}")
    assert stage.definitions is not None
    stage.definitions = replace(stage.definitions, config=config)

    assert (await stage.get(f"/feeds/{secret}/all.ics")).status_code == 404

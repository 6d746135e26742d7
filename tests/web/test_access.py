"""Authentication and authorization: which credentials give access, and that CSRF is not possible."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.routing import Route

from alertd.core.access import Scope
from alertd.web.application import make_app
from alertd.web.server.access import find_scope
from tests.web.echo import ROUTES, say
from tests.web.stage import PASSWORD, TOKENS, Stage, a_stage, csrf_of

PUBLIC = {
    *("/healthz", "/readyz", "/unsubscribe", "/metrics", "/login", "/logout", "/static/{name}"),
    *("/act/{token}", "/slack/interactive"),  # these verify a signature
    "/api/v1/openapi.json",
    # Each of these requires a secret in the address.
    "/feeds/{secret}/all.ics",
    "/feeds/{secret}/all.atom",
    "/feeds/{secret}/timelines/{timeline}.ics",
    "/feeds/{secret}/timelines/{timeline}.atom",
    "/feeds/{secret}/badges/{timeline}/{name}.svg",
    "/feeds/{secret}/embed/{timeline}/{name}",
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, TOKENS, routes=ROUTES) as made:
        yield made


async def test_without_auth_this_machine_may_do_everything(tmp_path: Path) -> None:
    async with a_stage(tmp_path, routes=ROUTES) as stage:
        answer = await stage.get("/t/admin")

        assert (answer.status_code, answer.text) == (200, " admin nothing 127.0.0.1")


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("read", [200, 200, 403, 403]),
        ("act", [200, 200, 200, 403]),
        ("admin", [200, 200, 200, 200]),
    ],
)
async def test_scopes_include_those_before_them(stage: Stage, scope: str, statuses: list[int]) -> None:
    token = stage.token("bot", scope)

    answers = [
        (await stage.get(f"/t/{path}", Authorization=f"Bearer {token}")).status_code
        for path in ("public", "read", "act", "admin")
    ]

    assert answers == statuses
    refused = [event for event in stage.events if event["event"] == "access.refused"]
    assert [(event["name"], event["how"]) for event in refused] == [("bot", "token")] * statuses.count(403)


async def test_who_shows_nothing_is_asked(stage: Stage) -> None:
    """A program gets 401 with the scheme. A browser is redirected to the login form and back afterwards."""
    program = await stage.get("/t/read?x=1")
    browser = await stage.get("/t/read?x=1", Accept="text/html")

    assert program.status_code == 401
    assert program.headers["www-authenticate"] == 'Bearer realm="alertd"'
    assert (browser.status_code, browser.headers["location"]) == (303, "/login?next=/t/read%3Fx%3D1")


async def test_anonymous_may_do_what_the_file_says(tmp_path: Path) -> None:
    web = "auth: {tokens_file: tokens, anonymous: read}"
    async with a_stage(tmp_path, web, routes=ROUTES) as stage:
        read, act = await stage.get("/t/read"), await stage.get("/t/act")

        assert (read.status_code, act.status_code) == (200, 401)


@pytest.mark.parametrize(
    "shown", ["Bearer nonsense", "Bearer", "Bearer alertd_x", "Basic YTpi", "Basic OmE="]
)
async def test_what_is_shown_and_wrong_is_refused_where_nothing_is_needed(stage: Stage, shown: str) -> None:
    answer = await stage.get("/t/public", Authorization=shown)

    assert answer.status_code == 401


@pytest.mark.parametrize("shown", ["Basic ???", "Digest a=b", "Bearer " + "x" * 2000, "Basic /w=="])
async def test_what_cannot_be_read_is_refused(stage: Stage, shown: str) -> None:
    answer = await stage.get("/t/public", Authorization=shown)

    assert answer.status_code == 400


async def test_two_authorizations_are_refused(stage: Stage) -> None:
    token = stage.token("bot", "read")
    twice = [("authorization", f"Bearer {token}"), ("authorization", "Bearer x")]

    answer = await stage.client().get("/t/read", headers=twice)

    assert answer.status_code == 400


async def test_token_that_is_dropped_is_so_at_once(stage: Stage) -> None:
    token = stage.token("bot", "read")
    before = await stage.get("/t/read", Authorization=f"Bearer {token}")

    (stage.folder / "tokens").write_text("# nobody\n")
    after = await stage.get("/t/read", Authorization=f"Bearer {token}")

    assert (before.status_code, after.status_code) == (200, 401)


async def test_bad_line_lets_nobody_in_and_is_told_once(stage: Stage) -> None:
    """The remaining lines of the file stay valid, and the log does not contain the bad line."""
    token = stage.token("bot", "read")
    with (stage.folder / "tokens").open("a") as file:
        file.write("mallory root sha256:hunter2\nbot admin sha256:" + "0" * 64 + "\n")

    answers = [(await stage.get("/t/read", Authorization=f"Bearer {token}")).status_code for _ in range(2)]

    assert answers == [200, 200]
    assert [event["reason"] for event in stage.events if event["event"] == "credentials.refused"] == [
        "tokens: line 2: 'root': not a scope; there is feed, read, act, admin",
        "tokens: line 3: 'bot': the second of that name",
    ]


async def test_file_that_is_gone_lets_nobody_in(stage: Stage) -> None:
    answer = await stage.get("/t/read", Authorization="Bearer alertd_anything")

    assert answer.status_code == 401
    assert "credentials.refused" in [event["event"] for event in stage.events]


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_password_lets_in_its_own_person_alone(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "auth: {users_file: users}", routes=ROUTES) as stage:
        stage.user("ada", "act")

        right = [await stage.get("/t/act", Authorization=basic("ada", PASSWORD)) for _ in range(2)]
        wrong = await stage.get("/t/act", Authorization=basic("ada", PASSWORD + "!"))
        other = await stage.get("/t/act", Authorization=basic("bob", PASSWORD))
        endless = await stage.get("/t/act", Authorization=basic("ada", "x" * 200))

        assert [answer.text for answer in right] == ["ada act password 127.0.0.1"] * 2
        assert [answer.status_code for answer in (wrong, other, endless)] == [401] * 3
        assert wrong.headers["www-authenticate"] == 'Basic realm="alertd"'


PROXY = "proxies: [127.0.0.1, 10.0.0.0/8], auth: {proxy_header: X-Remote-User, proxy_scope: read}"


async def test_trusted_proxy_says_who_asks(tmp_path: Path) -> None:
    async with a_stage(tmp_path, PROXY, routes=ROUTES) as stage:
        told = await stage.get("/t/read", **{"X-Remote-User": "ada", "X-Forwarded-For": "203.0.113.9"})
        silent = await stage.get("/t/read")
        twice = await stage.client().get("/t/read", headers=[("x-remote-user", "a"), ("x-remote-user", "b")])

        assert told.text == "ada read proxy 203.0.113.9"
        assert (silent.status_code, twice.status_code) == (401, 400)


async def test_anybody_else_is_not_believed(tmp_path: Path) -> None:
    """If the peer is not a trusted proxy, its headers give neither a name nor an address."""
    elsewhere = PROXY.replace("127.0.0.1, ", "").replace("proxy_scope", "anonymous: read, proxy_scope")
    async with a_stage(tmp_path, elsewhere, routes=ROUTES) as stage:
        answer = await stage.get("/t/read", **{"X-Remote-User": "ada", "X-Forwarded-For": "203.0.113.9"})

        assert answer.text == " read nothing 127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the client itself sent the first address
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),  # two trusted proxies
        ("nonsense", "127.0.0.1"),
        ("203.0.113.9, nonsense", "127.0.0.1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        (", ".join(["10.0.0.1"] * 50), "10.0.0.1"),
        ("198.51.100.1:4711, 203.0.113.9:56789", "203.0.113.9"),  # Azure's gateway adds the port
        ("203.0.113.9:56789, 10.1.2.3:443", "203.0.113.9"),
        ("203.0.113.9:_hidden", "203.0.113.9"),
        ('"203.0.113.9:56789"', "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("2001:db8::1:56789", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:443", "fe80::1"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("::ffff:203.0.113.9:56789", "203.0.113.9"),
        ("203.0.113.9,", "203.0.113.9"),
        ("203.0.113.9, , ,10.1.2.3,", "203.0.113.9"),
        ("203.0.113.9, unknown", "127.0.0.1"),
        ("203.0.113.9, _hidden", "127.0.0.1"),
        ("203.0.113.9, unix:", "127.0.0.1"),
        (
            "203.0.113.9, unknown, 10.1.2.3:443",
            "10.1.2.3",
        ),  # the proxy that sent the entry without an address
        ("203.0.113.9:port", "127.0.0.1"),
        ("[203.0.113.9", "127.0.0.1"),
        ('"', "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
async def test_origin_is_the_first_that_is_no_proxy(tmp_path: Path, forwarded: str, address: str) -> None:
    async with a_stage(tmp_path, PROXY, routes=ROUTES) as stage:
        answer = await stage.get("/t/public", **{"X-Forwarded-For": forwarded})

        assert answer.text.rpartition(" ")[2] == address


async def test_origin_is_in_the_last_line_of_several(tmp_path: Path) -> None:
    """Several X-Forwarded-For headers are one list. Forwarded is not read, because it can be forged."""
    lines = ["198.51.100.1", "203.0.113.9:56789", "10.1.2.3:443"]
    async with a_stage(tmp_path, PROXY, routes=ROUTES) as stage:
        headers = [("X-Forwarded-For", line) for line in lines] + [("Forwarded", "for=192.0.2.1")]
        several = await stage.client().get("/t/public", headers=headers)
        forwarded = await stage.get("/t/public", Forwarded='for="[2001:db8::1]:443";proto=https')

        assert several.text.rpartition(" ")[2] == "203.0.113.9"
        assert forwarded.text.rpartition(" ")[2] == "127.0.0.1"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": "null"}, 200),  # browsers send this under our own referrer policy
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
    ],
)
async def test_form_of_another_site_changes_nothing(
    stage: Stage, headers: dict[str, str], status: int
) -> None:
    browser, _ = await stage.log_in(stage.token("ada", "act"))
    token = csrf_of((await browser.get("/")).text)

    answer = await browser.post("/t/act", data={"csrf": token}, headers=headers)

    assert answer.status_code == status


async def test_form_carries_the_token_of_its_own_session(stage: Stage) -> None:
    ada, _ = await stage.log_in(stage.token("ada", "act"))
    bob, _ = await stage.log_in(stage.token("bob", "act"))
    hers = csrf_of((await ada.get("/")).text)

    answers = [
        await bob.post("/t/act", data={"csrf": hers}),
        await bob.post("/t/act", data={}),
        await bob.post("/t/act", headers={"X-CSRF-Token": hers}),
        await bob.post("/t/act", files={"csrf": b"x"}),
        await ada.post("/t/act", headers={"X-CSRF-Token": hers}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
async def test_json_comes_from_this_site_or_from_a_program(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with a_stage(tmp_path, routes=ROUTES) as stage:
        answer = await stage.client().post("/t/act", json={}, headers=headers)

        assert answer.status_code == status


async def test_token_in_a_header_needs_no_form(stage: Stage) -> None:
    token = stage.token("bot", "act")

    answer = await stage.client().post("/t/act", headers={"Authorization": f"Bearer {token}"})

    assert answer.text == "bot act token 127.0.0.1"


async def test_endpoint_that_verifies_a_signature_itself_may_be_sent_to(stage: Stage) -> None:
    answer = await stage.client().post("/t/signed", headers={"Origin": "https://mail.example"})

    assert answer.status_code == 200


async def test_application_is_not_made_with_a_route_that_says_nothing(stage: Stage) -> None:
    with pytest.raises(TypeError, match="does not say who may use it"):
        make_app(stage.site, [Route("/open", say)])


async def test_every_route_says_who_may_use_it(stage: Stage) -> None:
    """This list names every public route, so that a new public route is reviewed twice."""
    routes = [route for route in make_app(stage.site).routes if isinstance(route, Route)]

    told = {route.path: find_scope(route.endpoint) for route in routes}

    assert None not in told.values()
    assert {path for path, scope in told.items() if scope is Scope.PUBLIC} == PUBLIC

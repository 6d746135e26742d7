"""Follows docs/howto/write-a-notifier.md: a package of its own, installed, tested and used."""

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from alertd.testing import HttpSink
from tests.docs_console import ANYTHING, Desk, matches, steps
from tests.docs_pages import ROOT, blocks

PAGE = ROOT / "docs" / "howto" / "write-a-notifier.md"
UPDATE = bool(os.environ.get("ALERTD_UPDATE_GOLDEN"))
MAX_LINES = 60
SERVER = "https://tocsin.example"
TOKEN = "c7Qm2vX9tRz4"

CODE, TEST = (block.body for block in blocks(PAGE, "python"))
(PYPROJECT,) = (block.body for block in blocks(PAGE, "toml"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the package is installed in; its source is elsewhere."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "alertd_tocsin.py").write_text(CODE, encoding="utf-8")
    (source / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", "--target", target, source],
        check=True,
    )  # fmt: skip
    return target


def run_tests(site: Path, folder: Path, *only: str) -> str:
    """Run the page's test with pytest, in its own process, with the package at ``site``.

    Return the output.
    """
    (folder / "tests").mkdir()
    (folder / "tests" / "test_tocsin.py").write_text(TEST, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", *only],
        cwd=folder,
        # The contract needs no plugin of pytest, and loading the plugins that are installed takes seconds.
        env=os.environ | {"PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_it_is_short() -> None:
    assert len(CODE.splitlines()) < MAX_LINES


@pytest.mark.long
def test_its_own_test_passes_as_an_installed_package(site: Path, tmp_path: Path) -> None:
    said = run_tests(site, tmp_path)

    found = re.search(r"^(\d+) passed in", said, re.M)
    assert found, said
    assert int(found[1]) > 80
    assert "failed" not in said


@pytest.mark.long
def test_what_the_page_shows_is_what_happens(site: Path, tmp_path: Path) -> None:
    """The page's commands print what the page shows, with a test server instead of the server in the page."""
    desk = Desk(folder=tmp_path)
    desk.environment["PYTHONPATH"] = str(site)
    (config,) = blocks(PAGE, "yaml")

    async def following() -> HttpSink:
        async with HttpSink() as sink:
            (tmp_path / "config" / "alertd.yaml").write_text(
                config.body.replace(SERVER, sink.url), encoding="utf-8"
            )
            for index in range(len(blocks(PAGE, "console"))):
                block = blocks(PAGE, "console")[index]
                wanted = ""
                for step in steps(block):
                    printed = await asyncio.to_thread(desk.run, step)
                    printed = printed.replace(sink.url, SERVER).replace(
                        sink.url.removeprefix("http://"), SERVER.removeprefix("https://")
                    )
                    shown = step.shown or (printed if UPDATE else "")
                    if UPDATE and ANYTHING not in shown:
                        shown = printed
                    wanted += f"$ {step.command}\n{shown}"
                    assert not shown or matches(shown, printed), f"{block}\n{printed}\nis not\n{shown}"
                if UPDATE and wanted != block.body:
                    block.rewritten(wanted)
            return sink

    sink = asyncio.run(following())

    (request,) = sink.requests
    assert (request.path, request.headers["x-tocsin-key"]) == ("/message", TOKEN)
    shown = [step.shown for block in blocks(PAGE, "console") for step in steps(block)]
    assert TOKEN not in "".join(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A change in the page's notifier, and the test that must fail because of it."""

    old: str
    new: str
    noticed_by: str


FAULTS = {
    "an answer is quoted with the secret": Fault(
        old="hidden=(token,)", new="hidden=()", noticed_by="each_http_status"
    ),
    "the secret is logged": Fault(
        old="        url, key =",
        new='        import logging\n        logging.warning("to %s", token)\n        url, key =',
        noticed_by="each_trouble",
    ),
    "the notifier shows the secret": Fault(
        old="    Options = TocsinOptions\n",
        new="    Options = TocsinOptions\n    def __repr__(self):\n"
        "        return self._options.token.get_secret_value()\n",
        noticed_by="show_no_secret",
    ),
    "unknown options are taken": Fault(
        old="    server: BaseUrl\n",
        new='    model_config = {"extra": "ignore"}\n    server: BaseUrl\n',
        noticed_by="unknown_options",
    ),
    "the id is nowhere": Fault(old="render_text(fitted)", new="fitted.subject", noticed_by="shows_its_id"),
    "a retry has another id": Fault(
        old="render_text(fitted)",
        new="render_text(fitted).replace(message.id, message.id + str(message.attempt)[1:] if message.attempt"
        ' == 1 else "msg_other")',
        noticed_by="shows_the_same_id",
    ),
    "texts are as they come": Fault(old="clean_message(message)", new="message", noticed_by="no_text_keeps"),
    "everything is a success": Fault(
        old="return judge_answer(answer, env.clock.now())",
        new="from alertd.core.ledger.outcome import Sent; return Sent()",
        noticed_by="each_http_status",
    ),
    "Retry-After is ignored": Fault(
        old="return judge_answer(answer, env.clock.now())",
        new="from dataclasses import replace; made = judge_answer(answer, env.clock.now())\n"
        "        return replace(made, after=None) if isinstance(made, Retry) else made",
        noticed_by="each_http_status",
    ),
    "what may have arrived is called lost": Fault(
        old="return judge_answer(answer, env.clock.now())",
        new="from dataclasses import replace; made = judge_answer(answer, env.clock.now())\n"
        "        return replace(made, unknown=False) if isinstance(made, Retry) else made",
        noticed_by="each_trouble",
    ),
    "an odd answer makes it raise": Fault(
        old="        return judge_answer(",
        new='        import json\n        if getattr(answer, "status", 0) == 200:\n'
        '            json.loads(answer.body)["id"]\n'
        "        return judge_answer(",
        noticed_by="nothing_that_is_answered",
    ),
    "it tries again by itself": Fault(
        old="        return judge_answer(",
        new="        if isinstance(judge_answer(answer, env.clock.now()), Retry):\n"
        "            answer = await post_json(\n"
        "                env, options, url, build_body(message), headers=key, hidden=(token,)\n"
        "            )\n"
        "        return judge_answer(",
        noticed_by="each_http_status",
    ),
    "it follows redirects": Fault(
        old="        return judge_answer(",
        new='        if "location" in getattr(answer, "headers", {}):\n'
        '            place = answer.headers["location"]\n'
        "            answer = await post_json(env, options, place, build_body(message))\n"
        "        return judge_answer(",
        noticed_by="no_redirect",
    ),
    "something runs on": Fault(
        old="        url, key =",
        new="        import asyncio\n        self._left = asyncio.create_task(asyncio.Event().wait())\n"
        "        url, key =",
        noticed_by="cancelled_leaves_nothing",
    ),
    "it shows something else than it sends": Fault(
        old="render_json(build_body(message))",
        new='render_json({**build_body(message), "priority": 0})',
        noticed_by="what_is_shown",
    ),
    "it trusts what was remembered": Fault(
        old="        url, key =",
        new='        for state in prior.values():\n            state["thread"]\n        url, key =',
        noticed_by="sent_before",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_contract_notices(fault: Fault, tmp_path: Path) -> None:
    """A notifier with one fault fails the test for that fault."""
    assert CODE.count(fault.old) == 1 or fault.old == "render_text(fitted)"
    site = tmp_path / "site"
    about = site / "alertd_tocsin-1.0.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: alertd-tocsin\nVersion: 1.0.0\n")
    (about / "entry_points.txt").write_text("[alertd.notifiers]\ntocsin = alertd_tocsin:TocsinNotifier\n")
    (site / "alertd_tocsin.py").write_text(CODE.replace(fault.old, fault.new), encoding="utf-8")

    said = run_tests(site, tmp_path, "-k", fault.noticed_by)

    assert re.search(r"^\d+ failed", said, re.M), said
    assert "error" not in said.splitlines()[-1], said

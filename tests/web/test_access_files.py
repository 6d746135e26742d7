"""Files that access depends on: what is half replaced changes nothing, and never lets in more than before."""

import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from alertd.core.access import Web
from alertd.system.file_thread import FileThread
from alertd.system.kept_files import FileUse, KeptFiles
from alertd.system.regular_file import SecretUnreadable
from alertd.system.secrets import MAX_SECRET_BYTES, secret_files
from alertd.web.server.signing import Signer, SiteSecret
from tests.scene import a_log
from tests.web.echo import ROUTES
from tests.web.stage import PASSWORD, Stage, a_stage

WEB = "auth: {tokens_file: tokens, users_file: users}"


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_text("")


def replace_by_an_empty_file(path: Path) -> None:
    """As an editor does before it writes, and as a deploy on a full disk does."""
    draft = path.with_name("draft")
    draft.write_text("")
    draft.rename(path)


def blank(path: Path) -> None:
    path.write_text(" \n\n")


def cut_off(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def replace_by_garbage(path: Path) -> None:
    path.write_bytes(b"<html>\n\xff\x00\n")


def make_too_long(path: Path) -> None:
    path.write_text(path.read_text() + "#" * MAX_SECRET_BYTES)


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("..data/nothing")


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BREAKS = [
    remove,
    empty,
    replace_by_an_empty_file,
    blank,
    cut_off,
    replace_by_garbage,
    make_too_long,
    link_to_nothing,
    make_a_folder,
    make_a_pipe,
]
SECRET_BREAKS = [one for one in BREAKS if one not in (cut_off, replace_by_garbage)]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, WEB, routes=ROUTES) as made:
        yield made


async def status_of(stage: Stage, token: str) -> int:
    return (await stage.get("/t/read", Authorization=f"Bearer {token}")).status_code


@pytest.mark.parametrize("break_file", BREAKS)
async def test_tokens_that_are_half_replaced_stay_valid(
    stage: Stage, break_file: Callable[[Path], None]
) -> None:
    """So does a session. The problem is named until the file is whole, and then only that file counts."""
    token = stage.token("ada", "act")
    browser, _ = await stage.log_in(token)
    file = stage.folder / "tokens"
    text = file.read_text()
    before = await status_of(stage, token)

    break_file(file)
    during = [await status_of(stage, token), await status_of(stage, "alertd_another")]
    in_session = (await browser.get("/t/act")).status_code
    problems = stage.site.kept.problems
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    new = stage.token("eve", "act")
    after = [await status_of(stage, new), await status_of(stage, token)]

    assert (before, during, in_session) == (200, [200, 401], 200)
    assert len(problems) == 1
    assert problems[0].startswith("tokens: ")
    assert problems[0].endswith("; its last good content stays in use")
    assert text not in problems[0]
    assert after == [200, 401]
    assert stage.site.kept.problems == ()


@pytest.mark.parametrize("break_file", BREAKS)
async def test_users_that_are_half_replaced_stay_valid(
    stage: Stage, break_file: Callable[[Path], None]
) -> None:
    stage.user("ada", "act")
    right = {"auth": ("ada", PASSWORD)}
    before = await stage.client(**right).get("/t/act")

    break_file(stage.folder / "users")
    during = await stage.client(**right).get("/t/act")
    wrong = await stage.client(auth=("ada", "")).get("/t/act")

    assert (before.status_code, during.status_code, wrong.status_code) == (200, 200, 401)


@pytest.mark.parametrize("break_file", BREAKS)
async def test_file_that_never_was_whole_lets_nobody_in(
    stage: Stage, break_file: Callable[[Path], None]
) -> None:
    """At a start, there is no earlier content, and none at all is not everybody."""
    token = stage.token("ada", "act")
    break_file(stage.folder / "tokens")

    answers = [await status_of(stage, shown) for shown in (token, "alertd_", "x")]
    anonymous = await stage.get("/t/read")

    assert answers == [401] * 3
    assert anonymous.status_code == 401


async def test_files_that_a_link_swaps_count_at_once(stage: Stage) -> None:
    """Kubernetes replaces a mounted secret by moving the link to its folder."""
    folder = stage.folder
    for number in (1, 2):
        (folder / f"..{number}").mkdir()
    old = stage.token("ada", "act")
    (folder / "tokens").rename(folder / "..1" / "tokens")
    new = stage.token("eve", "act")
    (folder / "tokens").rename(folder / "..2" / "tokens")
    (folder / "..data").symlink_to("..1")
    (folder / "tokens").symlink_to("..data/tokens")
    before = [await status_of(stage, old), await status_of(stage, new)]

    (folder / "..draft").symlink_to("..2")
    (folder / "..draft").rename(folder / "..data")
    after = [await status_of(stage, old), await status_of(stage, new)]

    assert before == [200, 401]
    assert after == [401, 200]


async def test_last_token_that_is_dropped_is_invalid(stage: Stage) -> None:
    """`alertd token drop` leaves a comment. An empty file could be one that is being written."""
    from alertd.web.server.credentials import drop

    token = stage.token("ada", "act")
    before = await status_of(stage, token)
    drop(stage.folder / "tokens", "ada")

    assert (before, await status_of(stage, token)) == (200, 401)


async def test_token_is_added_to_a_file_without_a_line_break_at_its_end(stage: Stage) -> None:
    old = stage.token("ada", "act")
    (stage.folder / "tokens").write_text((stage.folder / "tokens").read_text().rstrip())

    new = stage.token("eve", "act")

    assert [await status_of(stage, token) for token in (old, new)] == [200, 200]


@pytest.mark.parametrize("break_file", [*SECRET_BREAKS, cut_off])
def test_signing_secret_that_is_half_replaced_still_signs(
    tmp_path: Path, break_file: Callable[[Path], None]
) -> None:
    file, kept = tmp_path / "secret", KeptFiles()
    file.write_text("a" * 32)
    signer = Signer(SiteSecret(lambda: Web(secret_file="secret"), tmp_path.joinpath, None, "", kept))
    signature = signer.sign("link", "x")

    break_file(file)

    assert signer.verify("link", "x", signature)
    assert not signer.verify("link", "x", "")
    assert len(kept.problems) == 1


def test_own_signing_secret_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """The disk may be gone. A new secret would end all sessions and links."""
    kept = KeptFiles()
    signer = Signer(SiteSecret(Web, tmp_path.joinpath, tmp_path, "", kept))
    signature = signer.sign("link", "x")

    (tmp_path / "web.key").unlink()

    assert signer.verify("link", "x", signature)
    assert not (tmp_path / "web.key").exists()
    assert len(kept.problems) == 1


@pytest.mark.parametrize("break_file", SECRET_BREAKS)
def test_secret_of_a_notifier_that_is_half_replaced_stays_in_use(
    tmp_path: Path, break_file: Callable[[Path], None]
) -> None:
    """Both are logged once. A secret that never could be read is an error: nothing is sent without it."""
    log, events = a_log()
    kept, use = KeptFiles(log), FileUse("secret", "hook")
    read = secret_files(tmp_path, {})
    file = tmp_path / "hook"
    file.write_text("s3cret")

    def read_secret() -> str:
        return kept.read(use, lambda: read("hook"))

    before = read_secret()
    break_file(file)
    during = [read_secret(), read_secret()]
    with pytest.raises(SecretUnreadable):
        KeptFiles().read(use, lambda: read("hook"))
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    file.write_text("another")
    after = read_secret()

    assert (before, during, after) == ("s3cret", ["s3cret"] * 2, "another")
    assert [event["event"] for event in events] == ["access_file.kept", "access_file.recovered"]
    assert "s3cret" not in str(events)


def test_watched_file_is_read_by_refresh_alone() -> None:
    """The loop never waits for a disk: a thread refreshes, also a file that could not be read at first."""
    contents: dict[str, str | SecretUnreadable] = {"a": "old", "b": SecretUnreadable("b: not found")}

    def load(name: str) -> Callable[[], Any]:
        def loaded() -> str:
            content = contents[name]
            if isinstance(content, SecretUnreadable):
                raise content
            return content

        return loaded

    def forbidden() -> str:
        raise AssertionError("read on the loop")

    kept = KeptFiles()
    kept.watch({FileUse("secret", name): load(name) for name in contents})
    with pytest.raises(SecretUnreadable, match="b: not found"):
        kept.read(FileUse("secret", "b"), forbidden)
    contents.update(a="new", b="there")
    before = kept.read(FileUse("secret", "a"), forbidden)

    kept.refresh()

    assert before == "old"
    assert [kept.read(FileUse("secret", name), forbidden) for name in "ab"] == ["new", "there"]


async def test_request_reads_its_files_again_and_waits_for_no_disk_that_hangs() -> None:
    """A change just made counts. While the disk hangs, what was read last counts, and nothing piles up."""
    answers, calls = threading.Event(), 0
    answers.set()

    def load() -> int:
        nonlocal calls
        answers.wait()
        calls += 1
        return calls

    thread = FileThread()
    kept, use = KeptFiles(thread=thread), FileUse("tokens", "tokens")
    kept.watch({use: load})

    await kept.catch_up([use])
    fresh = kept.read(use, load)
    answers.clear()
    for _ in range(5):
        await kept.catch_up([use])
    hung = kept.read(use, load)
    waiting = thread._calls.qsize()
    answers.set()

    assert (fresh, hung, waiting) == (2, 2, 0)


def test_file_that_is_no_longer_named_is_no_problem() -> None:
    def gone() -> str:
        raise SecretUnreadable("a: not found")

    kept = KeptFiles()
    kept.read(FileUse("secret", "a"), lambda: "x")
    with pytest.raises(SecretUnreadable):
        kept.read(FileUse("secret", "b"), gone)
    kept.read(FileUse("secret", "a"), gone)
    before = kept.problems

    kept.watch({})

    assert before == ("a: not found; its last good content stays in use",)
    assert kept.problems == ()

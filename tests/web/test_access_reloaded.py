"""Files that access depends on, while a reload is refused: they count as before it."""

from dataclasses import replace
from pathlib import Path

import pytest

from alertd import app
from alertd.app import AccessFiles
from alertd.core.access import Auth, Scope, Web
from alertd.core.config import Config
from alertd.system.regular_file import SecretUnreadable
from alertd.system.settings import read_settings
from alertd.web.server.credentials import CredentialFiles, add, new_token
from tests.scene import a_log

CONFIG = """
web: {auth: {tokens_file: tokens}}
receivers: [{name: desk, notifiers: [{type: webhook, url_file: hook}]}]
"""
AUTH = Auth(tokens_file="tokens")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config" / "milestones").mkdir(parents=True)
    (tmp_path / "config" / "alertd.yaml").write_text(CONFIG)
    (tmp_path / "config" / "hook").write_text("https://hook.example")
    add(tmp_path / "config" / "tokens", new_token("bot", Scope.READ)[1])
    return tmp_path / "config"


def make_files(folder: Path) -> tuple[AccessFiles, CredentialFiles, Config]:
    """The files of a daemon with the configuration in force, and what its web server reads."""
    settings = read_settings(config=folder, database=f"sqlite:///{folder.parent / 'ledger.db'}")
    log, _ = a_log()
    files = AccessFiles(settings, log, "")
    config = app.load_definitions(settings).config
    assert config is not None
    files.watch(config)
    files.adopt(config)
    return files, CredentialFiles(files.find, log, files.kept), config


def test_refused_reload_forgets_no_file_of_the_configuration_in_force(folder: Path) -> None:
    """An ``alertd.yaml`` without content names no file. It is refused, while the folder is half replaced."""
    files, credentials, config = make_files(folder)

    files.watch(replace(config, web=Web(), receivers={}))
    (folder / "hook").unlink()
    (folder / "tokens").unlink()
    files.kept.refresh()

    assert list(credentials.read_tokens(AUTH)) == ["bot"]
    assert files.read_secret("hook") == "https://hook.example"
    assert len(files.kept.problems) == 2


def test_adopted_configuration_forgets_what_it_does_not_name(folder: Path) -> None:
    """So a file that is named no more is no problem when it is gone."""
    files, _, config = make_files(folder)
    tokens = replace(config, receivers={})

    files.watch(tokens)
    files.adopt(tokens)
    (folder / "hook").unlink()
    files.kept.refresh()

    assert files.kept.problems == ()
    files.watch(config)
    with pytest.raises(SecretUnreadable):
        files.read_secret("hook")

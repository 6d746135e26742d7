"""The files that ``alertd token`` and ``alertd user`` write, the output that they print, and their errors."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alertd.cli import make_app
from alertd.web.server.credentials import read
from tests.cli.stage import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "alertd.yaml").write_text("web: {auth: {tokens_file: tokens, users_file: users}}\n")
    return tmp_path


def test_a_new_token_is_shown_once_and_only_its_hash_is_kept(config: Path) -> None:
    """token new prints the token, and writes only its hash to a file that only its owner can read."""
    made = run("token", "new", "bot", "--scope", "act", "--config", config)

    (token,) = made.lines
    file = config / "tokens"
    (credential,), problems = read(file)
    assert problems == []
    assert (credential.name, credential.scope.word) == ("bot", "act")
    assert credential.is_shown_by(token)
    assert not credential.is_shown_by(token + "x")
    assert token.startswith("alertd_")
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "it is not shown again" in made.err


def test_tokens_are_listed_and_dropped(config: Path) -> None:
    """token list prints names and permissions. token drop deletes a token and keeps the file's mode."""
    run("token", "new", "bot", "--config", config)
    run("token", "new", "ada", "--scope", "admin", "--config", config)
    (config / "tokens").chmod(0o640)

    before = run("token", "list", "--config", config)
    dropped = run("token", "drop", "bot", "--config", config)
    after = run("token", "list", "--config", config)

    assert before.lines == ["bot  read", "ada  admin"]
    assert dropped.out == f"bot is dropped from {config / 'tokens'}.\n"
    assert after.lines == ["ada  admin"]
    assert stat.S_IMODE((config / "tokens").stat().st_mode) == 0o640
    assert sorted(path.name for path in config.iterdir()) == ["alertd.yaml", "tokens"]


def test_a_password_is_read_from_stdin_and_only_its_hash_is_kept(config: Path) -> None:
    """user new reads the password from standard input, and writes only its hash."""
    done = CliRunner().invoke(
        make_app(), ["user", "new", "ada", "--config", str(config)], input="correct horse battery\n"
    )

    (credential,), _ = read(config / "users")
    assert done.exit_code == 0
    assert credential.is_shown_by("correct horse battery")
    assert not credential.is_shown_by("correct horse batterY")
    assert "correct" not in (config / "users").read_text() + done.output


@pytest.mark.parametrize("password", ["short", "x" * 129, ""])
def test_a_password_of_the_wrong_length_is_rejected(config: Path, password: str) -> None:
    """A password that is too short or too long is rejected, and no file is written."""
    done = CliRunner().invoke(
        make_app(), ["user", "new", "ada", "--config", str(config)], input=f"{password}\n"
    )

    assert done.exit_code == 1
    assert not (config / "users").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("token", "new", "A b"), "'A b': not a name; it has a-z, 0-9, dashes and underscores, at most 63"),
        (("token", "new"), "'': not a name; it has a-z, 0-9, dashes and underscores, at most 63"),
        (("token", "drop", "absent"), "'absent': there is none of that name in "),
        (("token", "new", "bot"), "'bot': there is one of that name in "),
        (("token", "new", "x", "--file", "/nonexistent/tokens"), "/nonexistent/tokens: No such file"),
    ],
)
def test_errors(config: Path, arguments: tuple[str, ...], said: str) -> None:
    """Each failed operation prints its reason and exits with 1."""
    run("token", "new", "bot", "--config", config)

    done = run(*arguments, "--config", config)

    assert done.code == 1
    assert done.err.startswith(f"alertd: {said}")


def test_a_file_must_be_named(tmp_path: Path) -> None:
    """Without a file in alertd.yaml or --file, the command asks for one."""
    done = run("token", "list", "--config", tmp_path)
    named = run("token", "new", "bot", "--file", tmp_path / "t", "--config", tmp_path)

    assert done.code == 1
    assert done.err == "alertd: alertd.yaml names no web.auth.tokens_file; add it, or name a file by --file\n"
    assert named.code == 0


def test_bad_lines_are_reported(config: Path) -> None:
    """list reports malformed lines and credentials that belong in the other file."""
    run("user", "list", "--config", config)
    (config / "users").write_text("# people\n\nada read sha256:" + "0" * 64 + "\nbob\n")

    done = run("user", "list", "--config", config)

    assert done.code == 1
    assert done.lines == ["ada  read  (belongs into another file)"]
    assert done.err == f"{config / 'users'}: line 4: not NAME SCOPE HASH\n"

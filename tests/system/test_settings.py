"""What the environment, credentials and arguments say, in which order, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.errors import SettingsError
from alertd.system.settings import read_settings
from tests.nobody import a_folder, nobody

Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Sets variables; at first there is nothing that concerns alertd."""
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "DATABASE", "LISTEN", "LOG_FORMAT", "LOG_LEVEL"):
        monkeypatch.delenv(f"ALERTD_{name}", raising=False)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_defaults(environment: Environment) -> None:
    """Without a word from anybody there are defaults."""
    environment(HOME="/home/ada")

    found = read_settings()

    assert found.config == Path("/etc/alertd")
    assert found.listen == "127.0.0.1:8480"
    assert (found.log_format, found.log_level) == ("auto", "info")
    assert found.database_url() == "sqlite:////home/ada/.local/state/alertd/alertd.sqlite3"


def test_argument_beats_environment_beats_credential(environment: Environment, tmp_path: Path) -> None:
    """Of several that say the same setting the nearest counts."""
    for name in ("config", "listen", "database"):
        (tmp_path / f"alertd_{name}").write_text(f"credential-{name}\n")
    environment(
        CREDENTIALS_DIRECTORY=str(tmp_path), ALERTD_CONFIG="variable-config", ALERTD_LISTEN="variable:1"
    )

    found = read_settings(config=Path("argument-config"), log_level=None)

    assert str(found.config) == "argument-config"
    assert found.listen == "variable:1"
    assert found.database_url() == "credential-database"


def test_credentials_directory_that_is_gone_is_no_error(environment: Environment, tmp_path: Path) -> None:
    """A credentials directory that does not exist holds no credentials."""
    environment(CREDENTIALS_DIRECTORY=str(tmp_path / "gone"), ALERTD_LISTEN="0.0.0.0:1")

    assert read_settings().listen == "0.0.0.0:1"


def test_credentials_that_may_not_be_read_are_no_error(environment: Environment) -> None:
    """As systemd 252 has it for what reloads a service."""
    with a_folder() as folder:
        (folder / "credentials").mkdir()
        (folder / "credentials" / "alertd_listen").write_text("0.0.0.0:2")
        environment(CREDENTIALS_DIRECTORY=str(folder / "credentials"), ALERTD_LISTEN="0.0.0.0:1")
        with nobody(folder):
            (folder / "credentials").chmod(0)

            found = read_settings().listen

            (folder / "credentials").chmod(0o700)

    assert found == "0.0.0.0:1"


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"ALERTD_DATABASE": "postgresql://db/x", "STATE_DIRECTORY": "/s"}, "postgresql://db/x"),
        ({"STATE_DIRECTORY": "/var/lib/alertd"}, "sqlite:////var/lib/alertd/alertd.sqlite3"),
        # systemd lists several with colons; the first is ours
        ({"STATE_DIRECTORY": "/a:/b"}, "sqlite:////a/alertd.sqlite3"),
        ({"XDG_STATE_HOME": "/x"}, "sqlite:////x/alertd/alertd.sqlite3"),
        # the XDG specification ignores a relative one
        ({"XDG_STATE_HOME": "x", "HOME": "/h"}, "sqlite:////h/.local/state/alertd/alertd.sqlite3"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "sqlite:////h/.local/state/alertd/alertd.sqlite3"),
    ],
)
def test_where_the_ledger_is(environment: Environment, variables: dict[str, str], url: str) -> None:
    """The ledger is where it is said to be, else in the state directory, else in the user's state."""
    environment(**variables)

    assert read_settings().database_url() == url


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"ALERTD_LOG_FORMAT": "xml"}, r"ALERTD_LOG_FORMAT='xml': .*'auto', 'console' or 'json'"),
        ({"ALERTD_LOG_LEVEL": "loud"}, r"ALERTD_LOG_LEVEL='loud': .*'warning'"),
    ],
)
def test_wrong_value_is_named(environment: Environment, variables: dict[str, str], says: str) -> None:
    """A value that is not allowed is refused in one line that names the variable and what would be right."""
    environment(**variables)

    with pytest.raises(SettingsError, match=says) as caught:
        read_settings()

    assert "\n" not in str(caught.value)


def test_unknown_variable_is_left_alone(environment: Environment) -> None:
    """A variable of another version of alertd does not stop this one."""
    environment(ALERTD_SOMETHING_NEW="1")

    assert read_settings().log_format == "auto"

"""Secrets from files."""

from pathlib import Path

import pytest

from alertd.system.secrets import MAX_SECRET_BYTES, SecretUnreadable, secret_files
from tests.nobody import a_folder, nobody


def test_a_bare_name_is_looked_for_in_the_credentials_first(tmp_path: Path) -> None:
    credentials, folder = tmp_path / "credentials", tmp_path / "config"
    for path, content in [
        (credentials / "slack_url", "granted"),
        (credentials / "alertd_hook", "granted with a prefix"),
        (folder / "slack_url", "beside the configuration"),
        (folder / "other", "beside the configuration"),
    ]:
        path.parent.mkdir(exist_ok=True)
        path.write_text(content + "\n")
    read = secret_files(folder, {"CREDENTIALS_DIRECTORY": str(credentials)})

    found = [read(name) for name in ("slack_url", "hook", "other")]

    assert found == ["granted", "granted with a prefix", "beside the configuration"]


def test_a_bare_name_is_found_in_the_folder_of_secrets_last(tmp_path: Path) -> None:
    """Root's commands read the same file that the service gets as a credential."""
    (tmp_path / "secrets").mkdir()
    for path, content in [("secrets/a", "in secrets"), ("secrets/b", "in secrets"), ("b", "beside it")]:
        (tmp_path / path).write_text(content)
    read = secret_files(tmp_path, {})

    assert (read("a"), read("b")) == ("in secrets", "beside it")


def test_a_folder_of_secrets_for_others_is_as_good_as_none() -> None:
    """The service may not read the folder, so a file that is not a credential is reported as not found."""
    with a_folder() as folder:
        (folder / "secrets").mkdir()
        (folder / "secrets" / "a").write_text("x")
        with nobody(folder):
            (folder / "secrets").chmod(0)
            with pytest.raises(SecretUnreadable, match="not found"):
                secret_files(folder, {})("a")
            (folder / "secrets").chmod(0o700)


def test_a_path_is_taken_as_such_and_a_relative_one_from_the_configuration_folder(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "a").write_text("  spaces stay \r\n")
    read = secret_files(tmp_path, {})

    assert read("secrets/a") == read(str(tmp_path / "secrets" / "a")) == "  spaces stay "


def test_a_rotated_secret_is_read_anew(tmp_path: Path) -> None:
    read = secret_files(tmp_path, {})
    (tmp_path / "key").write_text("old")
    before = read("key")

    (tmp_path / "key").write_text("new")

    assert (before, read("key")) == ("old", "new")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "not found"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        # Most users of a secret remove the spaces around it, and would sign with nothing.
        (b" \n", "is empty"),
        (b"\t \r\n\n", "is empty"),
        (b"canary\xff", "is not UTF-8"),
        (b"canary" * MAX_SECRET_BYTES, "longer than"),
    ],
)
def test_what_cannot_be_a_secret_is_named_and_not_quoted(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)

    with pytest.raises(SecretUnreadable, match=why) as caught:
        secret_files(tmp_path, {})("key")

    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None or "canary" not in str(caught.value.__cause__)

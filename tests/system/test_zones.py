"""The signature of the zone database changes with every kind of change to its files."""

import os
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alertd.system.zones import ALL_EVERY_S, ZoneFiles, ZoneRules, read_zone_signature


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Put a zone database in place of the machine's. Zones that are in memory keep their rules."""
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia" / "Baghdad").write_bytes(b"TZif2 old")
    (tmp_path / "right").mkdir()
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    yield tmp_path
    zoneinfo.reset_tzpath(to=before)


def overwrite(folder: Path) -> None:
    (folder / "Asia" / "Baghdad").write_bytes(b"TZif2 longer")


def replace_by_one_of_the_same_size_and_time(folder: Path) -> None:
    old, new = folder / "Asia" / "Baghdad", folder / "Asia" / "draft"
    new.write_bytes(b"TZif2 new")
    at = old.stat().st_mtime_ns
    os.utime(new, ns=(at, at))
    new.replace(old)


def add(folder: Path) -> None:
    (folder / "Asia" / "Qostanay").write_bytes(b"TZif2 new")


def remove(folder: Path) -> None:
    (folder / "Asia" / "Baghdad").unlink()


def add_broken_link(folder: Path) -> None:
    (folder / "localtime").symlink_to("nowhere")


def use_the_package(folder: Path) -> None:
    zoneinfo.reset_tzpath(to=[str(folder / "missing")])


@pytest.mark.parametrize(
    "change",
    [overwrite, replace_by_one_of_the_same_size_and_time, add, remove, add_broken_link, use_the_package],
)
def test_change_of_a_zone_changes_the_signature(folder: Path, change: Callable[[Path], None]) -> None:
    before = read_zone_signature()

    change(folder)

    assert read_zone_signature() != before


@pytest.mark.parametrize("change", [replace_by_one_of_the_same_size_and_time, add, remove, use_the_package])
def test_look_at_the_folders_finds_what_a_package_changes(
    folder: Path, change: Callable[[Path], None]
) -> None:
    files = ZoneFiles(lambda: 0.0)
    os.utime(folder / "Asia", ns=(0, 0))
    before = files.read_signature()

    change(folder)

    assert files.read_signature() != before


def test_all_files_are_looked_at_only_every_ten_seconds(folder: Path) -> None:
    """A file that is overwritten in its place changes no folder."""
    now_s = 100.0
    files = ZoneFiles(lambda: now_s)
    before = files.read_signature()
    overwrite(folder)

    assert files.read_signature() == before
    now_s += ALL_EVERY_S
    assert files.read_signature() != before


def test_signature_stays_the_same_while_nothing_that_is_read_changes(folder: Path) -> None:
    """Python never reads the leap-second copies below ``right`` for a zone that alertd accepts."""
    rules, before = ZoneRules(), read_zone_signature()

    (folder / "right" / "Baghdad").write_bytes(b"TZif2")

    assert read_zone_signature() == before
    assert not rules.refresh()


def test_package_is_read_on_a_machine_without_a_zone_database(folder: Path) -> None:
    use_the_package(folder)

    signature = read_zone_signature()

    assert isinstance(signature, frozenset)
    assert any(str(path).endswith("tzdata/zoneinfo/Asia/Baghdad") for path, *_ in signature)

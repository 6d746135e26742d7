"""Checks alertd's surroundings for ``alertd doctor``: clock, zone database, ledger, secrets and receivers."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from alertd.cli.findings import Finding, FindingVerdict
from alertd.core.config import Config
from alertd.core.words import format_count
from alertd.errors import AlertdError
from alertd.notify.base import iterate_texts
from alertd.notify.http.egress import Egress
from alertd.notify.secret_files import list_secret_files
from alertd.ports import Clock, LedgerReader, TimeSource

LITTLE = 200 * 1024**2
"""Free bytes on the ledger's disk below which the disk is reported as almost full."""

SKEW = timedelta(seconds=2)
"""The largest accepted difference between this machine's clock and the database's."""

REACHED_WITHIN_S = 5.0

WELL, NOTE, WRONG = FindingVerdict.WELL, FindingVerdict.NOTE, FindingVerdict.WRONG


def check_clock() -> Finding:
    """Check whether this machine's clock is synchronised, according to systemd."""
    try:
        asked = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],  # noqa: S607  found on PATH
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        answer = asked.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        answer = ""
    if answer == "yes" or Path("/run/systemd/timesync/synchronized").exists():
        return Finding(topic="clock", verdict=WELL, text="it is synchronised")
    if answer == "no":
        return Finding(
            topic="clock",
            verdict=WRONG,
            text="it is not synchronised: reminders are as early or late as it is wrong",
            fix="systemctl enable --now systemd-timesyncd, or chrony",
        )
    return Finding(
        topic="clock", verdict=NOTE, text="this machine does not report whether it is synchronised"
    )


def check_zone_database() -> Finding:
    """Check which zone database Python reads, and whether the package ``tzdata`` is newer."""
    try:
        packaged = version("tzdata")
    except PackageNotFoundError:
        packaged = ""
    system = next((path for path in zoneinfo.TZPATH if Path(path, "Europe", "Berlin").is_file()), "")
    if not system:
        return Finding(topic="time zones", verdict=WELL, text=f"read from the package tzdata {packaged}")
    installed = _zone_release(Path(system))
    text = (
        f"read from {system}, release {installed or 'unknown'}; the package tzdata is {packaged or 'missing'}"
    )
    # The package numbers its releases: its version 2025.2 is release 2025b.
    year, _, number = packaged.partition(".")
    newest = f"{year}{chr(ord('a') + int(number) - 1)}" if number.isdigit() else ""
    if installed and newest and installed < newest:
        fix = "upgrade the system's tzdata: rules that changed since are not known"
        return Finding(topic="time zones", verdict=NOTE, text=f"{text}, which is newer", fix=fix)
    return Finding(topic="time zones", verdict=WELL, text=text)


def _zone_release(folder: Path) -> str:
    for name, prefix in (("tzdata.zi", "# version "), ("+VERSION", "")):
        try:
            with (folder / name).open(encoding="utf-8") as file:
                line = file.readline().strip()
        except OSError:
            continue
        if line.startswith(prefix):
            return line.removeprefix(prefix)
    return ""


LEAST_FREE = 64 * 1024
"""Free bytes on the ledger's disk below which not even a short transaction is sure to fit."""


def find_write_obstacle(url: str) -> str:
    """Return why no process can write an embedded ledger, such as a full disk, or "" if nothing is known.

    Args:
        url: the URL of the ledger. Only SQLite ledgers are examined.
    """
    if not url.startswith("sqlite:///"):
        return ""
    folder = Path(url.partition(":///")[2]).parent
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    free = (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize
    if disk.f_flag & os.ST_RDONLY:
        return f"the disk of {folder} is mounted read-only"
    if free < LEAST_FREE:
        return f"the disk of {folder} is full; free some space on it"
    return ""


def check_disk(url: str) -> Iterator[Finding]:
    """Check whether this user can write an embedded ledger, and whether its disk has room.

    Args:
        url: the URL of the ledger. Only SQLite ledgers are checked.
    """
    if not url.startswith("sqlite:///"):
        return
    path = Path(url.partition(":///")[2])
    folder = path.parent
    there = next((place for place in (path, folder, *folder.parents) if place.exists()), Path("/"))
    if not os.access(there, os.W_OK) or (path.exists() and not os.access(folder, os.W_OK)):
        fix = "run this as the user that alertd runs as, or give it to that user"
        yield Finding(topic="ledger", verdict=WRONG, text=f"{path} cannot be written by this user", fix=fix)
        return
    free = shutil.disk_usage(there if there.is_dir() else folder).free
    size = sum(file.stat().st_size for file in folder.glob(f"{path.name}*")) if path.exists() else 0
    text = f"{path}, {size / 1024**2:.1f} MiB, with {free / 1024**3:.1f} GiB free"
    if free < LITTLE:
        fix = "without room nothing can be written down, and so nothing is sent"
        yield Finding(topic="ledger", verdict=WRONG, text=text, fix=fix)
    else:
        yield Finding(topic="ledger", verdict=WELL, text=text)


class ExaminedLedger(LedgerReader, TimeSource, Protocol):
    """The roles of the ledger that the check needs."""


async def check_ledger(ledger: ExaminedLedger, here: Clock) -> list[Finding]:
    """Check whether the ledger answers, and whether the database's clock agrees with this machine's."""
    there = await ledger.read_time()
    counts = await ledger.count_rows()
    held = f"it holds {format_count(counts.get('milestones', 0), 'milestone')}"
    found = [Finding(topic="ledger", verdict=WELL, text=held)]
    if there is not None and abs(there - here.now()) > SKEW:
        off = (here.now() - there).total_seconds()
        text = f"this clock and the database's are {abs(off):.0f} seconds apart"
        found.append(Finding(topic="clock", verdict=WRONG, text=text, fix="synchronise both"))
    return found


def check_secrets(
    config: Config, find: Callable[[str], Path], read: Callable[[str], str]
) -> Iterator[Finding]:
    """Check whether alertd can read each secret file, and whether other users cannot.

    Args:
        find: returns the path of the secret file that an option names.
        read: returns the secret in that file, or raises AlertdError.
    """
    names = list_secret_files(config, with_keys=True)
    failures = 0
    for name in names:
        try:
            read(name)
        except AlertdError as error:
            failures += 1
            yield Finding(
                topic="secrets", verdict=WRONG, text=str(error), fix="put it there, for alertd alone to read"
            )
            continue
        path = find(name)
        mode = path.stat().st_mode if path.exists() else 0
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            failures += 1
            text = f"{path} can be read by everybody on this machine"
            yield Finding(topic="secrets", verdict=WRONG, text=text, fix=f"take that away: chmod 600 {path}")
    if names and not failures:
        yield Finding(
            topic="secrets",
            verdict=WELL,
            text=f"{format_count(len(names), 'file')}, readable, not by everybody",
        )


_NO_SECRETS = ("ca_file", "client_cert_file", "template_file")


def _option_texts(options: object) -> Iterator[tuple[str, str]]:
    """Yield each text of a notifier's options with its key. Secrets are yielded in the clear."""
    for option, text in iterate_texts(options):
        yield option, text.get_secret_value() if isinstance(text, SecretStr) else text


async def check_receivers(config: Config, egress: Egress, read: Callable[[str], str]) -> list[Finding]:
    """Check whether each receiver's host accepts a connection.

    Nothing is sent. Findings show only the host and the port of an address, because its path may be a secret.
    """
    places: dict[tuple[str, int], set[str]] = {}
    for channel, (host, port) in _find_places(config, read):
        places.setdefault((host, port), set()).add(channel)

    async def connect(host: str, port: int, channels: set[str]) -> Finding:
        where = f"{host} port {port} ({', '.join(sorted(channels))})"
        try:
            async with asyncio.timeout(REACHED_WITHIN_S):
                (await egress.connect(host, port)).close()
        except (OSError, TimeoutError) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number and number > 0 else str(error) or "no answer"
            text = f"no connection to {where}: {why}"
            return Finding(
                topic="receivers", verdict=WRONG, text=text, fix="is it up, and is the name right?"
            )
        return Finding(topic="receivers", verdict=WELL, text=f"a connection to {where}")

    return list(await asyncio.gather(*(connect(*place, who) for place, who in sorted(places.items()))))


def _find_places(config: Config, read: Callable[[str], str]) -> Iterator[tuple[str, tuple[str, int]]]:
    for receiver in config.receivers.values():
        for spec in receiver.notifiers:
            channel = f"{receiver.name}/{spec.name}"
            if spec.type == "email":
                yield channel, (config.smtp.host, config.smtp.port)
            for key, text in _find_addresses(spec.options):
                value = text
                if key.endswith("_file"):
                    try:
                        value = read(text).strip()
                    except AlertdError:
                        continue  # check_secrets reports the unreadable file
                parts = urlsplit(value)
                if parts.scheme in ("http", "https") and parts.hostname:
                    yield channel, (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def _find_addresses(options: object) -> list[tuple[str, str]]:
    """Return the options that hold the address to connect to.

    These are the proxies. Without a proxy, they are the addresses that the configuration sets, else the
    defaults.
    """
    texts = [(key, text) for key, text in _option_texts(options) if text and key not in _NO_SECRETS]
    proxies = [(key, text) for key, text in texts if key.removesuffix("_file") == "proxy"]
    written = options.model_fields_set if isinstance(options, BaseModel) else set[str]()
    own = [(key, text) for key, text in texts if key in written and _may_be_an_address(key, text)]
    return proxies or own or [(key, text) for key, text in texts if _may_be_an_address(key, text)]


def _may_be_an_address(key: str, text: str) -> bool:
    return key.endswith("url_file") or text.startswith(("http://", "https://"))

"""What goes wrong around alertd: the clock, the zone database, the disk, secrets, the way to receivers."""

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
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from alertd.cli.ailments import Diagnosis, Severity
from alertd.core.config import Config
from alertd.core.words import count
from alertd.errors import AlertdError
from alertd.notify.base import texts_of
from alertd.notify.http.egress import Egress
from alertd.ports import Clock, Ledger

LITTLE = 200 * 1024**2
"""Bytes free on the ledger's disk that are soon too few."""

SKEW = timedelta(seconds=2)
REACHED_WITHIN_S = 5.0

WELL, NOTE, WRONG = Severity.WELL, Severity.NOTE, Severity.WRONG


def clock() -> Diagnosis:
    """Whether something keeps the clock right, as far as this machine tells."""
    try:
        asked = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],  # noqa: S607  wherever it is
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        said = asked.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        said = ""
    if said == "yes" or Path("/run/systemd/timesync/synchronized").exists():
        return Diagnosis(topic="clock", verdict=WELL, text="it is synchronised")
    if said == "no":
        return Diagnosis(
            topic="clock",
            verdict=WRONG,
            text="it is not synchronised: reminders are as early or late as it is wrong",
            mend="systemctl enable --now systemd-timesyncd, or chrony",
        )
    return Diagnosis(topic="clock", verdict=NOTE, text="nobody here says whether it is synchronised")


def zone_database() -> Diagnosis:
    """Which one is read, and whether it is older than the one that came with alertd."""
    try:
        packaged = version("tzdata")
    except PackageNotFoundError:
        packaged = ""
    system = next((path for path in zoneinfo.TZPATH if Path(path, "Europe", "Berlin").is_file()), "")
    if not system:
        return Diagnosis(topic="time zones", verdict=WELL, text=f"read from the package tzdata {packaged}")
    installed = _release(Path(system))
    text = (
        f"read from {system}, release {installed or 'unknown'}; the package tzdata is {packaged or 'missing'}"
    )
    # 2025.2 is what the package calls release 2025b.
    year, _, number = packaged.partition(".")
    newest = f"{year}{chr(ord('a') + int(number) - 1)}" if number.isdigit() else ""
    if installed and newest and installed < newest:
        mend = "upgrade the system's tzdata: rules that changed since are not known"
        return Diagnosis(topic="time zones", verdict=NOTE, text=f"{text}, which is newer", mend=mend)
    return Diagnosis(topic="time zones", verdict=WELL, text=text)


def _release(folder: Path) -> str:
    for name, prefix in (("tzdata.zi", "# version "), ("+VERSION", "")):
        try:
            with (folder / name).open(encoding="utf-8") as file:
                line = file.readline().strip()
        except OSError:
            continue
        if line.startswith(prefix):
            return line.removeprefix(prefix)
    return ""


def disk(url: str) -> Iterator[Diagnosis]:
    """Whether an embedded ledger can be written, and for how long."""
    if not url.startswith("sqlite:///"):
        return
    path = Path(url.partition(":///")[2])
    folder = path.parent
    there = next((one for one in (path, folder, *folder.parents) if one.exists()), Path("/"))
    if not os.access(there, os.W_OK) or (path.exists() and not os.access(folder, os.W_OK)):
        mend = "run this as the user that alertd runs as, or give it to that user"
        yield Diagnosis(
            topic="ledger", verdict=WRONG, text=f"{path} cannot be written by this user", mend=mend
        )
        return
    free = shutil.disk_usage(there if there.is_dir() else folder).free
    size = sum(one.stat().st_size for one in folder.glob(f"{path.name}*")) if path.exists() else 0
    text = f"{path}, {size / 1024**2:.1f} MiB, with {free / 1024**3:.1f} GiB free"
    if free < LITTLE:
        mend = "without room nothing can be written down, and so nothing is sent"
        yield Diagnosis(topic="ledger", verdict=WRONG, text=text, mend=mend)
    else:
        yield Diagnosis(topic="ledger", verdict=WELL, text=text)


async def ledger(book: Ledger, here: Clock) -> list[Diagnosis]:
    """Whether it answers, and whether its clock and this one agree."""
    there = await book.time()
    counts = await book.counts()
    held = f"it holds {count(counts.get('milestones', 0), 'milestone')}"
    found = [Diagnosis(topic="ledger", verdict=WELL, text=held)]
    if there is not None and abs(there - here.now()) > SKEW:
        off = (here.now() - there).total_seconds()
        text = f"this clock and the database's are {abs(off):.0f} seconds apart"
        found.append(Diagnosis(topic="clock", verdict=WRONG, text=text, mend="synchronise both"))
    return found


def secrets(config: Config, find: Callable[[str], Path], read: Callable[[str], str]) -> Iterator[Diagnosis]:
    """Whether each secret file can be read, and not by everybody."""
    names = sorted(set(_secret_files(config)) - {""})
    wrong = 0
    for name in names:
        try:
            read(name)
        except AlertdError as error:
            wrong += 1
            yield Diagnosis(
                topic="secrets", verdict=WRONG, text=str(error), mend="put it there, for alertd alone to read"
            )
            continue
        path = find(name)
        mode = path.stat().st_mode if path.exists() else 0
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            wrong += 1
            text = f"{path} can be read by everybody on this machine"
            yield Diagnosis(
                topic="secrets", verdict=WRONG, text=text, mend=f"take that away: chmod 600 {path}"
            )
    if names and not wrong:
        yield Diagnosis(
            topic="secrets", verdict=WELL, text=f"{count(len(names), 'file')}, readable, not by everybody"
        )


_NO_SECRETS = ("ca_file", "client_cert_file", "template_file")


def _secret_files(config: Config) -> Iterator[str]:
    for receiver in config.receivers.values():
        for spec in receiver.notifiers:
            yield from (text for option, text in _texts(spec.options) if _names_a_secret(option))
    yield from (config.smtp.password_file, config.smtp.client_key_file)
    if config.heartbeat:
        yield config.heartbeat.url_file


def _names_a_secret(option: str) -> bool:
    return option.endswith("_file") and option not in _NO_SECRETS


def _texts(options: object) -> Iterator[tuple[str, str]]:
    """Every text of a notifier's options, the secret ones in the clear."""
    for option, text in texts_of(options):
        yield option, text.get_secret_value() if isinstance(text, SecretStr) else text


async def receivers(config: Config, egress: Egress, read: Callable[[str], str]) -> list[Diagnosis]:
    """Whether each can be connected to. Nothing is sent, and no address is shown beyond its host and port."""
    places: dict[tuple[str, int], set[str]] = {}
    for channel, (host, port) in _places(config, read):
        places.setdefault((host, port), set()).add(channel)

    async def reached(host: str, port: int, channels: set[str]) -> Diagnosis:
        where = f"{host} port {port} ({', '.join(sorted(channels))})"
        try:
            async with asyncio.timeout(REACHED_WITHIN_S):
                (await egress.connect(host, port)).close()
        except (OSError, TimeoutError) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number and number > 0 else str(error) or "no answer"
            text = f"no connection to {where}: {why}"
            return Diagnosis(
                topic="receivers", verdict=WRONG, text=text, mend="is it up, and is the name right?"
            )
        return Diagnosis(topic="receivers", verdict=WELL, text=f"a connection to {where}")

    return list(await asyncio.gather(*(reached(*place, who) for place, who in sorted(places.items()))))


def _places(config: Config, read: Callable[[str], str]) -> Iterator[tuple[str, tuple[str, int]]]:
    for receiver in config.receivers.values():
        for spec in receiver.notifiers:
            channel = f"{receiver.name}/{spec.name}"
            if spec.type == "email":
                yield channel, (config.smtp.host, config.smtp.port)
            for key, text in _addresses(spec.options):
                value = text
                if key.endswith("_file"):
                    try:
                        value = read(text).strip()
                    except AlertdError:
                        continue  # told among the secrets
                parts = urlsplit(value)
                if parts.scheme in ("http", "https") and parts.hostname:
                    yield channel, (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


def _addresses(options: object) -> list[tuple[str, str]]:
    """The options that may hold an address: a proxy, else what was written, else what it is by default."""
    texts = [(key, text) for key, text in _texts(options) if text and key not in _NO_SECRETS]
    proxies = [(key, text) for key, text in texts if key.removesuffix("_file") == "proxy"]
    written = options.model_fields_set if isinstance(options, BaseModel) else set[str]()
    own = [(key, text) for key, text in texts if key in written and _may_be_an_address(key, text)]
    return proxies or own or [(key, text) for key, text in texts if _may_be_an_address(key, text)]


def _may_be_an_address(key: str, text: str) -> bool:
    return key.endswith("url_file") or text.startswith(("http://", "https://"))

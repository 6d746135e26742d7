"""A Debian machine of its own: a root of tools/debian-root, booted by systemd-nspawn with loopback alone.

It is driven from outside, in its namespaces. Only what was started here is ended here, by its process id.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs_pages import ROOT

PATIENCE_S = 60
BOOT_LOOKS = 300
"""How often it is asked whether it is up, a tenth of a second apart."""

DESK = "/srv"
"""Where commands are run."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "COLUMNS": "100",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended: both of its streams as one, and how long it took in seconds."""

    status: int
    out: str
    took_s: float


class Machine:
    """Runs commands as root in a booted machine."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        self._init = init

    def run(self, command: str) -> Ran:
        """A command of bash, however it ends."""
        began = time.monotonic()
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-m", "-u", "-i", "-n", "-p", "-C", "--",
             "bash", "-c", f"cd {DESK}\n{command}"],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S * 2,
            check=False,
        )  # fmt: skip
        out = _as_seen(done.stdout.decode(errors="replace"))
        return Ran(status=done.returncode, out=out, took_s=time.monotonic() - began)

    def done(self, command: str) -> str:
        """What a command prints that must succeed."""
        ran = self.run(command)
        assert ran.status == 0, f"{command}: exit {ran.status}\n{ran.out}"
        return ran.out

    def until(self, condition: str) -> float:
        """Wait until a command succeeds; how long that was, in seconds."""
        ran = self.run(f"for _ in $(seq {PATIENCE_S * 5}); do {condition} && exit; sleep 0.2; done; exit 1")
        assert ran.status == 0, f"never came true: {condition}\n{self.run('journalctl -b -n 40').out}"
        return ran.took_s

    def shown(self, name: str, unit: str = "alertd") -> str:
        """A property of a unit."""
        return self.done(f"systemctl show -P {name} {unit}").strip()

    def write(self, path: str, text: str) -> None:
        """A file, put in place whole."""
        place = self.root / path.lstrip("/")
        draft = place.with_name(f".{place.name}.draft")
        draft.write_text(text, encoding="utf-8")
        draft.rename(place)


def _as_seen(out: str) -> str:
    """What a terminal shows in the end: what a carriage return takes back is gone."""
    return "".join(line.rstrip("\r").rpartition("\r")[2] + "\n" for line in out.split("\n"))[:-1]


@contextmanager
def booted(release: str) -> Iterator[Machine]:
    """A machine that has just been booted for the first time; nothing of it is left at the end."""
    made = subprocess.run(
        ["sh", "tools/debian-root", release], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    with TemporaryDirectory(prefix="alertd-machine-") as folder:
        root = Path(folder) / "debian"
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", ROOT / made.stdout.strip()], check=True)
        # A minimal root has neither: no name would be resolved, and no machine told from another.
        (root / "etc/hosts").write_text("127.0.0.1 localhost debian\n::1 localhost\n")
        (root / "etc/hostname").write_text("debian\n")
        (root / "etc/machine-id").write_text("")
        with (Path(folder) / "console").open("w+") as console:
            nspawn = subprocess.Popen(
                ["systemd-nspawn", "-D", root, "--register=no", "--keep-unit", "--private-network", "--boot",
                 "--console=pipe", "--settings=no"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                yield Machine(root, _up(nspawn, Path(console.name)))
            finally:
                nspawn.terminate()  # it has the machine shut down in order
                try:
                    nspawn.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    nspawn.kill()
                    nspawn.wait()


def _up(nspawn: subprocess.Popen[bytes], console: Path) -> int:
    """The process id of the machine's first process, once everything has been started."""
    for _ in range(BOOT_LOOKS):
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        for init in children:
            said = subprocess.run(
                ["nsenter", "-t", init, "-m", "-u", "-i", "-n", "-p", "-C", "systemctl", "is-system-running"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
            )  # fmt: skip
            if said.stdout.strip() in {"running", "degraded"}:
                return int(init)
        if nspawn.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"it has not booted:\n{console.read_text(errors='replace')[-2000:]}")

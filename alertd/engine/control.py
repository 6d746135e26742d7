"""The control socket: a Unix socket by which ``alertd reload`` asks the daemon to reload.

Request and response are a line of JSON each. The request is ``{"reload": FOLDER, "wait": true}``. The
response is ``{"accepted": true, "problems": []}``, ``{"asked": true}`` for a client that does not wait, or
``{"error": TEXT}``. Only this user and root may connect: the socket has mode 0600, and the kernel tells who
has connected (SO_PEERCRED, unix(7)).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alertd.engine.reload import ReloadRequests, ReloadResult
from alertd.errors import NoAnswer
from alertd.system.telemetry import Event, Log

REQUEST_WITHIN_S = 5.0
"""How long the daemon waits for the request of a client, and then until the client reads the response."""

MAX_LINE = 64 * 1024
MAX_ANSWER = 1024 * 1024
MAX_PROBLEMS = 100
"""How many problems a response lists. The log lists more of them."""

MAX_PEERS = 16
"""How many clients may be connected. A further client takes the place of the oldest that has sent nothing."""

_UCRED = struct.Struct("3i")
"""The process id, user id and group id of a client."""


class Control:
    """The daemon's end of the control socket.

    Args:
        path: the path of the socket.
        folder: the daemon's configuration folder. A request to reload another folder is refused.
    """

    def __init__(self, path: Path, folder: Path, requests: ReloadRequests, log: Log) -> None:
        self._path = path
        self._folder = folder.resolve()
        self._requests = requests
        self._log = log
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.Task[None], None] = {}
        self._inode = 0
        self._uid = os.geteuid()

    async def open(self) -> None:
        """Listen. A daemon that cannot listen logs that, and runs all the same."""
        try:
            listening = _listen(self._path)
            self._inode = self._path.stat().st_ino
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE)
        except OSError as error:
            self._log.error(Event.CONTROL_FAILED, path=str(self._path), reason=error.strerror or str(error))

    async def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for peer in self._peers:
            peer.cancel()
        await asyncio.gather(*self._peers, return_exceptions=True)
        with suppress(OSError):
            # Remove only our own socket: another daemon may have put its socket in this place.
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = asyncio.current_task()
        assert peer is not None  # noqa: S101  for mypy
        self._peers.add(peer)
        self._silent[peer] = None
        try:
            if self._is_allowed(writer):
                if len(self._peers) > MAX_PEERS:
                    # The oldest may be this client, if all others wait for a reload.
                    oldest = next(iter(self._silent))
                    del self._silent[oldest]
                    oldest.cancel()
                answer = await self._answer(reader, peer)
                writer.write(json.dumps(answer).encode() + b"\n")
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    await writer.drain()
        except (OSError, TimeoutError):
            writer.transport.abort()  # the client has gone, sent no request in time, or does not read
        finally:
            self._peers.discard(peer)
            self._silent.pop(peer, None)
            writer.close()

    def _is_allowed(self, writer: asyncio.StreamWriter) -> bool:
        uid = _read_peer_uid(writer.get_extra_info("socket"))
        if uid in (None, 0, self._uid):
            return True
        self._log.warning(Event.CONTROL_REFUSED, uid=uid)
        return False

    async def _answer(self, reader: asyncio.StreamReader, peer: asyncio.Task[None]) -> dict[str, Any]:
        async with asyncio.timeout(REQUEST_WITHIN_S):
            try:
                line = await reader.readline()
                self._silent.pop(peer, None)  # other clients do not take its place any more
                asked = json.loads(line)
                folder, waits = Path(asked["reload"]), bool(asked["wait"])
            except (ValueError, LookupError, TypeError, RecursionError):
                return {"error": "cannot read what was asked"}
        if folder != self._folder:
            return {"error": f"the daemon that answers runs on {self._folder}, not on {folder}"}
        if not waits:
            self._requests.want()
            return {"asked": True}
        how = await self._requests.ask()
        return asdict(how) | {"problems": how.problems[:MAX_PROBLEMS]}


@asynccontextmanager
async def control(path: Path | None, folder: Path, requests: ReloadRequests, log: Log) -> AsyncIterator[None]:
    """Serve the control socket within the context. Without a path there is no socket."""
    if path is None:
        yield
        return
    server = Control(path, folder, requests, log)
    await server.open()
    try:
        yield
    finally:
        await server.close()


def ask(path: Path | None, folder: Path, *, wait: bool, within_s: float) -> ReloadResult | None:
    """Ask the daemon whose socket is at ``path`` to reload. Returns None if ``wait`` is false.

    Args:
        folder: the configuration folder that the daemon must run on.
        within_s: how long to wait for the response, in seconds.

    Raises:
        NoAnswer: no daemon runs, or it does not answer in time, or it refuses.
    """
    if path is None:
        raise NoAnswer("no folder for the daemon's socket: set RUNTIME_DIRECTORY or XDG_RUNTIME_DIR")
    asked = json.dumps({"reload": str(folder.resolve()), "wait": wait})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(within_s)
        try:
            sock.connect(str(path))
            sock.sendall(asked.encode() + b"\n")
            with sock.makefile("rb") as stream:
                line = stream.readline(MAX_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NoAnswer(f"no daemon is running: nobody answers at {path}") from None
        except TimeoutError:
            raise NoAnswer(
                f"the daemon has not answered within {within_s:g} s; it may do it yet: see its log"
            ) from None
        except OSError as error:
            raise NoAnswer(f"the daemon cannot be asked at {path}: {error.strerror or error}") from None
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise NoAnswer(str(answer["error"]))
        if not wait and answer["asked"]:
            return None
        return ReloadResult(accepted=bool(answer["accepted"]), problems=tuple(map(str, answer["problems"])))
    except (ValueError, LookupError, TypeError):
        raise NoAnswer(f"the daemon at {path} hung up without an answer; its log says why") from None


def _listen(path: Path) -> socket.socket:
    """Create a socket at ``path`` that only its owner may connect to. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # A chmod afterwards would be too late: others could connect in between.
    before = os.umask(0o177)
    try:
        _remove_stale(path)
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that was killed. Raises OSError if a daemon answers at ``path``."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise OSError(0, "another daemon answers there")


def _read_peer_uid(sock: Any) -> int | None:
    """Return the user id of the client, or None on systems where only the mode of the socket protects it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])

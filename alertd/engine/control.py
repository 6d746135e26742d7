"""The control socket: a Unix socket by which commands ask the daemon to reload, and for its state.

Request and response are a line of JSON each.

- The request to reload is ``{"reload": FOLDER, "wait": true}``. The response is ``{"accepted": true,
  "problems": []}``, or ``{"asked": true}`` for a client that does not wait.
- The request for the state is ``{"status": true}``. The response is a :class:`LiveReport`. The daemon answers
  from its memory, so it also answers while the ledger fails or the loop is stuck.
- The response to a request that is refused is ``{"error": TEXT}``.

Only this user and root may connect: the socket has mode 0600, and the kernel tells who has connected
(SO_PEERCRED, unix(7)).

A daemon that finds another daemon at its path, such as a second daemon on the same ledger, listens beside it,
at the path with its process id appended. Clients ask at all these paths.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alertd.engine.reload import ReloadRequests, ReloadResult
from alertd.engine.status import LiveReport
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
        describe: returns the state of the daemon at this moment.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        requests: ReloadRequests,
        log: Log,
        describe: Callable[[], LiveReport] = lambda: LiveReport(node=""),
    ) -> None:
        self._path = path
        self._folder = folder.resolve()
        self._requests = requests
        self._log = log
        self._describe = describe
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.Task[None], None] = {}
        self._inode = 0
        self._uid = os.geteuid()

    async def open(self) -> None:
        """Listen. A daemon that cannot listen logs that, and runs all the same."""
        try:
            listening = self._listen()
            self._inode = self._path.stat().st_ino
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE)
        except OSError as error:
            self._log.error(Event.CONTROL_FAILED, path=str(self._path), reason=error.strerror or str(error))

    def _listen(self) -> socket.socket:
        """Listen at the path, or beside it if another daemon answers there. Raises OSError."""
        try:
            return _listen(self._path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        for beside in _list_beside(self._path):
            with suppress(OSError):
                _remove_stale(beside)
        self._path = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        return _listen(self._path)

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
                if asked.get("status") is True:
                    return asdict(self._describe())
                folder, waits = Path(asked["reload"]), bool(asked["wait"])
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return {"error": "cannot read what was asked"}
        if folder != self._folder:
            return {"error": f"the daemon that answers runs on {self._folder}, not on {folder}"}
        if not waits:
            self._requests.want()
            return {"asked": True}
        how = await self._requests.ask()
        return asdict(how) | {"problems": how.problems[:MAX_PROBLEMS]}


@asynccontextmanager
async def control(
    path: Path | None,
    folder: Path,
    requests: ReloadRequests,
    log: Log,
    describe: Callable[[], LiveReport],
) -> AsyncIterator[None]:
    """Serve the control socket within the context. Without a path there is no socket."""
    if path is None:
        yield
        return
    server = Control(path, folder, requests, log, describe)
    await server.open()
    try:
        yield
    finally:
        await server.close()


def ask(path: Path | None, folder: Path, *, wait: bool, within_s: float) -> ReloadResult | None:
    """Ask the daemon whose socket is at ``path``, or beside it, to reload. Returns None if ``wait`` is false.

    Args:
        folder: the configuration folder that the daemon must run on.
        within_s: how long to wait for the response, in seconds.

    Raises:
        NoAnswer: no daemon runs, or it does not answer in time, or it refuses.
    """
    if path is None:
        raise NoAnswer("no folder for the daemon's socket: set RUNTIME_DIRECTORY or XDG_RUNTIME_DIR")
    request = {"reload": str(folder.resolve()), "wait": wait}
    refusal: NoAnswer | None = None
    for place in (path, *_list_beside(path)):
        try:
            answer = _exchange(place, request, within_s)
        except _NobodyThere as error:
            refusal = refusal or error
            continue
        if "error" not in answer:
            return _read_result(place, answer, wait=wait)
        # Another daemon of this user may run on the folder.
        refusal = NoAnswer(str(answer["error"]))
    raise refusal or NoAnswer(f"no daemon is running: nobody answers at {path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the daemons of this machine answer about themselves.

    Attributes:
        reports: the answers.
        unanswered: a sentence without its full stop for each daemon that has not answered.
    """

    reports: Sequence[LiveReport] = ()
    unanswered: Sequence[str] = ()


def ask_status(path: Path | None, *, within_s: float) -> Answers:
    """Ask the daemons whose sockets are at ``path`` and beside it for their state. Never raises.

    A daemon of another user is not asked, because only that user may.

    Args:
        within_s: how long to wait for each response, in seconds.
    """
    reports, unanswered = [], []
    for place in (path, *_list_beside(path)) if path is not None else ():
        try:
            answer = _exchange(place, {"status": True}, within_s)
            report = LiveReport(
                node=str(answer["node"]),
                findings=tuple(map(str, answer["findings"])),
                paused=tuple(map(str, answer["paused"])),
            )
        except _TooSlow:
            unanswered.append(f"the daemon at {place} has not answered for {within_s:g} s: it is stuck")
        except (NoAnswer, LookupError, TypeError):
            continue
        else:
            reports.append(report)
    return Answers(reports=reports, unanswered=unanswered)


class _NobodyThere(NoAnswer):
    """No daemon listens at the path."""


class _TooSlow(NoAnswer):
    """A daemon listens at the path, and has not answered in time."""


def _exchange(path: Path, request: Mapping[str, Any], within_s: float) -> Mapping[str, Any]:
    """Send a request to the daemon whose socket is at ``path``. Raises NoAnswer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(within_s)
        try:
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as stream:
                line = stream.readline(MAX_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise _NobodyThere(f"no daemon is running: nobody answers at {path}") from None
        except TimeoutError:
            raise _TooSlow(
                f"the daemon has not answered within {within_s:g} s; it may do it yet: see its log"
            ) from None
        except OSError as error:
            raise NoAnswer(f"the daemon cannot be asked at {path}: {error.strerror or error}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _hung_up(path)
    return answer


def _read_result(path: Path, answer: Mapping[str, Any], *, wait: bool) -> ReloadResult | None:
    try:
        if not wait and answer["asked"]:
            return None
        return ReloadResult(accepted=bool(answer["accepted"]), problems=tuple(map(str, answer["problems"])))
    except (LookupError, TypeError):
        raise _hung_up(path) from None


def _hung_up(path: Path) -> NoAnswer:
    return NoAnswer(f"the daemon at {path} hung up without an answer; its log says why")


def _list_beside(path: Path | None) -> list[Path]:
    """List the sockets of daemons that found another daemon at ``path``."""
    if path is None:
        return []
    try:
        found = [place for place in path.parent.iterdir() if place.name.startswith(f"{path.name}.")]
    except OSError:
        return []
    return sorted(place for place in found if place.suffix[1:].isdecimal() and place.is_socket())[:MAX_PEERS]


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
    raise OSError(errno.EADDRINUSE, "another daemon answers there")


def _read_peer_uid(sock: Any) -> int | None:
    """Return the user id of the client, or None on systems where only the mode of the socket protects it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])

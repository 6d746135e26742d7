"""Connect each built-in notifier to a real peer: a server on the loopback interface, a process or a file."""

import contextlib
import io
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alertd.core.config import Smtp
from alertd.core.ledger.outcome import Outcome, Retry
from alertd.testing import Answer, HttpSink, SmtpSink, notifier_env
from alertd.testing.contract import CANARY, HttpContract, NotifierContract, Rig, Trouble
from alertd.testing.contract.http_suite import LONG_S, SOON_S

SECRET_PATH = f"/{CANARY}?key={CANARY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with an HTTP API.

    Attributes:
        options: returns the notifier's options for the address of a server.
        takes: the answers that mean that the message was accepted, the usual one first.
    """

    options: Callable[[str], Mapping[str, object]]
    takes: tuple[Answer, ...] = (Answer(), Answer(status=202), Answer(status=204, body=b""))


def _json(said: dict[str, object], status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(said).encode())


SERVICES: Mapping[str, Service] = {
    "discord": Service(
        options=lambda url: {"url": url + SECRET_PATH}, takes=(_json({"id": "1234", "channel_id": "99"}),)
    ),
    "matrix": Service(
        options=lambda url: {"homeserver": url, "room": "!deadlines:example.org", "token": CANARY},
        takes=(_json({"event_id": "$1234"}),),
    ),
    "mattermost": Service(options=lambda url: {"url": url + SECRET_PATH}, takes=(Answer(),)),
    "ntfy": Service(
        options=lambda url: {"server": url, "topic": CANARY, "token": f"tk_{CANARY}"},
        takes=(_json({"id": "hwQ2YpKdmg"}),),
    ),
    "pagerduty": Service(
        options=lambda url: {"api_url": url, "routing_key": CANARY},
        takes=(_json({"status": "success"}, 202),),
    ),
    "slack": Service(options=lambda url: {"webhook_url": url + SECRET_PATH}),
    "teams": Service(
        options=lambda url: {"url": url + SECRET_PATH},
        takes=(Answer(status=202, body=b""), Answer(body=b"1")),
    ),
    "telegram": Service(
        options=lambda url: {"api_url": url, "token": f"110201543:{CANARY}", "chat": "-1001234567890"},
        takes=(_json({"ok": True, "result": {"message_id": 42}}),),
    ),
    "webhook": Service(
        options=lambda url: {"url": url + SECRET_PATH, "secret": CANARY, "headers": {"X-Key": CANARY}}
    ),
}


class ServiceContract(HttpContract):
    """The rig for a service above."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.takes = SERVICES[cls.type_name].takes

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {**SERVICES[self.type_name].options(url), "timeout": timeout_s}


class EmailRig(Rig):
    def __init__(self, sink: SmtpSink, timeout_s: float) -> None:
        smtp = Smtp(
            host="127.0.0.1", port=sink.port, sender="alertd@example.org", username="alertd",
            password_file="smtp_password", timeout_s=timeout_s,
        )  # fmt: skip
        env = notifier_env(smtp=smtp, secrets={"smtp_password": CANARY})
        super().__init__("email", {"to": ["desk@example.org"]}, env)
        self.sink = sink

    def seen(self) -> str:
        return "\n".join(self.bodies())

    def bodies(self) -> Sequence[str]:
        return [mail.raw.decode("ascii") for mail in self.sink.mails]


LOGIN = ("alertd", CANARY)


def smtp_script(trouble: Trouble) -> SmtpSink:
    match trouble:
        case Trouble.LATER:
            return SmtpSink(login=LOGIN, data=f"451 4.3.0 {CANARY}")
        case Trouble.NEVER:
            return SmtpSink(login=LOGIN, data=f"554 5.7.1 {CANARY}")
        case Trouble.HANGS_UP:
            return SmtpSink(login=LOGIN, drop="data")
        case Trouble.HANGS:
            return SmtpSink(login=LOGIN, drop="hang")
        case Trouble.NONE | Trouble.NOBODY:
            return SmtpSink(login=LOGIN)


class EmailContract(NotifierContract):
    type_name = "email"

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        async with contextlib.AsyncExitStack() as stack:
            sink = await stack.enter_async_context(smtp_script(trouble))
            rig = EmailRig(sink, SOON_S if trouble is Trouble.HANGS else LONG_S)
            if trouble is Trouble.NOBODY:
                await sink.__aexit__(None, None, None)
            stack.push_async_callback(rig.notifier.aclose)
            yield rig


class AppriseRig(Rig):
    def __init__(self, sink: HttpSink) -> None:
        url = sink.url.replace("http://", "json://") + SECRET_PATH
        super().__init__("apprise", {"url": url}, notifier_env())
        self.sink = sink

    def seen(self) -> str:
        return "\n".join(json.dumps([dict(one.headers), one.body.decode()]) for one in self.sink.requests)

    def bodies(self) -> Sequence[str]:
        said = [json.loads(one.body) for one in self.sink.requests]
        return [f"{one['title']}\n\n{one['message']}" for one in said]


class AppriseContract(NotifierContract):
    type_name = "apprise"
    # Apprise gives no reason for a failure, so failures are always retried. It has its own timeouts.
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = dict.fromkeys(
        (Trouble.LATER, Trouble.NEVER, Trouble.NOBODY), (Retry, False)
    )

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        async with contextlib.AsyncExitStack() as stack:
            sink = await stack.enter_async_context(HttpSink(HttpContract.troubled.get(trouble, Answer())))
            rig = AppriseRig(sink)
            if trouble is Trouble.NOBODY:
                await sink.__aexit__(None, None, None)
            stack.push_async_callback(rig.notifier.aclose)
            yield rig


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class ConsoleRig(Rig):
    def __init__(self, out: io.StringIO) -> None:
        super().__init__("console", {}, notifier_env(out=out))
        self.out = out

    def seen(self) -> str:
        return self.out.getvalue()


class ConsoleContract(NotifierContract):
    type_name = "console"
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = {Trouble.LATER: (Retry, False)}

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        yield ConsoleRig(FullDisk() if trouble is Trouble.LATER else io.StringIO())


class FileRig(Rig):
    def __init__(self, path: Path) -> None:
        super().__init__("file", {"path": str(path)}, notifier_env())
        self.path = path

    def seen(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""


class FileContract(NotifierContract):
    type_name = "file"
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = {Trouble.LATER: (Retry, False)}

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        with tempfile.TemporaryDirectory() as folder:
            yield FileRig(Path(folder, "no-such-folder" if trouble is Trouble.LATER else "", "seen.jsonl"))


SCRIPTS = {
    Trouble.NONE: "exit 0",
    Trouble.LATER: "echo not now; exit 75",
    Trouble.NEVER: "echo never; exit 65",
    Trouble.HANGS_UP: "kill -KILL $$",
    Trouble.HANGS: "sleep 600",
}


class ExecRig(Rig):
    def __init__(self, path: Path, trouble: Trouble, timeout_s: float) -> None:
        # Everything that arrives is recorded before a failure is simulated.
        script = f'cat >> "$0"; env | grep ALERTD >> "$0.env"; {SCRIPTS.get(trouble, "")}'
        command = ["/bin/sh", "-c", script, str(path)]
        if trouble is Trouble.NOBODY:
            command = [str(path.parent / "no-such-program")]
        super().__init__("exec", {"command": command, "timeout": timeout_s}, notifier_env())
        self.path = path

    def seen(self) -> str:
        paths = (self.path, self.path.with_suffix(".env"))
        return "\n".join(one.read_text(encoding="utf-8") for one in paths if one.exists())

    def bodies(self) -> Sequence[str]:
        return [self.path.read_text(encoding="utf-8")]


class ExecContract(NotifierContract):
    type_name = "exec"

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        with tempfile.TemporaryDirectory() as folder:
            yield ExecRig(Path(folder, "seen"), trouble, SOON_S if trouble is Trouble.HANGS else LONG_S)

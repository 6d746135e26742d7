"""One rig for each built-in notifier: the notifier, made of options, and a real peer of it."""

import contextlib
import io
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from alertd.core.config import Smtp
from alertd.notify.kit import Env
from alertd.notify.registry import installed
from alertd.ports import Notifier
from alertd.testing import Answer, Fault, HttpSink, SmtpSink, notifier_env

CANARY = "canary-5f0c9b"
"""Every secret of every rig. It must come out nowhere but at the peer."""

SECRET_PATH = f"/{CANARY}?key={CANARY}"


class Trouble(Enum):
    """What the peer does."""

    NONE = auto()
    LATER = auto()
    NEVER = auto()
    NOBODY = auto()
    HANGS_UP = auto()
    HANGS = auto()


class Rig:
    """One notifier, made of options, and what its receiver saw."""

    def __init__(self, type_name: str, options: Mapping[str, object], env: Env) -> None:
        made = installed()[type_name].load()
        self.options = made.Options.model_validate(options)
        self.env = env
        self.notifier: Notifier = made(self.options, env)

    def seen(self) -> str:
        """All that the receiver got, as text."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service that is spoken to by HTTP.

    Attributes:
        options: from the address of a server to the options that lead there.
        takes: the answers that say that it has taken the message, the usual one first.
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


class HttpRig(Rig):
    def __init__(self, type_name: str, sink: HttpSink, url: str, timeout_s: float = 5.0) -> None:
        options = {**SERVICES[type_name].options(url), "timeout": timeout_s}
        super().__init__(type_name, options, notifier_env())
        self.sink = sink

    def seen(self) -> str:
        return seen_by(self.sink)


def seen_by(sink: HttpSink) -> str:
    return "\n".join(json.dumps([dict(one.headers), one.body.decode()]) for one in sink.requests)


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
        return "\n".join(mail.raw.decode("ascii") for mail in self.sink.mails)


class AppriseRig(Rig):
    def __init__(self, sink: HttpSink) -> None:
        url = sink.url.replace("http://", "json://") + SECRET_PATH
        super().__init__("apprise", {"url": url}, notifier_env())
        self.sink = sink

    def seen(self) -> str:
        return seen_by(self.sink)


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class ConsoleRig(Rig):
    def __init__(self, out: io.StringIO) -> None:
        super().__init__("console", {}, notifier_env(out=out))
        self.out = out

    def seen(self) -> str:
        return self.out.getvalue()


class FileRig(Rig):
    def __init__(self, path: Path) -> None:
        super().__init__("file", {"path": str(path)}, notifier_env())
        self.path = path

    def seen(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""


SCRIPTS = {
    Trouble.NONE: "exit 0",
    Trouble.LATER: "echo not now; exit 75",
    Trouble.NEVER: "echo never; exit 65",
    Trouble.HANGS_UP: "kill -KILL $$",
    Trouble.HANGS: "sleep 600",
}


class ExecRig(Rig):
    def __init__(self, path: Path, trouble: Trouble, timeout_s: float) -> None:
        # All that comes is written down before anything goes wrong.
        script = f'cat > "$0"; env | grep ALERTD >> "$0"; {SCRIPTS.get(trouble, "")}'
        command = ["/bin/sh", "-c", script, str(path)]
        if trouble is Trouble.NOBODY:
            command = [str(path.parent / "no-such-program")]
        super().__init__("exec", {"command": command, "timeout": timeout_s}, notifier_env())
        self.path = path

    def seen(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""


HTTP_SCRIPT = {
    Trouble.LATER: Answer(status=503, body=CANARY.encode()),
    Trouble.NEVER: Answer(status=403, body=CANARY.encode()),
    Trouble.HANGS_UP: Answer(fault=Fault.RESET),
    Trouble.HANGS: Answer(fault=Fault.HANG),
}

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


@contextlib.asynccontextmanager
async def rig_for(type_name: str, trouble: Trouble) -> AsyncIterator[Rig]:
    timeout_s = 0.3 if trouble is Trouble.HANGS else 10.0
    async with contextlib.AsyncExitStack() as stack:
        rig: Rig
        if type_name == "console":
            rig = ConsoleRig(FullDisk() if trouble is Trouble.LATER else io.StringIO())
        elif type_name in ("exec", "file"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if type_name == "exec":
                rig = ExecRig(folder / "seen", trouble, timeout_s)
            else:
                rig = FileRig(folder / ("no-such-folder" if trouble is Trouble.LATER else "") / "seen.jsonl")
        elif type_name == "email":
            sink = smtp_script(trouble)
            await stack.enter_async_context(sink)
            rig = EmailRig(sink, timeout_s)
            if trouble is Trouble.NOBODY:
                await sink.__aexit__(None, None, None)
        else:
            usual = Answer() if type_name == "apprise" else SERVICES[type_name].takes[0]
            server = HttpSink(HTTP_SCRIPT.get(trouble, usual))
            await stack.enter_async_context(server)
            rig = (
                AppriseRig(server)
                if type_name == "apprise"
                else HttpRig(type_name, server, server.url, timeout_s)
            )
            if trouble is Trouble.NOBODY:
                await server.__aexit__(None, None, None)
        stack.push_async_callback(rig.env.http.aclose)
        stack.push_async_callback(rig.notifier.aclose)
        yield rig

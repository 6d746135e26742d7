"""Prometheus Alertmanager: a group for each alert, posted at once. It writes nothing down before it stops.

``ALERTMANAGER=PATH`` names the program; otherwise it is searched for on the PATH.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.kit.postgres import Postgres
from bench.kit.process import start_child, wait_until
from bench.kit.sink import Sink
from bench.peers import PeerFailed
from tests.postgres import free_port

NAME = "Alertmanager"
DESCRIPTION = "its notification log is in memory until it stops, so a crash forgets who was told"
PER_REQUEST = 500
MISSING = "not installed (Debian's package prometheus-alertmanager, or ALERTMANAGER=PATH)"


@contextmanager
def prepare(sink: Sink, _postgres: Postgres | None) -> Iterator[Callable[[int], float] | str]:
    program = os.environ.get("ALERTMANAGER") or shutil.which("prometheus-alertmanager")
    yield (lambda count: send(program, sink, count)) if program else MISSING


def send(program: str, sink: Sink, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(
            "route: {receiver: hook, group_by: [id], group_wait: 0s, group_interval: 1h}\n"
            "receivers: [{name: hook, webhook_configs: [{"
            f"url: '{sink.url}/peer', send_resolved: false}}]}}]\n",
            encoding="utf-8",
        )
        port = free_port()
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        with start_child(command) as child:
            wait_until(lambda: child.poll() is not None or _ask(port, "GET", "/-/ready"), NAME, 30.0)
            if child.poll() is not None:
                raise PeerFailed(f"{program} does not start")
            sink.reset()
            for first in range(0, count, PER_REQUEST):
                alerts = [
                    {"labels": {"alertname": "Due", "id": f"m{number}"}, "annotations": {"text": "x" * 600}}
                    for number in range(first, min(first + PER_REQUEST, count))
                ]
                if not _ask(port, "POST", "/api/v2/alerts", json.dumps(alerts)):
                    raise PeerFailed("it did not take the alerts")
            report = sink.wait_for(count)
    return (count - 1) / (report.last - report.first)


def _ask(port: int, method: str, path: str, body: str | None = None) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()

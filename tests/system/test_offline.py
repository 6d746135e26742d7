"""The plugin of `make quick`, `tests.offline`: no test that uses a server passes there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
REFUSED = {
    "listens": "socket.create_server(('127.0.0.1', 0))",
    "connects": "socket.socket().connect(('127.0.0.1', 9))",
    "sends": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "resolves": "socket.getaddrinfo('localhost', 80)",
    "starts": "subprocess.run(['true'])",
    "serves": "asyncio.run(asyncio.start_server(lambda reader, writer: None, '127.0.0.1'))",
}
ALLOWED = {
    "loops": "asyncio.run(asyncio.sleep(0))",
    "writes": "(tmp_path / 'file').touch()",
    "binds_locally": "socket.socket(socket.AF_UNIX).bind(str(tmp_path / 'socket'))",
}


@pytest.mark.server
def test_a_test_that_uses_a_server_fails(tmp_path: Path) -> None:
    """The test fails even if it catches the exception. Other tests pass."""
    lines = ["import asyncio, contextlib, socket, subprocess"]
    for name, use in (REFUSED | ALLOWED).items():
        lines.append(f"def test_{name}(tmp_path):\n    with contextlib.suppress(OSError):\n        {use}")
    (tmp_path / "test_uses.py").write_text("\n".join(lines))

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.offline", "-q", "-rE", "-c", os.devnull, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert set(re.findall(r"^ERROR .*::test_(\w+)", ran.stdout, re.MULTILINE)) == set(REFUSED), ran.stdout
    assert ran.stdout.count("a test without the mark server used") >= len(REFUSED)

"""The certificates of a daemon's notifiers: a thread reads them, and a send needs no file."""

import asyncio
import io
import shutil
from pathlib import Path

import pytest

from alertd import app
from alertd.app import AccessFiles
from alertd.core.ledger.outcome import Retry, Sent
from alertd.notify.http.client import HttpClient
from alertd.system.clock import SystemClock
from alertd.system.settings import read_settings
from alertd.testing import HttpSink, sample_message
from tests.notify.test_tls import Party
from tests.scene import a_log


@pytest.fixture
def ours(tmp_path: Path) -> Party:
    return Party(tmp_path / "ours")


async def test_send_needs_no_certificate_file(tmp_path: Path, ours: Party) -> None:
    """The files are gone after they were loaded, and new ones are used once they have been read."""
    folder = tmp_path / "config"
    (folder / "milestones").mkdir(parents=True)
    http = HttpClient()
    async with HttpSink(tls=ours.server(asks=True)) as sink:
        named = f"ca_file: {ours.folder}/ca.pem, client_cert_file: {ours.folder}/both.pem"
        (folder / "alertd.yaml").write_text(
            "receivers:\n- name: desk\n  notifiers:\n"
            f"  - {{type: webhook, url: '{sink.url}/hook', {named}}}\n"
        )
        settings = read_settings(config=folder, database=f"sqlite:///{tmp_path / 'ledger.db'}")
        files = AccessFiles(settings, a_log()[0], "")
        config = app.load_definitions(settings).config
        assert config is not None
        files.watch(config)
        notifiers = app.make_notifiers(
            config,
            folder,
            http,
            SystemClock(),
            io.StringIO(),
            secret=files.read_secret,
            template=files.read_template,
            tls=files.find_tls,
        )
        shutil.move(ours.folder, tmp_path / "away")

        gone = await notifiers["desk/webhook"].send(sample_message(), {})
        await asyncio.to_thread(files.kept.refresh)
        still = await notifiers["desk/webhook"].send(sample_message(), {})
        problems = files.kept.problems
        Party(ours.folder)
        await asyncio.to_thread(files.kept.refresh)
        other = await notifiers["desk/webhook"].send(sample_message(), {})
        await http.aclose()

    assert isinstance(gone, Sent)
    assert isinstance(still, Sent)
    assert len(problems) == 1
    assert "its last good content stays in use" in problems[0]
    # The server's certificate is of the first CA.
    assert isinstance(other, Retry)
    assert "not trusted" in other.reason

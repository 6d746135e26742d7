"""`alertd preview` shows the exact bytes that would be sent, and sends nothing."""

import asyncio
import json
from email import message_from_string
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alertd.core.milestones.occurrence import Cause
from alertd.notify.base import Env, Renders
from alertd.notify.registry import list_usable
from alertd.ports import Notifier
from alertd.testing import Answer, HttpSink, notifier_env, sample_message, with_links
from alertd.testing.contract import CANARY
from tests.cli.stage import SHIPPED, Ran, run, write_folder
from tests.notify.slack_server import TOKEN, SlackServer

NOWHERE = "http://127.0.0.1:9"
CONFIG = f"""
route: {{receiver: desk, routes: [{{receiver: other, matchers: ['cause="moved"'], continue: true}}]}}
receivers:
  - name: desk
    notifiers:
      - {{type: console}}
      - {{type: email, to: [desk@example.org]}}
      - {{type: slack, webhook_url: "{NOWHERE}/{CANARY}"}}
      - {{type: ntfy, server: "{NOWHERE}", topic: {CANARY}}}
      - {{type: pagerduty, api_url: "{NOWHERE}", routing_key_file: no-such-file}}
      - type: webhook
        url: "{NOWHERE}/{CANARY}"
        format: template
        content_type: text/plain
        template: |
          {{{{ subject }}}} <b> {{% for item in items %}}{{{{ item.milestone }}}}{{% endfor %}}
  - {{name: other, notifiers: [{{type: console}}]}}
  - {{name: nobody}}
smtp: {{host: 127.0.0.1, port: 9, from: alertd@example.org}}
"""
PHASE_2 = "iraq-coalition-withdrawal/phase-2"
TIMELINE = (SHIPPED / "milestones" / "iraq-coalition-withdrawal.yaml").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path, CONFIG, iraq=TIMELINE)


def preview(folder: Path, *args: str, receiver: str = "desk") -> Ran:
    return run("preview", receiver, "phase-2", "--config", folder, *args)


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_is_shown_for_each_notifier(cause: Cause, folder: Path) -> None:
    ran = preview(folder, "--cause", cause, "--format", "json")

    rows = json.loads(ran.out)
    assert ran.code == 0
    assert [row["type"] for row in rows] == ["console", "email", "slack", "ntfy", "pagerduty", "webhook"]
    assert all(row["body"] for row in rows)
    assert CANARY not in ran.out
    assert json.loads(rows[3]["body"])["topic"] == "[hidden]"
    assert json.loads(rows[4]["body"])["routing_key"] == "[hidden]"
    mail = message_from_string(rows[1]["body"], policy=SMTP)
    assert mail["X-Alertd-Cause"] == cause


def test_on_a_terminal_a_mail_is_its_text_and_json_has_its_line_breaks(folder: Path) -> None:
    ran = preview(folder, "--cause", "due", "--at", "2026-09-30")

    assert ran.code == 0
    assert "── desk/email · message/rfc822" in ran.out
    assert "From: alertd@example.org\nTo: desk@example.org\nSubject: Due today" in ran.out
    assert "Enclosed: deadline.ics" in ran.out
    assert "    by September 2026\n" in ran.out
    assert "Content-Type" not in ran.out
    assert "\\n" not in ran.out
    assert "· alertd\n" in ran.out


def test_a_form_is_shown_as_people_read_it_and_in_json_to_the_byte(tmp_path: Path) -> None:
    notifier = "{type: sms, account: AC1, token_file: no-such-file, from: alertd, to: ['+4915112345678']}"
    config = f"receivers: [{{name: desk, notifiers: [{notifier}]}}]\nroute: {{receiver: desk}}\n"
    folder = write_folder(tmp_path, config, iraq=TIMELINE)

    shown = preview(folder, "--cause", "due", "--at", "2026-09-30")
    (row,) = json.loads(preview(folder, "--cause", "due", "--at", "2026-09-30", "--format", "json").out)

    assert (shown.code, row["media_type"]) == (0, "application/x-www-form-urlencoded")
    assert "To: +4915112345678\nFrom: alertd\nBody: Today: Forces stationed" in shown.out
    assert row["body"].startswith("To=%2B4915112345678&From=alertd&Body=Today%3A+Forces+stationed")


class Outline(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_holds_the_mail_as_it_is_and_runs_and_fetches_nothing(folder: Path, tmp_path: Path) -> None:
    rows = json.loads(preview(folder, "--cause", "overdue", "--format", "json").out)
    mail = message_from_string(rows[1]["body"], policy=SMTP)
    part = mail.get_body(("html",))
    assert part is not None
    html = part.get_content()

    ran = preview(folder, "--cause", "overdue", "--format", "html", "--out", str(tmp_path / "seen.html"))

    assert (ran.code, ran.out) == (0, f"wrote {tmp_path / 'seen.html'}\n")
    page = (tmp_path / "seen.html").read_text(encoding="utf-8")
    tags = Outline(page).tags
    (frame,) = [attributes for tag, attributes in tags if tag == "iframe"]
    assert (frame["srcdoc"] or "").splitlines() == html.splitlines()
    assert "sandbox" in frame
    assert not [tag for tag, _ in tags if tag in ("script", "link", "img", "form")]
    assert not [
        attribute
        for _, attributes in tags
        for attribute in attributes
        if attribute == "src" or attribute.startswith("on")
    ]
    assert "&lt;b&gt; iraq-coalition-withdrawal/phase-2" in page
    assert '<div class="slack"><div class="message">' in page
    assert CANARY not in page


def test_what_is_supposed_and_what_nobody_would_get_is_said_beside_it(folder: Path) -> None:
    moved = preview(folder, "--cause", "moved", receiver="other")
    due = preview(folder, "--cause", "due", receiver="other")

    assert (moved.code, due.code) == (0, 0)
    assert moved.err == "alertd: The date from which it moved is made up.\n"
    assert due.err == f"alertd: no route leads this to other; `alertd explain {PHASE_2}` says who gets it\n"


def test_a_receiver_without_notifiers_shows_nothing(folder: Path) -> None:
    ran = preview(folder, "--cause", "due", receiver="nobody")

    assert "nobody has no notifier: nothing would be sent" in ran.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("desk", "phase-2", "--cause", "overdu"), 2, "overdu"),
        (("desk", "phase-2"), 2, "--cause"),
        (("desk", "phase-7", "--cause", "due"), 1, "no milestone 'phase-7'"),
        (("desks", "phase-2", "--cause", "due"), 1, "did you mean desk?"),
        (("desk", "phase-2", "--cause", "due", "--at", "soon"), 2, "soon"),
        (("desk", "phase-2", "--cause", "due", "--out", "/no/such/folder/x"), 2, "No such file"),
    ],
)
def test_what_is_wrong_is_said(args: tuple[str, ...], code: int, said: str, folder: Path) -> None:
    ran = run("preview", *args, "--config", folder)

    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err


def made(type_name: str, env: Env, **options: object) -> Notifier:
    kind = list_usable()[type_name].load()
    return kind(kind.Options.model_validate(options), env)


def both(type_name: str, sink: HttpSink, name: str, **options: object) -> tuple[list[str], list[str]]:
    """Return what a notifier shows of a sample, and what its receiver then gets."""

    async def sending() -> tuple[list[str], list[str]]:
        env = notifier_env()
        async with sink:
            placed = {key: value.replace(NOWHERE, sink.url) if isinstance(value, str) else value
                      for key, value in options.items()}  # fmt: skip
            notifier = made(type_name, env, **placed)
            assert isinstance(notifier, Renders)
            message = with_links(sample_message(name))
            shown = [rendered.text for rendered in notifier.render(message)]
            await notifier.send(message, {})
            await env.http.aclose()
            return shown, [request.body.decode() for request in sink.requests]

    return asyncio.run(sending())


@pytest.mark.parametrize("name", ["contested", "due", "many", "digest", "notice"])
@pytest.mark.parametrize("thread", [True, False])
def test_a_slack_bot_shows_what_it_posts(name: str, *, thread: bool) -> None:
    shown, sent = both(
        "slack", SlackServer(), name, api_url=NOWHERE, token=TOKEN, channel="#deadlines", thread=thread
    )

    assert shown == sent


@pytest.mark.parametrize("name", ["contested", "due", "many"])
def test_a_forum_of_discord_shows_the_post_that_it_begins(name: str) -> None:
    answer = Answer(body=b'{"id": "1", "channel_id": "2"}')

    shown, sent = both("discord", HttpSink(answer), name, url=f"{NOWHERE}/x", forum=True)

    assert shown == sent
    assert "thread_name" in shown[0]


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary", "alertmanager"])
def test_a_webhook_shows_its_format(form: str) -> None:
    shown, sent = both("webhook", HttpSink(), "contested", url=NOWHERE, format=form)

    assert shown == sent

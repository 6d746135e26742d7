"""``alertd init`` and ``alertd schema``: write a first configuration, and print the schemas of files."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Schema(StrEnum):
    """The file or the request body whose JSON Schema is printed."""

    CONFIG = "config"
    TIMELINE = "timeline"
    WEBHOOK = "webhook"


def init(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder; it is created if it does not exist.", show_default=False
        ),
    ],
) -> None:
    """Write a first configuration.

    The configuration has comments and an example, and works unchanged. Nothing is overwritten.
    """
    from alertd import app
    from alertd.errors import SettingsError

    files = {folder / name: text for name, text in make_starter_files(app.now().date()).items()}
    for path in files:
        if path.exists() or path.is_symlink():
            raise SettingsError(f"{path} is there already; nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    for path in files:
        typer.echo(f"wrote {path}")
    typer.echo(
        f"\nWhat it would send:  alertd plan --config {folder} --to 1y"
        f"\nWhether it is right: alertd check --config {folder}"
        f"\nRun it:              alertd run --config {folder}"
    )


def schema(
    which: Annotated[
        Schema,
        typer.Argument(help="The schema of alertd.yaml, of a file in milestones/, or of a webhook's body."),
    ] = Schema.CONFIG,
) -> None:
    """Print the JSON Schema of a file, or of a webhook's body."""
    from alertd.definitions.schema import format_schema, make_config_schema, make_timeline_schema
    from alertd.notify.webhook.payload_schema import build_webhook_schema

    makers = {
        Schema.CONFIG: make_config_schema,
        Schema.TIMELINE: make_timeline_schema,
        Schema.WEBHOOK: build_webhook_schema,
    }
    typer.echo(format_schema(makers[which]()), nl=False)


CONFIG = """\
# Who is reminded, and when. This file works unchanged: it prints every reminder on the terminal.
# `alertd check` lists the problems in this file; `alertd schema` prints its JSON Schema, with all keys.

# The time zone of time intervals, and of timelines that set no zone.
timezone: UTC

# A reminder that is later than this (because the machine was off, or an old date was added) is recorded
# but not sent.
catch_up: 35d

policies:
  # A policy sets which reminders a milestone gets. A timeline or a milestone can name another policy from
  # this list, or change single keys:  policy: {before: [1y, 90d]}
  default:
    opens: true                      # remind when the month, quarter or year of the deadline begins
    before: [90d, 30d, 7d, 1d]       # remind this long before the last day of the deadline
    on_day: true                     # remind on the last day
    after: [1d, 7d, 14d, 28d]        # remind this long after it, until: alertd ack | done | cancel
    # then_every: 28d                # after the last of these, repeat at this interval
    at: "09:00"                      # the time of day, in the milestone's zone
    contested: each                  # if sources disagree: each date, or earliest, latest, preferred

# Times at which a route can be silent. Reminders that fall due then are sent when the interval ends.
# time_intervals:
#   - name: weekend
#     time_intervals:
#       - weekdays: [saturday, sunday]

# Which receiver gets which reminders. A reminder follows the first route that matches it; a reminder that
# no route matches goes to the receiver named here.
route:
  receiver: desk
  group_by: [timeline]               # reminders of a timeline that are due together are one message
  # routes:
  #   - matchers: ['cause=~"overdue|moved"']
  #     receiver: leads
  #     continue: true               # also try the routes after this one, so that desk gets it too
  #     mute_time_intervals: [weekend]

receivers:
  - name: desk
    notifiers:
      - type: console
      # - type: slack
      #   webhook_url_file: slack_url      # the name of a systemd credential or a path, not the secret
      # - type: email
      #   to: [desk@example.org]
  # - name: leads
  #   notifiers:
  #     - type: webhook
  #       url: https://example.org/hook
  #       secret_file: hook_secret

# These receivers get the reminders that could not be delivered, and reports of problems in alertd itself.
fallback_receiver: desk
operator: desk

# smtp:
#   host: localhost
#   port: 587
#   starttls: true
#   from: alertd@example.org
"""

TIMELINE = """\
# A timeline holds milestones that belong together. Full ids of milestones are example/launch and so on.
timeline: example
title: An example to be replaced
timezone: Europe/Berlin
labels: {{team: example}}            # routes can match labels

# The sources of the dates. Each message names the source of its date.
sources:
  vendor:
    who: Example Ltd, in its newsletter
    short: the vendor
    published: {published}
  auditor:
    who: The auditor's report
    short: the auditor

milestones:
  # A deadline can be a month. The milestone is then due by the month's last day, and messages name the month.
  # Other forms: 2026-09-30, 2026-Q3, 2026, 2026-09~ (about), 2025-09/2026-09, 2026-09-30T17:00
  - id: launch
    title: The new version is out
    deadline: {month}
    source: vendor

  # The sources disagree. Each date gets reminders, and every message names both dates.
  - id: audit
    title: The findings of the audit are closed
    claims:
      - {{deadline: {month}, source: vendor}}
      - {{deadline: {later}, source: auditor, note: by the end of the quarter}}

  # This deadline is 90 days after the deadline of `launch`, or after the day on which `launch` is done.
  - id: switch-off
    title: The old version is switched off
    after: launch + 90d

  # This milestone recurs. Each of its dates has an id, such as example/report@{report}.
  - id: report
    title: The monthly report is filed
    deadline: {report}
    repeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1
    policy: {{before: [3d], after: [1d]}}
"""


def make_starter_files(today: date) -> dict[str, str]:
    """Return the texts of the starter's files, by their paths within the folder.

    The dates in the example are some months after ``today``.
    """
    from alertd.core.time.duration import Duration, shift_date

    month = shift_date(today.replace(day=1), Duration(months=3))
    quarter = shift_date(month, Duration(months=3))
    report = shift_date(shift_date(today.replace(day=1), Duration(months=2)), Duration(days=-1))
    example = TIMELINE.format(
        published=today.isoformat(),
        month=f"{month:%Y-%m}",
        later=f"{quarter.year}-Q{(quarter.month + 2) // 3}",
        report=report.isoformat(),
    )
    return {"alertd.yaml": CONFIG, "milestones/example.yaml": example}

"""The text of the files that ``alertd init`` writes."""

from __future__ import annotations

from datetime import date

from alertd.core.time.duration import Duration, shift_date

CONFIG = """\
# Who is told, and when. Works as it is: everything is printed on the terminal.
# `alertd check` says what is wrong in here; `alertd schema` prints all keys that there are.

# The zone of timelines that name none, and of time intervals.
timezone: UTC

# Found later than this after it was due (the machine was off, an old date was added), a reminder is
# recorded and not sent any more.
catch_up: 35d

policies:
  # Which reminders a milestone gets. A timeline or a milestone can name another policy of this list, or
  # change single keys:  policy: {before: [1y, 90d]}
  default:
    opens: true                      # when a month, a quarter or a year that is the deadline begins
    before: [90d, 30d, 7d, 1d]       # counted back from its last day
    on_day: true
    after: [1d, 7d, 14d, 28d]        # once it has passed, until somebody says: alertd ack | done | cancel
    # then_every: 28d                # and after these again and again
    at: "09:00"                      # local to the milestone
    contested: each                  # sources disagree: each date, or the earliest, the latest, the preferred

# Times at which a route can be silent. What falls into them is sent when they end.
# time_intervals:
#   - name: weekend
#     time_intervals:
#       - weekdays: [saturday, sunday]

# Who is told what. The first route that takes a reminder has it; what none takes goes to this receiver.
route:
  receiver: desk
  group_by: [timeline]               # what is due at one time in one timeline is one message
  # routes:
  #   - matchers: ['cause=~"overdue|moved"']
  #     receiver: leads
  #     continue: true               # and desk gets it too
  #     mute_time_intervals: [weekend]

receivers:
  - name: desk
    notifiers:
      - type: console
      # - type: slack
      #   webhook_url_file: slack_url      # a systemd credential, or a path; never the secret itself
      # - type: email
      #   to: [desk@example.org]
  # - name: leads
  #   notifiers:
  #     - type: webhook
  #       url: https://example.org/hook
  #       secret_file: hook_secret

# Who is told what could not be delivered, and what goes wrong with alertd itself.
fallback_receiver: desk
operator: desk

# smtp:
#   host: localhost
#   port: 587
#   starttls: true
#   from: alertd@example.org
"""

TIMELINE = """\
# One timeline: milestones that belong together. Its milestones are called example/launch and so on.
timeline: example
title: An example to be replaced
timezone: Europe/Berlin
labels: {{team: example}}            # what routes can match

# Who says so. Everybody who is told of a date is told on whose word.
sources:
  vendor:
    who: Example Ltd, in its newsletter
    short: the vendor
    published: {published}
  auditor:
    who: The auditor's report
    short: the auditor

milestones:
  # A month is a month: this is due by its last day, and messages say the month.
  # Also: 2026-09-30, 2026-Q3, 2026, 2026-09~ (about), 2025-09/2026-09, 2026-09-30T17:00
  - id: launch
    title: The new version is out
    deadline: {month}
    source: vendor

  # Sources disagree: each date reminds, and every message names both.
  - id: audit
    title: The findings of the audit are closed
    claims:
      - {{deadline: {month}, source: vendor}}
      - {{deadline: {later}, source: auditor, note: by the end of the quarter}}

  # Counted from another milestone: from its deadline, and once it is done from that day.
  - id: switch-off
    title: The old version is switched off
    after: launch + 90d

  # Again and again; each date has an id of its own, example/report@{report}.
  - id: report
    title: The monthly report is filed
    deadline: {report}
    repeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1
    policy: {{before: [3d], after: [1d]}}
"""


def starter_files(today: date) -> dict[str, str]:
    """The files by their names within the folder; the example's dates lie some months ahead of ``today``."""
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

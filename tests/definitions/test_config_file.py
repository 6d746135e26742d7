"""Test how `alertd.yaml` is read into a Config."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from alertd import app
from alertd.core.config import Config, Smtp, list_followers
from alertd.core.ledger.backpressure import Rate
from alertd.core.milestones.policy import Contested, Policy, Roll, WorkCalendar
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.core.time.duration import Duration
from alertd.definitions.config.read import read_config
from alertd.definitions.config.receivers import Options


def _config(text: str, options: Options) -> Config:
    read = read_config(text.encode(), options)
    assert not read.problems, [str(problem) for problem in read.problems]
    assert read.config is not None
    return read.config


@pytest.mark.parametrize("raw", [None, b"", b"# nothing\n", b"---\n{}\n"])
def test_nothing_is_a_configuration_that_prints(raw: bytes | None, options: Options) -> None:
    """Without a configuration, all reminders go to the console, grouped by timeline."""
    config = read_config(raw, options).config

    assert config is not None
    assert config.zone == ZoneInfo("UTC")
    assert config.policies == {"default": Policy()}
    assert config.route == Route(receiver="console", group_by=("timeline",), path="route")
    (notifier,) = config.receivers["console"].notifiers
    assert (notifier.name, notifier.type) == ("console", "console")
    assert isinstance(notifier.options, options["console"])
    assert config.smtp == Smtp()


def test_lengths_of_time(options: Options) -> None:
    """A day in such a duration is 24 hours, even when clocks change."""
    config = _config("catch_up: 5w\ndamping: 0d\nretry_for: 1d12h\nack_expires: P2D\n", options)

    assert config.catch_up == timedelta(days=35)
    assert config.damping == timedelta(0)
    assert config.retry_for == timedelta(hours=36)
    assert config.ack_expires == timedelta(days=2)


def test_a_policy_inherits_from_default_and_that_from_the_built_in(options: Options) -> None:
    """A policy inherits from ``default``, wherever that is in the file."""
    config = _config(
        """
policies:
  insistent: {then_every: 28d, after: [], at: "07:30"}
  default: {before: [7d, 1mo, 12h], on_day: false, opens: false, then_every: 7d, contested: latest}
  calm: {then_every: none}
""",
        options,
    )

    default = config.policies["default"]
    assert default.before == (Duration(months=1), Duration(days=7), Duration(seconds=43_200))
    assert (default.on_day, default.opens, default.contested) == (False, False, Contested.LATEST)
    assert default.after == Policy().after
    insistent = config.policies["insistent"]
    assert (insistent.before, insistent.after) == (default.before, ())
    assert (insistent.then_every, insistent.at) == (Duration(days=28), time(7, 30))
    assert insistent.name == "insistent"
    assert config.policies["calm"].then_every is None


def test_a_calendar_says_when_nobody_works(options: Options) -> None:
    """A calendar can list its weekend and its holidays."""
    config = _config(
        """
calendars:
  desk: {weekend: [friday, saturday], holidays: [2026-10-03]}
policies:
  default: {roll: earlier, calendar: desk}
""",
        options,
    )

    policy = config.policies["default"]
    assert policy.roll is Roll.EARLIER
    assert policy.calendar == WorkCalendar(
        name="desk", weekend=frozenset({4, 5}), holidays=frozenset({date(2026, 10, 3)})
    )


def test_a_country_fills_its_calendar(options: Options) -> None:
    """A calendar with a country has its weekend, its public holidays and the listed holidays."""
    config = _config(
        """
calendars:
  iraq: {country: IQ, holidays: [2026-03-03]}
  bavaria: {country: DE, subdivision: BY, weekend: [sunday]}
policies:
  iraq: {calendar: iraq}
  bavaria: {calendar: bavaria}
""",
        options,
    )

    iraq = config.policies["iraq"].calendar
    assert iraq.weekend == {4, 5}
    assert {date(2026, 1, 6), date(2060, 1, 6), date(2026, 3, 3)} <= iraq.holidays
    bavaria = config.policies["bavaria"].calendar
    assert bavaria.weekend == {6}
    assert date(2026, 1, 6) in bavaria.holidays  # not in all of Germany


@pytest.mark.server
def test_without_the_extra_a_country_is_refused_by_the_extras_name() -> None:
    """A calendar with a country needs the extra, and the error names the extra."""
    script = """
import sys
sys.modules["holidays"] = None  # makes the import fail, as without the package
from alertd.definitions.config.read import read_config
from alertd.definitions.config.receivers import Options
for text in (b"calendars: {desk: {weekend: [sunday]}}", b"calendars: {iraq: {country: IQ}}"):
    print([str(problem) for problem in read_config(text, {}).problems])
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "[]",
        "[\"alertd.yaml:1:29: 'IQ': holidays of a country need an extra; pip install 'alertd[holidays]'\"]",
    ]


def test_time_intervals_have_the_configurations_zone(options: Options) -> None:
    """Times are local to ``location``, or to ``timezone`` if there is no location."""
    config = _config(
        """
timezone: Asia/Baghdad
time_intervals:
  - name: night
    time_intervals:
      - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]
  - name: summer
    time_intervals:
      - {weekdays: ["monday:friday"], days_of_month: [1, "-3:-1"], months: [june], years: [2026],
         location: UTC}
route:
  receiver: console
  routes:
    - {mute_time_intervals: [night], active_time_intervals: [summer]}
""",
        options,
    )

    (child,) = config.route.routes
    (night,), (summer,) = child.mute, child.active
    assert night.contains(datetime(2026, 1, 1, 20, tzinfo=UTC))  # 23:00 in Baghdad
    assert not night.contains(datetime(2026, 1, 1, 4, tzinfo=UTC))
    assert summer.contains(datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert not summer.contains(datetime(2026, 6, 2, 12, tzinfo=UTC))


def test_the_tree_of_routes(options: Options) -> None:
    """The keys of routes have the same meaning as in Alertmanager."""
    config = _config(
        """
receivers: [{name: desk}, {name: leads}]
route:
  receiver: desk
  group_by: [...]
  routes:
    - matchers: ['country="iraq"', 'cause=~"overdue|moved"']
      receiver: leads
      continue: true
      group_by: []
      routes: [{matchers: [phase=2]}]
""",
        options,
    )

    assert config.route == Route(
        receiver="desk",
        group_by=("...",),
        path="route",
        routes=(
            Route(
                receiver="leads",
                matchers=(parse_matcher('country="iraq"'), parse_matcher('cause=~"overdue|moved"')),
                continue_=True,
                group_by=(),
                path="route.routes[0]",
                routes=(Route(matchers=(parse_matcher("phase=2"),), path="route.routes[0].routes[0]"),),
            ),
        ),
    )


def test_notifiers_get_options_of_their_own_kind(options: Options) -> None:
    """Each notifier's model converts its options, and two notifiers of one type have names."""
    config = _config(
        """
receivers:
  - name: desk
    notifiers:
      - {type: webhook, url: "https://example.org/a", codes: [200, 201], timeout: 5, verify: false}
      - {type: webhook, name: second, url: "https://example.org/b", headers: {X-Desk: 1}, rate: 20/min}
  - name: nobody
route: {receiver: desk}
operator: desk
fallback_receiver: nobody
""",
        options,
    )

    first, second = config.receivers["desk"].notifiers
    webhook = options["webhook"]
    assert (first.name, second.name) == ("webhook", "second")
    assert (first.rate, second.rate) == (None, Rate(messages=20, per_s=60.0))
    assert first.options == webhook(url="https://example.org/a", codes=[200, 201], timeout=5.0, verify=False)
    assert second.options == webhook(url="https://example.org/b", headers={"X-Desk": "1"})
    assert config.receivers["nobody"].notifiers == ()
    assert (config.operator, config.fallback_receiver) == ("desk", "nobody")


def test_what_follows_is_what_its_options_say() -> None:
    config = _config(
        """
receivers:
  - name: desk
    notifiers:
      - {type: pagerduty, routing_key_file: key}
      - {type: slack, token_file: token, channel: C024BE91L}
      - {type: slack, name: hook, webhook_url_file: url}
      - {type: email, to: [desk@example.org]}
      - {type: console}
""",
        app.OptionModels(),
    )

    assert list_followers(config.receivers["desk"]) == ("pagerduty", "slack")


def test_one_receiver_needs_no_route(options: Options) -> None:
    """Without a route, the only receiver gets everything."""
    config = _config("receivers: [{name: desk}]\n", options)

    assert config.route == Route(receiver="desk", group_by=("timeline",), path="route")


def test_the_mail_relay(options: Options) -> None:
    """Every key of ``smtp`` sets its field."""
    config = _config(
        """
smtp:
  host: mail.example.org
  port: 587
  starttls: true
  tls: false
  insecure_auth: true
  from: Deadlines <alertd@example.org>
  username: alertd
  password_file: smtp_password
  ca_file: /etc/ssl/own.pem
  timeout: 1min
""",
        options,
    )

    assert config.smtp == Smtp(
        host="mail.example.org",
        port=587,
        starttls=True,
        tls=False,
        insecure_auth=True,
        sender="Deadlines <alertd@example.org>",
        username="alertd",
        password_file="smtp_password",
        ca_file="/etc/ssl/own.pem",
        timeout_s=60.0,
    )


@pytest.mark.parametrize(
    ("text", "port", "starttls", "tls"),
    [
        ("host: mail.example.org", 25, False, False),
        # A password turns on TLS and the port for submission.
        ("{host: mail.example.org, username: u}", 587, True, False),
        ("{host: localhost, username: u}", 587, True, False),
        ("{host: mail.example.org, username: u, tls: true}", 465, False, True),
        ("{host: mail.example.org, tls: true}", 465, False, True),
        ("{host: mail.example.org, username: u, port: 2525}", 2525, True, False),
        # The password is sent without TLS only on this machine or if the file allows it.
        ("{host: 127.0.0.1, username: u, starttls: false}", 587, False, False),
        ("{host: mail.internal, username: u, starttls: false, insecure_auth: true}", 587, False, False),
    ],
)
def test_how_mail_is_secured(options: Options, text: str, port: int, *, starttls: bool, tls: bool) -> None:
    """The defaults of ``smtp`` are secure."""
    smtp = _config(f"smtp: {text}\n" if text.startswith("{") else f"smtp: {{{text}}}\n", options).smtp

    assert (smtp.port, smtp.starttls, smtp.tls) == (port, starttls, tls)


def test_a_digest_and_quiet_hours_are_of_the_receivers_zone(options: Options) -> None:
    """Digests and quiet hours use the receiver's time zone, or the file's if the receiver has none."""
    config = _config(
        """
timezone: Asia/Baghdad
receivers:
  - {name: a, timezone: Europe/Berlin, quiet: {from: "22:00", to: "07:00", except: ['cause="due"']}}
  - {name: b, quiet: {days: [sunday, saturday]}}
route:
  receiver: a
  digest: {every: [thursday, monday], at: "08:00", ahead: 7d, even_if_empty: true}
  routes:
    - {matchers: ['a="1"'], digest: {every: month}}
    - {matchers: ['a="2"'], receiver: b, digest: {every: day}}
    - {matchers: ['a="3"'], digest: {every: sunday, timezone: UTC}}
""",
        options,
    )

    root, routes = config.route, config.route.routes
    assert root.digest is not None
    assert root.digest.name == "every Monday and Thursday at 08:00 (Europe/Berlin)"
    assert (root.digest.ahead, root.digest.even_if_empty) == (timedelta(days=7), True)
    assert [route.digest.name for route in routes if route.digest] == [
        "on the first day of every month at 09:00 (Europe/Berlin)",
        "every day at 09:00 (Asia/Baghdad)",
        "every Sunday at 09:00 (UTC)",
    ]
    assert {name: quiet.hours.name for name, quiet in root.quiet.items()} == {
        "a": "22:00 to 07:00 (Europe/Berlin)",
        "b": "all Saturday and Sunday (Asia/Baghdad)",
    }
    assert root.quiet["a"].exempt == (parse_matcher('cause="due"'),)
    # Friday, 22:30 and Saturday, 01:00 in Berlin; Saturday in Baghdad.
    night, weekend = root.quiet["a"].hours, root.quiet["b"].hours
    assert night.contains(datetime(2026, 10, 2, 20, 30, tzinfo=UTC))
    assert not night.contains(datetime(2026, 10, 2, 19, 30, tzinfo=UTC))
    assert weekend.contains(datetime(2026, 10, 2, 21, tzinfo=UTC))
    assert not weekend.contains(datetime(2026, 10, 4, 21, tzinfo=UTC))

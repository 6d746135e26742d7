"""Define the keys of `alertd.yaml`."""

from __future__ import annotations

from alertd.core.access import SCOPES, MetricsFor
from alertd.core.milestones.policy import Contested, Roll
from alertd.core.network import Reach
from alertd.core.routing.digest import DAY_NAMES
from alertd.core.routing.labels import LABEL_NAME
from alertd.core.time.interval import MONTHS, WEEKDAYS
from alertd.definitions.reading.keys import (
    DURATION,
    FLAG,
    LINK,
    NAME,
    PATH,
    ZONE,
    Key,
    Shape,
    either,
    is_a,
    listed,
    named,
    one_of,
    text,
)

MAX_RUNGS = 50
MAX_NOTIFIERS = 50
MAX_ALLOWED = 100
MAX_HOSTS = 100
MAX_PROXIES = 100
MAX_EMBED = 20
_RUNGS = listed(DURATION, most=MAX_RUNGS)
_RANGES = listed(text(NAME), most=100)
_NAMES = listed(text(NAME), most=100)
_CLOCK = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["09:00"]}
_END_CLOCK = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "examples": ["17:30"]}

POLICY = Shape(
    name="policy",
    words="a policy",
    keys={
        "before": Key(about="how long before the deadline's last day reminders are sent", schema=_RUNGS),
        "on_day": Key(about="whether a reminder is sent on the last day", schema=FLAG),
        "after": Key(about="how long after the deadline reminders are sent", schema=_RUNGS),
        "then_every": Key(
            about="interval of further reminders after the last of `after`; none: there are none",
            schema=either(DURATION, one_of("none")),
        ),
        "opens": Key(
            about="whether a reminder is sent on the first day of a deadline that is longer than a day",
            schema=FLAG,
        ),
        "at": Key(about="local time of day of the reminders, HH:MM", schema=_CLOCK),
        "contested": Key(
            about="which deadlines have reminders when sources disagree", schema=one_of(*Contested)
        ),
        "roll": Key(about="whether reminders are moved from days off to working days", schema=one_of(*Roll)),
        "calendar": Key(about="name of the calendar that defines the days off", schema=text(NAME)),
    },
)

CALENDAR = Shape(
    name="calendar",
    words="a calendar",
    keys={
        "weekend": Key(
            about="the weekdays off; the default is the country's weekend, or saturday and sunday",
            schema=listed(one_of(*WEEKDAYS), most=6),
        ),
        "country": Key(
            about="ISO 3166 code of the country whose public holidays are days off; needs alertd[holidays]",
            schema={"type": "string", "examples": ["IQ", "DE"], "maxLength": NAME},
        ),
        "subdivision": Key(
            about="ISO 3166-2 code of a part of the country, without the country's code", schema=text(NAME)
        ),
        "holidays": Key(
            about="further days off",
            schema=listed({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, most=5_000),
        ),
    },
    rules={"dependentRequired": {"subdivision": ["country"]}},
)

TIME_RANGE = Shape(
    name="time_range",
    words="a range of times",
    keys={
        "start_time": Key(about="HH:MM, included", schema=_CLOCK, required=True),
        "end_time": Key(about="HH:MM up to 24:00, not included", schema=_END_CLOCK, required=True),
    },
)

TIME_INTERVAL = Shape(
    name="time_interval",
    words="a time interval",
    keys={
        "times": Key(about="times of day", schema=listed(is_a("time_range"), most=100)),
        "weekdays": Key(about=f"such as monday:friday; {WEEKDAYS[0]} is the first", schema=_RANGES),
        "days_of_month": Key(
            about="such as 1:5, 15 or -3:-1", schema=listed({"type": ["string", "integer"]}, most=100)
        ),
        "months": Key(
            about=f"such as 1:3, {MONTHS[4]}:{MONTHS[7]} or {MONTHS[11]}",
            schema=listed({"type": ["string", "integer"]}, most=100),
        ),
        "years": Key(about="such as 2025:2026", schema=listed({"type": ["string", "integer"]}, most=100)),
        "location": Key(about="time zone of the interval; the default is this file's timezone", schema=ZONE),
    },
)

NAMED_INTERVAL = Shape(
    name="named_interval",
    words="a named time interval",
    keys={
        "name": Key(about="the name that routes refer to", schema=text(NAME), required=True),
        "time_intervals": Key(
            about="the intervals; the time matches if one of them contains it",
            schema=listed(is_a("time_interval"), least=1),
            required=True,
        ),
    },
)

ROUTE = Shape(
    name="route",
    words="a route",
    keys={
        "receiver": Key(
            about="name of the receiver; the default is the parent's receiver", schema=text(NAME)
        ),
        "matchers": Key(
            about='conditions such as country="iraq" or cause=~"overdue|moved"; all must match',
            schema=listed(text(1_024), most=100),
        ),
        "group_by": Key(
            about="labels by which reminders are grouped into one message; ... alone means every label",
            schema=either(
                {
                    **listed({"type": "string", "pattern": f"^{LABEL_NAME.pattern}$"}, most=100),
                    "uniqueItems": True,
                },
                {"type": "array", "items": {"const": "..."}, "minItems": 1, "maxItems": 1},
            ),
        ),
        "continue": Key(
            about="whether the routes after this one are tried too when this one matches", schema=FLAG
        ),
        "mute_time_intervals": Key(
            about="names of the time intervals in which the route sends nothing", schema=_NAMES
        ),
        "active_time_intervals": Key(
            about="names of the time intervals to which sending is limited", schema=_NAMES
        ),
        "digest": Key(
            about="when to send the route's reminders together, in a digest", schema=is_a("digest")
        ),
        "routes": Key(
            about="routes below this one; the first that matches is used", schema=listed(is_a("route"))
        ),
    },
)

_WEEKDAY = one_of(*DAY_NAMES)

DIGEST = Shape(
    name="digest",
    words="a digest",
    keys={
        "every": Key(
            about="day, month (its first day), a weekday or a list of weekdays",
            schema=either(
                one_of("day", "month", *DAY_NAMES),
                {**listed(_WEEKDAY, least=1, most=len(DAY_NAMES)), "uniqueItems": True},
            ),
            required=True,
        ),
        "at": Key(about="local time of day, HH:MM; the default is 09:00", schema=_CLOCK),
        "timezone": Key(about="time zone of the digest; the default is the receiver's", schema=ZONE),
        "ahead": Key(about="how far ahead the digest lists deadlines; the default is 14d", schema=DURATION),
        "even_if_empty": Key(about="whether an empty digest is sent too", schema=FLAG),
    },
)

QUIET = Shape(
    name="quiet",
    words="quiet",
    keys={
        "from": Key(about="HH:MM when quiet hours start", schema=_CLOCK),
        "to": Key(about="HH:MM when quiet hours end, on the next day if it is before `from`", schema=_CLOCK),
        "days": Key(
            about="weekdays on which nothing is sent all day",
            schema={**listed(_WEEKDAY, least=1, most=6), "uniqueItems": True},
        ),
        "except": Key(
            about='conditions for reminders that are sent anyway, such as cause="overdue"; all must match',
            schema=listed(text(1_024), most=100),
        ),
    },
    rules={
        "dependentRequired": {"from": ["to"], "to": ["from"]},
        "anyOf": [{"required": ["from"]}, {"required": ["days"]}],
    },
)

NOTIFIER = Shape(
    name="notifier",
    words="a notifier",
    keys={
        "type": Key(
            about="type of the notifier: console, webhook, slack, email and so on",
            schema=text(NAME),
            required=True,
        ),
        "name": Key(
            about="name, needed if the receiver has two notifiers of the same type; the default is the type",
            schema=text(NAME),
        ),
        "rate": Key(
            about="rate limit such as 1/s, 20/min or 100/h; the default is 1/s for slack and no limit "
            "for other types",
            schema={"type": "string", "examples": ["1/s", "20/min", "100/h"], "maxLength": 20},
        ),
    },
    is_open=True,
)

RECEIVER = Shape(
    name="receiver",
    words="a receiver",
    keys={
        "name": Key(about="the name that routes refer to", schema=text(NAME), required=True),
        "notifiers": Key(
            about="how messages are sent to the receiver", schema=listed(is_a("notifier"), most=MAX_NOTIFIERS)
        ),
        "timezone": Key(
            about="time zone of quiet hours and digests; the default is this file's timezone", schema=ZONE
        ),
        "quiet": Key(
            about="quiet hours: reminders that still apply are sent when they end", schema=is_a("quiet")
        ),
    },
)

SMTP = Shape(
    name="smtp",
    words="smtp",
    keys={
        "host": Key(about="host name or IP address of the mail relay", schema=text(255)),
        "port": Key(
            about="port of the mail relay; the default is 465 with tls, 587 with username, else 25",
            schema={"type": "integer", "minimum": 1, "maximum": 65_535},
        ),
        "starttls": Key(
            about="whether to require STARTTLS; the default is true with username",
            schema=FLAG,
        ),
        "tls": Key(about="whether to use TLS from the first byte (implicit TLS)", schema=FLAG),
        "insecure_auth": Key(about="whether the password may be sent without TLS", schema=FLAG),
        "from": Key(about="the sender, an address or Name <address>", schema=text(320)),
        "username": Key(about="user name for the relay", schema=text(320)),
        "password_file": Key(
            about="file with the password: a systemd credential or a path", schema=text(PATH)
        ),
        "ca_file": Key(about="file with CA certificates to trust instead of the system's", schema=text(PATH)),
        "client_cert_file": Key(about="file with the client certificate", schema=text(PATH)),
        "client_key_file": Key(
            about="file with the unencrypted key, unless client_cert_file contains it", schema=text(PATH)
        ),
        "timeout": Key(about="time limit for sending a message", schema=DURATION),
    },
    rules={
        "dependentRequired": {"client_key_file": ["client_cert_file"]},
        "not": {
            "properties": {"tls": {"const": True}, "starttls": {"const": True}},
            "required": ["tls", "starttls"],
        },
    },
)

NETWORK = Shape(
    name="network",
    words="network",
    keys={
        "policy": Key(about="which addresses alertd may connect to", schema=one_of(*Reach), required=True),
        "allow": Key(
            about="internal addresses and networks that are allowed with policy: public",
            schema=listed(text(NAME), most=MAX_ALLOWED),
        ),
    },
    rules={"if": {"required": ["allow"]}, "then": {"properties": {"policy": {"const": "public"}}}},
)

AUTH = Shape(
    name="auth",
    words="auth",
    keys={
        "tokens_file": Key(about="the file that `alertd token new` writes to", schema=text(PATH)),
        "users_file": Key(about="the file that `alertd user new` writes to", schema=text(PATH)),
        "proxy_header": Key(
            about="header in which a proxy of web.proxies names the user, such as X-Remote-User",
            schema=text(NAME),
        ),
        "proxy_scope": Key(
            about="what users named by the proxy may do; the default is act", schema=one_of(*SCOPES)
        ),
        "anonymous": Key(
            about="what users without a login may do; the default is nothing", schema=one_of(*SCOPES)
        ),
    },
    rules={"minProperties": 1, "dependentRequired": {"proxy_scope": ["proxy_header"]}},
)

WEB = Shape(
    name="web",
    words="web",
    keys={
        "external_url": Key(
            about="URL of the server for people, with which links in messages start", schema=LINK
        ),
        "auth": Key(
            about="how users log in; none: every user may do everything",
            schema=either(one_of("none"), is_a("auth")),
        ),
        "hosts": Key(
            about="further host names of the server, besides this machine's and external_url's",
            schema=listed(text(NAME), most=MAX_HOSTS),
        ),
        "proxies": Key(
            about="addresses and networks of trusted proxies, whose X-Forwarded-For is used",
            schema=listed(text(NAME), most=MAX_PROXIES),
        ),
        "secret_file": Key(
            about="file with the secret that signs sessions and links; the same on all nodes",
            schema=text(PATH),
        ),
        "embed": Key(
            about="sites whose pages may embed a countdown, such as https://wiki.example.org",
            schema=listed(text(NAME), most=MAX_EMBED),
        ),
        "metrics": Key(
            about="who may read /metrics: users who may read (the default), or everyone",
            schema=one_of(*MetricsFor),
        ),
        "metrics_per_milestone": Key(about="whether /metrics has a line for each deadline", schema=FLAG),
    },
)

CONFIG = Shape(
    name="config",
    words="alertd.yaml",
    keys={
        "timezone": Key(
            about="time zone of timelines and time intervals that name none; the default is UTC", schema=ZONE
        ),
        "catch_up": Key(
            about="reminders that are later than this are not sent; the default is 35d", schema=DURATION
        ),
        "damping": Key(
            about="no message is sent about a date that changes back within this time; the default is 1h",
            schema=DURATION,
        ),
        "retry_for": Key(about="how long a failed delivery is retried; the default is 72h", schema=DURATION),
        "ack_expires": Key(about="how long an acknowledgement lasts; the default is 14d", schema=DURATION),
        "keep": Key(
            about="how long withdrawn milestones and old repeats are kept, at least 90d; the default is 730d",
            schema=DURATION,
        ),
        "policies": Key(
            about="policies by name; each inherits from the policy named default",
            schema=named(is_a("policy")),
        ),
        "calendars": Key(about="calendars by name", schema=named(is_a("calendar"))),
        "time_intervals": Key(
            about="time intervals that routes refer to", schema=listed(is_a("named_interval"))
        ),
        "route": Key(
            about="the root of the routing tree, which decides who gets which reminders",
            schema=is_a("root_route"),
        ),
        "receivers": Key(
            about="the receivers of messages, and how to reach them", schema=listed(is_a("receiver"))
        ),
        "fallback_receiver": Key(
            about="name of the receiver for messages that could not be delivered", schema=text(NAME)
        ),
        "operator": Key(
            about="name of the receiver for messages about problems of alertd itself", schema=text(NAME)
        ),
        "smtp": Key(about="the mail relay", schema=is_a("smtp")),
        "heartbeat_url": Key(
            about="URL to ping each minute after a passed self-audit; /fail is appended after a failed one",
            schema=LINK,
        ),
        "heartbeat_url_file": Key(about="file with the secret heartbeat URL", schema=text(PATH)),
        "network": Key(
            about="which addresses alertd may connect to: internal (the default) allows private addresses, "
            "public allows only public ones",
            schema=either(one_of(*Reach), is_a("network")),
        ),
        "web": Key(about="the web server: its addresses and who has access", schema=is_a("web")),
    },
)

ROOT_ROUTE = Shape(
    name="root_route",
    words="the root route",
    keys={
        name: key
        if name != "receiver"
        else Key(about="name of the receiver when no other route matches", schema=key.schema, required=True)
        for name, key in ROUTE.keys.items()
        if name in ("receiver", "group_by", "digest", "routes")
    },
)

CONFIG_SHAPES = (
    CONFIG, POLICY, CALENDAR, NAMED_INTERVAL, TIME_INTERVAL, TIME_RANGE,
    ROOT_ROUTE, ROUTE, DIGEST, RECEIVER, QUIET, NOTIFIER, SMTP, NETWORK,
    WEB, AUTH,
)  # fmt: skip

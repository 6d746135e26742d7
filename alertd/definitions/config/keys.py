"""The keys of `alertd.yaml`."""

from __future__ import annotations

from alertd.core.access import SCOPES, MetricsFor
from alertd.core.milestones.policy import Contested, Roll
from alertd.core.network import Reach
from alertd.core.routing.digest import DAY_NAMES
from alertd.core.time.interval import MONTHS, WEEKDAYS
from alertd.definitions.reading.keys import (
    DURATION,
    FLAG,
    LABEL_NAME,
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
        "before": Key(about="lead times, counted back from the deadline's last day", schema=_RUNGS),
        "on_day": Key(about="whether the last day itself has a reminder", schema=FLAG),
        "after": Key(about="reminders once the deadline has passed, each as a time after it", schema=_RUNGS),
        "then_every": Key(
            about="the step after the last of `after`, without end; none ends there",
            schema=either(DURATION, one_of("none")),
        ),
        "opens": Key(
            about="whether the first day of a deadline longer than a day has a reminder", schema=FLAG
        ),
        "at": Key(about="local time of day of the reminders, HH:MM", schema=_CLOCK),
        "contested": Key(about="which deadlines remind when sources disagree", schema=one_of(*Contested)),
        "roll": Key(about="whether reminders move off days on which nobody works", schema=one_of(*Roll)),
        "calendar": Key(about="name of the calendar that says which days those are", schema=text(NAME)),
    },
)

CALENDAR = Shape(
    name="calendar",
    words="a calendar",
    keys={
        "weekend": Key(
            about="the weekdays on which nobody works; the default is the country's, or saturday and sunday",
            schema=listed(one_of(*WEEKDAYS), most=6),
        ),
        "country": Key(
            about="ISO 3166 code of the country whose public holidays to take; needs alertd[holidays]",
            schema={"type": "string", "examples": ["IQ", "DE"], "maxLength": NAME},
        ),
        "subdivision": Key(about="ISO 3166-2 code, without the country, of a part of it", schema=text(NAME)),
        "holidays": Key(
            about="more days on which nobody works",
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
        "location": Key(about="the zone that is meant; the default is this file's timezone", schema=ZONE),
    },
)

NAMED_INTERVAL = Shape(
    name="named_interval",
    words="a named time interval",
    keys={
        "name": Key(about="what routes call it", schema=text(NAME), required=True),
        "time_intervals": Key(
            about="one of them is enough", schema=listed(is_a("time_interval"), least=1), required=True
        ),
    },
)

ROUTE = Shape(
    name="route",
    words="a route",
    keys={
        "receiver": Key(about="who is told; the default is the parent's", schema=text(NAME)),
        "matchers": Key(
            about='what it takes, each such as country="iraq" or cause=~"overdue|moved"; all must match',
            schema=listed(text(1_024), most=100),
        ),
        "group_by": Key(
            about="labels whose equal values make one message; ... alone is every label",
            schema=either(
                {
                    **listed({"type": "string", "pattern": f"^{LABEL_NAME.pattern}$"}, most=100),
                    "uniqueItems": True,
                },
                {"type": "array", "items": {"const": "..."}, "minItems": 1, "maxItems": 1},
            ),
        ),
        "continue": Key(
            about="whether the routes after it are asked too when it takes something", schema=FLAG
        ),
        "mute_time_intervals": Key(about="names of the times at which it sends nothing", schema=_NAMES),
        "active_time_intervals": Key(about="names of the only times at which it sends", schema=_NAMES),
        "digest": Key(
            about="what it takes is not sent singly but together, at these times", schema=is_a("digest")
        ),
        "routes": Key(
            about="routes below it; the first that takes something has it", schema=listed(is_a("route"))
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
        "timezone": Key(about="in which that is; the default is the receiver's", schema=ZONE),
        "ahead": Key(about="how far ahead it shows what is coming; the default is 14d", schema=DURATION),
        "even_if_empty": Key(about="whether it is sent also when there is nothing to say", schema=FLAG),
    },
)

QUIET = Shape(
    name="quiet",
    words="quiet",
    keys={
        "from": Key(about="HH:MM from which on nothing is sent", schema=_CLOCK),
        "to": Key(about="HH:MM, the next morning when it is before `from`", schema=_CLOCK),
        "days": Key(
            about="weekdays on which nothing is sent all day",
            schema={**listed(_WEEKDAY, least=1, most=6), "uniqueItems": True},
        ),
        "except": Key(
            about='what is sent all the same, such as cause="overdue"; all must match',
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
            about="how to tell: console, webhook, slack, email and so on", schema=text(NAME), required=True
        ),
        "name": Key(
            about="needed when a receiver has two of one type; the default is the type", schema=text(NAME)
        ),
        "rate": Key(
            about="the most that it is sent, such as 1/s, 20/min or 100/h; the default is its type's, "
            "1/s for slack and none for the others",
            schema={"type": "string", "examples": ["1/s", "20/min", "100/h"], "maxLength": 20},
        ),
    },
    is_open=True,
)

RECEIVER = Shape(
    name="receiver",
    words="a receiver",
    keys={
        "name": Key(about="what routes call it", schema=text(NAME), required=True),
        "notifiers": Key(about="the ways to tell it", schema=listed(is_a("notifier"), most=MAX_NOTIFIERS)),
        "timezone": Key(
            about="of its quiet hours and its digests; the default is this file's timezone", schema=ZONE
        ),
        "quiet": Key(
            about="when it is left in peace: what is still true is sent after", schema=is_a("quiet")
        ),
    },
)

SMTP = Shape(
    name="smtp",
    words="smtp",
    keys={
        "host": Key(about="name or address of the mail relay", schema=text(255)),
        "port": Key(
            about="its port; the default is 465 with tls, 587 with username, else 25",
            schema={"type": "integer", "minimum": 1, "maximum": 65_535},
        ),
        "starttls": Key(
            about="whether to upgrade to TLS, and to send nothing without; the default is true with username",
            schema=FLAG,
        ),
        "tls": Key(about="whether to speak TLS from the first byte", schema=FLAG),
        "insecure_auth": Key(about="whether the password may cross the network in the clear", schema=FLAG),
        "from": Key(about="the sender, an address or Name <address>", schema=text(320)),
        "username": Key(about="for a relay that asks for one", schema=text(320)),
        "password_file": Key(about="a systemd credential or a path", schema=text(PATH)),
        "ca_file": Key(about="certificates to trust instead of the system's", schema=text(PATH)),
        "client_cert_file": Key(about="for a relay that asks for a certificate", schema=text(PATH)),
        "client_key_file": Key(
            about="its key, unless client_cert_file holds it too; not encrypted", schema=text(PATH)
        ),
        "timeout": Key(about="for a whole message", schema=DURATION),
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
        "policy": Key(about="which addresses alertd connects to", schema=one_of(*Reach), required=True),
        "allow": Key(
            about="addresses and networks that are reached under public although they are internal",
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
            about="in which a proxy of web.proxies says who has logged in, such as X-Remote-User",
            schema=text(NAME),
        ),
        "proxy_scope": Key(
            about="what those whom it names may do; the default is act", schema=one_of(*SCOPES)
        ),
        "anonymous": Key(
            about="what those may do who show nothing; the default is nothing", schema=one_of(*SCOPES)
        ),
    },
    rules={"minProperties": 1, "dependentRequired": {"proxy_scope": ["proxy_header"]}},
)

WEB = Shape(
    name="web",
    words="web",
    keys={
        "external_url": Key(about="how people reach it: what links in messages begin with", schema=LINK),
        "auth": Key(
            about="how people show who they are; none: everybody may do everything",
            schema=either(one_of("none"), is_a("auth")),
        ),
        "hosts": Key(
            about="more names that it answers to, beside this machine's and external_url's",
            schema=listed(text(NAME), most=MAX_HOSTS),
        ),
        "proxies": Key(
            about="addresses and networks of the proxies before it, whose X-Forwarded-For is believed",
            schema=listed(text(NAME), most=MAX_PROXIES),
        ),
        "secret_file": Key(
            about="a secret, the same on all nodes, that sessions and links are signed with",
            schema=text(PATH),
        ),
        "embed": Key(
            about="the sites whose pages may have a countdown within them, such as https://wiki.example.org",
            schema=listed(text(NAME), most=MAX_EMBED),
        ),
        "metrics": Key(
            about="who may read /metrics: those who may read (the default), or all",
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
            about="of timelines that name none, and of time intervals; the default is UTC", schema=ZONE
        ),
        "catch_up": Key(
            about="what is later than this is not sent any more; the default is 35d", schema=DURATION
        ),
        "damping": Key(
            about="a date that flips back within this time makes no message; the default is 1h",
            schema=DURATION,
        ),
        "retry_for": Key(about="how long a delivery is tried; the default is 72h", schema=DURATION),
        "ack_expires": Key(about="how long an acknowledgement holds; the default is 14d", schema=DURATION),
        "keep": Key(
            about="how long what was withdrawn is remembered, 90d at the least; the default is 730d",
            schema=DURATION,
        ),
        "policies": Key(
            about="policies by name; each inherits from the one called default", schema=named(is_a("policy"))
        ),
        "calendars": Key(about="calendars by name", schema=named(is_a("calendar"))),
        "time_intervals": Key(about="times that routes refer to", schema=listed(is_a("named_interval"))),
        "route": Key(about="who is told what: the root of a tree", schema=is_a("root_route")),
        "receivers": Key(about="who can be told, and how", schema=listed(is_a("receiver"))),
        "fallback_receiver": Key(about="the receiver of what could not be delivered", schema=text(NAME)),
        "operator": Key(about="the receiver of what goes wrong with alertd itself", schema=text(NAME)),
        "smtp": Key(about="the mail relay", schema=is_a("smtp")),
        "heartbeat_url": Key(
            about="an address told each minute that the self-audit passed, or at /fail what it found",
            schema=LINK,
        ),
        "heartbeat_url_file": Key(about="a secret file with that address", schema=text(PATH)),
        "network": Key(
            about="which addresses alertd connects to: internal (the default) also private ones, "
            "public only public ones",
            schema=either(one_of(*Reach), is_a("network")),
        ),
        "web": Key(about="the web server: how it is reached, and by whom", schema=is_a("web")),
    },
)

ROOT_ROUTE = Shape(
    name="root_route",
    words="the root route",
    keys={
        name: key
        if name != "receiver"
        else Key(about="who is told when no other route says so", schema=key.schema, required=True)
        for name, key in ROUTE.keys.items()
        if name in ("receiver", "group_by", "digest", "routes")
    },
)

CONFIG_SHAPES = (
    CONFIG, POLICY, CALENDAR, NAMED_INTERVAL, TIME_INTERVAL, TIME_RANGE,
    ROOT_ROUTE, ROUTE, DIGEST, RECEIVER, QUIET, NOTIFIER, SMTP, NETWORK,
    WEB, AUTH,
)  # fmt: skip

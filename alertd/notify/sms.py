"""Sends text messages by Twilio's API, or by a gateway that takes the same requests.

Source: https://www.twilio.com/docs/messaging/api/message-resource ("Create a Message"),
https://www.twilio.com/docs/api/errors, and for alphabets and segments 3GPP TS 23.038 (6.2.1 and 6.2.3) and
TS 23.040 (9.2.3.24.1).

Rules that hold here:
- alertd sends one request for each recipient, and the gateway accepts or refuses each recipient separately;
- a retry leaves out the recipients who have the message, and those whom the gateway refused for good;
- a text ends at a whole word and within whole segments; the link is its last line, complete or left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from alertd.core.milestones.fields import FieldReach, shown_fields
from alertd.notify import (
    Answer,
    BaseUrl,
    Env,
    Item,
    Kind,
    Message,
    Outcome,
    Rejected,
    Rendered,
    Reply,
    Retry,
    SecretUnreadable,
    Sent,
    Token,
    TokenOptions,
    Unfinished,
    basic_login,
    check_token,
    end_sentence,
    fit,
    object_in,
    outcome_of,
    post_form,
    quote,
    rendered_form,
    secret_of,
    story,
    text_in,
    units,
    unlike,
)

API_URL = "https://api.twilio.com"
MAX_RECIPIENTS = 50
MAX_SEGMENTS = 10
"""The most that Twilio sends as one message, which may have 1,600 characters."""

MAX_LINES = 40
MIN_TEXT = 20
"""The link is left out when the text would have fewer characters than these."""

MAX_NAMED = 3
SEND_TIMEOUT_S = 90.0
"""For the requests to all recipients; the next attempt sends to the recipients that are left."""

RETRIED = frozenset({20429, 21611, 30001})
"""Twilio's codes for too many requests and for a full queue."""

FAILED = frozenset({"canceled", "failed", "undelivered"})
"""The statuses of a message that the gateway has taken and will not send."""

# The default alphabet of 7 bits, and the characters that take an escape before them.
_BASIC = frozenset(
    "@\u00a3$\u00a5\u00e8\u00e9\u00f9\u00ec\u00f2\u00c7\n\u00d8\u00f8\r\u00c5\u00e5\u0394_\u03a6\u0393\u039b"
    "\u03a9\u03a0\u03a8\u03a3\u0398\u039e\u00c6\u00e6\u00df\u00c9 !\"#\u00a4%&'()*+,-./0123456789:;<=>?\u00a1"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ\u00c4\u00d6\u00d1\u00dc\u00a7\u00bf"
    "abcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00f1\u00fc\u00e0"
)
_EXTENDED = frozenset("\f^{}\\[~]|\u20ac")
_PLAINER = str.maketrans({
    # Typographic marks. A single one would more than halve the length that a text can have.
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u00b7": "-",
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "`": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u00ab": '"', "\u00bb": '"', "\u2026": "...", "\u2192": "->", "\u00d7": "x", "\u2022": "-",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u2060": "",
})  # fmt: skip

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_number(text: str) -> str:
    """``text`` itself. Raises ValueError, which suggests what may be meant, for no number of E.164."""
    if _NUMBER.fullmatch(text):
        return text
    digits = re.sub(r"[\s().\-/]", "", text)
    meant = re.sub(r"^00", "+", digits)
    hint = f"; write {meant}" if _NUMBER.fullmatch(meant) else ", such as +4915112345678"
    raise ValueError(f"{text!r} is not a number with a plus sign, the country code and digits alone{hint}")


def _sender(text: str) -> str:
    if text and not _SENDER.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a number such as +4915112345678, a short code of 3 to 8 digits, "
            "or a name of at most 11 letters, digits and blanks"
        )
    return text


def _sid(text: str) -> str:
    if text and not _SID.fullmatch(text):
        raise ValueError("is not an id of at most 64 letters, digits, - and _")
    return text


Sid = Annotated[str, AfterValidator(_sid)]


class SmsOptions(TokenOptions):
    """Options of ``type: sms``."""

    to: list[Annotated[str, AfterValidator(check_number)]] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    """The recipients' numbers with country codes, such as ``+4915112345678``."""
    sender: Annotated[str, AfterValidator(_sender)] = Field(default="", alias="from")
    """The number, short code or name that it comes from. This or ``messaging_service``."""
    messaging_service: Sid = ""
    """The id of a Messaging Service, ``MG...``, which chooses the number."""
    account: Sid = Field(min_length=1)
    """The account's id, which begins with ``AC``."""
    api_key: Sid = ""
    """The id of an API key, ``SK...``; then the token is the secret of that key."""
    token: Token | None = None
    """The account's auth token."""
    max_segments: int = Field(default=3, ge=1, le=MAX_SEGMENTS)
    """How many segments a text may have, of 153 characters each, or of 67 where 7 bits are too few."""
    api_url: BaseUrl = API_URL
    """Where Twilio's API is, or a gateway that takes the same requests."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if bool(self.sender) == bool(self.messaging_service):
            raise ValueError("from and messaging_service exclude each other" if self.sender else
                             "from or messaging_service is required")  # fmt: skip
        return self


class SmsNotifier:
    """One or more telephones. A repeat can be told by the id near the end of the text.

    Twilio takes no key by which it could drop a repeat.
    """

    Options = SmsOptions

    def __init__(self, options: SmsOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._recipients = tuple(dict.fromkeys(options.to))
        self._begun: Unfinished[Mapping[str, Sent | Rejected]] = Unfinished()

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        clock = self._env.clock
        try:
            token = secret_of(self._options, "token", self._env, check_token)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        text = sms_text(fit(message), self._options.max_segments)
        outcomes: dict[str, Outcome] = dict(self._begun.get(message.id) or {})
        until = clock.monotonic() + SEND_TIMEOUT_S
        for number in self._recipients:
            if number in outcomes:
                continue
            if clock.monotonic() >= until:
                break
            outcomes[number], is_over = await self._send_one(number, text, token)
            if is_over:
                break
        self._remember(message.id, outcomes)
        return _sum_up(outcomes, self._recipients)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        text = sms_text(fit(message), self._options.max_segments)
        return tuple(rendered_form(self._fields(number, text)) for number in self._recipients)

    async def aclose(self) -> None:
        """The client belongs to the process."""

    def _remember(self, delivery: str, outcomes: Mapping[str, Outcome]) -> None:
        ended = {number: outcome for number, outcome in outcomes.items() if not isinstance(outcome, Retry)}
        if ended and len(ended) < len(self._recipients):
            self._begun.keep(delivery, ended)
        else:
            self._begun.forget(delivery)

    def _fields(self, number: str, text: str) -> dict[str, str]:
        options = self._options
        sender = {"From": options.sender} if options.sender else {}
        service = {"MessagingServiceSid": options.messaging_service} if options.messaging_service else {}
        return {"To": number, **sender, **service, "Body": text}

    async def _send_one(self, number: str, text: str, token: str) -> tuple[Outcome, bool]:
        """How the request ended, and whether the other recipients must wait for the next attempt."""
        options = self._options
        login = basic_login(options.api_key or options.account, token)
        answer = await post_form(
            self._env,
            options,
            f"{options.api_url}/2010-04-01/Accounts/{options.account}/Messages.json",
            self._fields(number, text),
            headers={"authorization": login},
            hidden=(token, login.split()[1]),
        )
        outcome = _judge(answer, outcome_of(answer, self._env.clock.now()))
        if not isinstance(outcome, Retry):
            return outcome, False
        if isinstance(answer, Reply):
            return outcome, answer.status == 429
        # Without a connection the next request would fail too. A timeout may concern this one number.
        return outcome, not outcome.unknown


def segments(text: str) -> int:
    """How many segments the text is sent in."""
    costs, alone, joined = _costs(text)
    if sum(costs) <= alone:
        return 1
    count, used = 1, 0
    for cost in costs:
        # A segment never ends between an escape and its character, or within a surrogate pair.
        if used + cost > joined:
            count, used = count + 1, 0
        used += cost
    return count


def sms_text(message: Message, max_segments: int) -> str:
    """The text for a message that ``fit`` has cleaned: the most urgent first, then the id, then the link."""
    lines = [plainer for line in _lines(message) if (plainer := line.translate(_PLAINER).strip())]
    items = len(message.items) if message.kind in (Kind.MANY, Kind.DIGEST) else 0
    page = message.items[0].page if message.kind is Kind.SINGLE else message.page
    for end in ((message.id, page), (message.id,)):
        tail = "\n".join(part for part in end if part)
        for count in range(len(lines), 0, -1):
            left = items - (count - 1)
            rest = [f"and {left:,} more"] if count > 1 and left > 0 else []
            text = "\n".join([*lines[:count], *rest, tail])
            if segments(text) <= max_segments:
                return text
        begun = _begin(lines[0], tail, max_segments) if lines else ""
        if begun:
            return f"{begun}\n{tail}"
    return message.id


def _begin(line: str, tail: str, max_segments: int) -> str:
    """The beginning of ``line`` that fits beside ``tail``; "" when only a few characters would."""

    def cost(count: int) -> int:
        return segments(f"{line[:count]}...\n{tail}")

    # A longer beginning never needs fewer segments, so the longest that fits can be searched for.
    fits = bisect_right(range(len(line)), max_segments, key=cost) - 1
    if fits < min(MIN_TEXT, len(line)):
        return ""
    words, blank, _ = line[:fits].rpartition(" ")
    return (words if blank and len(words) >= MIN_TEXT else line[:fits]).rstrip(" ,;:-") + "..."


def _lines(message: Message) -> Iterator[str]:
    match message.kind:
        case Kind.SINGLE:
            item = message.items[0]
            yield _name(item)
            yield end_sentence(item.headline)
            yield from _list_fields(item)
            yield from story(item)
            yield message.intro
            yield item.next
        case Kind.MANY | Kind.DIGEST:
            yield message.subject
            yield from ("; ".join((_name(item), *_list_fields(item))) for item in message.items[:MAX_LINES])
        case Kind.NOTICE | Kind.TEST:
            yield message.subject
            yield from message.lines


def _name(item: Item) -> str:
    return f"{item.badge[:1].upper()}{item.badge[1:]}: {item.title} ({item.phrase})"


def _list_fields(item: Item) -> tuple[str, ...]:
    """List the milestone's fields as text: as few as in a list, since there is little space."""
    return tuple(shown.text for shown in shown_fields(item.fields, FieldReach.LISTED))


def _costs(text: str) -> tuple[list[int], int, int]:
    """The length of each character, and the capacity of a single segment and of one in a series."""
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        return [2 if letter in _EXTENDED else 1 for letter in text], 160, 153
    return [units(letter) for letter in text], 70, 67


def _judge(answer: Answer, outcome: Outcome) -> Outcome:
    """The outcome in the light of the body: Twilio's code and sentence, or what became of the message."""
    if not isinstance(answer, Reply) or (isinstance(outcome, Rejected) and outcome.gone):
        return outcome
    said = object_in(answer)
    if isinstance(outcome, Sent):
        if not text_in(said, "sid"):
            return unlike(answer, "Twilio")
        if text_in(said, "status") not in FAILED:
            return outcome
        why = f"{text_in(said, 'error_code')} {text_in(said, 'error_message')}".strip()
        return Rejected(reason=f"{answer.origin} did not send it: {quote(why, answer.hidden)}".rstrip(": "))
    code = said.get("code")
    if not isinstance(code, int) or isinstance(code, bool) or 300 <= answer.status < 400:
        return outcome
    told = quote(f"{code} {text_in(said, 'message')}", answer.hidden)
    reason = f"{answer.origin} answered {answer.status}: {told}"
    if isinstance(outcome, Retry) or code in RETRIED:
        return Retry(reason=reason, after=outcome.after if isinstance(outcome, Retry) else None)
    return Rejected(reason=reason)


def _sum_up(outcomes: Mapping[str, Outcome], recipients: Sequence[str]) -> Outcome:
    """One outcome for all recipients."""
    if len(recipients) == 1:
        return outcomes[recipients[0]]
    sent = [outcome for outcome in outcomes.values() if isinstance(outcome, Sent)]
    refused = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Rejected)}
    failed = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Retry)}
    untried = len(recipients) - len(outcomes)
    have = f"{len(sent)} of {len(recipients)} recipients have it"
    if failed or untried:
        why = _named(failed) or "there was no time left for the other recipients"
        waits = [outcome.after for outcome in failed.values() if outcome.after is not None]
        after: timedelta | None = max(waits, default=None)
        is_unknown = any(outcome.unknown for outcome in failed.values())
        return Retry(
            reason=f"{have}; {why}", after=after, unknown=is_unknown, partly=bool(sent) and after is None
        )
    if not refused:
        return Sent(note=f"{len(sent)} recipients: {sent[-1].note}")
    if not sent:
        return Rejected(reason=_named(refused), gone=any(outcome.gone for outcome in refused.values()))
    return Sent(note=sent[-1].note, partly=f"{have}; {_named(refused)}")


def _named(outcomes: Mapping[str, Any]) -> str:
    """The recipients who did not get the message, each with the reason."""
    shown = [f"{number}: {outcome.reason}" for number, outcome in list(outcomes.items())[:MAX_NAMED]]
    rest = len(outcomes) - MAX_NAMED
    return "; ".join([*shown, *([f"and {rest} more"] if rest > 0 else [])])

"""Verifies and parses what Slack posts when somebody clicks a button. Pure: the web server has the route.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack and
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs

from alertd.notify.render.clean import clean_line
from alertd.notify.slack.text import escape

MAX_AGE_S = 300
"""The largest accepted age of a request, in seconds, which limits replay attacks. The timestamp may be as far
in the future."""

MAX_BODY = 256 * 1024
KINDS = ("acknowledge", "snooze", "done")

_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """An action that somebody has requested with a button.

    Attributes:
        kind: ``acknowledge``, ``snooze`` or ``done``.
        milestone: the full id, which alertd put into the button.
        user: the name for a history: ``Slack user m.haddad (U123)``.
        user_id: only Slack's id of the user.
        response_url: the secret URL that accepts an answer to this user for half an hour.
    """

    kind: str
    milestone: str
    user: str
    response_url: str = field(default="", repr=False)
    user_id: str = field(default="", compare=False)


def is_signed(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Return whether Slack has recently signed exactly these bytes, with one of the apps' signing secrets.

    Args:
        headers: names in lower case.
        body: the bytes as they arrived, before parsing.
        now: an aware instant.
    """
    sent_at, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not _SECONDS.fullmatch(sent_at) or abs(now.timestamp() - int(sent_at)) > MAX_AGE_S:
        return False
    signed = b"v0:" + sent_at.encode("ascii") + b":" + body
    matches = [
        hmac.compare_digest(_signature(secret, signed), given.encode("utf-8", "replace"))
        for secret in secrets
        if secret.strip()
    ]
    return any(matches)


def parse_click(body: bytes) -> Click | None:
    """Return the click; None if it requests no action, such as a click on a button that opens a page.

    Slack expects an empty answer with status 200 within three seconds in both cases.

    Raises:
        ValueError: the body is not what Slack posts. The error's text does not quote the body.
    """
    payload = _payload(body)
    if payload.get("type") != "block_actions":
        return None
    acts = payload.get("actions")
    for act in acts if isinstance(acts, list) else ():
        if not isinstance(act, dict):
            continue
        kind, milestone = str(act.get("action_id", "")).removeprefix("alertd."), act.get("value")
        if (
            kind in KINDS
            and act.get("action_id") == f"alertd.{kind}"
            and isinstance(milestone, str)
            and milestone
        ):
            return Click(
                kind=kind,
                milestone=milestone,
                user=_user(payload.get("user")),
                user_id=_user_id(payload.get("user")),
                response_url=str(payload.get("response_url") or ""),
            )
    return None


def build_answer(text: str) -> dict[str, object]:
    """Return the body to post to ``response_url``: a line for the clicking user only.

    The message stays unchanged.
    """
    return {"response_type": "ephemeral", "replace_original": False, "text": escape(text)}


def _payload(body: bytes) -> dict[str, object]:
    if len(body) > MAX_BODY:
        raise ValueError("is too long")
    try:
        fields = parse_qs(body.decode("utf-8"), strict_parsing=True, max_num_fields=20)
        payload = json.loads(fields["payload"][0])
    except (ValueError, KeyError, RecursionError):
        raise ValueError("is not a form with a payload of JSON") from None
    if not isinstance(payload, dict):
        raise ValueError("is not a form with a payload of JSON")
    return payload


def _user(user: object) -> str:
    about = user if isinstance(user, dict) else {}
    name = clean_line(str(about.get("username") or about.get("name") or ""), 80)
    mark = _user_id(user)
    return f"Slack user {name} ({mark})" if name else f"Slack user {mark or 'unknown'}"


def _user_id(user: object) -> str:
    return clean_line(str(user.get("id") or ""), 40) if isinstance(user, dict) else ""


def _signature(secret: str, signed: bytes) -> bytes:
    return b"v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode("ascii")

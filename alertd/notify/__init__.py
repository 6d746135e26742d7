"""Notifiers: one module for each type of receiver, and here everything that such a module is written with.

A backend, alertd's own or another package's, needs no other import of alertd than this one. ``alertd --help``
does not import this package, so the imports below cost it nothing.
"""

from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Item, Kind, Message, Tone
from alertd.notify.base import (
    Env,
    NotifierOptions,
    Rendered,
    Renders,
    TlsOptions,
    at_most_one,
    exactly_one,
    revealed,
)
from alertd.notify.http.client import Answer, HttpClient, Reply
from alertd.notify.http.redact import HIDDEN, quote
from alertd.notify.http.reply import outcome_of
from alertd.notify.http.url import basic_login, check_url
from alertd.notify.json_api import (
    BaseUrl,
    BasicOptions,
    PostOptions,
    SecretUrl,
    Token,
    TokenOptions,
    UrlOptions,
    asked_to_wait,
    check_token,
    checked,
    object_in,
    post_form,
    post_json,
    rendered_form,
    rendered_json,
    secret_of,
    text_in,
    unlike,
)
from alertd.notify.render.clean import cut, fit, line, link
from alertd.notify.render.markup import (
    cut_units,
    html,
    html_link,
    html_text,
    markdown,
    markdown_link,
    markdown_text,
    plain,
    plain_text,
    units,
    unlinked,
    unmentioned,
)
from alertd.notify.render.outline import (
    LinkPiece,
    Outline,
    OutlineLine,
    Span,
    Style,
    frame_of,
    links_of,
    outlined,
)
from alertd.notify.render.palette import Palette, look_of
from alertd.notify.render.text import brief_fields, end_sentence, render_text, story
from alertd.notify.unfinished import Unfinished
from alertd.notify.webhook.payload import instant, json_bytes, payload_of
from alertd.system.secrets import SecretUnreadable

__all__ = [
    "HIDDEN",
    "Answer",
    "BaseUrl",
    "BasicOptions",
    "Env",
    "HttpClient",
    "Item",
    "Kind",
    "LinkPiece",
    "Message",
    "NotifierOptions",
    "Outcome",
    "Outline",
    "OutlineLine",
    "Palette",
    "PostOptions",
    "Rate",
    "Rejected",
    "Rendered",
    "Renders",
    "Reply",
    "Retry",
    "SecretUnreadable",
    "SecretUrl",
    "Sent",
    "Span",
    "Style",
    "TlsOptions",
    "Token",
    "TokenOptions",
    "Tone",
    "Unfinished",
    "UrlOptions",
    "asked_to_wait",
    "at_most_one",
    "basic_login",
    "brief_fields",
    "check_token",
    "check_url",
    "checked",
    "cut",
    "cut_units",
    "end_sentence",
    "exactly_one",
    "fit",
    "frame_of",
    "html",
    "html_link",
    "html_text",
    "instant",
    "json_bytes",
    "line",
    "link",
    "links_of",
    "look_of",
    "markdown",
    "markdown_link",
    "markdown_text",
    "object_in",
    "outcome_of",
    "outlined",
    "payload_of",
    "plain",
    "plain_text",
    "post_form",
    "post_json",
    "quote",
    "render_text",
    "rendered_form",
    "rendered_json",
    "revealed",
    "secret_of",
    "story",
    "text_in",
    "units",
    "unlike",
    "unlinked",
    "unmentioned",
]

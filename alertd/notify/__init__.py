"""Notifiers: one module for each type of receiver, and here everything that such a module is written with.

A backend, alertd's own or another package's, needs no other import of alertd than this one. ``alertd --help``
does not import this package, so the imports below cost it nothing.
"""

from alertd.core.ledger.backpressure import Rate
from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Item, Kind, Message, Tone
from alertd.core.milestones.occurrence import Cause
from alertd.notify.base import (
    Env,
    NotifierOptions,
    Rendered,
    Renders,
    TlsOptions,
    encode_json,
    require_at_most_one,
    require_exactly_one,
    reveal,
)
from alertd.notify.http.client import HttpClient
from alertd.notify.http.redact import HIDDEN, find_secrets, quote
from alertd.notify.http.reply import Answer, Reply, judge_answer
from alertd.notify.http.url import check_url, encode_basic_login
from alertd.notify.json_api import (
    BaseUrl,
    BasicOptions,
    PostOptions,
    SecretUrl,
    Token,
    TokenOptions,
    UrlOptions,
    apply_wait,
    check_token,
    get_text,
    parse_object,
    post_form,
    post_json,
    read_secret,
    reject_foreign_answer,
    render_form,
    render_json,
    validate_secret,
)
from alertd.notify.render.clean import clean_line, clean_link, clean_message, cut_text
from alertd.notify.render.markup import (
    build_html_link,
    build_markdown_link,
    count_units,
    cut_units,
    escape_html,
    escape_markdown,
    render_html_line,
    render_markdown_line,
    render_plain_line,
    render_plain_text,
    render_visible_text,
    suppress_mentions,
)
from alertd.notify.render.outline import (
    LinkPiece,
    Outline,
    OutlineLine,
    Span,
    Style,
    build_frame,
    build_outline,
    list_links,
)
from alertd.notify.render.palette import Palette, choose_palette
from alertd.notify.render.text import end_sentence, list_brief_fields, list_sentences, render_text
from alertd.notify.threads import OwnThreads
from alertd.notify.unfinished import Unfinished
from alertd.notify.webhook.payload import build_payload, encode_body, format_instant
from alertd.system.secrets import SecretUnreadable

__all__ = [
    "HIDDEN",
    "Answer",
    "BaseUrl",
    "BasicOptions",
    "Cause",
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
    "OwnThreads",
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
    "apply_wait",
    "build_frame",
    "build_html_link",
    "build_markdown_link",
    "build_outline",
    "build_payload",
    "check_token",
    "check_url",
    "choose_palette",
    "clean_line",
    "clean_link",
    "clean_message",
    "count_units",
    "cut_text",
    "cut_units",
    "encode_basic_login",
    "encode_body",
    "encode_json",
    "end_sentence",
    "escape_html",
    "escape_markdown",
    "find_secrets",
    "format_instant",
    "get_text",
    "judge_answer",
    "list_brief_fields",
    "list_links",
    "list_sentences",
    "parse_object",
    "post_form",
    "post_json",
    "quote",
    "read_secret",
    "reject_foreign_answer",
    "render_form",
    "render_html_line",
    "render_json",
    "render_markdown_line",
    "render_plain_line",
    "render_plain_text",
    "render_text",
    "render_visible_text",
    "require_at_most_one",
    "require_exactly_one",
    "reveal",
    "suppress_mentions",
    "validate_secret",
]

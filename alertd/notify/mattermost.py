"""Posts a message attachment to a Mattermost incoming webhook.

Source: https://docs.mattermost.com/developers/integrate/webhooks/incoming and
https://docs.mattermost.com/developers/integrate/reference/message-attachments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Kind, Message
from alertd.notify.base import Env, Rendered
from alertd.notify.http.client import Reply
from alertd.notify.http.reply import outcome_of
from alertd.notify.http.url import check_url
from alertd.notify.json_api import UrlOptions, post_json, rendered_json, secret_of, unlike
from alertd.notify.render.clean import fit
from alertd.notify.render.markup import markdown, markdown_link, units, unmentioned
from alertd.notify.render.outline import OutlineLine, outlined
from alertd.notify.render.palette import look_of
from alertd.system.secrets import SecretUnreadable

MAX_TEXT = 12_000
"""A post has at most 16,383 characters; a longer one is split, and its attachment is not."""

_SPECIAL = re.compile(r"([\\*_~`\[\]#])")


class MattermostOptions(UrlOptions):
    """Options of ``type: mattermost``."""


class MattermostNotifier:
    """One channel. A repeat can be told by the id at the bottom, which ``props`` hold too.

    The webhook does not say under which id it posted, so nothing is threaded or edited.
    """

    Options = MattermostOptions

    def __init__(self, options: MattermostOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        env = self._env
        try:
            url = secret_of(self._options, "url", env, check_url)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        answer = await post_json(env, self._options, url, mattermost_payload(fit(message)))
        outcome = outcome_of(answer, env.clock.now())
        if isinstance(outcome, Sent) and isinstance(answer, Reply) and answer.body.strip() != b"ok":
            return unlike(answer, "Mattermost")
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        return (rendered_json(mattermost_payload(fit(message))),)

    async def aclose(self) -> None:
        """The client belongs to the process."""


def mattermost_payload(message: Message) -> dict[str, Any]:
    """The body of the request, for a message that has been made fit."""
    outline = outlined(message, MAX_TEXT, lambda line: units(_line(line)) + 2)
    paragraphs = ["\n".join(map(_line, paragraph)) for paragraph in outline.paragraphs]
    # Its buttons call an address of ours; what only opens a page is a link.
    links = " · ".join(markdown_link(link.label, link.url, _escaped) for link in outline.links)
    attachment = {
        "fallback": unmentioned(f"{outline.title} ({outline.id})"),
        "color": look_of(message).strong,
        "title": unmentioned(_escaped(outline.title)),
        "title_link": outline.url,
        "text": "\n\n".join(part for part in (*paragraphs, links, _escaped(outline.about)) if part),
        "footer": f"{outline.id} · alertd",
    }
    about = {"milestone": message.items[0].milestone} if message.kind is Kind.SINGLE else {}
    return {"attachments": [attachment], "props": {"alertd": {"id": message.id, **about}}}


def _line(line: OutlineLine) -> str:
    return markdown(line, _escaped)


def _escaped(text: str) -> str:
    # `<` begins what Slack takes for a link or a mention, and so does Mattermost, whatever stands before it.
    return _SPECIAL.sub(r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

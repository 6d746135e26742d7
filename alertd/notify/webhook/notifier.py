"""Posts a message to a URL, signed by Standard Webhooks, in one of several formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.base import Env, Rendered, reveal
from alertd.notify.http.client import STANDARD_HEADERS
from alertd.notify.http.reply import judge_answer
from alertd.notify.http.tls import TlsUnusable
from alertd.notify.http.url import check_proxy, check_url, encode_basic_login
from alertd.notify.render.clean import clean_message
from alertd.notify.webhook.body import Body, WebhookFormat, build_body, fall_back, render_template
from alertd.notify.webhook.cloudevents import build_default_source
from alertd.notify.webhook.options import WebhookOptions, check_header, read_template
from alertd.notify.webhook.signature import decode_key, sign
from alertd.notify.webhook.template_values import DEFAULT_TYPE, TemplateFailed, TemplateRefused
from alertd.system.secrets import SecretUnreadable
from alertd.system.worker_threads import compute

if TYPE_CHECKING:
    from alertd.notify.webhook.template import Template

__all__ = ["WebhookNotifier", "WebhookOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """The options with the current contents of the files that they name.

    Attributes:
        headers: the operator's own headers, as pairs, without those of the other attributes.
    """

    url: str
    proxy: str
    secrets: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    password: str
    bearer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where to post and with which credentials. It is made anew only when a file has other contents.

    Attributes:
        contents: what the target was made of.
        headers: the operator's own headers, including ``Authorization``.
        taken: their names in lower case.
        hidden: secrets that must be redacted when the answer is quoted.
    """

    contents: _Contents = field(repr=False)
    url: str = field(repr=False)
    proxy: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    taken: frozenset[str]
    hidden: tuple[str, ...] = field(repr=False)


class WebhookNotifier:
    """Posts to one URL.

    The header ``webhook-id``, and the equal ``Idempotency-Key``, identify a duplicate.
    """

    Options = WebhookOptions

    def __init__(self, options: WebhookOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._compiled: tuple[str, Template] | None = None
        self._target: _Target | None = None
        basic = options.basic
        files = (options.url_file, options.proxy_file, options.bearer_file, basic and basic.password_file)
        self._reads_files = any((*files, options.secret_files, options.headers_file))

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        env = self._env
        try:
            target = self._find_target()
            tls = env.find_tls(self._options)
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        except ValueError as error:
            return Retry(reason=f"what the webhook's secret file holds {error}")
        body = await compute(lambda: self._body(clean_message(message)), len(message.items))
        answer = await env.http.post(
            target.url,
            body.content,
            {
                **_standard(message, body, target.taken),
                **target.headers,
                **_identity(message, target.keys, env, body.content),
            },
            timeout_s=self._options.timeout,
            tls=tls,
            proxy=target.proxy,
            hidden=target.hidden,
        )
        return _add_note(judge_answer(answer, env.clock.now()), body.note)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        body = self._body(clean_message(message))
        media_type = body.content_type.partition(";")[0].strip()
        return (Rendered(media_type=media_type, text=body.content.decode(), note=body.note),)

    async def aclose(self) -> None:
        """Do nothing: the HTTP client belongs to the process."""

    def _find_target(self) -> _Target:
        """Read the files that the options name, and return the target that they make.

        Raises:
            SecretUnreadable: a file cannot be read.
            ValueError: a file's contents are unusable. The error's text continues a sentence that begins with
                "what the webhook's secret file holds".
        """
        if self._target is not None and not self._reads_files:
            return self._target
        contents = self._read()
        if self._target is None or self._target.contents != contents:
            self._target = self._make_target(contents)
        return self._target

    def _read(self) -> _Contents:
        options, env = self._options, self._env
        basic = options.basic
        return _Contents(
            url=reveal(options.url, options.url_file, env).strip(),
            proxy=reveal(options.proxy, options.proxy_file, env).strip(),
            secrets=(
                *(secret.get_secret_value() for secret in options.secrets),
                *(env.secret(name) for name in options.secret_files),
            ),
            headers=(
                *((name, value.get_secret_value()) for name, value in options.headers.items()),
                *((name, env.secret(file).strip()) for name, file in options.headers_file.items()),
            ),
            password=reveal(basic.password, basic.password_file, env) if basic is not None else "",
            bearer=reveal(options.bearer, options.bearer_file, env).strip(),
        )

    def _make_target(self, contents: _Contents) -> _Target:
        check_url(contents.url)
        if contents.proxy:
            check_proxy(contents.proxy)
        headers, words = dict(contents.headers), []
        if (basic := self._options.basic) is not None:
            headers["Authorization"] = encode_basic_login(basic.username, contents.password)
            words.append(contents.password)
        if contents.bearer:
            headers["Authorization"] = f"Bearer {contents.bearer}"
        for name, value in headers.items():
            try:
                check_header(name, value)
            except ValueError:
                raise ValueError(f"is no value of the header {name}: not printable ASCII") from None
            # Redact both `Bearer abc` and `abc`.
            words += [value, *value.split()]
        return _Target(
            contents=contents,
            url=contents.url,
            proxy=contents.proxy,
            keys=tuple(decode_key(secret) for secret in contents.secrets),
            headers=headers,
            taken=frozenset(name.lower() for name in headers),
            hidden=(*contents.secrets, *words),
        )

    def _body(self, message: Message) -> Body:
        options = self._options
        if options.format is not WebhookFormat.TEMPLATE:
            return build_body(message, options.format, options.source or build_default_source(self._env.host))
        try:
            return render_template(message, self._template())
        except (TemplateFailed, TemplateRefused) as error:
            return fall_back(message, error)

    def _read_template(self, name: str) -> str:
        if self._env.template is not None:
            return self._env.template(name)
        return read_template(self._env.path(name))

    def _template(self) -> Template:
        """Return the compiled template. If the source has changed, compile it again."""
        from alertd.notify.webhook.template import compile_template

        options = self._options
        source = options.template
        if options.template_file:
            try:
                source = self._read_template(options.template_file)
            except (ValueError, SecretUnreadable) as error:
                raise TemplateFailed(0, str(error)) from error
        if self._compiled is None or self._compiled[0] != source:
            self._compiled = source, compile_template(source, options.content_type or DEFAULT_TYPE)
        return self._compiled[1]


def _standard(message: Message, body: Body, taken: frozenset[str]) -> dict[str, str]:
    headers = {
        "content-type": body.content_type,
        **STANDARD_HEADERS,
        "alertd-attempt": str(message.attempt),
        **body.headers,
    }
    return {name: value for name, value in headers.items() if name not in taken}


def _identity(message: Message, keys: Sequence[bytes], env: Env, body: bytes) -> dict[str, str]:
    # Each attempt is signed anew, because receivers refuse a timestamp that is minutes old.
    headers = sign(keys, message.id, env.clock.now(), body)
    if not keys:
        del headers["webhook-signature"]
    return {**headers, "idempotency-key": message.id}


def _add_note(outcome: Outcome, note: str) -> Outcome:
    """Return the outcome with the note on the body."""
    if not note:
        return outcome
    if isinstance(outcome, Sent):
        return replace(outcome, note=f"{outcome.note}; {note}")
    return replace(outcome, reason=f"{outcome.reason}; {note}")

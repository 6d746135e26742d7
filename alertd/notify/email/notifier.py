"""Sends a message as one mail to several recipients, each of which the relay accepts or refuses separately.

Rules that hold here:
- one deadline covers connecting, logging in and sending;
- a failure before DATA means "not delivered"; a connection lost during or after DATA means "unknown";
- a recipient for whom the relay accepted the mail does not get it again when alertd retries the rest.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.core.network import is_this_machine
from alertd.notify.base import Env, NotifierOptions, Rendered
from alertd.notify.email.address import MailAddress, Mailbox, check_address, encode_domain, parse_mailbox
from alertd.notify.email.dialogue import Build, MailTransfer, hand_over, name_refusals
from alertd.notify.http.egress import AddressRefused, refusal
from alertd.notify.http.redact import explain_unreachable, quote
from alertd.notify.http.tls import TlsUnusable
from alertd.notify.render.clean import clean_link, clean_message
from alertd.notify.smtp.relay import Login
from alertd.notify.unfinished import Unfinished
from alertd.system.secrets import SecretUnreadable

if TYPE_CHECKING:
    import aiosmtplib

MAX_RECIPIENTS = 50

ABOUT_LOGIN = frozenset({530, 534, 535, 538})
"""Reply codes that require a login, other credentials or a safer mechanism (RFC 4954, section 6)."""


class EmailOptions(NotifierOptions):
    """Options of ``type: email``. All mail receivers use the relay configured under ``smtp``."""

    to: list[MailAddress] = Field(default_factory=list, max_length=MAX_RECIPIENTS)
    """Visible recipients. Either ``to`` or ``bcc`` is required."""
    bcc: list[MailAddress] = Field(default_factory=list, max_length=MAX_RECIPIENTS)
    """Recipients whom no other recipient sees."""
    reply_to: MailAddress | None = None
    """The address that replies go to."""
    unsubscribe: str = ""
    """The contents of ``List-Unsubscribe``: an https URL, or an address where such requests are read."""
    ics: bool = True
    """Whether a mail about one milestone carries a calendar file with its dates."""

    @field_validator("unsubscribe")
    @classmethod
    def _names_something(cls, value: str) -> str:
        if value and not _is_way_to_unsubscribe(value):
            raise ValueError("is neither an https URL nor an address such as desk@example.org")
        return value

    @model_validator(mode="after")
    def _has_a_recipient(self) -> Self:
        if not self.to and not self.bcc:
            raise ValueError("to or bcc must name somebody")
        return self


class EmailNotifier:
    """Sends one mail to all recipients. The Message-ID identifies a duplicate."""

    Options = EmailOptions

    def __init__(self, options: EmailOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._to = [parse_mailbox(address) for address in options.to]
        everybody = [*self._to, *map(parse_mailbox, options.bcc)]
        self._recipients = list({mailbox.address: mailbox for mailbox in everybody}.values())
        self._have_it: Unfinished[frozenset[str]] = Unfinished()
        self._where = f"mail relay {env.smtp.host}:{env.smtp.port}"

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        smtp = self._env.smtp
        try:
            login = self._login()
            sender = parse_mailbox(smtp.sender)
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        except ValueError as error:
            return Retry(reason=f"smtp.from {error}")
        if smtp.username and login.tls is None and not (smtp.insecure_auth or is_this_machine(smtp.host)):
            return Retry(
                reason="the password would cross the network in the clear: set smtp.starttls or smtp.tls"
            )
        have_it = self._have_it.get(message.id) or frozenset[str]()
        handing = MailTransfer()
        outcome = await self._try(clean_message(message), login, sender, have_it, handing)
        self._remember(message.id, outcome, have_it | handing.taken)
        return outcome

    def render(self, message: Message) -> tuple[Rendered, ...]:
        """Return the mail as a relay with SMTPUTF8 gets it."""
        mail = self._make_builder(clean_message(message), parse_mailbox(self._env.smtp.sender))(())
        return (Rendered(media_type="message/rfc822", text=mail.decode("utf-8", "surrogateescape")),)

    async def aclose(self) -> None:
        await self._env.relay.aclose()

    def _remember(self, delivery: str, outcome: Outcome, have_it: frozenset[str]) -> None:
        if isinstance(outcome, Sent) or not have_it:
            self._have_it.forget(delivery)
        else:
            self._have_it.keep(delivery, have_it)

    def _login(self) -> Login:
        smtp = self._env.smtp
        return Login(
            smtp=smtp,
            password=self._env.secret(smtp.password_file) if smtp.password_file else "",
            tls=self._env.find_tls(smtp) if smtp.tls or smtp.starttls else None,
            greeting=encode_domain(self._env.host),
        )

    async def _try(
        self, message: Message, login: Login, sender: Mailbox, have_it: frozenset[str], handing: MailTransfer
    ) -> Outcome:
        import aiosmtplib

        relay, smtp = self._env.relay, login.smtp
        client: aiosmtplib.SMTP | None = None
        in_step = False
        try:
            async with asyncio.timeout(smtp.timeout_s):
                client = await relay.connect(login, self._env.http.egress)
                recipients = [mailbox for mailbox in self._recipients if mailbox.address not in have_it]
                build = self._make_builder(message, sender)
                await hand_over(client, sender, recipients, build, handing)
            in_step = True
            return self._judge_answers(handing, have_it, login)
        except aiosmtplib.SMTPResponseException as error:
            in_step = isinstance(error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError)
            if error.code < 0:  # aiosmtplib could not read the reply
                reason = f"{self._where} answered something that is not SMTP, or too long"
                return Retry(reason=reason, unknown=handing.in_data)
            return self._judge_error(error, login, about_the_mail=in_step)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            late = f"{self._where} did not answer within {smtp.timeout_s:g} s"
            return Retry(reason=late, unknown=handing.in_data)
        except TlsUnusable as error:
            return Retry(reason=str(error))
        except AddressRefused as error:
            return refusal(self._where, smtp.host, str(error))
        except (OSError, aiosmtplib.SMTPException) as error:
            return Retry(
                reason=self._explain_failure(error, login, in_data=handing.in_data), unknown=handing.in_data
            )
        finally:
            if client is not None and in_step:
                relay.keep(client, login)
            elif client is not None:
                client.close()

    def _make_builder(self, message: Message, sender: Mailbox) -> Build:
        from alertd.notify.email.message import Letterhead, build_mail

        options = self._options

        def build(without: Collection[str]) -> bytes:
            letterhead = Letterhead(
                sender=sender,
                to=[mailbox for mailbox in self._to if mailbox.address not in without],
                reply_to=parse_mailbox(options.reply_to) if options.reply_to else None,
                unsubscribe=options.unsubscribe,
                host=encode_domain(self._env.host),
                ics=options.ics,
            )
            return build_mail(message, letterhead, self._env.clock.now())

        return build

    def _judge_answers(self, handing: MailTransfer, have_it: frozenset[str], login: Login) -> Outcome:
        """Combine the relay's answers for all recipients into one outcome."""
        refused = [replace(answer, text=self._quote(answer.text, login)) for answer in handing.refused]
        if not refused:
            return Sent()
        have = len(have_it | handing.taken)
        reason = f"{self._where} refused {name_refusals(refused)}"
        if have:
            reason += f"; {have} of {len(self._recipients)} have it"
        # If the relay may accept a refused recipient later, a retry is worthwhile.
        if any(answer.for_now for answer in refused):
            return Retry(reason=reason, partly=bool(handing.taken or have_it))
        return Sent(note=reason, partly=reason) if have else Rejected(reason=reason)

    def _judge_error(
        self, error: aiosmtplib.SMTPResponseException, login: Login, *, about_the_mail: bool
    ) -> Outcome:
        """Classify an error reply by RFC 5321, section 4.2.1: 4yz may succeed later, 5yz will not.

        A reply that comes before MAIL is about the relay or the login, not about the mail. Then even 5yz
        leads to a retry, because the operator can fix the relay or the login.
        """
        code, said = error.code, self._quote(error.message, login)
        if code in ABOUT_LOGIN:
            whose = "the login" if login.smtp.username else "mail without a login"
            return Retry(reason=f"{self._where} refused {whose}: {code} {said}")
        reason = f"{self._where} answered {code}: {said}"
        return Rejected(reason=reason) if about_the_mail and code >= 500 else Retry(reason=reason)

    def _explain_failure(self, error: Exception, login: Login, *, in_data: bool) -> str:
        if in_data:
            return f"{self._where} broke off before it said whether it took the mail"
        why = explain_unreachable(error) or self._quote(str(error), login) or type(error).__name__
        return f"{self._where} cannot be used: {why}"

    def _quote(self, text: str, login: Login) -> str:
        user, password = login.smtp.username, login.password
        # The relay may quote the credentials in plain text or in the encoding of AUTH PLAIN and AUTH LOGIN.
        parts = (f"\0{user}\0{password}", password, user)
        said = (base64.b64encode(part.encode()).decode() for part in parts)
        return quote(text, (password, user, *said))


def _is_way_to_unsubscribe(value: str) -> bool:
    if "://" in value:
        return value.startswith("https://") and bool(clean_link(value))
    return bool(check_address(value)) and not parse_mailbox(value).name

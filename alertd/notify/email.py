"""Sends a message as a mail, through one relay, over one connection a mail.

Rules that hold here:
- STARTTLS is required or not used, never tried: what is merely tried, an attacker can prevent;
- one deadline covers connecting, logging in and sending;
- no address is connected to that `egress.py` has not passed; the certificate is held to the relay's name;
- what fails before DATA was not delivered; what breaks off after it may have been.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import re
import ssl
from collections.abc import Mapping
from email.utils import getaddresses
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from alertd.core.config import Smtp
from alertd.core.message import Message
from alertd.core.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.clean import fit, line
from alertd.notify.egress import AddressRefused, refusal
from alertd.notify.failure import why_unreachable
from alertd.notify.kit import Env, NotifierOptions
from alertd.notify.redact import quote
from alertd.notify.secret import SecretUnreadable
from alertd.notify.tls import Tls, TlsUnusable, make_context, tls_of

if TYPE_CHECKING:
    import aiosmtplib

GOODBYE_S = 2.0
"""How long to wait for the answer to QUIT, in seconds; the mail is accepted by then."""

_SPEC = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def check_address(text: str) -> str:
    """``text`` when it is one address, perhaps with a name before it, that any relay can take.

    Raises:
        ValueError: it is none, or not ASCII (which needs SMTPUTF8, RFC 6531, and few relays have it).
    """
    parsed = getaddresses([text])
    if line(text) != text or len(parsed) != 1 or not _SPEC.fullmatch(parsed[0][1]):
        raise ValueError("is not an address such as desk@example.org or Desk <desk@example.org>")
    return text


MailAddress = Annotated[str, AfterValidator(check_address)]


class EmailOptions(NotifierOptions):
    """Options of ``type: email``. The relay is set once for all, under ``smtp``."""

    to: list[MailAddress] = Field(min_length=1, max_length=50)
    """Who gets it; they see each other."""
    reply_to: MailAddress | None = None
    """Where answers go to."""


class EmailNotifier:
    """One mail to all of ``to``. A repeat can be told by its Message-ID."""

    Options = EmailOptions

    def __init__(self, options: EmailOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._tls: tuple[Tls, ssl.SSLContext] | None = None

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        smtp = self._env.smtp
        try:
            password = self._env.secret(smtp.password_file) if smtp.password_file else ""
            tls = self._context(tls_of(smtp, self._env.path)) if smtp.tls or smtp.starttls else None
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        if smtp.username and tls is None and not _is_this_machine(smtp.host):
            return Retry(
                reason="the password would cross the network in the clear: set smtp.starttls or smtp.tls"
            )
        try:
            check_address(smtp.sender)
        except ValueError as error:
            return Retry(reason=f"smtp.from {error}")
        session = _Session(smtp, password, tls, self._env)
        return await session.send(self._mail(message), self._recipients())

    async def aclose(self) -> None:
        """No connection outlives its mail."""

    def _mail(self, message: Message) -> bytes:
        from alertd.notify.email_message import build_mail

        return build_mail(
            fit(message),
            sender=self._env.smtp.sender,
            to=self._options.to,
            reply_to=self._options.reply_to or "",
            host=self._env.host,
            now=self._env.clock.now(),
        )

    def _recipients(self) -> list[str]:
        return list(dict.fromkeys(address for _, address in getaddresses(self._options.to)))

    def _context(self, tls: Tls) -> ssl.SSLContext:
        """Made once: reading the trust store takes longer than sending a mail."""
        if self._tls is None or self._tls[0] != tls:
            self._tls = (tls, make_context(tls))
        return self._tls[1]


class _Session:
    """One connection to the relay and one mail over it."""

    def __init__(self, smtp: Smtp, password: str, tls: ssl.SSLContext | None, env: Env) -> None:
        self._smtp = smtp
        self._password = password
        self._tls = tls
        self._env = env
        self._where = f"mail relay {smtp.host}:{smtp.port}"
        self._in_data = False

    async def send(self, mail: bytes, recipients: list[str]) -> Outcome:
        import aiosmtplib

        smtp = self._smtp
        client = aiosmtplib.SMTP(
            hostname=smtp.host,
            local_hostname=self._env.host,
            timeout=smtp.timeout_s,
            use_tls=smtp.tls,
            start_tls=smtp.starttls,
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(smtp.timeout_s):
                client.sock = await self._env.http.egress.connect(smtp.host, smtp.port)
                outcome = await self._dialogue(client, mail, recipients)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(GOODBYE_S):
                    await client.quit()
            return outcome
        except aiosmtplib.SMTPRecipientsRefused as refused:
            # One that may be taken later makes it worth another try.
            first = min(refused.recipients, key=lambda one: one.code)
            return self._answered(first.code, first.message)
        except aiosmtplib.SMTPResponseException as error:
            return self._answered(error.code, error.message)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            late = f"{self._where} did not answer within {smtp.timeout_s:g} s"
            return Retry(reason=late, unknown=self._in_data)
        except AddressRefused as error:
            return refusal(self._where, smtp.host, str(error))
        except (OSError, aiosmtplib.SMTPException) as error:
            return Retry(reason=self._lost(error), unknown=self._in_data)
        finally:
            client.close()

    async def _dialogue(self, client: aiosmtplib.SMTP, mail: bytes, recipients: list[str]) -> Outcome:
        import aiosmtplib

        smtp = self._smtp
        await client.connect()
        if smtp.username:
            await client.login(smtp.username, self._password)
        await client.mail(getaddresses([smtp.sender])[0][1])
        refused: list[aiosmtplib.SMTPRecipientRefused] = []
        for recipient in recipients:
            try:
                await client.rcpt(recipient)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(error)
        if len(refused) == len(recipients):
            raise aiosmtplib.SMTPRecipientsRefused(refused)
        self._in_data = True
        await client.data(mail)
        self._in_data = False
        if refused:
            return Sent(note=f"{len(refused)} of {len(recipients)} recipients were refused")
        return Sent()

    def _answered(self, code: int, text: str) -> Outcome:
        """RFC 5321, section 4.2.1: 4yz may succeed later, 5yz will not."""
        reason = f"{self._where} answered {code}: {self._quoted(text)}"
        return Rejected(reason=reason) if code >= 500 else Retry(reason=reason)

    def _lost(self, error: Exception) -> str:
        if self._in_data:
            return f"{self._where} broke off before it said whether it took the mail"
        why = why_unreachable(error) or self._quoted(str(error)) or type(error).__name__
        return f"{self._where} cannot be used: {why}"

    def _quoted(self, text: str) -> str:
        user, password = self._smtp.username, self._password
        # As it is, and as AUTH PLAIN and AUTH LOGIN say it.
        said = (base64.b64encode(one.encode()).decode() for one in (f"\0{user}\0{password}", password, user))
        return quote(text, (password, user, *said))


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

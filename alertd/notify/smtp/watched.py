"""Records the commands to a mail relay and its answers, for ``alertd send-test``.

Only such a test imports this module, and with it aiosmtplib: ``alertd check`` loads neither.
"""

from __future__ import annotations

from typing import Any

import aiosmtplib
from aiosmtplib.response import SMTPResponse

from alertd.notify.http.redact import HIDDEN
from alertd.notify.http.transcript import Speaker, Transcript

SAYS_MORE = 334
"""Reply code: the relay waits for the next part of a login, which is secret (RFC 4954, section 4)."""


class WatchedSmtp(aiosmtplib.SMTP):
    """The library's SMTP client, extended to record each command and each answer in a transcript."""

    def __init__(self, transcript: Transcript, **options: Any) -> None:
        super().__init__(**options)
        self._transcript = transcript
        self._in_login = False

    async def connect(self, **options: Any) -> SMTPResponse:
        try:
            greeting = await super().connect(**options)
        except aiosmtplib.SMTPResponseException as error:
            self._add_answer(error.code, error.message)
            raise
        self._add_answer(greeting.code, greeting.message)
        return greeting

    async def execute_command(self, *args: bytes, **options: Any) -> SMTPResponse:
        said = b" ".join(args).decode("utf-8", "replace")
        if self._in_login:
            said = HIDDEN
        elif args[0].upper() == b"AUTH":
            said = " ".join([f"AUTH {args[1].decode('ascii', 'replace')}", *[HIDDEN] * (len(args) > 2)])
        self._transcript.add(Speaker.US, said)
        answer = await super().execute_command(*args, **options)
        self._in_login = answer.code == SAYS_MORE
        self._add_answer(answer.code, answer.message)
        return answer

    async def starttls(self, **options: Any) -> SMTPResponse:
        self._transcript.add(Speaker.US, "STARTTLS")
        try:
            answer = await super().starttls(**options)
        except aiosmtplib.SMTPResponseException as error:
            self._add_answer(error.code, error.message)
            raise
        self._add_answer(answer.code, answer.message)
        self._transcript.add(Speaker.ABOUT, "encrypted from here on")
        return answer

    async def data(self, message: str | bytes, /, **options: Any) -> SMTPResponse:
        mail = message.encode() if isinstance(message, str) else message
        self._transcript.add(Speaker.US, "DATA")
        self._transcript.add(Speaker.US, mail.decode("utf-8", "replace"))
        try:
            answer = await super().data(message, **options)
        except aiosmtplib.SMTPResponseException as error:
            self._add_answer(error.code, error.message)
            raise
        self._add_answer(answer.code, answer.message)
        return answer

    def _add_answer(self, code: int, text: str) -> None:
        self._transcript.add(Speaker.THEM, "\n".join(f"{code} {part}" for part in text.splitlines() or [""]))

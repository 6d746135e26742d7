"""The demo's mail server, spoken to by the library that alertd uses and by hand."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import aiosmtplib
import pytest

from alertd.demo.smtp import MAX_MAIL, smtp_server


async def test_it_keeps_what_it_is_sent() -> None:
    """Lines that begin with a dot, and a line that is one, come out as they went in."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@demo.example", "b@demo.example", "dots"
    mail.set_content("first\n.\n..two\nlast\n")

    async with smtp_server() as server:
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=server.port, start_tls=False)

    (kept,) = server.mails
    assert kept.sender == "a@demo.example"
    assert kept.recipients == ("b@demo.example",)
    assert kept.raw.endswith(b"\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n")


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (["NOOP", "RSET", "HELO x", "QUIT"], ["250", "250", "250", "221"]),
        (["MAIL FROM:<>", "QUIT"], ["250", "221"]),  # a bounce has no sender
        (["RCPT TO:<b@x>"], ["503"]),  # nobody sends yet
        (["DATA"], ["503"]),
        (["MAIL FROM:<a@x>", "DATA"], ["250", "503"]),  # to nobody
        (["MAIL FROM:<a@x>", "MAIL FROM:<a@x>"], ["250", "503"]),
        (["MAIL FROM:a@x"], ["501"]),  # no brackets
        (["MAIL FROM:<a@x>", "RCPT TO:<>"], ["250", "501"]),
        (["MAIL FROM:<a@x>", "RSET", "RCPT TO:<b@x>"], ["250", "250", "503"]),
        (["VRFY b", "EXPN b", "STARTTLS"], ["502", "502", "502"]),
        (["mail from:<a@x> SIZE=3 BODY=8BITMIME", "rcpt to:<b@x>"], ["250", "250"]),  # any case
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_it_minds_the_order(said: list[str], answers: list[str]) -> None:
    """Each command is answered as RFC 5321 has it."""
    got = []

    async with smtp_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await reader.readline()
        for line in said:
            writer.write(line.encode() + b"\r\n")
            got.append((await reader.readline())[:3].decode())
        writer.close()
        await writer.wait_closed()

    assert got == answers


async def test_a_mail_that_is_too_large_is_refused() -> None:
    """It is read to its end, answered with 552, and not kept; the next one is taken."""
    small, large = "Subject: s\r\n\r\nx\r\n", "Subject: l\r\n\r\n" + ("x" * 70 + "\r\n") * (MAX_MAIL // 70)

    async with smtp_server() as server, asyncio.timeout(30):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.sendmail("a@demo.example", ["b@demo.example"], large)
        await client.sendmail("a@demo.example", ["b@demo.example"], small)
        await client.quit()

    assert refused.value.code == 552
    assert [mail.raw for mail in server.mails] == [small.encode()]

"""Signatures by Standard Webhooks, checked with the reference library and with known test vectors."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from alertd.notify.webhook.signature import decode_key, sign

KEY = bytes(range(32))
TEXT = "whsec_" + base64.b64encode(KEY).decode()
BODY = '{"version":1,"type":"milestone.due","data":{"title":"Größe – 期限"}}'.encode()
AT = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def test_the_signature_is_the_hmac_of_id_timestamp_and_body_joined_by_dots() -> None:
    expected = base64.b64encode(
        hmac.new(KEY, b"msg_abc." + b"1795500000" + b"." + BODY, hashlib.sha256).digest()
    ).decode()

    headers = sign([KEY], "msg_abc", AT, BODY)

    assert headers == {
        "webhook-id": "msg_abc",
        "webhook-timestamp": "1795500000",
        "webhook-signature": f"v1,{expected}",
    }


@pytest.mark.parametrize(
    ("key", "message_id", "seconds", "body", "signature"),
    [
        # An empty body is signed too: the signed content ends in a dot.
        (b"k" * 24, "msg_0", 1, b"", "v1,JcCmdS5y2ofwmKWwNGnMMElUnbA06Jt6ApPaz86Ink4="),
        # The bytes are signed unchanged, even if they are not text.
        (
            bytes(64),
            "msg_Zz9",
            1_795_500_000,
            b"\xff\x00\r\n",
            "v1,RmS+nE5gyvTEeexMfiaxwqJZzQ4JAbZmt2QjA18GmWo=",
        ),
    ],
)
def test_known_content_has_the_known_signature(
    key: bytes, message_id: str, seconds: int, body: bytes, signature: str
) -> None:
    headers = sign([key], message_id, datetime.fromtimestamp(seconds, UTC), body)

    assert headers["webhook-signature"] == signature


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=3)), timezone(timedelta(hours=-9, minutes=-30))]
)
def test_the_reference_library_verifies_a_signature_made_in_any_zone(zone: timezone) -> None:
    now = datetime.now(UTC).astimezone(zone)  # noqa: TID251  the library compares with the machine's clock

    headers = sign([KEY], "msg_abc", now, BODY)

    assert Webhook(TEXT).verify(BODY.decode(), headers)["type"] == "milestone.due"


def test_while_a_secret_is_rotated_a_receiver_verifies_with_either() -> None:
    now = datetime.now(UTC)  # noqa: TID251  the library compares with the machine's clock
    new = b"n" * 32

    headers = sign([new, KEY], "msg_abc", now, BODY)

    assert len(headers["webhook-signature"].split(" ")) == 2
    for key in (new, KEY):
        Webhook(base64.b64encode(key).decode()).verify(BODY.decode(), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 32).decode()).verify(BODY.decode(), headers)


def test_a_fraction_of_a_second_is_dropped() -> None:
    headers = sign([KEY], "msg_abc", AT + timedelta(microseconds=999_999), BODY)

    assert headers["webhook-timestamp"] == "1795500000"


@pytest.mark.parametrize(
    ("message_id", "at"),
    [
        # With a dot in the id, the boundary between id and timestamp would be ambiguous.
        ("msg.abc", AT),
        # A naive instant has no zone.
        ("msg_abc", AT.replace(tzinfo=None)),
    ],
)
def test_what_cannot_be_signed_safely_is_refused(message_id: str, at: datetime) -> None:
    with pytest.raises(ValueError, match="dot"):
        sign([KEY], message_id, at, BODY)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (TEXT, KEY),
        # Some tools omit the padding.
        (TEXT.rstrip("="), KEY),
        # Any other text is the key itself.
        ("correct horse battery staple", b"correct horse battery staple"),
    ],
)
def test_a_secret_is_read_as_people_keep_it(text: str, key: bytes) -> None:
    assert decode_key(text) == key


@pytest.mark.parametrize("text", ["whsec_", "whsec_not base64!", "whsec_äöü"])
def test_a_broken_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="base64") as caught:
        decode_key(text)

    assert text.removeprefix("whsec_") not in str(caught.value) or text == "whsec_"

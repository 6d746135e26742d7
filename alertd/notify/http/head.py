"""Reads the status and the headers of an answer that the HTTP library cannot read.

The status line says what became of the message, even if a later header is malformed or missing. The library
rejects such an answer as a whole, and alertd would send the message again although it was accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD = 32 * 1024
"""The most bytes of an answer that are kept in order to read its head."""

_STATUS = re.compile(rb"[\r\n]*HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?=[ \t\r\n])")
"""The beginning of a status line. The reason phrase after the status means nothing (RFC 9112, section 4)."""

_END = re.compile(rb"\n\r?\n")

_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")
"""A complete header line with a valid name (RFC 9110, section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The status of an answer, and the headers that could be read.

    Attributes:
        headers: names in lower case. If a header is repeated, the last value.
        whole: whether the empty line after the headers has arrived.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def read_head(received: bytes) -> Head | None:
    """Return the head of the first answer in ``received`` that is not an interim answer.

    A header line that is malformed, folded or incomplete is ignored.

    Args:
        received: the first bytes from the receiver, perhaps cut off anywhere.

    Returns:
        None if the bytes do not contain a complete status code.
    """
    at = 0
    while found := _STATUS.match(received, at):
        status = int(found[1])
        end = _END.search(received, found.end())
        # After an interim answer another one follows. 101 is final, because alertd asks for no upgrade.
        if status >= 200 or status == 101:
            lines = received[found.end() : end.end() if end else len(received)].splitlines(keepends=True)[1:]
            fields = [pair for pair in map(_FIELD.fullmatch, lines) if pair is not None]
            return Head(
                status=status,
                headers={pair[1].decode("ascii").lower(): pair[2].decode("latin-1") for pair in fields},
                whole=end is not None,
            )
        if end is None:
            return None
        at = end.end()
    return None

"""The palette: the colours and marks of each tone, which are the same in every channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alertd.core.message.message import Item, Kind, Message, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colours and the mark of one tone.

    Attributes:
        strong: as ``#rrggbb``. White text on this colour has a contrast of 4.5 or more (WCAG 2.2, 1.4.3).
        pale: a background for dark text.
        bright: a text colour for a dark background.
        terminal: the colour's name in a terminal.
        mark: one character, for channels without colours.
    """

    strong: str
    pale: str
    bright: str
    terminal: str
    mark: str


PALETTES: Mapping[Tone, Palette] = {
    Tone.CALM: Palette(strong="#1f6296", pale="#e8f1f8", bright="#7cb8e6", terminal="blue", mark="🔵"),
    Tone.SOON: Palette(strong="#8f5a00", pale="#fcf1dc", bright="#f0b64c", terminal="yellow", mark="🟠"),
    Tone.LATE: Palette(strong="#b3261e", pale="#fce9e7", bright="#f58f86", terminal="red", mark="🔴"),
    Tone.MOVED: Palette(strong="#6b4aa8", pale="#f0eaf9", bright="#bfa3f0", terminal="magenta", mark="🟣"),
    Tone.DONE: Palette(strong="#2b6e3f", pale="#e6f4ea", bright="#83cf99", terminal="green", mark="🟢"),
}

NEUTRAL = Palette(strong="#4a5563", pale="#eef0f3", bright="#b4bfcc", terminal="white", mark="⚪")
"""For messages about alertd itself."""


def choose_palette(subject: Item | Message) -> Palette:
    """Return the look of an item's tone. A message has the look of its first, most urgent item."""
    if isinstance(subject, Item):
        return PALETTES[subject.tone]
    if subject.kind in (Kind.SINGLE, Kind.MANY, Kind.DIGEST) and subject.items:
        return PALETTES[subject.items[0].tone]
    return NEUTRAL

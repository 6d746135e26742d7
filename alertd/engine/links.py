"""Makes the links of messages, and keeps a failure to sign them from holding up a message."""

from __future__ import annotations

from collections.abc import Callable

from alertd.core.config import Config
from alertd.core.message.links import Links
from alertd.system.telemetry import Event, Log


class LinkMaker:
    """Makes links. If the links that act cannot be signed, messages go out without them.

    Args:
        make: makes the links of a configuration, or raises; None: messages lead nowhere.

    Attributes:
        failure: why links could not be signed the last time; "" if they could.
    """

    def __init__(self, make: Callable[[Config], Links | None], log: Log) -> None:
        self.failure = ""
        self._make = make
        self._log = log

    def make(self, config: Config) -> Links | None:
        """Make the links of a configuration, without those that act if they cannot be signed.

        A new failure is logged once.
        """
        try:
            links = self._make(config)
        except Exception as error:  # whatever is wrong with the secret, the reminder matters more
            failure = f"{type(error).__name__}: {error}"
            if failure != self.failure:
                self._log.warning(Event.LINKS_UNSIGNED, reason=failure)
            self.failure = failure
            return Links(base=config.web.external_url) if config.web.external_url else None
        self.failure = ""
        return links

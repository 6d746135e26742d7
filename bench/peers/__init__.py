"""Other programs that send webhooks, if this machine has them: the daemon is compared with them.

``prepare`` of each module yields a function that sends a number of webhooks to the sink and returns how many
it sent a second, or a text that says why the peer cannot be run.
"""


class PeerFailed(RuntimeError):
    """The peer did not do what it should, so nothing can be compared with it."""

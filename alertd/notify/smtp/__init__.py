"""Connections to a mail relay, which all notifiers that send mail share."""

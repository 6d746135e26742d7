"""Signed webhooks in several formats."""

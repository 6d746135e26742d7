"""Routing: which receivers get a reminder and when, by labels, matchers, routes and digests."""

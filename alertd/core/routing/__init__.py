"""Who is told, and when they are not: matchers, the tree of routes, and digests."""

"""The page, the API, the feeds and the metrics: what can be asked of a running daemon over HTTP."""

"""The HTTP server of a running daemon: the pages, the API, the feeds and the metrics."""

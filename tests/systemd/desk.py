"""Stands for a receiver, in the machine: takes what is posted to 127.0.0.1:9000 and appends it to a file."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Desk(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(body + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name in the library
        """Nothing: what counts is the file."""


HTTPServer(("127.0.0.1", 9000), Desk).serve_forever()

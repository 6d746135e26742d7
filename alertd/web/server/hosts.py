"""Answers only to names that are ours: a page whose name leads here (DNS rebinding) gets nothing."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alertd.web.server.context import Site


class Hosts:
    """Refuses a request for another host: 400 when it names none, else 421 (RFC 9110, section 15.5.20)."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).getlist("host")
            name = host_name(given[0]) if len(given) == 1 else ""
            if not name:
                await _answer(400, "the request names no host, or more than one")(scope, receive, send)
                return
            if name not in self._site.web.names and not _is_where_it_came_to(scope, name):
                reason = "this server does not answer to that name; see web.hosts in alertd.yaml"
                await _answer(421, reason)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_where_it_came_to(scope: Scope, name: str) -> bool:
    """Whether it is the very address that the request came to: a probe has no name for it, and a browser that
    asks for it was led here by no name of somebody else's."""
    server = scope.get("server")
    return server is not None and _address(server[0].partition("%")[0]) == name


def host_name(host: str) -> str:
    """The name of a Host header, in lower case, without port, brackets and the root's dot; "" for none."""
    text = host.strip().lower()
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        return _address(inside) if bracket and (not port or _is_port(port)) else ""
    name, colon, port = text.partition(":")
    if colon and not _is_port(f":{port}"):
        return ""
    return name.removesuffix(".")


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isdecimal() and text.isascii() and len(text) <= 6


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _answer(status: int, reason: str) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status)

"""Files of ``alertd/web/static``, under names with their digest in them: a browser may keep them for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from mimetypes import guess_type

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import RequestRefused, needs

FOREVER = "public, max-age=31536000, immutable"


@lru_cache(maxsize=1)
def _stamped() -> Mapping[str, str]:
    """The name with the digest of each, by its plain name; all of them are read once."""
    return {name: _stamp(name, content) for name, content in _read().items()}


@lru_cache(maxsize=1)
def _files() -> Mapping[str, bytes]:
    """The content of each, by its name with the digest."""
    return {_stamp(name, content): content for name, content in _read().items()}


@lru_cache(maxsize=1)
def _read() -> Mapping[str, bytes]:
    folder = files("alertd.web").joinpath("static")
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def _stamp(name: str, content: bytes) -> str:
    stem, dot, kind = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}{dot}{kind}"


def asset_path(name: str) -> str:
    """Where a file is served, by its plain name, such as ``alertd.css``. KeyError: there is none."""
    return f"/static/{_stamped()[name]}"


@needs(Scope.PUBLIC)
async def static(request: Request) -> Response:
    """``/static/{name}``."""
    name = request.path_params["name"]
    content = _files().get(name)
    if content is None:
        raise RequestRefused(404, "there is no such file")
    kind = guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers={"cache-control": FOREVER})

"""Serves ``alertd/web/static`` under names with a fingerprint, so that browsers cache the files forever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from mimetypes import guess_type

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.web.server.access import RequestRefused, require_scope

FOREVER = "public, max-age=31536000, immutable"


@lru_cache(maxsize=1)
def _name_files() -> Mapping[str, str]:
    """Map each plain name to the name with the fingerprint. All files are read once."""
    return {name: _stamp(name, content) for name, content in _read_files().items()}


@lru_cache(maxsize=1)
def _read_stamped() -> Mapping[str, bytes]:
    """Map each name with a fingerprint to the content of the file."""
    return {_stamp(name, content): content for name, content in _read_files().items()}


@lru_cache(maxsize=1)
def _read_files() -> Mapping[str, bytes]:
    folder = files("alertd.web").joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def preload() -> None:
    """Read all files now, so that no request reads them."""
    _name_files()
    _read_stamped()


def _stamp(name: str, content: bytes) -> str:
    stem, dot, kind = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}{dot}{kind}"


def asset_path(name: str) -> str:
    """Return the path of a file by its plain name, such as ``alertd.css``. Raises KeyError if unknown."""
    return f"/static/{_name_files()[name]}"


@require_scope(Scope.PUBLIC)
async def static(request: Request) -> Response:
    """Serve a static file (``/static/{name}``)."""
    name = request.path_params["name"]
    content = _read_stamped().get(name)
    if content is None:
        raise RequestRefused(404, "there is no such file")
    kind = guess_type(name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers={"cache-control": FOREVER})

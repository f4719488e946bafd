"""Videos, thumbnails and overlays by opaque key, to those who are signed in.

A key is looked up in the store, which names the video; no text from a browser becomes a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from labeling_ui import headers
from labeling_ui.overlay import Overlays
from labeling_ui.service import Service
from vigil.errors import NotFound
from vigil.paths import Paths

_PLACES: dict[str, tuple[Callable[[Paths], Path], str, str]] = {
    "raw": (lambda paths: paths.proxies, ".mp4", "video/mp4"),
    "silhouette": (lambda paths: paths.masked, ".mp4", "video/mp4"),
    "thumb": (lambda paths: paths.proxies, ".jpg", "image/jpeg"),
}
_COMMON = {
    "cache-control": "private, max-age=600",
    "vary": "Cookie",
    "content-security-policy": headers.DATA_POLICY,
}
_STATIC = StaticFiles()  # of no folder: it knows the conditions of HTTP


class OneRange(FileResponse):
    """A file sent in chunks of 64 kB, whole or in one range; several at once get the whole."""

    max_ranges = 1


class Media:
    """The routes of pictures.

    Args:
        service: store and places.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._overlays = Overlays(service.paths)

    def routes(self) -> list[Route]:
        """Return the routes, each for GET and HEAD."""
        return [
            Route("/media/overlay/{key}", self._overlay, methods=["GET"]),
            *(Route(f"/media/{kind}/{{key}}", self._file(kind), methods=["GET"])
              for kind in _PLACES),
        ]  # fmt: skip

    def _file(self, kind: str) -> Callable[[Request], object]:
        folder, suffix, media_type = _PLACES[kind]

        async def send(request: Request) -> Response:
            video_id = await self._service.call(self._service.video_id, request.path_params["key"])
            path = inside(folder(self._service.paths), f"{video_id}{suffix}")
            try:
                found = await anyio.to_thread.run_sync(os.stat, path)
            except OSError:
                found = None
            if found is None or not stat.S_ISREG(found.st_mode):
                raise NotFound(f"{video_id}: expected its {kind} file, got none")
            response = OneRange(path, headers=_COMMON, media_type=media_type, stat_result=found)
            return _unchanged(request, response) or response

        return send

    async def _overlay(self, request: Request) -> Response:
        row = await self._service.call(self._service.store.clip_by_key, request.path_params["key"])
        body, etag = await self._service.call(self._overlays.packed, row.clip)
        own = _COMMON | {"etag": etag, "content-encoding": "gzip"}
        response = Response(body, headers=own, media_type="application/json")
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return JSONResponse({"error": "expected Accept-Encoding: gzip"}, 406)
        return _unchanged(request, response) or response


def inside(folder: Path, name: str) -> Path:
    """Return the file `name` right inside `folder`.

    Raises:
        NotFound: the name leads out of it.
    """
    path = folder / name
    if path.parent != folder or name.startswith(".") or "\0" in name:
        raise NotFound(f"{name!r}: expected the name of a file")
    return path


def _unchanged(request: Request, response: Response) -> Response | None:
    """Return 304 where the browser has just this already, else None."""
    if not _STATIC.is_not_modified(response.headers, request.headers):
        return None
    kept = {name: response.headers[name] for name in ("etag", *_COMMON)}
    return Response(status_code=304, headers=kept)

"""The JSON API that the labeling surface talks to: who, what, and each vote.

A vote is acknowledged when the database has committed it, and never before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labeling_ui import headers
from labeling_ui.auth import Identity
from labeling_ui.clips import clips_json, my_votes, page_of, stands_instead
from labeling_ui.gate import identity_of
from labeling_ui.overlay import persons
from labeling_ui.service import Service
from labeling_ui.sessions import csrf
from labeling_ui.wire import Action, Ballot, Decision, Judgment, Undo, draft, parse, vote_json
from vigil.config import Role
from vigil.errors import InputError, NotFound
from vigil.labels.consensus import State, settle
from vigil.labels.coverage import Progress
from vigil.labels.rows import ClipRow
from vigil.labels.votes import Vote

_MOST_SIZE = 60
_MOST_PAGE = 1_000_000
_OWN = {"cache-control": "no-store", "content-security-policy": headers.DATA_POLICY}
_Work = Callable[[Request, Identity], Awaitable[tuple[dict[str, Any], int]]]


class Api:
    """The routes of the API.

    Args:
        service: what they answer from.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._store = service, service.store

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/me", _answer(self._me), methods=["GET"]),
            Route("/api/videos", _answer(self._videos), methods=["GET"]),
            Route("/api/clips", _answer(self._clips), methods=["GET"]),
            Route("/api/next", _answer(self._next), methods=["GET"]),
            Route("/api/queue", _answer(self._queue), methods=["GET"]),
            Route("/api/votes", _answer(self._vote), methods=["POST"]),
            Route("/api/undo", _answer(self._undo), methods=["POST"]),
            Route("/api/redo", _answer(self._redo), methods=["POST"]),
            Route("/api/disputed", _answer(self._disputed, "reviewer"), methods=["GET"]),
            Route("/api/adjudicate", _answer(self._adjudicate, "reviewer"), methods=["POST"]),
            Route("/api/{rest:path}", _answer(_nothing)),
        ]

    async def _me(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        return {"name": me.name, "role": me.role, "csrf": csrf(request.scope["vigil.token"])}, 200

    async def _videos(self, _: Request, me: Identity) -> tuple[dict[str, Any], int]:
        return await self._service.call(self._list_videos, me.name), 200

    def _list_videos(self, name: str) -> dict[str, Any]:
        progress = self._store.progress(name)
        none = Progress()
        videos = [
            {
                "key": video.key,
                "video": video.video_id,
                "n_clips": video.n_clips,
                "duration_s": video.duration_s,
                "mine": progress.get(video.video_id, none).mine,
                "done": progress.get(video.video_id, none).done,
                "thumb": f"/media/thumb/{video.key}",
            }
            for video in self._store.videos()
        ]
        return {"videos": videos}

    async def _clips(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        page, size = self._paging(request)
        return await self._service.call(
            self._list_clips, request.query_params.get("video", ""), page, size, me.name
        ), 200

    def _list_clips(self, key: str, page: int, size: int, name: str) -> dict[str, Any]:
        rows = self._rows(key)
        shown, pages = page_of(rows, page, size)
        clips = clips_json(self._service, shown, name)
        done = len(my_votes(self._service, rows, name))
        return {"clips": clips, "page": page, "pages": pages, "total": len(rows), "done": done}

    async def _next(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        _, size = self._paging(request)
        query = request.query_params
        return await self._service.call(
            self._find_next, query.get("video", ""), query.get("after", ""), size, me.name
        ), 200

    def _find_next(self, key: str, after: str, size: int, name: str) -> dict[str, Any]:
        rows = self._rows(key)
        mine = my_votes(self._service, rows, name)
        here = next((n for n, row in enumerate(rows) if row.key == after), -1)
        order = [*range(here + 1, len(rows)), *range(here + 1)]
        found = next((n for n in order if rows[n].clip.clip_id not in mine), None)
        if found is None:
            return {"clip": None, "page": None}
        return {"clip": rows[found].key, "page": found // size}

    async def _queue(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        count = _number(request, "n", self._service.config.labeling.page_size, 1, _MOST_SIZE)
        return await self._service.call(self._assign, me.name, count), 200

    def _assign(self, name: str, count: int) -> dict[str, Any]:
        scores = self._service.ranker.scores(self._store.settings().order)
        dealt = self._store.assign(name, count, scores=scores)
        rows = sorted(dealt, key=lambda row: row.key)  # in their order, gold clips would stand out
        clips = clips_json(self._service, rows, name)
        return {"clips": clips, "page": 0, "pages": 1, "total": len(clips)}

    async def _vote(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        body = await parse(request, Action[Ballot])
        votes = await self._service.call(self._cast, body.votes, me.name)
        return {"votes": votes}, 201

    async def _adjudicate(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        body = await parse(request, Action[Decision])
        votes = await self._service.call(self._cast, body.votes, me.name)
        return {"votes": votes}, 201

    def _cast(self, votes: Sequence[Judgment], name: str) -> list[Any]:
        drafts = []
        for vote in votes:
            row = self._store.clip_by_key(vote.clip)
            seen = persons(row.clip, self._service.paths) if vote.track_ids else frozenset()
            drafts.append(draft(vote, row, name, self._service.config.classes, seen))
        saved = self._store.cast(drafts)
        instead = stands_instead(self._service, [one for one in saved if one.decided_at])
        return [
            vote_json(one) | {"clip": vote.clip} | instead.get(one.vote_id, {})
            for one, vote in zip(saved, votes, strict=True)
        ]

    async def _undo(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        body = await parse(request, Undo)
        return await self._service.call(self._turn, self._store.undo, me.name, body.token), 200

    async def _redo(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        body = await parse(request, Undo)
        return await self._service.call(self._turn, self._store.redo, me.name, body.token), 200

    def _turn(
        self, turn: Callable[[str, str], list[Vote]], name: str, token: str
    ) -> dict[str, Any]:
        """Undo or redo, and tell what stands now on the clips that it changed."""
        changed = dict.fromkeys(vote.clip_id for vote in turn(name, token))
        rows = self._clips_of(changed)
        mine = my_votes(self._service, list(rows.values()), name)
        clips = [
            {"key": row.key, "mine": vote_json(mine[clip_id]) if clip_id in mine else None}
            for clip_id, row in rows.items()
        ]
        first = clips[0] if clips else {"key": None, "mine": None}
        return {"vote": first["mine"], "clip": first["key"], "clips": clips}

    async def _disputed(self, request: Request, me: Identity) -> tuple[dict[str, Any], int]:
        page, size = self._paging(request)
        return await self._service.call(self._list_disputed, page, size, me.name), 200

    def _list_disputed(self, page: int, size: int, name: str) -> dict[str, Any]:
        settings = self._store.settings()
        verdicts = settle(
            self._store.votes(standing=True),
            settings.consensus,
            settings.min_votes,
        )
        disputed = sorted(key for key, one in verdicts.items() if one.state is State.DISPUTED)
        found = self._clips_of(disputed)
        rows = [found[clip_id] for clip_id in disputed if not found[clip_id].retired]
        shown, pages = page_of(rows, page, size)
        clips = clips_json(self._service, shown, name)
        for clip in clips:
            votes = verdicts[clip["clip_id"]].votes
            clip["votes"] = [vote_json(vote) | {"annotator": vote.annotator} for vote in votes]
        return {"clips": clips, "page": page, "pages": pages, "total": len(rows)}

    def _rows(self, key: str) -> list[ClipRow]:
        return [row for row in self._store.clips(self._service.video_id(key)) if not row.retired]

    def _clips_of(self, clip_ids: Iterable[str]) -> dict[str, ClipRow]:
        """Return clips by their ids, read video by video."""
        wanted = dict.fromkeys(clip_ids)
        videos = dict.fromkeys(map(_video_of, wanted))
        found = {row.clip.clip_id: row for name in videos for row in self._store.clips(name)}
        return {clip_id: found[clip_id] for clip_id in wanted}

    def _paging(self, request: Request) -> tuple[int, int]:
        size = self._service.config.labeling.page_size
        return (
            _number(request, "page", 0, 0, _MOST_PAGE),
            _number(request, "size", size, 1, _MOST_SIZE),
        )


def _video_of(clip_id: str) -> str:
    return clip_id.rpartition("@")[0]


def _answer(work: _Work, role: Role = "annotator") -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that does `work` for who may ask for it."""

    async def endpoint(request: Request) -> Response:
        me = identity_of(request.scope)
        if not me.may(role):
            raise HTTPException(403, f"expected a {role}, {me.name} is {me.role}", _OWN)
        content, status = await work(request, me)
        return JSONResponse(content, status, _OWN)

    return endpoint


async def _nothing(request: Request, _: Identity) -> tuple[dict[str, Any], int]:
    raise NotFound(f"{request.url.path:.100}: expected a route of the API")


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise InputError(f"{name}: expected a number from {least} to {most}, got {text!r:.20}")
    return int(text[:9])

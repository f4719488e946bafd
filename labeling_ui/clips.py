"""Clips as browsers get them: with one's own votes only, and what is suggested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labeling_ui.service import Service
from labeling_ui.wire import vote_json
from vigil.labels.store import ClipRow
from vigil.labels.votes import Kind, Vote


def clips_json(service: Service, rows: Sequence[ClipRow], annotator: str) -> list[dict[str, Any]]:
    """Return clips for one annotator, in the order of `rows`.

    Args:
        service: store, places and suggestions.
        rows: of any videos.
        annotator: whose votes are told; nobody else's are.
    """
    mine = my_votes(service, rows, annotator)
    shown = service.shows_suggestions
    suggested = service.suggester.all() if shown else {}
    keys = {video.video_id: video.key for video in service.store.videos()}
    there = {name: (service.paths.proxies / f"{name}.mp4").is_file()
             for name in {row.clip.video_id for row in rows}}  # fmt: skip
    found = []
    for row in rows:
        clip, own = row.clip, mine.get(row.clip.clip_id)
        one = suggested.get(clip.clip_id)
        found.append({
            "key": row.key,
            "clip_id": clip.clip_id,
            "video": clip.video_id,
            "video_key": keys[clip.video_id],
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "n_persons": clip.n_persons,
            "mine": None if own is None else vote_json(own),
            "suggestion": None if one is None else {
                "label": one.label, "probability": one.probability, "system": one.system
            },
            "stale": own is not None and own.stale,
            "gone": row.retired or not there[clip.video_id],
            "media": {
                "raw": f"/media/raw/{keys[clip.video_id]}",
                "silhouette": f"/media/silhouette/{keys[clip.video_id]}",
                "overlay": f"/media/overlay/{row.key}",
                "thumb": f"/media/thumb/{keys[clip.video_id]}",
            },
        })  # fmt: skip
    return found


def my_votes(service: Service, rows: Sequence[ClipRow], annotator: str) -> dict[str, Vote]:
    """Return an annotator's standing vote by clip id; decisions as a reviewer are no votes."""
    if not rows:
        return {}
    clip_ids = [row.clip.clip_id for row in rows]
    votes = service.store.votes(clip_ids=clip_ids, annotator=annotator, standing=True)
    return {vote.clip_id: vote for vote in votes if vote.kind is not Kind.ADJUDICATE}


def page_of(rows: Sequence[ClipRow], page: int, size: int) -> tuple[Sequence[ClipRow], int]:
    """Return one page, and how many there are, at least one; pages past the end are empty."""
    return rows[page * size : (page + 1) * size], max(-(-len(rows) // size), 1)

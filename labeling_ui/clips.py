"""Clips as browsers get them: with one's own votes only, and what is suggested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from labeling_ui.service import Service
from labeling_ui.wire import vote_json
from vigil.labels.rows import ClipRow
from vigil.labels.votes import Kind, Vote


def clips_json(service: Service, rows: Sequence[ClipRow], annotator: str) -> list[dict[str, Any]]:
    """Return clips for one annotator, in the order of `rows`.

    Args:
        service: store, places and suggestions.
        rows: of any videos.
        annotator: whose votes are told; nobody else's are.
    """
    mine = my_votes(service, rows, annotator)
    settings = service.store.settings()
    system = settings.suggestions if settings.show_suggestions else ""
    keys = service.video_keys({row.clip.video_id for row in rows})
    there = {name for name in keys if (service.paths.proxies / f"{name}.mp4").is_file()}
    found = []
    for row in rows:
        clip, own = row.clip, mine.get(row.clip.clip_id)
        one = service.suggester.suggest(clip.clip_id, system) if system else None
        key = keys.get(clip.video_id, "")
        found.append(
            {
                "key": row.key,
                "clip_id": clip.clip_id,
                "video": clip.video_id,
                "video_key": key,
                "start_s": clip.start_s,
                "end_s": clip.end_s,
                "n_persons": clip.n_persons,
                "mine": None if own is None else vote_json(own),
                "suggestion": None if one is None else asdict(one),
                "stale": own is not None and own.stale,
                "gone": row.retired or clip.video_id not in there,
                "media": {
                    "raw": f"/media/raw/{key}",
                    "silhouette": f"/media/silhouette/{key}",
                    "overlay": f"/media/overlay/{row.key}",
                    "thumb": f"/media/thumb/{key}",
                },
            }
        )
    return found


def my_votes(service: Service, rows: Sequence[ClipRow], annotator: str) -> dict[str, Vote]:
    """Return an annotator's standing vote by clip id; decisions as a reviewer are no votes."""
    if not rows:
        return {}
    clip_ids = [row.clip.clip_id for row in rows]
    votes = service.store.votes(clip_ids=clip_ids, annotator=annotator, standing=True)
    return {vote.clip_id: vote for vote in votes if vote.kind is not Kind.ADJUDICATE}


def stands_instead(service: Service, votes: Sequence[Vote]) -> dict[int, dict[str, Any]]:
    """Return, by the ids of votes that gave way to a newer decision, what a browser must know.

    Args:
        service: store.
        votes: that were on their way for long, just saved.
    """
    if not votes:
        return {}
    standing = service.store.votes(clip_ids={vote.clip_id for vote in votes}, standing=True)
    ids = {vote.vote_id for vote in standing}
    found = {}
    for vote in votes:
        if vote.vote_id in ids:
            continue
        decides = vote.kind is Kind.ADJUDICATE
        newer = [
            one for one in standing
            if one.clip_id == vote.clip_id and (one.kind is Kind.ADJUDICATE) is decides
            and (decides or one.annotator == vote.annotator)
        ]  # fmt: skip
        found[vote.vote_id] = {"late": True, "stands": vote_json(newer[-1]) if newer else None}
    return found


def page_of(rows: Sequence[ClipRow], page: int, size: int) -> tuple[Sequence[ClipRow], int]:
    """Return one page, and how many there are, at least one; pages past the end are empty."""
    return rows[page * size : (page + 1) * size], max(-(-len(rows) // size), 1)

"""What a vote must be before the store takes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vigil.errors import InputError
from vigil.labels.votes import Draft, Kind, Source

_MOST = {"token": 100, "clip_id": 320, "annotator": 100, "label": 200, "reason": 2000,
         "suggested": 200, "decided_at": 40}  # fmt: skip
_NEEDED = ("token", "clip_id", "annotator")
_MAX_TRACKS = 1000
_MAX_TRACK_ID = 2**31 - 1


def check_drafts(drafts: Sequence[Draft]) -> None:
    """Refuse votes that no store could hold or no reader understand.

    Args:
        drafts: of one call.

    Raises:
        InputError: names the first that is wrong, and why.
    """
    for draft in drafts:
        problem = _problem(draft)
        if problem:
            raise InputError(f"vote: {draft.clip_id!r:.100}: expected {problem}")
    tokens = [draft.token for draft in drafts]
    if len(set(tokens)) != len(tokens):
        raise InputError("vote: expected distinct tokens in one call, got one of them twice")


def check_text(name: str, text: str, most: int) -> None:
    """Refuse text that is empty, too long, or that a database cannot hold.

    Raises:
        InputError: names it.
    """
    problem = "text" if not text.strip() else _text_problem(name, text, most)
    if problem:
        raise InputError(f"{name}: expected {problem}, got {text!r:.60}")


def _problem(draft: Draft) -> str:
    """Return what is expected of the draft and missing, or ''."""
    return (
        _texts(draft) or _meaning(draft) or _times(draft) or _persons(draft.track_ids)
    )  # the first that is wrong


def _texts(draft: Draft) -> str:
    for name, most in _MOST.items():
        text = getattr(draft, name)
        if text is None:
            continue
        if not isinstance(text, str) or (name in _NEEDED and not text):
            return f"a {name}, got {text!r:.60}"
        if problem := _text_problem(name, text, most):
            return problem
    return ""


def _text_problem(name: str, text: str, most: int) -> str:
    if len(text) > most:
        return f"{name} of at most {most} characters, got {len(text)}"
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{name} of characters that can be stored"
    return ""


def _meaning(draft: Draft) -> str:
    if draft.kind not in set(Kind) or draft.source not in set(Source):
        return f"a known kind and source, got {draft.kind!r:.40} and {draft.source!r:.40}"
    if draft.kind is Kind.RETRACT or draft.retracts is not None:
        return "a decision; what retracts is an undo"
    if draft.kind in {Kind.LABEL, Kind.ADJUDICATE} and not (draft.label or "").strip():
        return "a label, got none"
    if draft.kind is Kind.SKIP and not draft.reason.strip():
        return "a reason to skip it, got none"
    return ""


def _times(draft: Draft) -> str:
    times = [t for t in (draft.start_s, draft.end_s, draft.seconds) if t is not None]
    if not all(math.isfinite(time) and time >= 0 for time in times):
        return f"finite seconds of at least 0, got {times}"
    if draft.start_s is not None and draft.end_s is not None and draft.start_s >= draft.end_s:
        return f"an event that ends after its start, got {draft.start_s} to {draft.end_s} s"
    return ""


def _persons(ids: Sequence[int]) -> str:
    if len(ids) > _MAX_TRACKS or len(set(ids)) != len(ids):
        return f"at most {_MAX_TRACKS} distinct persons, got {len(ids)}"
    if not all(type(one) is int and 0 <= one <= _MAX_TRACK_ID for one in ids):
        return "ids of tracks as persons"
    return ""

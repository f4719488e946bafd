"""Between the store and files: which votes go out, and how judgments come in as votes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import InputError
from vigil.labels.consensus import settle
from vigil.labels.detail import detail
from vigil.labels.formats import Format
from vigil.labels.formats.records import Footage, Record
from vigil.labels.standing import standing
from vigil.labels.store import LabelStore
from vigil.labels.votes import Draft, Kind, Source, Vote


@dataclass(frozen=True)
class Imported:
    """What became of a file.

    Attributes:
        added: votes that are new.
        left: judgments of clips on which their annotator has a vote already; it stands.
        annotators: who they are by.
    """

    added: int
    left: int
    annotators: tuple[str, ...]


def records(store: LabelStore, footage: Footage, whole: bool) -> list[Record]:
    """Return what a file is written from.

    Args:
        store: of the project.
        footage: its clips; votes on clips that are no longer cut are left out.
        whole: every standing vote; else what is settled of each clip.
    """
    votes = [vote for vote in store.votes() if vote.clip_id in footage.clips]
    if whole:
        return [_of_vote(vote, footage) for vote in standing(votes)]
    settings = store.settings()
    found = []
    for one in settle(votes, settings.consensus, settings.min_votes, footage.clips).values():
        if one.label is not None:
            told = detail(one)
            clip = footage.clips[one.clip_id]
            times = (told.start_s, told.end_s)
            span = _span(clip.start_s, clip.end_s, *times)
            names = "+".join(sorted({vote.annotator for vote in one.support}))
            at = one.support[-1].voted_at
            found.append(Record(clip, one.label, Kind.LABEL, names, "", *span, told.track_ids, at))
    return found


def bring_in(
    store: LabelStore, form: Format, path: Path, footage: Footage, annotator: str | None
) -> Imported:
    """Add a file's judgments as votes, all of them or none; nothing is ever overwritten.

    Where an annotator has a standing vote on a clip, that one goes on standing and the file's is
    left out. The same file again adds nothing.

    Args:
        store: of the project.
        form: what kind of file it is.
        path: the file.
        footage: the project's clips.
        annotator: who the votes are by; None takes the names in the file.

    Raises:
        InputError: an unreadable file, a judgment without a name, or one that the store refuses.
    """
    found = form.read(path, footage)
    if not found:
        raise InputError(f"{path}: expected at least one judgment of a clip, got none")
    wanted = drafts(found, annotator, path)
    present = {(vote.clip_id, vote.annotator) for vote in standing(store.votes())}
    tokens = {vote.token for vote in store.votes()}
    fresh = [one for one in wanted if (one.clip_id, one.annotator) not in present]
    added = store.cast(fresh) if fresh else []
    new = sum(vote.token not in tokens for vote in added)
    names = tuple(sorted({one.annotator for one in wanted}))
    return Imported(new, len(found) - new, names)


def drafts(found: Iterable[Record], annotator: str | None, path: Path) -> list[Draft]:
    """Return judgments as votes to cast, an annotator's first of each clip.

    A decision of a reviewer comes in as a label like others: only a reviewer here adjudicates.

    Raises:
        InputError: a judgment without an annotator.
    """
    made: dict[tuple[str, str], Draft] = {}
    for one in found:
        name = annotator or one.annotator
        if not name.strip():
            raise InputError(
                f"{path}: {one.clip.clip_id}: expected an annotator, got none; give --annotator"
            )
        kind = Kind.LABEL if one.kind is Kind.ADJUDICATE else one.kind
        reason = one.reason or ("imported" if kind is Kind.SKIP else "")
        told = (one.clip.clip_id, name, kind, one.label, reason, one.start_s, one.end_s,
                one.track_ids)  # fmt: skip
        token = f"import-{hashlib.sha256(repr(told).encode()).hexdigest()}"
        draft = Draft(token, *told, source=Source.IMPORTED)
        made.setdefault((one.clip.clip_id, name), draft)
    return list(made.values())


def _of_vote(vote: Vote, footage: Footage) -> Record:
    clip = footage.clips[vote.clip_id]
    span = _span(clip.start_s, clip.end_s, vote.start_s, vote.end_s)
    people = tuple(sorted(vote.track_ids))
    return Record(clip, vote.label, vote.kind, vote.annotator, vote.reason, *span, people,
                  vote.voted_at)  # fmt: skip


def _span(
    first_s: float, last_s: float, start_s: float | None, end_s: float | None
) -> tuple[float | None, float | None]:
    """Return both ends of an event of which at least one is told, else none."""
    if start_s is None and end_s is None:
        return None, None
    return first_s if start_s is None else start_s, last_s if end_s is None else end_s

"""One person's word on one clip. Votes are only ever added; what stands is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a vote does."""

    LABEL = "label"  # the clip shows `label`
    UNSURE = "unsure"  # seen, and the annotator cannot tell; `label` may hold a guess
    SKIP = "skip"  # not to be judged, for `reason`
    RETRACT = "retract"  # an undo: the annotator's vote `retracts` no longer stands
    ADJUDICATE = "adjudicate"  # a reviewer's decision, which stands above votes


class Source(StrEnum):
    """How a vote came about; figures of agreement need to know."""

    PERSON = "person"  # one key or choice for one clip
    PAGE = "page"  # one action for a whole page
    ACCEPTED = "accepted"  # the suggestion, taken with one key
    ACCEPTED_PAGE = "accepted_page"  # suggestions above a threshold, taken for a page
    IMPORTED = "imported"  # from a file


@dataclass(frozen=True)
class Draft:
    """A vote before the store has it.

    Attributes:
        token: made by the client, unique: the same token twice is the same vote once.
        clip_id: the clip.
        annotator: who votes.
        kind: what it does.
        label: one of the project's classes, or None.
        reason: why a clip is skipped, else empty.
        start_s: the event's first moment in seconds of the video, or None.
        end_s: the moment after its last, or None.
        track_ids: which persons it concerns, as ids of `tracks/<video_id>.parquet`.
        source: how it came about.
        suggested: the label that was shown as a suggestion, None where none was seen.
        seconds: from the clip being shown to the decision, or None.
        retracts: id of the vote that an undo takes back, else None.
        decided_at: ISO 8601 time in UTC, to the millisecond, of the decision where that was well
            before it was sent; empty: when it is saved. See `vigil.labels.late`.
    """

    token: str
    clip_id: str
    annotator: str
    kind: Kind
    label: str | None = None
    reason: str = ""
    start_s: float | None = None
    end_s: float | None = None
    track_ids: tuple[int, ...] = ()
    source: Source = Source.PERSON
    suggested: str | None = None
    seconds: float | None = None
    retracts: int | None = None
    decided_at: str = ""


@dataclass(frozen=True)
class Vote(Draft):
    """A vote as the store has it.

    Attributes:
        vote_id: ascending in the order of saving.
        voted_at: ISO 8601 time with zone at which it was on disk.
        fingerprint: of the clip as it was cut when the vote was cast; see `stale`.
        stale: the clip has been cut anew since, so that the vote may speak of other pictures.
    """

    vote_id: int = 0
    voted_at: str = ""
    fingerprint: str = ""
    stale: bool = False

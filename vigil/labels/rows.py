"""What the store answers, besides votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vigil.schema import Clip


@dataclass(frozen=True)
class VideoRow:
    """A video with clips to label.

    Attributes:
        key: opaque id for browsers, 16 hexadecimal digits.
        video_id: the video.
        n_clips: how many clips it has now, retired ones left out.
        duration_s: seconds from its first frame to the end of its last clip.
    """

    key: str
    video_id: str
    n_clips: int
    duration_s: float


@dataclass(frozen=True)
class ClipRow:
    """A clip that people label.

    Attributes:
        key: opaque id for browsers, 16 hexadecimal digits.
        clip: the window, as it is cut now.
        fingerprint: of the video's bytes and the window's frames.
        retired: no longer cut; its votes are kept.
    """

    key: str
    clip: Clip
    fingerprint: str
    retired: bool


@dataclass(frozen=True)
class AuditRow:
    """A change of the store.

    Attributes:
        audit_id: ascending.
        at: ISO 8601 time with zone.
        actor: who did it.
        action: e.g. `cast`, `undo`, `sync`, `gold`, `setting`, `rename`.
        detail: of what; JSON values.
    """

    audit_id: int
    at: str
    actor: str
    action: str
    detail: Mapping[str, Any]

"""When it happens and who is involved: what people told of a clip, and of a video's clips together.

Windows overlap, so one event is told in several of them; here it becomes one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from vigil.labels.consensus import Verdict
from vigil.schema import Clip, Event

_TOUCH_S = 1e-6


@dataclass(frozen=True)
class Detail:
    """What the votes behind a label tell besides it.

    Attributes:
        label: the label.
        start_s: the event's first moment in seconds of the video, or None.
        end_s: the moment after its last, or None.
        track_ids: persons it concerns, ascending.
    """

    label: str
    start_s: float | None
    end_s: float | None
    track_ids: tuple[int, ...]


def detail(verdict: Verdict) -> Detail:
    """Join what the votes behind a verdict's label tell.

    Times are the median of those that votes give, persons those whom at least half of the votes
    that name anybody name.

    Args:
        verdict: with a label.
    """
    votes = verdict.support
    starts = [vote.start_s for vote in votes if vote.start_s is not None]
    ends = [vote.end_s for vote in votes if vote.end_s is not None]
    start_s, end_s = (float(median(told)) if told else None for told in (starts, ends))
    if start_s is not None and end_s is not None and start_s >= end_s:
        start_s = end_s = None  # people contradict each other
    naming = [vote.track_ids for vote in votes if vote.track_ids]
    named = sorted({who for ids in naming for who in ids})
    people = [who for who in named if 2 * sum(who in ids for ids in naming) >= len(naming)]
    return Detail(str(verdict.label), start_s, end_s, tuple(people))


def events_of(judged: Sequence[tuple[Clip, Detail]], normal: str) -> list[Event]:
    """Tell what happens when in the videos, from what is settled of their clips.

    An events file says that nothing happens outside of what it lists, so a clip of an event for
    which nobody told a time is listed too: by its window without the windows that are settled as
    normal, unless a told event of its class lies in it. Events of one class that overlap are one,
    except where both name persons and nobody is in both.

    Args:
        judged: settled clips, of any videos.
        normal: the class that is not an event.

    Returns:
        In order of video and time.
    """
    told: list[Event] = []
    untold: list[Event] = []
    for clip, one in judged:
        if one.label == normal:
            continue
        start_s = clip.start_s if one.start_s is None else one.start_s
        end_s = clip.end_s if one.end_s is None else one.end_s
        event = Event(clip.video_id, one.label, start_s, end_s, one.track_ids)
        silent = one.start_s is None and one.end_s is None
        (untold if silent else told).append(event)
    told = _joined(told)
    calm = [clip for clip, one in judged if one.label == normal]
    rest = [
        part
        for event in untold
        if not any(_meet(event, other, 0.0) for other in told)
        for part in _without(event, calm)
    ]
    found = told + _joined(rest)
    return sorted(found, key=lambda one: (one.video_id, one.start_s, one.end_s, one.label))


def _meet(one: Event, other: Event, slack_s: float) -> bool:
    """Say whether events of one class overlap by more than `-slack_s`."""
    same = one.video_id == other.video_id and one.label == other.label
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return same and shared_s > -slack_s


def _joined(events: Sequence[Event]) -> list[Event]:
    """Join events that are one, until none are left to join."""
    found: list[Event] = []
    for event in sorted(events, key=lambda one: (one.video_id, one.start_s, one.end_s, one.label)):
        for place, other in enumerate(found):
            people = set(event.track_ids), set(other.track_ids)
            if _meet(event, other, _TOUCH_S) and (not all(people) or people[0] & people[1]):
                found[place] = replace(
                    other,
                    start_s=min(event.start_s, other.start_s),
                    end_s=max(event.end_s, other.end_s),
                    track_ids=tuple(sorted(people[0] | people[1])),
                )
                break
        else:
            found.append(event)
    return found if len(found) == len(events) else _joined(found)


def _without(event: Event, calm: Sequence[Clip]) -> list[Event]:
    """Take normal windows out of an untold event; all of it stays where nothing would be left."""
    parts = [(event.start_s, event.end_s)]
    for clip in calm:
        if clip.video_id == event.video_id:
            cut = [((a, min(b, clip.start_s)), (max(a, clip.end_s), b)) for a, b in parts]
            parts = [part for pair in cut for part in pair if part[1] - part[0] > _TOUCH_S]
    left = parts or [(event.start_s, event.end_s)]
    return [replace(event, start_s=start_s, end_s=end_s) for start_s, end_s in left]

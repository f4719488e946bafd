"""How far a project is, how fast people label, and how long the rest will take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from vigil.labels.standing import standing
from vigil.labels.votes import Kind, Vote

_PAUSE_S = 300.0  # longer between two votes, and somebody was away


@dataclass(frozen=True)
class Person:
    """What one annotator has done.

    Attributes:
        name: of the annotator.
        clips: with a standing vote of theirs.
        last_hour: votes cast in the hour before `now`.
        per_hour: votes per hour at work, pauses of over five minutes left out; None with too few.
        seconds: median seconds from seeing a clip to deciding; None where not told.
        last_at: ISO time of their last vote.
    """

    name: str
    clips: int
    last_hour: int
    per_hour: float | None
    seconds: float | None
    last_at: str


@dataclass(frozen=True)
class Progress:
    """Where a project stands.

    Attributes:
        wanted: votes that all clips together need: k each.
        cast: of them, how many there are; more than k on a clip count as k.
        people: by name.
        hours_left: until the rest is cast at the team's pace of the last hour; None with nobody
            at work.
    """

    wanted: int
    cast: int
    people: tuple[Person, ...]
    hours_left: float | None


def progress(votes: Sequence[Vote], clip_ids: Collection[str], k: int, now: datetime) -> Progress:
    """Count what is done and tell how long the rest takes.

    Args:
        votes: all of a project, retracted ones too.
        clip_ids: clips that there are now.
        k: votes that each needs.
        now: with a time zone.
    """
    ballots = [vote for vote in votes if vote.kind not in (Kind.RETRACT, Kind.ADJUDICATE)]
    stands = [vote for vote in standing(votes) if vote.kind is not Kind.ADJUDICATE]
    there = set(clip_ids)
    looked = Counter(vote.clip_id for vote in stands if vote.clip_id in there)
    cast = sum(min(count, k) for count in looked.values())
    clips = Counter(vote.annotator for vote in stands if vote.clip_id in there)
    by_name: dict[str, list[Vote]] = defaultdict(list)
    for vote in ballots:
        by_name[vote.annotator].append(vote)
    people = tuple(_person(name, by_name[name], clips[name], now) for name in sorted(by_name))
    wanted = k * len(there)
    pace = sum(person.last_hour for person in people)
    return Progress(wanted, cast, people, (wanted - cast) / pace if pace else None)


def _person(name: str, votes: list[Vote], clips: int, now: datetime) -> Person:
    times = sorted(datetime.fromisoformat(vote.voted_at) for vote in votes)
    seconds = [vote.seconds for vote in votes if vote.seconds is not None]
    return Person(
        name=name,
        clips=clips,
        last_hour=sum(now - timedelta(hours=1) < time <= now for time in times),
        per_hour=_per_hour(times),
        seconds=median(seconds) if seconds else None,
        last_at=times[-1].isoformat(timespec="minutes"),
    )


def _per_hour(times: list[datetime]) -> float | None:
    """Return votes per hour between votes that follow each other without a pause."""
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    worked = [gap for gap in gaps if gap <= _PAUSE_S]
    return 3600 * len(worked) / sum(worked) if len(worked) >= 5 and sum(worked) > 0 else None

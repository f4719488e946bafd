"""Published labels: what the votes come to, as files that the pipeline reads and never writes.

`labels.csv` has a row per settled clip, `labels.events.csv` what happens when, where people told
it, and `labels.json` how both were made. The same votes give the same bytes of both CSVs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vigil.errors import InputError
from vigil.labels.consensus import Rule, State, Verdict, counts, settle
from vigil.labels.detail import Detail, detail, events_of
from vigil.labels.votes import Vote
from vigil.schema import Clip, Event, Label


@dataclass(frozen=True)
class Snapshot:
    """What would be published.

    Attributes:
        labels: a row per settled clip, in order of video and time.
        events: what happens when; see `vigil.labels.detail.events_of`.
        states: how many of the clips are in each state.
        classes: published clips by class, every class named.
        stale: settled clips that are left out because their label rests on votes for pictures
            that have been cut anew since.
        gone: settled clips that are left out because they are no longer cut.
    """

    labels: tuple[Label, ...]
    events: tuple[Event, ...]
    states: Mapping[State, int]
    classes: Mapping[str, int]
    stale: int
    gone: int


def snapshot(
    votes: Iterable[Vote],
    clips: Sequence[Clip],
    classes: Sequence[str],
    normal: str,
    rule: Rule,
    min_votes: int,
    keep_stale: bool,
) -> Snapshot:
    """Make a snapshot of votes.

    Args:
        votes: all there are.
        clips: as they are cut now.
        classes: class names in label order.
        normal: the class that is not an event.
        rule: see `vigil.labels.consensus.settle`.
        min_votes: likewise.
        keep_stale: publish labels of clips that have been cut anew as well.

    Raises:
        InputError: a label that is no class (any more).
    """
    ordered = sorted(clips, key=lambda clip: (clip.video_id, clip.start_s, clip.end_s))
    here = {clip.clip_id: clip for clip in ordered}
    verdicts = settle(votes, rule, min_votes, here)
    settled = [one for one in verdicts.values() if one.label is not None]
    known = [one for one in settled if one.clip_id in here]
    _check_classes(known, classes)
    kept = [one for one in known if keep_stale or not one.stale]
    judged: list[tuple[Clip, Detail]] = [(here[one.clip_id], detail(one)) for one in kept]
    found = Counter(one.label for one in kept)
    return Snapshot(
        tuple(_label(one) for one in kept),
        tuple(events_of(judged, normal)),
        counts(one for one in verdicts.values() if one.clip_id in here),
        {name: found[name] for name in classes},
        len(known) - len(kept),
        len(settled) - len(known),
    )


def _check_classes(verdicts: Sequence[Verdict], classes: Sequence[str]) -> None:
    for one in verdicts:
        if one.label not in classes:
            raise InputError(
                f"labels: {one.clip_id}: expected {', '.join(classes)}, got {one.label!r}; "
                "`rename` makes one class of another"
            )


def _label(verdict: Verdict) -> Label:
    """Return a verdict as published: by everybody it rests on, at the time of the newest vote."""
    support = verdict.support
    names = sorted({vote.annotator for vote in support})
    return Label(verdict.clip_id, str(verdict.label), "+".join(names), support[-1].voted_at)

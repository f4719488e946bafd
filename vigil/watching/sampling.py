"""Uncertain windows back to the people who label: suggestions for known clips, a list for the rest.

No footage is copied: the list says where it is.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vigil.config import Config
from vigil.ensemble import reads_of
from vigil.files import atomic
from vigil.labels.active import entropy
from vigil.labels.formats.reading import safe
from vigil.paths import Paths
from vigil.schema import (
    Suggestion,
    clip_id,
    read_clips,
    read_labels,
    read_suggestions,
    write_suggestions,
)
from vigil.watching.features import Floats
from vigil.watching.reading import Key
from vigil.watching.record import Seen

Place = tuple[str, str, str, float | None, float | None]  # by, source, clip, from, to
Heard = Mapping[Key, Sequence[tuple[float, str, Seen]]]


@dataclass(frozen=True)
class Window:
    """A window that a recognizer was unsure of.

    Attributes:
        entropy: of its probabilities, in [0, 1].
        by: the recognizer.
        source: camera or video.
        clip: id of a clip of the project; empty where it has none.
        start_s: seconds on the source's clock; None for a known clip, whose id tells.
        end_s: likewise.
        probabilities: in label order.
    """

    entropy: float
    by: str
    source: str
    clip: str
    start_s: float | None
    end_s: float | None
    probabilities: tuple[float, ...]


def last_row(_: str, rows: Floats) -> Floats:
    """Let the last of (n, C) rows speak for the window."""
    return np.asarray(rows[-1])


def uncertain(
    heard: Heard,
    clips: Collection[str],
    labeled: Collection[str],
    most: int,
    settle: Callable[[str, Floats], Floats] = last_row,
) -> list[Window]:
    """Return the windows with the greatest entropy, the most uncertain first.

    A window is known by the clip id that the caller gave, or where its source is a video of the
    project that has that window. What is neither a clip nor has a source cannot be found again
    and is left out, and so is what is labeled already. Each window counts once for a recognizer.

    Args:
        heard: what the logs tell, see `Served.seen`.
        clips: ids of the project's clips.
        labeled: ids of those that are labeled.
        most: windows at most.
        settle: from a recognizer and all (n, C) rows of a window, the oldest first, to its (C,).
    """
    rows: dict[Place, list[tuple[float, ...]]] = defaultdict(list)
    everything = [entry for entries in heard.values() for entry in entries]
    for _, source, one in sorted(everything, key=lambda entry: entry[0]):
        place = _place(source, one, clips)
        if place is not None and place[2] not in labeled and any(one.p):
            rows[place].append(one.p)
    found = [_window(place, settle(place[0], np.array(own))) for place, own in rows.items()]
    return sorted(found, key=lambda window: -window.entropy)[:most]


def _place(source: str, one: Seen, clips: Collection[str]) -> Place | None:
    """Return where a row is of; None where nobody can find it again."""
    clip, start, end = one.clip, one.start_s, one.end_s
    timed = bool(source) and start is not None and end is not None
    if not clip and source and start is not None and end is not None:
        clip = clip_id(source, start, end)
    if clip in clips:
        return one.by, source, clip, None, None
    return (one.by, source, "", start, end) if timed else None


def _window(place: Place, p: Floats) -> Window:
    whole = np.clip(p, 0, 1) / np.clip(p, 0, 1).sum()
    by, source, clip, start, end = place
    told = tuple(float(value) for value in whole)
    return Window(float(entropy(whole[None])[0]), by, source, clip, start, end, told)


def uncertain_here(heard: Heard, config: Config, paths: Paths) -> list[Window]:
    """Return the uncertain windows that are not labeled in this project; see `uncertain`."""
    clips = {one.clip_id for one in read_clips(paths.clips)} if paths.clips.is_file() else set()
    labels = read_labels(paths.labels) if paths.labels.is_file() else []
    labeled = {one.clip_id for one in labels}
    own = {
        key: [entry for entry in seen if len(entry[2].p) == len(config.classes)]
        for key, seen in heard.items()
    }
    known = {*config.recognizers, *config.ensembles, *config.fusions}

    def settle(by: str, rows: Floats) -> Floats:
        if by not in known:
            return last_row(by, rows)
        pooled = reads_of(by, config).settle(rows, np.zeros(len(rows), np.intp), 1)
        return np.asarray(pooled[-1], np.float64)

    return uncertain(own, clips, labeled, config.drift.sample, settle)


def hand_over(windows: Sequence[Window], config: Config, paths: Paths) -> int:
    """Write what is said of known clips where the labeling queue reads it; return how many.

    Raises:
        InputError: the suggestions so far cannot be read.
    """
    old = read_suggestions(paths.prelabels, config.classes) if paths.prelabels.is_file() else []
    known = [one for one in windows if one.clip]
    if known:
        write_suggestions(paths.prelabels, suggestions(known, old), config.classes)
    return len(known)


def suggestions(windows: Iterable[Window], old: Iterable[Suggestion]) -> list[Suggestion]:
    """Return what is said of known clips, in the order of `windows`, and before it said otherwise.

    Args:
        windows: see `uncertain`.
        old: suggestions so far; those of the same clip and system are replaced.
    """
    new = [Suggestion(one.clip, one.by, one.probabilities) for one in windows if one.clip]
    replaced = {(one.clip_id, one.system) for one in new}
    return [*new, *(one for one in old if (one.clip_id, one.system) not in replaced)]


def write_footage(path: Path, windows: Iterable[Window]) -> int:
    """Write the windows that are no clips yet as CSV, atomically; return how many.

    Args:
        path: `source,start_s,end_s,entropy,by`; what a sheet may take for a formula is quoted.
        windows: see `uncertain`.
    """
    unknown = [one for one in windows if not one.clip]
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "start_s", "end_s", "entropy", "by"])
        for one in unknown:
            times = (one.start_s, one.end_s, f"{one.entropy:.4f}")
            writer.writerow([safe(one.source), *times, safe(one.by)])
    return len(unknown)

"""What systems suggest of clips, and the orders of the work queue that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, Order, Strategy
from vigil.labels.active import Floats, Pool, choose, score
from vigil.paths import Paths
from vigil.schema import Clip, Embeddings, Suggestion, by_video, read_suggestions

Said = Mapping[str, Mapping[str, tuple[float, ...]]]  # probabilities by system by clip


def read_all(paths: Paths, classes: Sequence[str]) -> dict[str, dict[str, tuple[float, ...]]]:
    """Read what the stage `suggest` and the served recognizers say; either may be absent.

    Args:
        paths: of the project.
        classes: class names in label order.

    Returns:
        Probabilities in label order, by system, by clip id.

    Raises:
        InputError: a file of other classes, or no such file.
    """
    found: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for path in (paths.suggestions, paths.prelabels):
        if path.is_file():
            for one in read_suggestions(path, classes):
                found[one.clip_id][one.system] = one.probabilities
    return dict(found)


def merged(old: Sequence[Suggestion], new: Sequence[Suggestion]) -> list[Suggestion]:
    """Return new suggestions with those that other systems made before."""
    systems = {one.system for one in new}
    return [*(one for one in old if one.system not in systems), *new]


def queue_scores(
    order: Order,
    said: Said,
    clips: Sequence[Clip],
    labeled: Collection[str],
    config: Config,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, float]:
    """Rank the clips that nobody has labeled for the work queue.

    Args:
        order: of the queue; `chance` needs no ranking and gives none.
        said: see `read_all`; clips of which nothing is said are left out.
        clips: all of the project.
        labeled: ids of clips that are labeled.
        config: classes, and the section `labeling`.
        vectors: of clips by id, see `clip_vectors`; read where `spread` is by distance.

    Returns:
        A score per clip id, higher ones first, distinct.
    """
    here = [clip for clip in clips if clip.clip_id in said]
    wanted = [clip for clip in here if clip.clip_id not in labeled]
    if order == "chance" or not wanted:
        return {}
    active, system = config.labeling.active, config.labeling.suggestions
    alone = order != "disagreement"
    members = _members([said[clip.clip_id] for clip in wanted], system if alone else "")
    by: dict[Order, Strategy] = {
        "uncertainty": active.uncertainty,
        "disagreement": active.disagreement,
        "suspicion": "suspicion",
    }
    scores = score(by[order], members, config.classes.index(config.normal_class))
    done = [clip for clip in clips if clip.clip_id in labeled]
    pool, before = _pool(wanted, vectors), _pool(done, vectors)
    chosen = choose(scores, pool, before, len(wanted), active.spread, active.spread_weight)
    return {wanted[index].clip_id: float(len(chosen) - place) for place, index in enumerate(chosen)}


def _members(said: Sequence[Mapping[str, tuple[float, ...]]], system: str) -> Floats:
    """Return (S, N, C): of `system` where it spoke, else of all; who is silent repeats the mean."""
    names = sorted({name for one in said for name in one})
    rows = []
    for one in said:
        mean = tuple(np.mean(list(one.values()), axis=0).tolist())
        rows.append([one.get(system, one.get(name, mean)) for name in names])
    return np.array(rows, np.float64).transpose(1, 0, 2)


def _pool(clips: Sequence[Clip], vectors: Mapping[str, NDArray[np.float32]] | None) -> Pool:
    names = [clip.video_id for clip in clips]
    if not vectors:
        return Pool(names)
    zeros = np.zeros_like(next(iter(vectors.values())))
    rows = [vectors.get(clip.clip_id, zeros) for clip in clips]
    return Pool(names, np.array(rows).reshape(len(rows), len(zeros)))


def clip_vectors(clips: Sequence[Clip], paths: Paths) -> dict[str, NDArray[np.float32]]:
    """Return the mean of each clip's CLIP embeddings; clips without any are left out.

    Args:
        clips: of any videos.
        paths: of the project.

    Returns:
        (D,) by clip id.
    """
    found = {}
    for video_id, own in by_video(clips).items():
        file = paths.embeddings / f"{video_id}.parquet"
        if not file.is_file():
            continue
        table = Embeddings.read(file)
        for clip in own:
            inside = (table.frame >= clip.start_frame) & (table.frame < clip.end_frame)
            if inside.any():
                found[clip.clip_id] = table.embedding[inside].astype(np.float32).mean(0)
    return found

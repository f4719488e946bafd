"""The simulation counts what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.labels.stores import labeling
from vigil.config import SimulateSection, Spread, Strategy
from vigil.errors import InputError
from vigil.labels import learning_curves
from vigil.labels.simulation import Curve, Task, simulate


def blobs(alike: int = 6) -> Task:
    """Videos of one class each, whose clips are nearly the same: chance labels them in vain."""
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(24, 4)) * 2
    classes = (centers[:, 0] > 0.6).astype(np.intp)
    video = np.repeat(np.arange(24), alike)
    features = centers[video] + rng.normal(size=(len(video), 4)) * 0.02
    test = rng.normal(size=(200, 4)) * 2
    truth = (test[:, 0] > 0.6).astype(np.intp)
    names = tuple(f"v{name}" for name in video)
    return Task(features, classes[video], names, test, truth, 0, 2)


def params(*strategies: tuple[Strategy, Spread]) -> SimulateSection:
    weighed = tuple((*one, 1.0) for one in strategies)
    changed = {"runs": 4, "batch": 6, "strategies": weighed, "penalty": 10.0}
    return labeling().simulate.model_copy(update=changed)


def test_labels_from_video_to_video_save_labels_of_alike_clips() -> None:
    wanted = params(("random", "none"), ("random", "video"))
    (chance, spread), final = simulate(blobs(), wanted)
    assert final > 0.85
    assert (chance.saved, chance.saved_range) == (0.0, (0.0, 0.0))
    assert spread.needed < chance.needed
    assert spread.saved == pytest.approx(1 - spread.needed / chance.needed)
    assert spread.needed_range[0] <= spread.needed <= spread.needed_range[1]
    assert chance.f1[:, -1] == pytest.approx(final), "all labels are all labels"
    assert chance.f1[:, 0] == pytest.approx(spread.f1[:, 0]), "they begin with the same clips"


def test_the_same_seed_gives_the_same_curves() -> None:
    wanted = params(("divergence", "video"))
    first, again = (simulate(blobs(2), wanted)[0][0].f1 for _ in range(2))
    assert (first == again).all()


def test_too_few_clips_are_refused() -> None:
    task = blobs(1)
    few = Task(task.features[:5], task.labels[:5], task.videos[:5], task.test_features,
               task.test_labels, 0, 2)  # fmt: skip
    with pytest.raises(InputError, match="expected more than 8 clips"):
        simulate(few, params(("random", "none")))


def test_the_answer_is_written_for_people_and_programs(tmp_path: Path) -> None:
    rising = np.linspace(0.1, 0.9, 20)[None].repeat(4, 0)
    curve = Curve("suspicion", "video", rising, 12, (10, 14), 0.4, (0.3, 0.5))
    wanted = params(("suspicion", "video"))
    learning_curves.write(tmp_path, [curve], 0.9, blobs(1), wanted)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "| suspicion | video | 12 [10, 14] | 40% [30%, 50%] |" in learning_curves.table(
        [curve], wanted
    )

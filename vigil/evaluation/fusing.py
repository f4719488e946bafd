"""Learn how to weigh recognizers from what they say of validation clips, and of no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vigil.config import FusionSection
from vigil.dataset import select
from vigil.evaluation.judging import predict
from vigil.fusion import Fit, Fused, fit
from vigil.splits import split_name


def learn(
    fused: Fused,
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    params: FusionSection,
) -> Fit:
    """Fit a fusion on the validation clips and write what was learned.

    Args:
        fused: where it lies; its fold says which validation clips.
        splits: clip ids of every split.
        rows: all annotations.
        params: members and penalty.

    Raises:
        InputError: validation clips of fewer than two classes.
        ModelError: a member is not trained.
    """
    validation = select(splits, rows, split_name("val", fused.fold))
    said = np.stack([predict(member, validation) for member in fused.members])
    labels = np.array([row["label"] for row in validation], np.int64)
    learned = fit(said, labels, params.members, params.penalty)
    fused.write(learned)
    return learned

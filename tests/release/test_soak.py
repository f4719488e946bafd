"""A soak counts what is lost, what is refused and how memory grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release import plants
from vigil.release.soak import _sum_up, soak


def test_memory_that_grows_is_not_flat() -> None:
    seen = {"answered": 1, "failed": 0, "refused": 0, "first": ""}
    grown = _sum_up(8, seen, 0, [100, 100, 100, 100, 105, 105, 110, 110])
    assert grown.growth == pytest.approx(0.1)
    assert not grown.flat
    assert _sum_up(8, seen, 0, [10, 90, 100, 100, 101, 101, 102, 102]).flat


@pytest.mark.slow
def test_good_requests_are_answered_and_bad_ones_refused_while_the_model_is_reloaded(
    tmp_path: Path,
) -> None:
    plants.model(tmp_path)
    found = soak(tmp_path, "tiny", 6, 2)
    assert (found.failed, found.first_failure) == (0, "")
    assert found.reloads >= 1
    assert found.answered > 8 * found.refused > 0
    assert min(found.memory_mib) > 10

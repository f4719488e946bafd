"""The commands that train the demo's networks, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from vigil.demo.training import Budget, trainings


@pytest.mark.parametrize(("rendered", "learns"), [(0, False), (1, False), (2, True)])
def test_errors_are_learned_where_enough_scenes_are_drawn(rendered: int, learns: bool) -> None:
    budget = Budget(24, 1, 0.1, 24, rendered, 24, 3)
    commands = dict(trainings(Path("work"), budget, "params.yaml", Path("out")))
    assert ("--learn-errors" in commands["protogcn"]) is learns

"""What the tests of the recognizers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skeletons import write_set


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An annotation file of 32 clips of two classes."""
    path = tmp_path_factory.mktemp("dataset") / "annotations.pkl"
    write_set(path, 32)
    return path

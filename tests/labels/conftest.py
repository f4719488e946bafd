"""The label store on each database it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labels.stores import open_sqlite
from vigil.labels.store import LabelStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    """An empty store."""
    opened = open_sqlite(tmp_path)
    yield opened
    assert opened.check() == []
    opened.close()

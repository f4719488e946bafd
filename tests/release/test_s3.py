"""A live repository in a real object store: its addresses, its races and its failures in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.release import object_store, plants
from tests.release.object_store import BUCKET, ObjectStore, environment
from vigil.config.place import S3Place
from vigil.errors import Conflict, InputError, ModelError, ServerError, ServerUnavailable
from vigil.release.candidate import Candidate
from vigil.release.live import LiveModel, models
from vigil.release.project import served
from vigil.release.publish import publish, rollback
from vigil.release.s3 import S3Storage
from vigil.serving.repository import read_config

PARTS = {"model.onnx", "config.pbtxt", "labels.txt", "lineage.json", "verdict.json"}


@pytest.mark.parametrize(
    ("url", "endpoint", "bucket", "prefix"),
    [
        ("s3://models", None, "models", ""),
        ("s3://models/live/a_b", None, "models", "live/a_b"),
        ("s3://host:9000/models/live", "http://host:9000", "models", "live"),
        ("s3://http://10.0.0.1:9000/models", "http://10.0.0.1:9000", "models", ""),
        ("s3://https://store.example:443/models/x", "https://store.example:443", "models", "x"),
    ],
)
def test_an_address_is_read_as_triton_reads_it(
    url: str, endpoint: str | None, bucket: str, prefix: str
) -> None:
    assert S3Place.parse(url) == S3Place(url, endpoint, bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3:///live", "s3://..", "s3://a..b/live", "s3://Models/live", "s3://ab",
        "s3://models/../other", "s3://models/a/../../b", "s3://models//live", "s3://models/live/",
        "s3://models/.hidden", "s3://models/a b", "s3://models/a%2e%2e", "s3://models/a\\b",
        "s3://models/live?x=1", "s3://models/live#x", "s3://models/a\nb", "s3://host:99/models/..",
        "s3://key:secret@host:9000/models/live", "s3://http://key:secret@host:9000/models",
    ],
)  # fmt: skip
def test_tricks_in_an_address_are_refused_and_secrets_not_repeated(
    url: str, params: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="expected s3://") as caught:
        S3Place.parse(url)
    assert "secret" not in str(caught.value)


def test_a_name_that_leaves_the_repository_is_refused(tmp_path: Path) -> None:
    for name in ("..", "../x", "a/b", "", ".hidden", "a\n"):
        with pytest.raises(InputError, match="expected the name of a model"):
            LiveModel(tmp_path, name)


@pytest.fixture
def live(store: ObjectStore, tmp_path: Path) -> LiveModel:
    """A live repository in which version 1 serves."""
    found = LiveModel(store.place(), "tiny")
    plants.release(found, plants.model(tmp_path))
    return found


@pytest.mark.slow
def test_of_two_publishers_one_wins_and_the_other_is_told(
    live: LiveModel, store: ObjectStore, tmp_path: Path
) -> None:
    other, new = LiveModel(live.storage.url, "tiny"), tmp_path / "tiny"

    def overtake(step: str) -> None:
        if step == "loaded":
            assert plants.release(other, new) == 3

    with pytest.raises(Conflict, match="another publish or rollback came first"):
        plants.release(live, new, on_step=overtake)
    assert (other.numbers(), other.current) == ([1, 3], 3)
    assert {key.split("/")[1] for key in store.keys(live.storage.url) if "/" in key[5:]} == {
        "1", "3",
    }  # fmt: skip


@pytest.mark.slow
def test_a_pointer_that_was_moved_there_and_back_is_noticed(
    live: LiveModel, tmp_path: Path
) -> None:
    other, new = LiveModel(live.storage.url, "tiny"), tmp_path / "tiny"

    def there_and_back(step: str) -> None:
        if step == "complete":
            plants.release(other, new)
            rollback(other, [])

    with pytest.raises(Conflict):
        plants.release(live, new, on_step=there_and_back)
    assert other.current == 1


@pytest.mark.slow
def test_two_first_publishers_do_not_mix_their_files(store: ObjectStore, tmp_path: Path) -> None:
    one, two = (LiveModel(place, "tiny") for place in [store.place("first")] * 2)
    new = plants.model(tmp_path)
    said, told = plants.verdict(one, Candidate.at(new)), {"sha256": Candidate.at(new).sha256}

    def meanwhile(step: str) -> None:
        if step == "written":
            with two.lock(), pytest.raises(Conflict):
                list(two.stage(Candidate.at(new), told, said, 1))

    assert publish(one, Candidate.at(new), said, told, [], 5, on_step=meanwhile) == 1
    two.check(1)


@pytest.mark.slow
def test_a_version_that_is_gone_back_to_is_not_pruned_away(live: LiveModel, tmp_path: Path) -> None:
    other, new = LiveModel(live.storage.url, "tiny"), tmp_path / "tiny"
    for _ in range(2):
        plants.release(live, new)
    with live.lock():
        rollback(other, [], to=1)
        live.drop(1)
    assert (other.current, other.numbers()) == (1, [1, 2, 3])
    other.check(1)


@pytest.mark.slow
def test_a_version_without_its_mark_is_none_and_the_next_publish_removes_it(
    live: LiveModel, store: ObjectStore, tmp_path: Path
) -> None:
    place = live.storage.url
    store.put(place, "tiny/2/model.onnx", b"half")
    store.put(place, "tiny/notes.txt", b"of somebody")
    assert live.numbers() == [1]
    with pytest.raises(ModelError, match=r"expected one of \[1\], got 2"):
        rollback(live, [], to=2)
    assert plants.release(live, tmp_path / "tiny") == 3
    assert "tiny/2/model.onnx" not in store.keys(place)
    assert "tiny/notes.txt" in store.keys(place)
    assert models(place) == ["tiny"]


@pytest.mark.slow
def test_a_store_that_ignores_conditions_is_named(
    live: LiveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = S3Storage._put
    monkeypatch.setattr(S3Storage, "_put", lambda self, key, content, **_: put(self, key, content))
    plain = LiveModel(live.storage.url, "tiny")
    assert [line for line in plain.storage.prepare() if "ignores conditional writes" in line]
    assert plants.release(plain, tmp_path / "tiny") == 2
    assert rollback(plain, []) == 1
    with plain.lock():
        plants.release(live, tmp_path / "tiny")
        with pytest.raises(Conflict):
            plain.point(2)
    monkeypatch.undo()
    assert live.storage.prepare() == []


@pytest.mark.slow
def test_what_serves_is_at_hand_for_the_gate(live: LiveModel) -> None:
    found = served(live)
    assert found is not None
    assert found.version == 1
    assert found.files.sha256 == live.lineage(1)["sha256"]
    assert list(read_config(found.folder).version_policy.specific.versions) == [1]


def command(folder: Path, place: str, action: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `vigil-serve` in a project whose live repository lies at `place`."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params["release"]["repository"] = place
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), "utf-8")
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "stages.release", action, "--params", str(folder / "params.yaml"),
         "--model", "tiny", "--offline"],
        env=base | env, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.slow
def test_each_failure_is_one_line_and_no_success(
    live: LiveModel, store: ObjectStore, tmp_path: Path
) -> None:
    plants.release(live, tmp_path / "tiny")
    before, place = store.keys(live.storage.url), live.storage.url
    good = environment()
    nobody = {name: value for name, value in good.items() if "KEY" not in name}
    cases: list[tuple[str, dict[str, str], str, int]] = [
        (place, good | {"AWS_SECRET_ACCESS_KEY": "hush-hush"}, "SignatureDoesNotMatch", 2),
        (place, good | {"AWS_ACCESS_KEY_ID": "stranger"}, "does not take these credentials", 2),
        (place, nobody, "expected credentials in the environment", 2),
        (place, environment("reader"), "may not do this: PutObject", 2),
        (place.replace(f"/{BUCKET}/", "/absent/"), good, "expected a bucket, got none", 2),
        ("s3://http://127.0.0.1:9/models/live", good, "the object store does not answer", 4),
        (place + "/../x", good, "expected s3://", 2),
    ]
    for number, (where, env, message, code) in enumerate(cases):
        ran = command(tmp_path / f"case{number}", where, "rollback", **env)
        assert (ran.returncode, message in ran.stderr) == (code, True), ran.stderr + ran.stdout
        assert len(ran.stderr.splitlines()) == 1, ran.stderr
        assert not [word for word in ("hush", "secret-0") if word in ran.stderr + ran.stdout]
    assert store.keys(place) - {".conditional"} == before - {".conditional"}
    assert live.current == 2
    ran = command(tmp_path / "good", place, "rollback", **good)
    assert ran.returncode == 0, ran.stderr
    assert "version 1 serves" in ran.stdout
    assert object_store.secret("publisher") not in json.dumps([live.lineage(1), live.verdict(1)])


@pytest.mark.slow
def test_a_store_that_goes_away_or_is_full_leaves_what_serves(
    tmp_path: Path, store: ObjectStore
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with object_store.running(disk / "store", "-volume.minFreeSpace=0") as small:
            live = LiveModel(small.place(), "tiny")
            new = plants.model(tmp_path)
            plants.release(live, new)
            _fill(disk)
            with pytest.raises(ServerError, match="PutObject"):
                plants.release(live, _large(new))
            assert (live.numbers(), live.current) == ([1], 1)
            live.check(1)
        with pytest.raises(ServerUnavailable, match="does not answer"):
            plants.release(live, new)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S607


def _fill(disk: Path) -> None:
    """Write until nothing more goes."""
    try:
        with (disk / "ballast").open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
    except OSError:
        pass


def _large(folder: Path) -> Path:
    (folder / "1" / "model.onnx").write_bytes(bytes(8 << 20))
    return folder

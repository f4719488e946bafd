"""A version's lineage names every file that taught it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.release import plants
from tests.skeletons import config
from vigil.errors import InputError
from vigil.release.candidate import Candidate
from vigil.release.lineage import ancestry, lineage

STAGES = {
    "mask": {"deps": [{"path": "data/videos", "md5": "v"}, {"path": "vigil/video.py", "md5": "c"}],
             "outs": [{"path": "data/tracks", "md5": "t"}]},
    "dataset": {"deps": [{"path": "data/tracks", "md5": "t"},
                         {"path": "data/labels.csv", "md5": "l"}],
                "outs": [{"path": "data/dataset", "md5": "d"}]},
    "other": {"deps": [{"path": "data/secret", "md5": "s"}], "outs": [{"path": "x", "md5": "x"}]},
    "train@tiny": {"deps": [{"path": "data/dataset", "md5": "d"},
                            {"path": "vigil/demo/weights", "md5": "w"}],
                   "outs": [{"path": "models/tiny", "md5": "m"}]},
    "export@tiny": {"deps": [{"path": "models/tiny", "md5": "m"}, {"path": "stages/export.py"}],
                    "outs": [{"path": "triton_repo/tiny/1/model.onnx", "md5": "o"}]},
}  # fmt: skip


def test_ancestry_walks_back_to_the_footage_and_the_labels_and_leaves_code_out() -> None:
    assert ancestry(STAGES, "export@tiny") == {
        "data/dataset": "d", "data/labels.csv": "l", "data/tracks": "t", "data/videos": "v",
        "models/tiny": "m", "vigil/demo/weights": "w",
    }  # fmt: skip


@pytest.mark.parametrize("changed", [False, True])
def test_a_model_is_traced_only_where_the_lock_knows_its_very_file(
    tmp_path: Path, changed: bool
) -> None:
    candidate = Candidate.at(plants.model(tmp_path / "repo"))
    content = candidate.files["model.onnx"].read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    export = {**STAGES["export@tiny"], "outs": [{"path": "p", "md5": "x" if changed else found}]}
    lock = {"schema": "2.0", "stages": {**STAGES, "export@tiny": export}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    told = lineage(candidate, {"metrics": {"accuracy": 1}}, config(), tmp_path)
    assert told["traced"] is not changed
    assert told["data"]["data/labels.csv"] == "l"
    assert told["sha256"] == candidate.sha256
    assert told["metrics"] == {"accuracy": 1}
    assert told["params"]["classes"] == ["normal", "assault"]
    assert told["git"] is None


def test_the_commit_and_whether_the_tree_was_changed_are_told(tmp_path: Path) -> None:
    candidate = Candidate.at(plants.model(tmp_path / "repo"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    told = lineage(candidate, {"metrics": {}}, config(), tmp_path)
    assert len(told["git"]["commit"]) == 40
    assert told["git"]["changed"] is False
    assert (told["traced"], told["data"], told["dvc_lock_sha256"]) == (False, {}, None)
    (tmp_path / "repo/tiny/labels.txt").write_text("x\n")
    assert lineage(candidate, {"metrics": {}}, config(), tmp_path)["git"]["changed"] is True


def test_a_broken_lock_is_one_clear_line(tmp_path: Path) -> None:
    candidate = Candidate.at(plants.model(tmp_path / "repo"))
    (tmp_path / "dvc.lock").write_text("- nothing")
    with pytest.raises(InputError, match=r"dvc\.lock: expected what `dvc repro` writes"):
        lineage(candidate, {"metrics": {}}, config(), tmp_path)

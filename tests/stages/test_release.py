"""`make verify` and `vigil-serve` on a trained ProtoGCN, as people run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.skeletons import CLASSES, config, write_set
from vigil.dataset import read_annotations
from vigil.export import export
from vigil.models import store

pytestmark = pytest.mark.slow


def command(params: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", *words, "--params", str(params)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an untrained, exported ProtoGCN."""
    values = config().model_dump(mode="json")
    values["gate"] |= {"rounds": 3, "seconds": 0.1, "warmup_s": 0.0, "rows": 8}
    cfg = type(config()).model_validate(values)
    spec = store.ModelSpec.of("protogcn", CLASSES, cfg.models, cfg.dataset)
    store.save(tmp_path / "models" / "protogcn", store.build(spec).state_dict(), spec)
    (tmp_path / "data" / "dataset").mkdir(parents=True)
    write_set(tmp_path / "data" / "dataset" / "annotations.pkl", 48)
    rows = read_annotations(tmp_path / "data" / "dataset" / "annotations.pkl")[1]
    export(tmp_path / "models" / "protogcn", tmp_path / "triton_repo", rows[:8], cfg.export)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(values, allow_unicode=True))
    return params


def test_judged_published_listed_and_refused(project: Path) -> None:
    early = command(project, "stages.release", "publish", "--offline")
    assert early.returncode == 2
    assert "expected the gate's verdict; run verify" in early.stderr
    judged = command(project, "stages.verify")
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.endswith("verify: protogcn: ship\n")
    folder = project.parent / "reports" / "gate" / "protogcn"
    assert json.loads((folder / "verdict.json").read_text())["ship"] is True
    assert ">Ship<" in (folder / "index.html").read_text()
    published = command(project, "stages.release", "publish", "--offline")
    assert published.stdout == "publish: protogcn: version 1 serves\n", published.stderr
    listed = command(project, "stages.release", "list")
    assert "not traced by dvc.lock" in listed.stdout
    assert listed.stdout.rstrip().endswith("serves")
    stale = command(project, "stages.release", "publish", "--offline")
    assert stale.returncode == 2
    assert "was judged against version None, but 1 serves" in stale.stderr
    back = command(project, "stages.release", "rollback", "--offline")
    assert back.returncode == 2
    assert "Traceback" not in early.stderr + stale.stderr + back.stderr

"""Published weights load and give the published scores, by the word of the equations in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.models import numpy_protogcn as witness
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.models.protogcn import upstream
from vigil.models.reading import SkeletonReading

SMALL = (2, 1, 1)


def published(joints: int, classes: int = 5, base: int = 16, stages: tuple[int, ...] = SMALL,
              seed: int = 0) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return a random published state dict, float64."""
    drawn = witness.weights(joints, classes, base, stages, prototypes=12, seed=seed)
    return {name: torch.from_numpy(np.asarray(value)) for name, value in drawn.items()}


def checkpoint(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """Write what the published training writes."""
    torch.save({"meta": {"epoch": 150, "config": "x = 1"}, "state_dict": state}, path)
    return path


@pytest.mark.parametrize(
    ("joints", "base", "stages", "seed"),
    [(20, 16, SMALL, 0), (25, 16, SMALL, 1), (25, 40, (1, 2), 2), (20, 96, (4, 3, 3), 3),
     (25, 96, (4, 3, 3), 4)],
)  # fmt: skip
def test_scores_are_those_of_the_equations(
    joints: int, base: int, stages: tuple[int, ...], seed: int
) -> None:
    state = published(joints, 5, base, stages, seed)
    x = np.random.default_rng(seed).normal(size=(2, 2, 9, joints, 3))
    x[1, 1] = 0.0
    wanted = witness.logits({k: v.numpy() for k, v in state.items()}, x, stages)
    built = upstream.network(upstream.convert(state))
    with torch.inference_mode():
        found = built(torch.from_numpy(x)).numpy()
    assert np.abs(wanted).max() > 0.05
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


def test_every_weight_arrives_and_only_the_class_means_are_new() -> None:
    state = published(20)
    built = upstream.network(upstream.convert(state))
    own = built.state_dict()
    assert {name for name in own if name not in upstream.convert(state)} == {
        "cls_head.contrast.means"
    }
    branches = state["backbone.gcn.0.tcn.branches.2.0.weight"]
    torch.testing.assert_close(own["backbone.blocks.0.tcn.squeeze.0.weight"][8:10], branches)
    bias = state["cls_head.csc_loss.cl_fc.bias"]
    torch.testing.assert_close(own["cls_head.contrast.embed.bias"], bias)


def test_a_checkpoint_for_cameras_becomes_a_trained_recognizer(tmp_path: Path) -> None:
    """Its served scores are the published ones: raw pixels, and both person slots averaged."""
    state = published(20)
    source = checkpoint(tmp_path / "gym.pth", state)
    upstream.main([str(source), str(tmp_path / "gym"), "--layout", "coco_new"])
    recognizer, spec = store.load(tmp_path / "gym")
    assert spec.classes == ("0", "1", "2", "3", "4")
    assert spec.reads == SkeletonReading(100, 2, "loop")
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0.2, 1.0, (2, 2, 10, 17, 3))
    keypoints[1, 1] = 0.0
    parts = [keypoints, keypoints[..., [11, 12], :].mean(3, keepdims=True),
             keypoints[..., [5, 6, 11, 12], :].mean(3, keepdims=True),
             keypoints[..., [5, 6], :].mean(3, keepdims=True)]  # fmt: skip
    x = np.concatenate(parts, axis=3)
    wanted = witness.logits({k: v.numpy() for k, v in state.items()}, x, SMALL)
    with torch.inference_mode():
        _, found = recognizer.inference_graph()(
            torch.from_numpy(keypoints).float(), torch.full((2, 2), 1.0)
        )
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-3, rtol=1e-3)


def test_a_checkpoint_of_3d_joints_becomes_weights_only(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "ntu.pth", published(25))
    upstream.main([str(source), str(tmp_path / "ntu"), "--layout", "nturgb+d"])
    assert [path.name for path in (tmp_path / "ntu").iterdir()] == ["model.safetensors"]
    built = upstream.network(load_file(tmp_path / "ntu" / "model.safetensors"))
    assert built(torch.zeros(1, 2, 8, 25, 3).double()).shape == (1, 5)


def test_wrong_files_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, change in (
        ("layout", lambda state: state),
        ("alien", lambda state: state | {"backbone.other.weight": torch.zeros(1)}),
        ("cut", lambda state: {k: v for k, v in state.items() if "branches.3.0" not in k}),
        ("thin", lambda state: {k: v for k, v in state.items() if "fc_cls.bias" not in k}),
    ):
        source = checkpoint(tmp_path / f"{name}.pth", change(published(25)))
        layout = "coco_new" if name == "layout" else "nturgb+d"
        with pytest.raises(SystemExit) as exit_:
            upstream.main([str(source), str(tmp_path / name), "--layout", layout])
        assert exit_.value.code == ModelError.exit_code
        line = capsys.readouterr().err
        assert "expected" in line
        assert line.count("\n") == 1
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(ModelError, match="expected a ProtoGCN checkpoint"):
        upstream.read(tmp_path / "text.pth")
    with pytest.raises(InputError, match="layout"):
        upstream.write(upstream.convert(published(25)), tmp_path / "x", "openpose", "j")


class Evil:
    """Runs code when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_checkpoint_that_carries_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": published(25), "meta": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="expected a ProtoGCN checkpoint"):
        upstream.read(tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out

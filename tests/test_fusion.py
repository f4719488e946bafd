"""A fusion is learned from validation clips alone, and served as one graph equal to torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.skeletons import CLASSES, config
from tests.tracks import clip
from vigil import fusion
from vigil.ensemble import load, named, reads_of
from vigil.errors import InputError, ModelError
from vigil.evaluation import learn, predict
from vigil.export import publish
from vigil.models import store
from vigil.models.reading import JointReading
from vigil.serving.repository import check_model
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TritonSession

NAMES = ("protogcn", "clip_gru")
ROWS = [clip(i, i % 2, people=i % 4) for i in range(11)]


def save(root: Path) -> fusion.Fused:
    """Save two members with random weights and confident answers."""
    cfg = config()
    folders = []
    for seed, name in enumerate(NAMES):
        spec = store.ModelSpec.of(name, CLASSES, cfg.models, cfg.dataset)
        torch.manual_seed(seed)
        state = store.build(spec).state_dict()
        sure = {"protogcn": 3.0, "clip_gru": 2.0}[name]
        state = {k: v * sure if k == "cls_head.fc.weight" else v for k, v in state.items()}
        store.save(root / name, state, spec)
        folders.append(root / name)
    return fusion.Fused(root / "fused", tuple(folders))


def weighed(root: Path, weights: tuple[float, float], bias: tuple[float, float]) -> fusion.Fused:
    fused = save(root)
    fused.write(fusion.Fit(NAMES, weights, bias, 11, 0.5, 0.6))
    return fused


def said(count: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and what one says who is right in this share of the clips."""
    labels = np.arange(count) % 2
    rng = np.random.default_rng(seed)
    told = np.where(rng.random(count) < right, labels, 1 - labels)
    return labels, np.stack([0.1 + 0.8 * (told == c) for c in range(2)], 1)


def test_the_better_member_weighs_more_and_the_bias_makes_up_for_a_slant() -> None:
    labels, good = said(200, 0.95, 0)
    _, poor = said(200, 0.55, 1)
    found = fusion.fit(np.stack([good, poor]), labels, NAMES, 0.001)
    assert found.weights[0] > 3 * found.weights[1] >= 0
    assert found.loss < found.loss_equal
    slanted = good * [1.0, 0.02]
    slanted /= slanted.sum(1, keepdims=True)
    found = fusion.fit(np.stack([slanted, slanted]), labels, NAMES, 0.001)
    assert found.bias[1] > found.bias[0] + 1


def test_a_member_that_is_always_wrong_is_silenced_not_inverted() -> None:
    labels, good = said(200, 0.98, 0)
    found = fusion.fit(np.stack([good, good[:, ::-1]]), labels, NAMES, 0.001)
    assert found.weights[1] == 0.0


def test_a_large_penalty_leaves_equal_weights() -> None:
    labels, good = said(30, 0.95, 0)
    found = fusion.fit(np.stack([good, good[::-1]]), labels, NAMES, 100.0)
    assert found.weights == pytest.approx((0.5, 0.5), abs=0.01)
    assert found.loss == pytest.approx(found.loss_equal, abs=0.02)


def test_the_gradient_is_the_losss_slope() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    loss, slope = fusion._log_loss(logits, labels)
    for place in np.ndindex(logits.shape):
        moved = logits.copy()
        moved[place] += 1e-6
        assert (fusion._log_loss(moved, labels)[0] - loss) / 1e-6 == pytest.approx(
            slope[place], abs=1e-5
        )


def test_one_class_teaches_nothing() -> None:
    with pytest.raises(InputError, match="at least two classes"):
        fusion.fit(np.full((2, 4, 2), 0.5), np.zeros(4, np.int64), NAMES, 0.1)


def test_it_is_the_weighted_sum_of_what_the_members_say(tmp_path: Path) -> None:
    fused = weighed(tmp_path, (0.7, 1.2), (0.1, -0.2))
    parts = [np.log(np.maximum(predict(folder, ROWS), 1e-6)) for folder in fused.members]
    logits = 0.7 * parts[0] + 1.2 * parts[1] + [0.1, -0.2]
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.ptp(wanted[:, 0]) > 0.05, "answers that agree prove nothing"
    np.testing.assert_allclose(predict(fused, ROWS), wanted, atol=1e-5)


def test_it_is_one_graph_equal_to_torch_at_every_batch(tmp_path: Path) -> None:
    graph, spec = load(weighed(tmp_path, (0.7, 1.2), (0.1, -0.2)), "fused")
    feeds = spec.reads.batch(ROWS).feeds
    parity = publish(graph, spec, tmp_path / "repo", feeds, config().export)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    assert max(parity["max_difference"].values()) < 1e-5
    check_model(tmp_path / "repo" / "fused")
    session = OnnxSession(tmp_path / "repo/fused/1/model.onnx", device="cpu")
    assert [str(one) for one in session.inputs] == [
        "keypoints float32 (*, 2, 16, 17, 3)", "image_size float32 (*, 2)",
        "embeddings float32 (*, 12, 8, 16)",
    ]  # fmt: skip
    assert {"clip_len", "span_s", "type"} <= set(session.metadata)
    told = json.loads(session.metadata["members"])
    assert told["clip_gru"]["weight"] == 1.2


def test_only_validation_clips_teach_it(tmp_path: Path) -> None:
    """Clips of the other splits carry labels that would turn the weights over."""
    fused = save(tmp_path)
    part = {name: [f"{name}{i}" for i in range(4)] for name in ("train", "val", "test")}
    rows = [
        clip(i, i % 2) | {"frame_dir": clip_id, "label": i % 2 if name == "val" else 1 - i % 2}
        for name, ids in part.items() for i, clip_id in enumerate(ids)
    ]  # fmt: skip
    params = type("P", (), {"members": NAMES, "penalty": 0.01})
    found = learn(fused, part, rows, params)  # type: ignore[arg-type]
    validation = [row for row in rows if row["frame_dir"] in part["val"]]
    labels = np.array([row["label"] for row in validation])
    direct = np.stack([predict(member, validation) for member in fused.members])
    assert found == fusion.fit(direct, labels, NAMES, 0.01) == fused.read()
    assert found.n == 4


def test_a_missing_or_foreign_fit_is_one_line(tmp_path: Path) -> None:
    fused = save(tmp_path)
    with pytest.raises(ModelError, match="expected a fitted fusion"):
        load(fused, "fused")
    fused.write(fusion.Fit(NAMES[::-1], (1.0, 1.0), (0.0, 0.0), 1, 0.1, 0.1))
    with pytest.raises(ModelError, match="expected a fit of"):
        load(fused, "fused")
    fused.file.write_text("{}")
    with pytest.raises(ModelError, match="expected a fit: members: Field required"):
        load(fused, "fused")


def test_folds_have_fits_of_their_own(tmp_path: Path) -> None:
    fused = fusion.Fused(tmp_path, (tmp_path / "a", tmp_path / "b"))
    assert fused.at_fold(2).members == (tmp_path / "a/fold_2", tmp_path / "b/fold_2")
    assert fused.at_fold(2).file != fused.at_fold(1).file != fused.file


def test_the_parameters_name_it() -> None:
    values = config().model_dump()
    values["recognizers"] = NAMES
    values["fusions"] = {"fused": {"members": NAMES, "penalty": 0.1}}
    cfg = type(config()).model_validate(values)
    paths = cfg.resolve(Path("root"))
    found = named("fused", cfg, paths)
    assert found == fusion.Fused(paths.reports / "fused", tuple(paths.model(n) for n in NAMES))
    assert isinstance(reads_of("fused", cfg), JointReading)


@pytest.mark.slow
def test_triton_serves_it_as_one_model(tmp_path: Path) -> None:
    fused = weighed(tmp_path, (0.7, 1.2), (0.1, -0.2))
    graph, spec = load(fused, "fused")
    feeds = spec.reads.batch(ROWS).feeds
    publish(graph, spec, tmp_path / "repo", feeds, config().export)
    with EmbeddedTriton(tmp_path / "repo") as server:
        for url, protocol in ((server.http_url, "http"), (server.grpc_url, "grpc")):
            answer = TritonSession(url, "fused", protocol).run(feeds)  # type: ignore[arg-type]
            np.testing.assert_allclose(answer["probabilities"], predict(fused, ROWS), atol=1e-5)

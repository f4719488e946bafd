"""A clip is judged by as many views as the parameters say, offline and served alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.skeletons import CLASSES, config
from tests.tracks import clip
from vigil.dataset import tensors
from vigil.evaluation import predict
from vigil.export import publish
from vigil.models import store
from vigil.models.layouts import layout
from vigil.models.reading import JointReading, SequenceReading, SkeletonReading, reading
from vigil.models.skeleton_reading import mirrored
from vigil.serving.repository import read_config
from vigil.session import OnnxSession

ONE = SkeletonReading(8, 2, "stretch")
ROWS = [clip(i, i % 2) for i in range(3)]


def test_one_view_is_the_middle_frames_as_before() -> None:
    batch = ONE.batch(ROWS)
    np.testing.assert_array_equal(batch.feeds["keypoints"], tensors(ROWS, ONE)[0])
    assert batch.owner.tolist() == [0, 1, 2]
    said = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(ONE.settle(said, batch.owner, 3), said)


def test_several_samplings_differ_begin_with_the_middle_and_are_always_the_same() -> None:
    reads = replace(ONE, test_clips=4)
    batch = reads.batch(ROWS)
    views = batch.feeds["keypoints"].reshape(3, 4, *batch.feeds["keypoints"].shape[1:])
    assert batch.owner.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert batch.feeds["image_size"].shape == (12, 2)
    np.testing.assert_array_equal(views[:, 0], tensors(ROWS, ONE)[0])
    for one in range(4):
        for other in range(one):
            assert (views[:, one] != views[:, other]).any()
    np.testing.assert_array_equal(reads.batch(ROWS).feeds["keypoints"], batch.feeds["keypoints"])


def test_a_clip_judged_alone_is_fed_what_it_is_fed_among_others() -> None:
    reads = replace(ONE, test_clips=3, test_mirror=True)
    among, alone = reads.batch(ROWS), reads.batch(ROWS[1:2])
    for name, array in alone.feeds.items():
        np.testing.assert_array_equal(array, among.feeds[name][among.owner == 1])


def test_a_mirror_image_swaps_sides_and_its_mirror_image_is_the_clip() -> None:
    keypoints, sizes, _ = tensors(ROWS, ONE)
    keypoints[0, 0, :, 3] = 0.0  # a missing joint
    turned = mirrored(keypoints, sizes)
    left, right = layout("coco").mirror[5], layout("coco").mirror[6]
    assert (left, right) == (6, 5)
    seen = keypoints[..., 6, 2] > 0
    wanted = sizes[:, :1, None] - 1 - keypoints[..., 6, 0]
    np.testing.assert_allclose(turned[..., 5, 0][seen], wanted[seen])
    assert not turned[0, 0, :, 4].any()
    np.testing.assert_allclose(mirrored(turned, sizes), keypoints, atol=1e-3)


def test_the_answer_is_the_mean_over_the_clip_s_own_views() -> None:
    reads = replace(ONE, test_clips=2)
    said = np.array([[0.2, 0.8], [0.4, 0.6], [1, 0], [0, 1]], np.float32)
    settled = reads.settle(said, np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(settled, [[0.3, 0.7], [0.5, 0.5]], atol=1e-6)
    assert settled.dtype == np.float32


def test_the_recognizer_s_section_says_it_and_clients_are_told() -> None:
    cfg = config()
    params = cfg.models["protogcn"].model_copy(update={"test_clips": 10, "test_mirror": True})
    reads = reading(params, cfg.dataset)
    assert isinstance(reads, SkeletonReading)
    assert (reads.test_clips, reads.test_mirror, reads.views) == (10, True, 20)
    assert (reads.facts["test_clips"], reads.facts["test_mirror"]) == (10, "true")
    assert not {"test_clips", "test_mirror"} & set(ONE.facts)


@pytest.mark.parametrize("views", [1, 3])
def test_a_fusion_gives_every_view_the_clip_s_sequences(views: int) -> None:
    cfg = config()
    sequences = reading(cfg.models["clip_gru"], cfg.dataset)
    assert isinstance(sequences, SequenceReading)
    batch = JointReading(replace(ONE, test_clips=views), sequences).batch(ROWS)
    assert {len(array) for array in batch.feeds.values()} == {3 * views}
    embeddings = batch.feeds["embeddings"].reshape(3, views, *batch.feeds["embeddings"].shape[1:])
    np.testing.assert_array_equal(embeddings, embeddings[:, :1].repeat(views, 1))
    assert embeddings.any((1, 2, 3, 4)).all()


def test_offline_and_exported_answers_are_the_same_means(tmp_path: Path) -> None:
    cfg = config()
    params = cfg.models["protogcn"].model_copy(update={"test_clips": 3, "test_mirror": True})
    spec = store.ModelSpec.of("protogcn", CLASSES, {"protogcn": params}, cfg.dataset)
    torch.manual_seed(0)
    store.save(tmp_path / "model", store.build(spec).state_dict(), spec)
    recognizer, kept = store.load(tmp_path / "model")
    assert kept.reads == spec.reads
    batch = kept.reads.batch(ROWS)
    publish(recognizer.inference_graph(), kept, tmp_path, batch.feeds, cfg.export)
    session = OnnxSession(tmp_path / "protogcn/1/model.onnx", device="cpu")
    told = read_config(tmp_path / "protogcn").parameters
    for name, value in (("test_clips", "3"), ("test_mirror", "true")):
        assert session.metadata[name] == told[name].string_value == value
    said = session.run(batch.feeds)["probabilities"]
    assert len(said) == 18
    wanted = said.reshape(3, 6, -1).mean(1)
    np.testing.assert_allclose(predict(tmp_path / "model", ROWS), wanted, atol=1e-5)
    assert (said.reshape(3, 6, -1).std(1) > 1e-6).any()

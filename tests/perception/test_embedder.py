"""The embedder: who is looked at when, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.videos import FPS, HEIGHT, TOP, WIDTH, film, walk
from vigil.config import EmbedSection
from vigil.errors import InputError, ModelError
from vigil.perception import embedder as module
from vigil.perception.embedder import Embedder, embed_video, plan_crops, sequences_of
from vigil.schema import Tracks
from vigil.session import OnnxSession

BASE: dict[str, Any] = {
    "crop_px": 16, "pad": 0.1, "min_side": 8.0, "fill": "gray", "every_s": 0.25, "frames": True,
    "pairs": True, "pair_distance": 0.5, "batch": 4,
}  # fmt: skip


def config(**changed: Any) -> EmbedSection:
    return EmbedSection(**(BASE | changed))


@pytest.fixture
def eye(tmp_path: Path) -> Embedder:
    return Embedder(OnnxSession(networks.color_clip(tmp_path / "eye.onnx")), batch=4)


def tracks(rows: list[tuple[int, int, tuple[float, float, float, float]]]) -> Tracks:
    frame = np.array([row[0] for row in rows], np.int32)
    ids = np.array([row[1] for row in rows], np.int32)
    xyxy = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)
    return Tracks("v", WIDTH, HEIGHT, frame, frame / FPS, ids, xyxy, np.ones(len(rows), np.float32))


def person(left: float) -> tuple[float, float, float, float]:
    return (left, TOP, left + 32, TOP + 64)


def keys(planned: module.Crops) -> list[tuple[int, int]]:
    return list(zip(planned.track_id.tolist(), planned.other_id.tolist(), strict=True))


def test_people_pairs_and_the_frame_are_planned_in_the_order_of_their_keys() -> None:
    ids = np.array([9, 2, 5], np.int32)
    boxes = np.array([person(0), person(40), person(400)], np.float32)
    planned = plan_crops(ids, boxes, (WIDTH, HEIGHT), config())
    assert keys(planned) == [(-1, -1), (2, -1), (2, 9), (5, -1), (9, -1)]
    assert planned.boxes[0].tolist() == [0, (HEIGHT - WIDTH) / 2, WIDTH, (HEIGHT + WIDTH) / 2]
    np.testing.assert_allclose(planned.boxes[1], [17.6, 9.6, 94.4, 86.4], atol=1e-4)
    np.testing.assert_allclose((planned.boxes[2, :2] + planned.boxes[2, 2:]) / 2, [36, 48])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"frames": False}, [(2, -1), (2, 9), (9, -1)]),
        ({"pairs": False}, [(-1, -1), (2, -1), (9, -1)]),
        ({"pair_distance": 0.0}, [(-1, -1), (2, -1), (9, -1)]),
    ],
)
def test_frames_and_pairs_are_options(
    changed: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    boxes = np.array([person(0), person(40)], np.float32)
    planned = plan_crops(np.array([9, 2], np.int32), boxes, (WIDTH, HEIGHT), config(**changed))
    assert keys(planned) == expected


def test_a_video_is_looked_at_every_so_many_seconds(tmp_path: Path, eye: Embedder) -> None:
    video = film(tmp_path / "v.mp4", [walk(40, 0)], frames=12)
    table = embed_video(video, tracks([(i, 1, person(40)) for i in range(12)]), eye, config())
    assert sorted(set(table.frame.tolist())) == [0, 3, 6, 9]
    np.testing.assert_allclose(table.time_s, table.frame / FPS, atol=1e-3)
    assert (table.clip, table.dim) == ("test/colors", 4)
    assert table.embedding.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(table.embedding.astype(float), axis=1), 1, atol=2e-3)


def test_variable_frame_times_are_sampled_by_seconds_not_by_frames(
    tmp_path: Path, eye: Embedder
) -> None:
    times = [0.0, 0.05, 0.1, 0.6, 0.65, 1.4]
    video = film(tmp_path / "v.mp4", [], times=times)
    table = embed_video(video, tracks([]), eye, config())
    assert table.frame.tolist() == [0, 3, 5]


def test_a_crop_of_a_person_is_red_and_its_neighbor_is_not(tmp_path: Path, eye: Embedder) -> None:
    video = film(tmp_path / "v.mp4", [walk(40, 0)], frames=2)
    found = embed_video(
        video, tracks([(0, 1, person(40)), (0, 3, person(300))]), eye, config(frames=False)
    )
    red, gray = found.embedding.astype(float)
    assert red[0] > red[1] + 0.3
    assert abs(gray[0] - gray[1]) < 0.05


def test_batches_do_not_change_a_vector(tmp_path: Path, eye: Embedder) -> None:
    video = film(tmp_path / "v.mp4", [walk(40, 0)], frames=6)
    rows = [(i, k, person(40 * k)) for i in range(6) for k in range(1, 4)]
    tables = [
        embed_video(video, tracks(rows), Embedder(eye._session, n), config(every_s=0.1, batch=n))
        for n in (1, 3, 64)
    ]
    for other in tables[1:]:
        np.testing.assert_array_equal(tables[0].embedding, other.embedding)


def test_a_video_is_decoded_once(
    tmp_path: Path, eye: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(tmp_path / "v.mp4", [walk(40, 0)], frames=4)
    decoded: list[int] = []
    real = module.decode

    def counting(path: Path) -> Any:
        for frame in real(path):
            decoded.append(frame.index)
            yield frame

    monkeypatch.setattr(module, "decode", counting)
    embed_video(video, tracks([(0, 1, person(40)), (3, 2, person(90))]), eye, config())
    assert decoded == [0, 1, 2, 3]


def test_without_any_track_whole_frames_remain(tmp_path: Path, eye: Embedder) -> None:
    video = film(tmp_path / "v.mp4", [], frames=6)
    table = embed_video(video, tracks([]), eye, config())
    assert set(table.track_id.tolist()) == {-1}
    nothing = embed_video(video, tracks([]), eye, config(frames=False))
    assert len(nothing) == 0
    assert nothing.dim == 4


def test_a_track_of_one_frame_and_boxes_outside_the_frame_are_embedded(
    tmp_path: Path, eye: Embedder
) -> None:
    video = film(tmp_path / "v.mp4", [], frames=4)
    rows = [(0, 1, person(-500)), (0, 2, person(WIDTH - 10)), (0, 3, (5.0, 5.0, 5.0, 5.0))]
    table = embed_video(video, tracks(rows), eye, config(pairs=False))
    assert [(who, len(rows)) for who, rows in sequences_of(table)] == [(1, 1), (2, 1), (3, 1)]
    assert np.isfinite(table.embedding.astype(float)).all()


def test_a_video_shorter_than_its_tracks_is_refused(tmp_path: Path, eye: Embedder) -> None:
    video = film(tmp_path / "v.mp4", [], frames=2)
    with pytest.raises(InputError, match="expected at least 6 frames, got 2"):
        embed_video(video, tracks([(5, 1, person(0))]), eye, config())


def test_no_crop_gives_no_vector(eye: Embedder) -> None:
    assert eye.embed([]).shape == (0, 4)


def test_a_crop_of_another_size_is_refused(eye: Embedder) -> None:
    with pytest.raises(InputError, match=r"expected crops uint8 \(\*, 16, 16, 3\)"):
        eye.embed([np.zeros((8, 8, 3), np.uint8)])


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected crops uint8"):
        Embedder(OnnxSession(networks.mlp(tmp_path / "mlp.onnx")), 4)

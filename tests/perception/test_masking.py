"""One pass over a video: tables that agree with each other and with the masked film."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from tests.perception.conftest import mask_section
from tests.videos import FPS, HEIGHT, TOP, WIDTH, encode, film, scene, walk
from vigil.config import MaskSection
from vigil.errors import InputError
from vigil.perception import masking
from vigil.perception.detector import PersonDetector
from vigil.perception.masking import mask_video
from vigil.perception.segmenter import DetectorSegmenter
from vigil.schema import Masks, Timeline, Tracks
from vigil.session import OnnxSession
from vigil.video import Frame, decode


class Result:
    """What one pass wrote."""

    def __init__(self, networks: dict[str, Path], video: Path, out: Path) -> None:
        settings: MaskSection = mask_section()
        detector = PersonDetector(OnnxSession(networks["yolo11-seg"]), settings.detector, 20)
        out.mkdir()
        mask_video(video, video.stem, out, detector, DetectorSegmenter(0), settings)
        self.timeline = Timeline.read(out / "timeline.parquet")
        self.tracks = Tracks.read(out / "tracks.parquet")
        self.masks = Masks.read(out / "masks.parquet")
        self.film = list(decode(out / "masked.mp4"))


def truth(frame: int, *ways: object) -> np.ndarray:
    return np.asarray(scene([way(frame) for way in ways])[..., 0] > 200)  # type: ignore[operator]


def test_people_stay_and_the_rest_is_black(networks: dict[str, Path], tmp_path: Path) -> None:
    ways = [walk(40), walk(400, -4)]
    result = Result(networks, film(tmp_path / "hall.mp4", ways, frames=30), tmp_path / "out")
    assert len(result.film) == 30
    for picture in result.film:
        people = truth(picture.index, *ways)
        assert picture.rgb[people].max(axis=1).mean() > 180, "people are visible"
        assert picture.rgb[~people].mean() < 4, "everything else is black"


def test_tables_agree_with_the_footage(networks: dict[str, Path], tmp_path: Path) -> None:
    ways = [walk(40), walk(400, -4)]
    result = Result(networks, film(tmp_path / "hall.mp4", ways, frames=30), tmp_path / "out")
    tracks, masks = result.tracks, result.masks
    assert (tracks.width, tracks.height) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(result.timeline.time_s, np.arange(30) / FPS, atol=1e-4)
    assert tracks.frame.tolist() == [i for i in range(30) for _ in ways]
    np.testing.assert_array_equal(tracks.time_s, result.timeline.time_s[tracks.frame])
    np.testing.assert_array_equal(masks.frame, tracks.frame)
    np.testing.assert_array_equal(masks.track_id, tracks.track_id)
    assert set(masks.source) == {"detector"}
    for i, (frame, track_id) in enumerate(zip(tracks.frame, tracks.track_id, strict=True)):
        left = next(way(int(frame)) for way in ways if abs(way(int(frame)) - tracks.xyxy[i, 0]) < 3)
        assert track_id == (1 if ways[0](int(frame)) == left else 2)
        drawn = coco.decode({"size": [HEIGHT, WIDTH], "counts": masks.rle[i]}).astype(bool)
        alone = truth(0, lambda _, left=left: left)
        assert (drawn & alone).sum() / (drawn | alone).sum() > 0.9


def test_variable_frame_rate_keeps_its_times(networks: dict[str, Path], tmp_path: Path) -> None:
    times = [0.0, 0.05, 0.1, 0.5, 0.55, 1.4, 1.45, 1.5]
    result = Result(networks, film(tmp_path / "v.mp4", times=times), tmp_path / "out")
    np.testing.assert_allclose(result.timeline.time_s, times, atol=1e-4)
    np.testing.assert_allclose([f.time_s for f in result.film], times, atol=1e-4)
    assert set(result.tracks.track_id.tolist()) == {1}


def test_a_turned_camera_gives_upright_people(networks: dict[str, Path], tmp_path: Path) -> None:
    video = film(tmp_path / "turned.mp4", [walk(40)], frames=6, quarter_turns=1)
    result = Result(networks, video, tmp_path / "out")
    assert (result.tracks.width, result.tracks.height) == (WIDTH, HEIGHT)
    assert len(result.tracks) == 6
    np.testing.assert_allclose(result.tracks.xyxy[0], [40, TOP, 72, TOP + 64], atol=2)


def test_odd_sizes_lose_no_pixel(networks: dict[str, Path], tmp_path: Path) -> None:
    video = film(tmp_path / "odd.mp4", [walk(40, 0)], frames=6, size=(WIDTH - 1, HEIGHT - 1))
    result = Result(networks, video, tmp_path / "out")
    assert (result.tracks.width, result.tracks.height) == (WIDTH - 1, HEIGHT - 1)
    assert (result.masks.width, result.masks.height) == (WIDTH - 1, HEIGHT - 1)
    assert result.film[0].rgb.shape == (HEIGHT, WIDTH, 3)
    assert len(result.tracks) == 6


def test_a_video_without_people_gives_empty_tables_and_a_black_film(
    networks: dict[str, Path], tmp_path: Path
) -> None:
    result = Result(networks, film(tmp_path / "empty.mp4", [], frames=5), tmp_path / "out")
    assert (len(result.tracks), len(result.masks), len(result.timeline)) == (0, 0, 5)
    assert result.tracks.xyxy.shape == (0, 4)
    assert max(frame.rgb.max() for frame in result.film) < 20


def test_twelve_people_are_twelve_tracks(networks: dict[str, Path], tmp_path: Path) -> None:
    ways = [walk(8 + 40 * i, 0) for i in range(12)]
    result = Result(networks, film(tmp_path / "crowd.mp4", ways, frames=8), tmp_path / "out")
    assert sorted(set(result.tracks.track_id.tolist())) == list(range(1, 13))
    assert len(result.tracks) == 12 * 8


def test_a_person_who_leaves_is_absent_not_zero(networks: dict[str, Path], tmp_path: Path) -> None:
    away = film(tmp_path / "away.mp4", [lambda i: 40 if i < 6 or i > 9 else None], frames=16)
    result = Result(networks, away, tmp_path / "out")
    assert sorted(set(range(16)) - set(result.tracks.frame.tolist())) == [6, 7, 8, 9]
    assert set(result.tracks.track_id.tolist()) == {1}


def test_footage_that_changes_its_size_is_refused(
    networks: dict[str, Path], tmp_path: Path
) -> None:
    small = film(tmp_path / "a.ts", [walk(40)], frames=4)
    large = encode(tmp_path / "b.ts", (scene([], 640, 128) for _ in range(4)), [1.0, 1.1, 1.2, 1.3])
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match=r"both\.ts: expected 512x96 in every frame, got 640x128"):
        Result(networks, both, tmp_path / "out")


def test_memory_does_not_grow_with_the_length_of_the_video(
    networks: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few frames are alive at any moment, however many have gone by."""
    frames: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watched(path: Path) -> Iterator[Frame]:
        for frame in decode(path):
            frames.append(weakref.ref(frame.rgb))
            alive.append(sum(ref() is not None for ref in frames))
            yield frame

    monkeypatch.setattr(masking, "decode", watched)
    Result(networks, film(tmp_path / "long.mp4", [walk(40, 0)], frames=120), tmp_path / "out")
    assert len(alive) == 120
    assert max(alive) <= 2 * 8 + 2

"""Video in and out: exact times, upright pixels, one clear line for what is no video."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from vigil.errors import InputError
from vigil.video import VideoWriter, decode, list_videos


def shade(value: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def make(path: Path, times: list[float], width: int = 64, height: int = 48) -> Path:
    with VideoWriter(path, width, height) as writer:
        for index, time_s in enumerate(times):
            writer.write(shade(20 + 10 * index, width, height), time_s)
    return path


def test_variable_frame_times_come_back_exactly(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.24, 1.0]
    frames = list(decode(make(tmp_path / "v.mp4", times)))
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([f.time_s for f in frames], times, atol=1e-4)
    assert abs(int(frames[2].rgb.mean()) - 40) <= 3


def test_odd_sizes_are_padded_not_stretched(tmp_path: Path) -> None:
    frames = list(decode(make(tmp_path / "v.mp4", [0.0, 0.1], 65, 47)))
    assert frames[0].rgb.shape == (48, 66, 3)
    assert abs(int(frames[0].rgb[-1, -1].mean()) - 20) <= 3


def test_rotation_metadata_is_applied(tmp_path: Path) -> None:
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:, :32] = 255
    plain, turned = tmp_path / "p.mp4", tmp_path / "t.mp4"
    with VideoWriter(plain, 64, 48) as writer:
        for index in range(3):
            writer.write(upright, index / 10)
    rotate(plain, turned, 90)
    frame = next(decode(turned)).rgb
    assert frame.shape == (64, 48, 3)
    halves = sorted([frame[:32].mean(), frame[32:].mean()])
    assert halves[0] < 20
    assert halves[1] > 235


def rotate(source: Path, target: Path, degrees: int) -> None:
    """Copy a video, marking it as filmed with the camera turned."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        copy.set_display_rotation(degrees)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                made.mux(packet)


@pytest.mark.parametrize("content", [b"", b"I am a text file, not a film.\n" * 50])
def test_what_is_no_video_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cam3.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^cam3.mp4: expected a decodable video stream, got"):
        list(decode(path))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        frame.time_base = Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="got no video stream"):
        list(decode(path))


def test_a_truncated_file_yields_what_can_be_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "v.mp4", 64, 48) as writer:
        for index, frame in enumerate(noise):
            writer.write(frame, index / 10)
    whole = (tmp_path / "v.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    frames = list(decode(cut))
    assert 1 <= len(frames) < 20


def test_a_header_that_lies_is_not_believed(real_dir: Path) -> None:
    path = real_dir / "footage" / "edge_cases" / "ambianic_bad_framecount.mkv"
    frames = [(f.index, f.time_s) for f in decode(path)]
    assert len(frames) == 60
    assert all(b[1] > a[1] for a, b in pairwise(frames))


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "v.mp4", 64, 48) as writer:
            writer.write(shade(1), 0.0)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_index_comes_first_and_key_frames_every_second(tmp_path: Path) -> None:
    path = make(tmp_path / "v.mp4", [i / 10 for i in range(22)])
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        keys = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe]
    assert keys == pytest.approx([0.0, 1.0, 2.0])


def test_videos_are_listed_by_name_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("b a=1.mp4", "가.MP4", "notes.txt", ".part.mp4.tmp"):
        (tmp_path / name).touch()
    assert [p.name for p in list_videos(tmp_path)] == ["b a=1.mp4", "가.MP4"]


def test_two_files_with_one_video_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "a.avi").touch()
    with pytest.raises(InputError, match="names that differ before the suffix"):
        list_videos(tmp_path)

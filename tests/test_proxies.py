"""Proxies: what browsers need of a video, and seconds that mean the same as in the original."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.videos import film, sound, walk
from vigil.config import ProxySection
from vigil.errors import InputError
from vigil.items import Item
from vigil.proxies import proxy_item, proxy_key, with_keys
from vigil.video import Frame, decode

VFR = [0, 0.04, 0.5, 0.54, 0.9, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1]


def params(**changes: object) -> ProxySection:
    values = {"source": "raw", "height": 48, "keyframe_s": 0.5, "crf": 26, "thumbnail_s": 1.0,
              "thumbnail_height": 24}  # fmt: skip
    return ProxySection.model_validate(values | changes)


def make(video: Path, **changes: object) -> Path:
    """Return the folder with the proxy and thumbnail of a video."""
    out = video.parent / "out"
    out.mkdir()
    proxy_item(params(**changes), Item(video.stem, (video,)), out)
    return out


def keys(path: Path) -> list[float]:
    """Return the times of the key frames in seconds."""
    with av.open(str(path)) as container:
        return [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe]


def times(path: Path) -> list[float]:
    return [frame.time_s for frame in decode(path)]


def test_it_is_h264_that_browsers_play_and_begin_at_once(tmp_path: Path) -> None:
    proxy = make(film(tmp_path / "v.mp4", frames=8)) / "proxy.mp4"
    with av.open(str(proxy)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
    content = proxy.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("frame_times", [[i / 25 for i in range(60)], VFR], ids=["25 fps", "vfr"])
def test_every_frame_keeps_its_time_and_key_frames_lie_close(
    tmp_path: Path, frame_times: list[float]
) -> None:
    video = film(tmp_path / "v.mp4", [walk(0)], times=frame_times, size=(128, 96))
    proxy = make(video) / "proxy.mp4"
    assert times(proxy) == pytest.approx(frame_times, abs=1e-4)
    found = keys(proxy)
    assert found[0] == 0
    longest = max(after - before for before, after in pairwise(frame_times))
    for before, after in pairwise([*found, frame_times[-1]]):
        assert after - before <= max(0.5, longest) + 1e-4
    with av.open(str(proxy)) as container:
        seconds = float(container.duration / av.time_base)
    last = frame_times[-1] - frame_times[-2]
    assert frame_times[-1] <= seconds + 1e-3
    assert seconds == pytest.approx(frame_times[-1] + last, abs=longest)


@pytest.mark.parametrize(
    ("size", "turns", "wanted"),
    [((128, 96), 0, (48, 64)), ((96, 128), 1, (48, 36)), ((64, 32), 0, (32, 64)),
     ((126, 95), 0, (48, 64))],
    ids=["halved", "turned", "small stays", "odd"],
)  # fmt: skip
def test_height_is_capped_and_shape_kept(
    tmp_path: Path, size: tuple[int, int], turns: int, wanted: tuple[int, int]
) -> None:
    """A person is a red rectangle at the left edge; it keeps its place and color."""
    video = film(tmp_path / "v.mp4", [walk(0, 0)], frames=3, size=size, quarter_turns=turns)
    frame = next(decode(make(video) / "proxy.mp4"))
    assert frame.rgb.shape == (*wanted, 3)
    scale = wanted[0] / size[1]
    red = frame.rgb[round(30 * scale), round(10 * scale)]
    assert red[0] > 180
    assert red[1] < 90


def test_the_thumbnail_is_the_frame_shown_then(tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4", [lambda i: 0 if i == 4 else None], times=VFR, size=(128, 96))
    folder = make(video, thumbnail_s=1.0)  # frame 4 is shown from 0.9 to 1.5 s
    picture = cv2.imread(str(folder / "thumbnail.jpg"))
    assert picture.shape == (24, 32, 3)
    assert picture[12, 3, 2] > 150 > picture[12, 3, 1]


def test_a_video_shorter_than_the_thumbnails_time_shows_its_last_frame(tmp_path: Path) -> None:
    folder = make(film(tmp_path / "v.mp4", [], frames=2), thumbnail_s=60.0)
    assert (folder / "thumbnail.jpg").is_file()


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^v\.mp4: expected a decodable video stream, got"):
        make(sound(tmp_path / "v.mp4"))
    assert not list((tmp_path / "out").iterdir())


def test_a_frame_shown_for_long_is_followed_by_a_key_frame() -> None:
    blank = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(i, t, blank) for i, t in enumerate([0, 0.3, 0.5, 0.6, 3.0, 3.1])]
    assert [frame.time_s for frame, key in with_keys(frames, 0.5) if key] == [0, 0.5, 0.6, 3.0]


def test_every_parameter_is_part_of_the_key() -> None:
    assert proxy_key(params()) == proxy_key(params())
    assert proxy_key(params()) != proxy_key(params(height=64))

"""Frames of a request are checked before they cost anything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.config import BehaviourLimits
from vigil.errors import InputError
from vigil.serving.behaviour.frames import frames_of, jpeg_size

LIMITS = BehaviourLimits(max_frames=3, max_pixels=1024, max_gap_s=1, idle_s=1, streams=1)


def jpeg(height: int, width: int, *options: int) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8), list(options))
    assert done
    return data.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_the_size_is_read_from_the_header(height: int, width: int, progressive: bool) -> None:
    data = jpeg(height, width, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive))
    assert jpeg_size(data) == (width, height)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200))
def test_no_bytes_break_the_reader_of_headers(tail: bytes, kept: int) -> None:
    assert jpeg_size(tail) is None
    jpeg_size(b"\xff\xd8" + tail)
    jpeg_size(jpeg(8, 8)[:kept] + tail)


def test_empty_files_beside_pixels_are_none() -> None:
    (frame,) = frames_of([b""], np.full((1, 2, 2, 3), 7, np.uint8), LIMITS)
    assert frame.tolist() == [[[7, 7, 7]] * 2] * 2


def test_colors_are_red_green_blue() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    (frame,) = frames_of([cv2.imencode(".jpg", red)[1].tobytes()], None, LIMITS)
    assert frame.shape == (16, 16, 3)
    np.testing.assert_allclose(frame[8, 8], [255, 0, 0], atol=3)


@pytest.mark.parametrize(
    ("files", "pixels", "message"),
    [
        pytest.param([b"GIF89a"], None, "frame 0: expected a JPEG file, got 6", id="no jpeg"),
        pytest.param([jpeg(8, 8), jpeg(64, 64)], None, "frame 1: .*got 64x64", id="large jpeg"),
        pytest.param([jpeg(8, 8)] * 4, None, "at most 3 a request, got 4", id="many"),
        pytest.param([jpeg(8, 8)], np.zeros((1, 8, 8, 3), np.uint8), "got both", id="both"),
        pytest.param(None, np.zeros((1, 64, 64, 3), np.uint8), "got 64x64", id="large"),
        pytest.param(None, np.zeros((1, 0, 8, 3), np.uint8), "got 8x0", id="flat"),
        pytest.param(None, np.zeros((1, 8, 8, 4), np.uint8), "RGB, got", id="four colors"),
        pytest.param([jpeg(8, 8)[:170]], None, "damaged one|JPEG file, got", id="cut short"),
    ],
)
def test_what_is_wrong_is_one_line(
    files: list[bytes] | None, pixels: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        frames_of(files, pixels, LIMITS)
    assert frames_of(None, None, LIMITS) == []

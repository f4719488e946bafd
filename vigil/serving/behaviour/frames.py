"""The frames of one request: JPEG files or pixels, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.config import BehaviourLimits
from vigil.errors import InputError

Image = NDArray[np.uint8]
_SOI: Final = b"\xff\xd8"
_SIZES: Final = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_BARE: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def frames_of(
    jpeg: Sequence[bytes] | None, pixels: NDArray[np.uint8] | None, limits: BehaviourLimits
) -> list[Image]:
    """Return the frames of a request.

    Args:
        jpeg: JPEG files, or None; empty files beside pixels are none.
        pixels: (T, H, W, 3) uint8 RGB, or None.
        limits: most frames and pixels.

    Returns:
        (H, W, 3) uint8 RGB each; none where the request brings none.

    Raises:
        InputError: both kinds, too many or too large frames, or no JPEG.
    """
    if jpeg is not None and pixels is not None and not any(jpeg):
        jpeg = None  # a canary fills in every input it finds declared
    if jpeg is not None and pixels is not None:
        raise InputError("frames: expected jpeg or frames, got both")
    count = len(jpeg if jpeg is not None else pixels if pixels is not None else ())
    if count > limits.max_frames:
        raise InputError(f"frames: expected at most {limits.max_frames} a request, got {count}")
    if jpeg is not None:
        return [_decode(data, number, limits) for number, data in enumerate(jpeg)]
    if pixels is None or not count:
        return []
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise InputError(
            f"frames: expected (T, H, W, 3) uint8 RGB, got {pixels.shape} {pixels.dtype}"
        )
    _check_size(0, pixels.shape[2], pixels.shape[1], limits)
    return list(pixels)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height that a JPEG file declares; None where it is no JPEG.

    Read from the header: a file that unpacks to more memory than there is never gets that far.
    """
    if data[:2] != _SOI:
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _SIZES:
            high, wide = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(wide, "big"), int.from_bytes(high, "big")
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _decode(data: bytes, number: int, limits: BehaviourLimits) -> Image:
    size = jpeg_size(data)
    if size is None:
        raise InputError(f"jpeg: frame {number}: expected a JPEG file, got {len(data)} other bytes")
    _check_size(number, *size, limits)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"jpeg: frame {number}: expected a whole JPEG file, got a damaged one")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _check_size(number: int, width: int, height: int, limits: BehaviourLimits) -> None:
    if not 0 < width * height <= limits.max_pixels:
        raise InputError(
            f"frames: frame {number}: expected 1 to {limits.max_pixels} pixels, "
            f"got {width}x{height}"
        )

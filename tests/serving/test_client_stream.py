"""What both clients share: frames as a request."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.errors import InputError
from vigil.serving.client.stream import frames_call
from vigil.serving.client.wire import Place


@pytest.mark.parametrize("as_list", [False, True], ids=["one array", "a list of pictures"])
def test_pictures_are_sent_as_pixels(as_list: bool) -> None:
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    call = frames_call("m", list(pixels) if as_list else pixels, [0.0, 0.1], Place(1, True, True))
    assert set(call.feeds) == {"time_s", "frames"}
    assert np.array_equal(call.feeds["frames"], pixels)


def test_pictures_of_two_sizes_or_beside_files_are_one_line() -> None:
    picture = np.zeros((3, 4, 3), np.uint8)
    for other in (np.zeros((3, 5, 3), np.uint8), b"jpeg"):
        with pytest.raises(InputError, match="expected pictures of one size"):
            frames_call("m", [picture, other], [0.0, 0.1], Place(1, True, True))

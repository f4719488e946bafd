"""What both clients share: frames as a request, chunks of a video, ranked classes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError, ServerError
from vigil.feeds import Array
from vigil.serving.behaviour.result import Behaviour
from vigil.serving.client.wire import Call, Place, version_of

Frames = NDArray[np.uint8] | Sequence[NDArray[np.uint8]] | Sequence[bytes]
CHUNK = 64  # frames of a video sent at once: bounds memory on both sides


@dataclass(frozen=True)
class Ranked:
    """One class of Triton's classification extension.

    Attributes:
        label: the class's name in the model's `labels.txt`.
        score: its value in the output.
        index: its place there.
    """

    label: str
    score: float
    index: int


def ranked(rows: Array) -> list[list[Ranked]]:
    """Read what the classification extension answers: (B, k) texts `score:index:label`.

    Raises:
        ServerError: another text.
    """
    return [[_ranked(text) for text in row] for row in np.atleast_2d(rows)]


def _ranked(text: bytes | str) -> Ranked:
    given = text.decode() if isinstance(text, bytes) else str(text)
    try:
        score, index, label = given.split(":", 2)
        return Ranked(label, float(score), int(index))
    except ValueError as error:
        raise ServerError(f"classes: expected score:index:label, got {given!r}") from error


class StreamState:
    """How far one camera's stream has come; the clients' streams add the sending.

    Attributes:
        number: of the stream on the server, which no other client has.
        version: of the model that answered last, as the server says.
    """

    def __init__(self, model: str) -> None:
        """Begin a stream of `model`."""
        self._model, self.number, self.version = model, secrets.randbelow(2**63 - 1) + 1, ""
        self._begun = self._ended = False

    def _chunk(
        self, frames: Frames, time_s: Sequence[float] | NDArray[np.float64], last: bool
    ) -> Call:
        """Return the request that carries the next frames."""
        return frames_call(self._model, frames, time_s, Place(self.number, not self._begun, last))

    def _took(self, answer: Mapping[str, Array], last: bool) -> Behaviour:
        """Note that the server took a chunk; return its answer."""
        self._begun, self._ended, self.version = True, last, version_of(answer)
        return Behaviour.of(answer)


def frames_call(
    model: str, frames: Frames, time_s: Sequence[float] | NDArray[np.float64], place: Place
) -> Call:
    """Return the request that carries a chunk of frames.

    Args:
        model: the served model from pixels to behavior.
        frames: (T, H, W, 3) uint8 RGB, T such pictures, or T JPEG files; possibly none.
        time_s: T presentation times in seconds.
        place: in the stream.

    Raises:
        InputError: neither pixels nor files, or another number of times.
    """
    times = np.asarray(time_s, np.float64).reshape(-1)
    if len(times) != len(frames):
        raise InputError(f"time_s: expected {len(frames)}, one a frame, got {len(times)}")
    feeds: dict[str, Array] = {"time_s": times}
    if not isinstance(frames, np.ndarray) and any(isinstance(one, np.ndarray) for one in frames):
        frames = _stacked(frames)
    if isinstance(frames, np.ndarray):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise InputError(
                f"frames: expected (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}"
            )
        feeds |= {"frames": frames} if len(frames) else {}
    elif len(frames):
        feeds["jpeg"] = np.array(list(frames), np.object_)
    return Call(model, feeds, place=place)


def _stacked(frames: Frames) -> NDArray[np.uint8]:
    """Return pictures as one array.

    Raises:
        InputError: of several sizes, or files among them.
    """
    try:
        return np.asarray(np.stack([np.asarray(frame) for frame in frames]))
    except ValueError as error:
        raise InputError("frames: expected pictures of one size, or JPEG files alone") from error


def chunks(
    frames: Frames, time_s: Sequence[float] | NDArray[np.float64], size: int
) -> Iterator[tuple[Frames, NDArray[np.float64], bool]]:
    """Yield a video's frames and times in pieces, and whether each is the last; at least one."""
    times = np.asarray(time_s, np.float64).reshape(-1)
    for start in range(0, max(len(frames), 1), size):
        end = start + size
        yield frames[start:end], times[start:end], end >= len(frames)

"""The Kalman filter of SORT's family: a box that moves on with the velocity it has.

State: center x, center y, aspect (width over height) and height, and the change of each per frame.
Deviations are shares of the height, so that near and far people are treated alike (Wojke et al.,
ICIP 2017).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_POSITION: Final = 1 / 20  # deviation of a position, in heights
_VELOCITY: Final = 1 / 160  # of its change per frame
_STEP: Final = np.eye(8) + np.eye(8, k=4)


def begin(box: Vector) -> tuple[Vector, Vector]:
    """Return mean (8,) and covariance (8, 8) of somebody seen once.

    Args:
        box: (4,) center x, center y, aspect, height.
    """
    mean = np.concatenate([box, np.zeros(4)])
    return mean, np.diag(_deviations(box[3:], 2 * _POSITION, 10 * _VELOCITY)[0] ** 2)


def predict(means: Vector, covariances: Vector) -> tuple[Vector, Vector]:
    """Move N states on by one frame.

    Args:
        means: (N, 8).
        covariances: (N, 8, 8).
    """
    noise = _deviations(means[:, 3], _POSITION, _VELOCITY) ** 2
    spread = _STEP @ covariances @ _STEP.T
    spread[:, range(8), range(8)] += noise
    return means @ _STEP.T, spread


def correct(mean: Vector, covariance: Vector, box: Vector) -> tuple[Vector, Vector]:
    """Take a measured box into one state.

    Args:
        mean: (8,).
        covariance: (8, 8).
        box: (4,) center x, center y, aspect, height.
    """
    deviation = np.array([_POSITION * mean[3]] * 4)
    deviation[2] = 1e-1
    projected = covariance[:4, :4] + np.diag(deviation**2)
    gain = np.linalg.solve(projected, covariance[:, :4].T).T
    return mean + gain @ (box - mean[:4]), covariance - gain @ projected @ gain.T


def _deviations(height: Vector, position: float, velocity: float) -> Vector:
    """Return the (N, 8) deviations of (N,) heights; the aspect hardly ever changes."""
    found = np.empty((len(height), 8))
    found[:, :4] = position * height[:, None]
    found[:, 4:] = velocity * height[:, None]
    found[:, 2], found[:, 6] = 1e-2, 1e-5
    return found

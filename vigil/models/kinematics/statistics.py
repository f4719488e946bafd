"""Statistics of how persons move, alone and towards each other, in units of the body.

Everything is a mean, a power mean or an extreme over the frames that show who it is about, so that
it can be traced into ONNX. Speeds are in body extents per clip, as their logarithm plus one: clips
of one recognizer last equally long.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PERSON = (
    "speed", "peak_speed", "limb_speed", "articulation", "peak_articulation", "acceleration",
    "center_speed", "extent_change", "shape", "shape_change", "presence", "score_loss",
    "score_change",
)  # fmt: skip
PAIR = (
    "nearest", "nearness", "together", "overlap", "most_overlap", "both_fast", "both_articulate",
    "closing", "strike", "strike_back", "nearest_hand", "hand_nearness", "size_ratio",
)  # fmt: skip

_LIMBS, _HANDS = [9, 10, 15, 16], [9, 10]  # wrists and ankles; wrists
_TORSO, _CORE = [5, 6, 11, 12], [0, 5, 6, 11, 12]  # shoulders and hips; and the nose
_FAR = 5.0  # body extents; farther apart is all the same
_NEAR = 0.75  # body extents between centers at which nearness has fallen to 1 / e
_FLATTEST = 4.0  # width over height
_HUGE = 1e6
_TINY = 1e-3


@dataclass(frozen=True)
class Persons:
    """What is measured of persons, one by one; pairs build on it.

    Attributes:
        values: (B, M, len(PERSON)), 0 for an empty slot.
        seen: (B, M, T, 17) of 0 and 1.
        low, high: (B, M, T, 2) bounds of the joints.
        center: (B, M, T, 2) of the torso, or of all joints where no torso is seen.
        body: (B, M) mean extent.
        velocity: (B, M, T - step, 17, 2) extents per clip; center_velocity without the joints.
        energy: (B, M, T - step, 2) mean speed of the joints, and of them relative to the center.
    """

    values: Tensor
    seen: Tensor
    low: Tensor
    high: Tensor
    center: Tensor
    body: Tensor
    velocity: Tensor
    center_velocity: Tensor
    energy: Tensor

    @property
    def there(self) -> Tensor:
        """(B, M, T) of 0 and 1: frames that show the person."""
        return self.seen.amax(dim=-1)


def person_statistics(x: Tensor, step: int) -> Persons:
    """Measure every person of (B, M, T, 17, 3) joints; see `PERSON`."""
    xy, score = x[..., :2], x[..., 2]
    seen = (score > 0).to(x.dtype)
    there = seen.amax(dim=-1)
    low, high = _bounds(xy, seen)
    extent = (high - low).amax(dim=-1)
    body = _mean(extent, there, (2,)).clamp(min=_TINY)
    center = _center(xy, seen)
    rate = x.shape[2] / step
    velocity = _over(xy, step) * rate / body[..., None, None, None]
    center_velocity = _over(center, step) * rate / body[..., None, None]
    both, moving = _both(seen, step), _both(there, step)
    speed = velocity.norm(dim=-1)
    relative = (velocity - center_velocity[..., None, :]).norm(dim=-1)
    energy = torch.stack([_mean(speed, both, (3,)), _mean(relative, both, (3,))], dim=-1)
    jerk = (velocity[:, :, 1:] - velocity[:, :, :-1]).norm(dim=-1)
    sides = high - low
    shape = (sides[..., 0] / sides[..., 1].clamp(min=_TINY)).clamp(max=_FLATTEST) * there
    belief = _mean(score, seen, (3,))
    somebody = there.amax(dim=2)
    values = [
        torch.log1p(_mean(speed, both, (2, 3))),
        torch.log1p(energy[..., 0].amax(dim=2)),
        torch.log1p(_power_mean(relative[..., _LIMBS], both[..., _LIMBS], (2, 3), 4)),
        torch.log1p(_mean(relative, both, (2, 3))),
        torch.log1p(energy[..., 1].amax(dim=2)),
        torch.log1p(_mean(jerk, both[:, :, 1:] * both[:, :, :-1], (2, 3))),
        torch.log1p(_power_mean(center_velocity.norm(dim=-1), moving, (2,), 2)),
        _deviation(extent, there) / body,
        shape.amax(dim=2),
        _deviation(shape, there),
        there.mean(dim=2),
        (1.0 - _mean(belief, there, (2,))) * somebody,
        _deviation(belief, there),
    ]
    return Persons(
        torch.stack(values, dim=-1),
        seen,
        low,
        high,
        center,
        body,
        velocity,
        center_velocity,
        energy,
    )


def pair_statistics(x: Tensor, persons: Persons, step: int) -> Tensor:
    """Measure every pair of two or more persons (B, M, T, 17, 3).

    Returns:
        (B, len(PAIR)), each value of the pair that shows most of it.
    """
    count = len(x.unbind(1))  # a number also where the graph is traced
    found = [
        _pair(x, persons, step, one, two) for one in range(count) for two in range(one + 1, count)
    ]
    return torch.stack(found, dim=1).amax(dim=1)


def _pair(x: Tensor, persons: Persons, step: int, one: int, two: int) -> Tensor:
    """Measure one pair: (B, len(PAIR)), 0 where the two are never seen together."""
    there, body = persons.there, persons.body
    together = there[:, one] * there[:, two]
    ever = together.amax(dim=1)
    unit = (body[:, one] + body[:, two]) / 2
    gap = (persons.center[:, two] - persons.center[:, one]).norm(dim=-1)
    far = torch.where(together > 0, gap / unit[:, None], torch.full_like(gap, _FAR)).clamp(max=_FAR)
    near = torch.exp(-((far / _NEAR) ** 2)) * together
    close = (near[:, step:] * near[:, :-step]).sqrt()
    moving = _both(there[:, [one, two]], step).prod(dim=1)
    slower = persons.energy[:, [one, two]].amin(dim=1) * close[..., None]
    approach = (persons.center_velocity[:, one] - persons.center_velocity[:, two]).norm(dim=-1)
    overlap = _overlap(persons, one, two) * together
    there_back = [(one, two), (two, one)]
    blows = torch.stack([_strike(x, persons, step, a, b, close) for a, b in there_back])
    reach = torch.stack([_reach(x, persons, a, b, unit) * together for a, b in there_back])
    values = [
        1.0 - far.amin(dim=1) / _FAR,
        (1.0 - _mean(far, together, (1,)) / _FAR) * ever,
        together.mean(dim=1),
        _mean(overlap, together, (1,)),
        overlap.amax(dim=1),
        torch.log1p(_mean(slower[..., 0], moving, (1,))),
        torch.log1p(_mean(slower[..., 1], moving, (1,))),
        torch.log1p(_power_mean(approach * close, moving, (1,), 2)),
        torch.log1p(blows.amax(dim=0)),
        torch.log1p(blows.amin(dim=0)),
        reach.amax(dim=2).amax(dim=0),
        _mean(reach, together[None], (2,)).amax(dim=0),
        torch.minimum(body[:, one], body[:, two])
        / torch.maximum(body[:, one], body[:, two])
        * ever,
    ]
    return torch.stack(values, dim=1)


def _strike(x: Tensor, persons: Persons, step: int, one: int, two: int, close: Tensor) -> Tensor:
    """Return (B,) how fast wrists and ankles of `one` move towards the center of `two` nearby."""
    start = x[:, one, :-step, :, :2][:, :, _LIMBS]
    way = persons.center[:, two, :-step, None] - start
    way = way / way.norm(dim=-1, keepdim=True).clamp(min=_TINY)
    limbs = persons.velocity[:, one][:, :, _LIMBS] - persons.center_velocity[:, two, :, None]
    speed = (limbs * way).sum(dim=-1).clamp(min=0) * close[..., None]
    counted = _both(persons.seen, step)[:, one][..., _LIMBS]
    counted = counted * _both(persons.there, step)[:, two][..., None]
    return _power_mean(speed, counted, (1, 2), 4)


def _reach(x: Tensor, persons: Persons, one: int, two: int, unit: Tensor) -> Tensor:
    """Return (B, T) how near a wrist of `one` is to nose or torso of `two`: 1 touches, 0 far."""
    hands, core = x[:, one][:, :, _HANDS, None, :2], x[:, two][:, :, None, _CORE, :2]
    far = (hands - core).norm(dim=-1) / unit[:, None, None, None]
    known = persons.seen[:, one][:, :, _HANDS, None] * persons.seen[:, two][:, :, None, _CORE]
    far = torch.where(known > 0, far, torch.full_like(far, _FAR)).clamp(max=_FAR)
    return 1.0 - far.amin(dim=(2, 3)) / _FAR


def _overlap(persons: Persons, one: int, two: int) -> Tensor:
    """Return (B, T) intersection over union of two persons' boxes."""
    low, high = persons.low, persons.high
    shared = torch.minimum(high[:, one], high[:, two]) - torch.maximum(low[:, one], low[:, two])
    area = shared.clamp(min=0).prod(dim=-1)
    own = (high - low).prod(dim=-1)
    return area / (own[:, one] + own[:, two] - area).clamp(min=_TINY**2)


def _bounds(xy: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, M, T, 2) least and greatest x, y of the joints that are seen; 0 where none is."""
    known = seen[..., None] > 0
    low = torch.where(known, xy, torch.full_like(xy, _HUGE)).amin(dim=3)
    high = torch.where(known, xy, torch.full_like(xy, -_HUGE)).amax(dim=3)
    there = seen.amax(dim=-1)[..., None]
    return torch.where(there > 0, low, torch.zeros_like(low)), torch.where(
        there > 0, high, torch.zeros_like(high)
    )


def _center(xy: Tensor, seen: Tensor) -> Tensor:
    """Return (B, M, T, 2) the middle of the torso, or of all joints where no torso is seen."""
    torso = seen[..., _TORSO]
    middle = _mean(xy[..., _TORSO, :], torso[..., None], (3,))
    every = _mean(xy, seen[..., None], (3,))
    return torch.where(torso.amax(dim=-1)[..., None] > 0, middle, every)


def _over(values: Tensor, step: int) -> Tensor:
    """Return the differences over `step` frames; time is dim 2."""
    return values[:, :, step:] - values[:, :, :-step]


def _both(mask: Tensor, step: int) -> Tensor:
    """Return 1 where a mask holds at both ends of a difference over `step` frames."""
    return mask[:, :, step:] * mask[:, :, :-step]


def _mean(values: Tensor, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the mean where the mask holds; 0 where it never does."""
    return (values * mask).sum(dim=dims) / mask.sum(dim=dims).clamp(min=1.0)


def _power_mean(values: Tensor, mask: Tensor, dims: tuple[int, ...], power: int) -> Tensor:
    """Return the power mean of values at or above 0 where the mask holds: between mean and peak."""
    mean = _mean(values**power, mask, dims)
    return torch.where(mean > 0, mean.clamp(min=1e-12) ** (1.0 / power), torch.zeros_like(mean))


def _deviation(values: Tensor, mask: Tensor) -> Tensor:
    """Return the standard deviation over time (dim 2) where the mask holds."""
    mean = _mean(values, mask, (2,))
    return _mean((values - mean[..., None]) ** 2, mask, (2,)).sqrt()

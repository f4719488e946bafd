"""Scripts of a person's motion: keyed channels, a path on the floor, gait and idle noise."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.skeleton import CHANNEL, CHANNELS

Floats = NDArray[np.float64]

RATE = 48.0  # samples per second of a finished track
LEAD_S = 0.25  # a track begins this long before 0 and ends this long after the scene

_BASE = {"sh_a_l": 8.0, "sh_a_r": 8.0, "el_l": 14.0, "el_r": 14.0, "hip_a_l": 3.0, "hip_a_r": 3.0,
         "kn_l": 3.0, "kn_r": 3.0, "hip_f_l": 2.0, "hip_f_r": 2.0, "spine": 2.0}  # fmt: skip
_IDLE = {"roll": 0.8, "spine": 1.5, "side": 1.0, "twist": 2.5, "head_p": 4.0, "head_y": 9.0,
         "sh_f_l": 3.0, "sh_f_r": 3.0, "el_l": 4.0, "el_r": 4.0, "sh_a_l": 1.5,
         "sh_a_r": 1.5}  # fmt: skip


class Script:
    """One person's motion while it is being written; times in seconds, angles in degrees."""

    def __init__(self, rng: np.random.Generator, xy: Floats, yaw: float, height: float) -> None:
        """Begin at `xy` meters facing `yaw` radians; `height` is the stature in meters."""
        self.rng = rng
        self.height = height
        self.path: list[tuple[float, Floats]] = [(-LEAD_S, np.asarray(xy, float))]
        self.keys: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.keys["yaw"].append((-LEAD_S, float(np.rad2deg(yaw))))

    @property
    def xy(self) -> Floats:
        """The last written place."""
        return self.path[-1][1]

    @property
    def yaw(self) -> float:
        """The last written facing in radians."""
        return float(np.deg2rad(self.keys["yaw"][-1][1]))

    def last(self, channel: str) -> float:
        """Return the last written value of a channel."""
        keys = self.keys.get(channel)
        return keys[-1][1] if keys else _BASE.get(channel, 0.0)

    def move(self, start: float, end: float, **targets: float) -> None:
        """Ease channels from what they hold at `start` to their targets at `end`."""
        for channel, value in targets.items():
            if channel not in CHANNEL and channel != "calm":
                raise KeyError(channel)
            keys = self.keys[channel]
            begin = max(start, keys[-1][0] + 0.01) if keys else start
            keys.append((begin, keys[-1][1] if keys else _BASE.get(channel, 0.0)))
            keys.append((max(end, begin + 0.04), float(value)))

    def rest(self, start: float, end: float, *channels: str) -> None:
        """Ease channels (all that were ever keyed when none is named) back to standing."""
        names = channels or tuple(c for c in self.keys if c not in ("x", "y", "yaw"))
        self.move(start, end, **{c: _BASE.get(c, 0.0) for c in names if not c.startswith("t")
                                 or c == "twist"})  # fmt: skip

    def turn(self, start: float, end: float, yaw: float) -> None:
        """Turn to face `yaw` radians the short way."""
        now = self.last("yaw")
        delta = (np.rad2deg(yaw) - now + 180) % 360 - 180
        self.move(start, end, yaw=now + delta)

    def face(self, start: float, end: float, xy: Floats) -> None:
        """Turn toward a place."""
        delta = xy - self.xy
        self.turn(start, end, float(np.arctan2(delta[1], delta[0])))

    def go(self, start: float, end: float, xy: Floats, facing: bool = True) -> None:
        """Walk, run or stagger straight to `xy`; `facing` turns the body along the way."""
        begin = max(start, self.path[-1][0] + 0.01)
        target = np.asarray(xy, float)
        if facing and np.linalg.norm(target - self.xy) > 0.2:
            self.face(begin - 0.15, begin + 0.35, target)
        self.path.append((begin, self.xy))
        self.path.append((max(end, begin + 0.05), target))

    def shift(self, start: float, end: float, forward: float, left: float = 0.0) -> None:
        """Move by meters in the body's own directions without turning."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        step = np.array([c * forward - s * left, s * forward + c * left])
        self.go(start, end, self.xy + step, False)

    def aim(self, time: float, hand: str, point: Floats) -> None:
        """Set where hand "l" or "r" reaches, (3,) world meters, from `time` on."""
        for axis, value in zip("xyz", point, strict=True):
            keys = self.keys[f"t{axis}_{hand}"]
            begin = max(time, keys[-1][0] + 0.04) if keys else time
            keys.append((begin, float(value)))

    def place(self, time: float) -> Floats:
        """Return the (2,) written place at a time."""
        t = [p[0] for p in self.path]
        return np.array([np.interp(time, t, [p[1][k] for p in self.path]) for k in (0, 1)])

    def finish(self, duration: float) -> Track:
        """Sample everything written into a track."""
        times = np.arange(-LEAD_S, duration + LEAD_S + 1 / RATE, 1 / RATE)
        pose = np.zeros((len(times), len(CHANNELS)))
        for channel, index in CHANNEL.items():
            pose[:, index] = _sample(self.keys.get(channel), times, _BASE.get(channel, 0.0))
        calm = _sample(self.keys.get("calm"), times, 0.0)
        path = _smooth(_sample_path(self.path, times))
        _add_idle(self.rng, pose, times, 1 - calm)
        _add_gait(self.rng, pose, path, self.height)
        pose[:, CHANNEL["x"]], pose[:, CHANNEL["y"]] = path.T
        _flatten_feet(pose)
        return Track(pose)


class Track:
    """A finished motion: pose rows (N, C) at `RATE` from -`LEAD_S`."""

    def __init__(self, pose: Floats) -> None:
        """Keep the rows."""
        self.pose = pose

    def at(self, times: Floats) -> Floats:
        """Return (T, C) poses at (T,) seconds."""
        position = np.clip((times + LEAD_S) * RATE, 0, len(self.pose) - 1.001)
        index = position.astype(int)
        share = (position - index)[:, None]
        return np.asarray(self.pose[index] * (1 - share) + self.pose[index + 1] * share)


def _sample(keys: list[tuple[float, float]] | None, times: Floats, base: float) -> Floats:
    """Sample keyed values with eased steps between keys."""
    if not keys:
        return np.full(len(times), base)
    t, v = np.array(keys).T
    i = np.clip(np.searchsorted(t, times, side="right") - 1, 0, len(t) - 1)
    j = np.minimum(i + 1, len(t) - 1)
    u = np.clip((times - t[i]) / np.maximum(t[j] - t[i], 1e-6), 0, 1)
    return np.asarray(v[i] + (v[j] - v[i]) * (u * u * (3 - 2 * u)))


def _sample_path(path: list[tuple[float, Floats]], times: Floats) -> Floats:
    """Sample (N, 2) places along the written path."""
    t = np.array([p[0] for p in path])
    return np.stack([np.interp(times, t, [p[1][k] for p in path]) for k in (0, 1)], axis=1)


def _smooth(path: Floats) -> Floats:
    """Round the corners of a path with a bell of about 0.2 s."""
    bell = np.hanning(21)[1:-1]
    padded = np.pad(path, ((9, 9), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], bell / bell.sum(), "valid") for k in (0, 1)], axis=1)


def _add_idle(rng: np.random.Generator, pose: Floats, times: Floats, amount: Floats) -> None:
    """Add slow random sway."""
    for channel, size in _IDLE.items():
        speed, phase = rng.uniform(0.8, 3.2, 2), rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(times * speed[0] + phase[0]) + 0.6 * np.sin(times * 1.9 * speed[1] + phase[1])
        pose[:, CHANNEL[channel]] += size * 0.6 * wave * amount


def _add_gait(rng: np.random.Generator, pose: Floats, path: Floats, height: float) -> None:
    """Add steps and arm swing in proportion to the speed along the path."""
    velocity = np.gradient(path, 1 / RATE, axis=0)
    speed = np.linalg.norm(velocity, axis=1)
    yaw = np.deg2rad(pose[:, CHANNEL["yaw"]])
    forward = velocity[:, 0] * np.cos(yaw) + velocity[:, 1] * np.sin(yaw)
    upright = np.clip(1.4 - np.abs(pose[:, CHANNEL["pitch"]]) / 40
                      - np.abs(pose[:, CHANNEL["roll"]]) / 40, 0, 1)  # fmt: skip
    amount = np.clip(speed / 1.25, 0, 1.7) * upright
    stride = height * (0.5 + 0.3 * np.clip(speed, 0.2, 3))
    sign = np.where(forward < -0.15, -1.0, 1.0)
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * sign * speed / stride) / RATE
    run = np.clip((speed - 1.7) / 1.2, 0, 1)
    for side, offset in (("l", 0.0), ("r", np.pi)):
        p = phase + offset
        swing = np.maximum(0, np.cos(p + 0.35)) ** 2
        pose[:, CHANNEL[f"hip_f_{side}"]] += amount * (23 * np.sin(p) + 5)
        pose[:, CHANNEL[f"kn_{side}"]] += amount * (6 + (46 + 25 * run) * swing)
        keyed = np.abs(pose[:, CHANNEL[f"sh_f_{side}"]]) + 90 * pose[:, CHANNEL[f"ik_{side}"]]
        free = np.clip(1.2 - keyed / 40, 0, 1) * amount
        pose[:, CHANNEL[f"sh_f_{side}"]] += free * (-20 * np.sin(p) - 2)
        pose[:, CHANNEL[f"el_{side}"]] += free * (8 - 7 * np.sin(p) + 60 * run)
    pose[:, CHANNEL["twist"]] += amount * 5 * np.sin(phase)
    pose[:, CHANNEL["roll"]] += amount * 1.8 * np.sin(phase + 0.6)
    pose[:, CHANNEL["pitch"]] += amount * (1.5 + 7 * run) * np.where(sign > 0, 1, 0)


def _flatten_feet(pose: Floats) -> None:
    """Turn the ankles so that soles lie as flat as ankles allow."""
    for side in "lr":
        hip, knee = pose[:, CHANNEL[f"hip_f_{side}"]], pose[:, CHANNEL[f"kn_{side}"]]
        flat = np.clip(hip - knee - pose[:, CHANNEL["pitch"]], -40, 28)
        pose[:, CHANNEL[f"an_{side}"]] += flat * 0.85

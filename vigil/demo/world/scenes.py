"""Scenes: people in a room seen by a camera, with events and ground truth, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.backdrops import Backdrop, draw_backdrop
from vigil.demo.world.bodies import Body, draw_body, draw_height
from vigil.demo.world.cameras import Camera, draw_camera
from vigil.demo.world.casting import Event, cast_scene, leaf_label
from vigil.demo.world.motions import Track
from vigil.demo.world.render import (
    Composite,
    FrameTruth,
    Layer,
    cast_shadow,
    composite,
    draw_layer,
    frame_truth,
)
from vigil.demo.world.rooms import Room, draw_room
from vigil.demo.world.skeleton import Frame, pose_bones

__all__ = ["Event", "FrameTruth", "Scene", "leaf_label", "make_scene"]

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

_BLUR_PX = 2.5  # motion during the exposure from which sub-frames are drawn
_FAST_PX = 9.0  # and from which five of them instead of three
_SHADOW_STEP = 4


@dataclass(frozen=True)
class Actor:
    """A person in a scene."""

    track_id: int
    body: Body
    track: Track

    def frames(self, times: Floats) -> Frame:
        """Return the posed bones at (T,) seconds."""
        return pose_bones(self.track.at(times), self.body.rest, self.body.radii)


@dataclass(frozen=True)
class Scene:
    """A clip that can be rendered at any frame.

    Attributes:
        seed: what makes its people and noise.
        behavior: the leaf behaviour it shows.
        fps: frames per second.
        width: pixels.
        height: pixels.
        n_frames: number of frames.
        events: what happens when; those labeled assault or faint are abnormal.
        room: geometry and looks.
        camera: viewpoint.
        actors: people, with track ids from 1.
    """

    seed: int
    behavior: str
    fps: float
    width: int
    height: int
    n_frames: int
    events: tuple[Event, ...]
    room: Room
    camera: Camera
    actors: tuple[Actor, ...]
    backdrop_seed: tuple[int, int]

    @property
    def label(self) -> str:
        """The scene's class: normal, assault or faint."""
        return leaf_label(self.behavior)

    @cached_property
    def backdrop(self) -> Backdrop:
        """The empty room, drawn at first use."""
        return draw_backdrop(self.room, self.camera, np.random.default_rng(self.backdrop_seed))

    def share_backdrop(self, other: Scene) -> None:
        """Use another scene's backdrop (same room, camera and size) instead of drawing it again."""
        if self.backdrop_seed == other.backdrop_seed and self.width == other.width:
            self.__dict__["backdrop"] = other.backdrop

    def render(self, frame_index: int) -> tuple[Image, FrameTruth]:
        """Return the frame (H, W, 3) uint8 RGB and its ground truth."""
        times, frames = self._moments(frame_index)
        middle = len(times) // 2
        image = self._shaded_floor(frames, middle)
        merges = []
        for k in range(len(times)):
            layers = self._layers(frames, k, True)
            merges.append(composite(layers, self.backdrop.depth))
            if k == middle:
                seen = layers
        self._blend(image, [m for m in merges if m is not None], len(times))
        truth = self._truth(seen, merges[middle], frames, middle)
        return self._expose(image, frame_index), truth

    def truth(self, frame_index: int) -> FrameTruth:
        """Return only the ground truth of a frame, without shading."""
        times, frames = self._moments(frame_index)
        middle = len(times) // 2
        layers = self._layers(frames, middle, False)
        return self._truth(layers, composite(layers, self.backdrop.depth, False), frames, middle)

    def joints(self) -> tuple[Floats, Floats]:
        """Return where everybody's joints lie on every frame, in the picture or not.

        Returns:
            (A, T, 17, 2) pixels, and (A, T, 17) meters along the view, negative behind the camera.
        """
        times = np.arange(self.n_frames) / self.fps
        points = [actor.body.keypoints(actor.frames(times)) for actor in self.actors]
        uv, depth = self.camera.project(np.stack(points))
        return uv, depth

    def _moments(self, frame_index: int) -> tuple[Floats, list[Frame]]:
        """Return the sub-frame times (odd count, the middle one is the frame's) and poses."""
        if not 0 <= frame_index < self.n_frames:
            raise IndexError(f"frame_index: expected 0 to {self.n_frames - 1}, got {frame_index}")
        time = frame_index / self.fps
        times = time + self.room.exposure_s * np.linspace(-0.4, 0.4, 5)
        frames = [actor.frames(times) for actor in self.actors]
        fastest = 0.0
        for frame in frames:
            uv, depth = self.camera.project(frame.origin[[0, 4]])
            if depth.min() > 0.3:
                fastest = max(fastest, float(np.abs(uv[1] - uv[0]).max()))
        step = 1 if fastest > _FAST_PX else 2
        keep = slice(0, 5, step) if fastest > _BLUR_PX else slice(2, 3)
        return times[keep], [Frame(f.rotation[keep], f.origin[keep]) for f in frames]

    def _layers(self, frames: list[Frame], k: int, shaded: bool) -> list[Layer | None]:
        """Draw each person alone at sub-frame `k`."""
        layers = []
        for actor, frame in zip(self.actors, frames, strict=True):
            one = Frame(frame.rotation[k : k + 1], frame.origin[k : k + 1])
            gain = self._gain(one.origin[0, 0, :2])
            vertices = actor.body.skin(one)[0]
            layers.append(
                draw_layer(actor.body, vertices, self.camera, self.room.light, gain, shaded)
            )
        return layers

    def _gain(self, xy: Floats) -> float:
        """Return how bright a person at `xy` meters is lit, kept from burning out."""
        light = self.room.light
        gain = float(self.room.gain(xy)) * self.backdrop.exposure
        return min(gain, 1.15 / (light.ambient + light.strength))

    def _truth(
        self, layers: list[Layer | None], merged: Composite | None, frames: list[Frame], k: int
    ) -> FrameTruth:
        """Read the ground truth at sub-frame `k`."""
        landmarks = []
        for actor, frame in zip(self.actors, frames, strict=True):
            one = Frame(frame.rotation[k : k + 1], frame.origin[k : k + 1])
            uv, depth = self.camera.project(actor.body.keypoints(one)[0])
            landmarks.append((uv, depth, actor.body.landmark_depth))
        ids = [actor.track_id for actor in self.actors]
        return frame_truth(ids, layers, merged, landmarks, (self.width, self.height))

    def _shaded_floor(self, frames: list[Frame], k: int) -> NDArray[np.float32]:
        """Return the empty room with soft shadows on the floor."""
        image = self.backdrop.rgb.copy()
        step = _SHADOW_STEP
        canvas = np.ones((self.height // step, self.width // step), np.float32)
        for frame in frames:
            one = Frame(frame.rotation[k : k + 1], frame.origin[k : k + 1])
            cast_shadow(one, self.camera, self.room.light, canvas, step)
        canvas = cv2.GaussianBlur(canvas, (0, 0), 1.6)
        wide = cv2.resize(canvas, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        factor = 1 - 0.5 * (1 - wide) * self.backdrop.floor
        image *= factor[..., None]
        return image

    def _blend(self, image: NDArray[np.float32], merges: list[Composite], count: int) -> None:
        """Lay people on the room, averaged over `count` moments."""
        if not merges:
            return
        boxes = np.array([m.box for m in merges])
        (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        total = np.zeros((bottom - top, right - left, 3), np.float32)
        cover = np.zeros((bottom - top, right - left, 1), np.float32)
        for merged in merges:
            x0, y0, x1, y1 = merged.box
            part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
            if merged.rgb is not None:
                total[part] += merged.rgb
            cover[part] += merged.alpha[..., None]
        share = np.float32(1 / count)
        region = (slice(top, bottom), slice(left, right))
        image[region] *= 1 - cover * share
        image[region] += total * (self.backdrop.vignette[region] * share)

    def _expose(self, image: NDArray[np.float32], frame_index: int) -> Image:
        """Blur by the lens, add sensor noise and round to 8 bits."""
        if self.backdrop.softness > 0:
            image = cv2.GaussianBlur(image, (5, 5), self.backdrop.softness)
        rng = np.random.default_rng([self.seed, frame_index, 1])
        y, x = rng.integers(0, 64, 2)
        tile = _noise_bank(self.height + 64, self.width + 64, self.room.infrared)
        noise = tile[y : y + self.height, x : x + self.width]
        if rng.random() < 0.5:
            noise = noise[:, ::-1]
        noise = noise * np.float32(self.room.noise)
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


_BANK: dict[tuple[int, int, bool], NDArray[np.float32]] = {}


def _noise_bank(height: int, width: int, grey: bool) -> NDArray[np.float32]:
    """Return (height, width, 3) noise of unit deviation, mostly shared by the channels."""
    key = (height, width, grey)
    if key not in _BANK:
        rng = np.random.default_rng(11)
        luma = rng.normal(0, 0.85, (height, width, 1))
        chroma = rng.normal(0, 0.0 if grey else 0.5, (height, width, 3))
        _BANK[key] = (luma + chroma).astype(np.float32)
    return _BANK[key]


def _dress(body: Body, room: Room, rng: np.random.Generator) -> Body:
    """Return the body with its colors as the room's camera sees them."""
    if room.infrared:
        mix = rng.dirichlet([2, 2, 2])
        grey = np.clip((body.colors @ mix) * 0.75 + 0.15, 0, 1)
        return replace(body, colors=np.repeat(grey[:, None], 3, axis=1))
    return replace(body, colors=body.colors * room.cast)


@lru_cache(maxsize=8)
def room_of(scene_seed: int) -> Room:
    """Return the room of a scene seed."""
    return draw_room(np.random.default_rng([scene_seed, 1]))


def make_scene(
    seed: int,
    behavior: str | None = None,
    scene_seed: int | None = None,
    camera_seed: int | None = None,
    duration_s: float | None = None,
    fps: float = 12.0,
    size: tuple[int, int] = (640, 360),
) -> Scene:
    """Make a scene; equal arguments give equal scenes, bit for bit.

    Args:
        seed: people, motion, timing and noise.
        behavior: a leaf of `behaviors.NORMAL`, `ASSAULT` or `FAINT`; drawn evenly over the three
            classes when None.
        scene_seed: the room (floor, walls, furniture, lights); `seed` when None.
        camera_seed: the viewpoint in it; `seed` when None.
        duration_s: length; 8 to 12 s when None.
        fps: frames per second.
        size: (width, height) in pixels.

    Raises:
        ValueError: the behaviour is unknown.
    """
    scene_seed = seed if scene_seed is None else scene_seed
    camera_seed = seed if camera_seed is None else camera_seed
    rng = np.random.default_rng([seed, 0])
    room = room_of(scene_seed)
    camera = draw_camera(np.random.default_rng([scene_seed, camera_seed, 2]), size)
    duration = float(rng.uniform(8, 12)) if duration_s is None else duration_s
    heights = [draw_height(rng) for _ in range(4)]
    cast = cast_scene(rng, room, camera, behavior, duration, heights)
    actors = tuple(
        Actor(i + 1, _dress(draw_body(rng, height), room, rng), script.finish(duration))
        for i, (height, script) in enumerate(zip(heights, cast.scripts, strict=False))
    )
    return Scene(seed, cast.behavior, fps, *size, max(1, round(duration * fps)), cast.events, room,
                 camera, actors, (scene_seed, camera_seed))  # fmt: skip

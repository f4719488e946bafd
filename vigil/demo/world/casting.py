"""Who does what, where and when in a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vigil.demo.world import behaviors
from vigil.demo.world.acts import attend, write_pair, write_single
from vigil.demo.world.cameras import Camera
from vigil.demo.world.motions import Script
from vigil.demo.world.places import Stage
from vigil.demo.world.rooms import Room


@dataclass(frozen=True)
class Event:
    """Something that happens: seconds, class (normal, assault or faint), behaviour, track ids."""

    start_s: float
    end_s: float
    label: str
    behavior: str
    person_ids: tuple[int, ...]


@dataclass(frozen=True)
class Cast:
    """The scripts of a scene, one per person, and its events."""

    behavior: str
    scripts: list[Script]
    events: tuple[Event, ...]


LEAVES = {"normal": behaviors.NORMAL, "assault": behaviors.ASSAULT, "faint": behaviors.FAINT}


def leaf_label(behavior: str) -> str:
    """Return the class of a leaf behaviour: normal, assault or faint.

    Raises:
        ValueError: the behaviour is unknown.
    """
    for label, leaves in LEAVES.items():
        if behavior in leaves:
            return label
    known = ", ".join((*behaviors.NORMAL, *behaviors.ASSAULT, *behaviors.FAINT))
    raise ValueError(f"behavior: expected one of {known}, got {behavior!r}")


def draw_behavior(rng: np.random.Generator) -> str:
    """Draw a leaf: the three classes evenly, then the leaves evenly."""
    leaves = (behaviors.NORMAL, behaviors.ASSAULT, behaviors.FAINT)[rng.integers(3)]
    return str(rng.choice(leaves))


def cast_scene(
    rng: np.random.Generator,
    room: Room,
    camera: Camera,
    behavior: str | None,
    duration: float,
    heights: list[float],
) -> Cast:
    """Write the scripts of one scene.

    Args:
        rng: source of every choice.
        room: where it takes place.
        camera: who must see it.
        behavior: the leaf to show; drawn when None.
        duration: seconds.
        heights: (4,) statures in meters of the people who may be used.
    """
    chosen = draw_behavior(rng) if behavior is None else behavior
    label = leaf_label(chosen)
    stage = Stage(rng, room, camera)
    onset = float(rng.uniform(0.2, max(duration - 2.0, 0.3)))
    length = float(rng.uniform(1.5, 5.0))
    if label == "faint":
        length = duration - onset if rng.random() < 0.6 else float(rng.uniform(3.5, 6.0))
    pair = chosen in behaviors.PAIRS
    write = write_pair if pair else write_single
    scripts, start, end = write(stage, chosen, onset, length, duration, heights)
    ids = tuple(range(1, len(scripts) + 1))
    event = Event(round(start, 3), round(min(end, duration), 3), label, chosen, ids)
    events = [event]
    others = int(rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25])) if pair else int(rng.integers(0, 4))
    for _ in range(min(others, 4 - len(scripts))):
        script, extra = _bystander(stage, duration, heights[len(scripts)], len(scripts) + 1)
        scripts.append(script)
        events += extra
    if label == "faint" and len(scripts) > 1 and rng.random() < 0.4:
        attend(scripts[0], scripts[1], rng, start + 2.2, end, duration)
    return Cast(chosen, scripts, tuple(events))


def _bystander(
    stage: Stage, duration: float, height: float, track_id: int
) -> tuple[Script, list[Event]]:
    """Write someone who does normal things alone."""
    rng = stage.rng
    chosen = str(
        rng.choice(["walk", "stand", "sit", "bend", "wave"], p=[0.4, 0.3, 0.1, 0.12, 0.08])
    )
    onset = float(rng.uniform(0.2, max(duration - 2.0, 0.3)))
    length = float(rng.uniform(1.5, 4.0))
    scripts, start, end = write_single(stage, chosen, onset, length, duration, [height])
    event = Event(round(start, 3), round(min(end, duration), 3), "normal", chosen, (track_id,))
    return scripts[0], [event]

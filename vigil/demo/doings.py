"""What people of a synthetic scene do at a moment, in the words of `vigil.demo.captions`.

Knows: a scene's script and its bodies. Does not know: pixels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from vigil.demo.captions import ACTIONS, LABELS
from vigil.demo.world.scenes import Actor, Event, Scene

_LOW_M: Final = 0.55  # a head below this is on the floor
_BENT_M: Final = 1.15  # and below this no longer upright
_UNSURE_S: Final = 0.4  # just before an assault begins
_WALKS, _RUNS = 0.35, 2.0  # meters per second


@dataclass(frozen=True)
class Doing:
    """What one person does at one moment: numbers of LABELS and of ACTIONS."""

    label: int
    action: int


def observe(scene: Scene, actor: Actor, time_s: float) -> Doing | None:
    """Say what a person does; None where a careful observer would not decide.

    Args:
        scene: where.
        actor: one of its people.
        time_s: when.
    """
    times = np.array([max(time_s - 0.2, 0.0), time_s, time_s + 0.2])
    points = actor.body.keypoints(actor.frames(times))
    head = float(points[1, :5, 2].mean())
    hips = points[:, 11:13, :2].mean(axis=1)
    speed = float(np.linalg.norm(hips[2] - hips[0])) / float(times[2] - times[0])
    for event in scene.events:
        if actor.track_id not in event.person_ids:
            continue
        if event.start_s <= time_s <= event.end_s and event.behavior not in {"walk", "stand"}:
            return _in_event(event, actor.track_id, head)
        if event.label == "assault" and abs(time_s - event.start_s) < _UNSURE_S:
            return None
    if head < _BENT_M:
        return doing_of("normal", "on_floor" if head < 0.9 else "bend")
    if speed > _RUNS:
        return doing_of("normal", "run")
    return doing_of("normal", "walk" if speed > _WALKS else "stand")


def _in_event(event: Event, who: int, head: float) -> Doing | None:
    """Say what a person does who takes part in an event, head at `head` meters."""
    if event.label == "faint":
        if head > _BENT_M:
            return None  # reeling, not yet fallen
        return doing_of("faint", "lie" if head < _LOW_M else "collapse")
    if event.label == "assault":
        return doing_of("assault", event.behavior if who == event.person_ids[0] else "victim")
    if event.behavior == "help_up" and who == event.person_ids[1]:
        return doing_of("normal", "on_floor" if head < _BENT_M else "help_up")
    return doing_of("normal", event.behavior)


def doing_of(label: str, action: str) -> Doing:
    """Return the numbers of a class and an action."""
    return Doing(LABELS.index(label), ACTIONS.index(action))


def together(
    scene: Scene, ids: tuple[int, int], doing: tuple[Doing | None, Doing | None], time_s: float
) -> Doing | None:
    """Say what two people do together; None where one of them is undecided.

    Args:
        scene: where.
        ids: who they are.
        doing: what each does alone.
        time_s: when.
    """
    one, two = doing
    if one is None or two is None:
        return None
    for event in scene.events:
        if set(event.person_ids) == set(ids) and event.start_s <= time_s <= event.end_s:
            return doing_of(event.label, event.behavior)
    return max(one, two, key=lambda what: (what.label > 0, what.action))


def shown(scene: Scene, ids: Collection[int], time_s: float) -> int:
    """Return the class, of LABELS, of the event that people take part in; nobody: of any event."""
    for event in scene.events:
        there = not ids or set(ids) & set(event.person_ids)
        if event.label != LABELS[0] and there and event.start_s <= time_s < event.end_s:
            return LABELS.index(event.label)
    return 0

"""The scripts of people who do one thing, alone or in pairs: come, do it, and go on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world import behaviors, incidents
from vigil.demo.world.motions import LEAD_S, Script
from vigil.demo.world.places import Stage

Floats = NDArray[np.float64]


_PAIR_ACTS: dict[str, Callable[[Script, Script, float, float], float]] = {
    "talk": behaviors.talk,
    "hug": behaviors.hug,
    "help_up": behaviors.help_up,
    "push": incidents.push,
    "punch": incidents.punch,
    "kick": incidents.kick,
}


def _enter(stage: Stage, spot: Floats, onset: float, height: float, walk: float) -> Script:
    """Begin a script that stands at `spot` by `onset`, having walked there with chance `walk`."""
    rng = stage.rng
    if rng.random() < walk:
        speed = rng.uniform(0.9, 1.5)
        start = stage.outside(spot, speed * (onset + LEAD_S) + 0.5)
        if start is None:
            turn = rng.uniform(0, 2 * np.pi)
            away = min(speed * onset, rng.uniform(1.0, 3.0))
            start = spot + np.array([np.cos(turn), np.sin(turn)]) * away
            if away < 0.5 or not (stage.free(start, 0.1) and stage.clear(start, spot)):
                start = None
        if start is not None:
            delta = spot - start
            script = Script(rng, start, float(np.arctan2(delta[1], delta[0])), height)
            seconds = float(np.linalg.norm(delta)) / speed
            begin = max(-LEAD_S + 0.02, onset - 0.2 - seconds - rng.uniform(0, 1.0))
            script.go(begin, max(begin + seconds, 0.1), spot)
            return script
    return Script(rng, spot, rng.uniform(0, 2 * np.pi), height)


def _idle_until(script: Script, stop: float) -> None:
    """Stand about from the end of the last walk until `stop`."""
    begin = max(script.path[-1][0] + 0.1, 0.0)
    if stop - begin > 1.6:
        behaviors.stand(script, begin, stop - begin - 0.1)


def write_pair(
    stage: Stage, chosen: str, onset: float, length: float, duration: float, heights: list[float]
) -> tuple[list[Script], float, float]:
    """Write two people who meet and do something together."""
    rng = stage.rng
    spot = stage.spot(0.75, low=0.85, side=0.24, open_view=True)
    turn = _across(stage, spot)
    apart = {"hug": 0.9, "help_up": 0.8}.get(chosen, float(rng.uniform(0.75, 1.3)))
    gap = np.array([np.cos(turn), np.sin(turn)]) * apart
    stage.taken.append(spot + gap)
    if chosen == "help_up":
        two = Script(rng, spot + gap, rng.uniform(0, 2 * np.pi), heights[1])
        behaviors.on_floor(two, -LEAD_S - 1, 0.5, bool(rng.random() < 0.45))
        onset = min(onset, float(rng.uniform(0.2, 3.0)))
        one = _enter(stage, spot, onset, heights[0], 0.7)
    else:
        one = _enter(stage, spot, onset, heights[0], 0.5)
        two = _enter(stage, spot + gap, onset, heights[1], 0.5)
    ready = [max(s.path[-1][0], 0.0) for s in (one, two)]
    meet = max(ready) + 0.15
    if chosen == "help_up":
        _fidget(two, onset)
    elif onset - meet > 1.6 and rng.random() < 0.6:
        behaviors.talk(one, two, meet, onset - meet - 0.15)
    else:
        _idle_until(one, onset - 0.1)
        _idle_until(two, onset - 0.1)
        for who, other in ((one, two), (two, one)):
            who.face(onset - 0.5, onset - 0.05, other.xy)
    end = _PAIR_ACTS[chosen](one, two, onset, length)
    _aftermath(stage, one, end, duration, runs=chosen in behaviors.ASSAULT)
    _aftermath(stage, two, end + 0.6, duration, runs=False)
    return [one, two], onset, end


def _across(stage: Stage, spot: Floats) -> float:
    """Draw a direction in radians along which two people do not hide each other."""
    view = spot - stage.camera.position[:2]
    while True:
        turn = float(stage.rng.uniform(0, 2 * np.pi))
        cosine = float(view @ [np.cos(turn), np.sin(turn)]) / float(np.linalg.norm(view))
        if abs(cosine) < 0.9:
            return turn


def _fidget(who: Script, until: float) -> None:
    """Move an arm and the head now and then while on the floor."""
    time = 0.2
    while time < until - 0.6:
        s = "l" if who.rng.random() < 0.5 else "r"
        arm = {f"sh_f_{s}": who.last(f"sh_f_{s}") + who.rng.uniform(-15, 35)}
        who.move(time, time + 0.5, head_y=who.rng.uniform(-35, 35), **arm)
        time += who.rng.uniform(0.6, 1.2)


def _aftermath(stage: Stage, who: Script, end: float, duration: float, runs: bool) -> None:
    """Stand, walk or run off when the main thing is over."""
    rng = stage.rng
    begin = max(end, who.path[-1][0]) + rng.uniform(0.1, 0.9)
    if duration - begin < 0.8:
        return
    if rng.random() < 0.5:
        speed = float(rng.uniform(1.6, 2.8) if runs else rng.uniform(0.9, 1.5))
        goal = stage.outside(who.xy, 7.0)
        if goal is not None:
            far = float(np.linalg.norm(goal - who.xy))
            who.go(begin, begin + far / speed, goal)
            return
    if duration - begin > 1.6:
        behaviors.stand(who, begin, duration - begin + 0.5)


def write_single(
    stage: Stage, chosen: str, onset: float, length: float, duration: float, heights: list[float]
) -> tuple[list[Script], float, float]:
    """Write one person's main behaviour."""
    if chosen == "walk":
        return _write_walk(stage, onset, duration, heights[0])
    if chosen == "sit":
        return _write_sit(stage, onset, length, duration, heights[0])
    reach = 0.9 if chosen.startswith("collapse") else 0.5
    script = _enter(
        stage, stage.spot(reach, low=0.9, open_view=not stage.taken), onset, heights[0], 0.6
    )
    _idle_until(script, onset)
    start = max(onset, script.path[-1][0] - (0.4 if chosen.startswith("collapse") else 0.0))
    start = min(start, max(duration - 1.5, 0.2))
    if chosen.startswith("collapse"):
        end = incidents.collapse(script, start, length, chosen.split("_")[1])
        if end < duration - 0.8 and length < duration - onset - 0.01:
            up = incidents.get_up(script, end)
            _aftermath(stage, script, up, duration, runs=False)
        else:
            end = duration
        return [script], start, end
    leaf = {"stand": behaviors.stand, "bend": behaviors.bend, "wave": behaviors.wave}[chosen]
    end = leaf(script, start, length)
    _aftermath(stage, script, end, duration, runs=False)
    return [script], start, end


def _write_walk(
    stage: Stage, onset: float, duration: float, height: float
) -> tuple[list[Script], float, float]:
    """Write a walk through the room by way of one or two places in view."""
    rng = stage.rng
    spot = stage.spot(0.4)
    start = stage.outside(spot, 8.0)
    begin_at = spot if start is None else start
    script = Script(rng, begin_at, rng.uniform(0, 2 * np.pi), height)
    time = float(rng.uniform(-1.5, 1.5)) if start is not None else float(rng.uniform(0, 2))
    first, speed = max(time, 0.0), float(rng.uniform(0.8, 1.6))
    stops = [spot] if start is not None else []
    stops += [stage.spot(0.4, 0.5) for _ in range(rng.integers(0, 3))]
    leave = stage.outside(stops[-1] if stops else spot, 8.0)
    for stop in stops + ([leave] if leave is not None else []):
        seconds = float(np.linalg.norm(stop - script.xy)) / speed
        script.go(time, time + max(seconds, 0.1), stop)
        time += max(seconds, 0.1) + float(rng.choice([0.0, rng.uniform(0.3, 2.0)]))
    return [script], first, min(max(time, first + 1.0), duration)


def _write_sit(
    stage: Stage, onset: float, length: float, duration: float, height: float
) -> tuple[list[Script], float, float]:
    """Write someone who sits down on a chair."""
    rng = stage.rng
    seats = [s for s in stage.room.seats if stage.camera.sees(s.xy, -30)]
    if not seats:
        script = _enter(stage, stage.spot(0.5), onset, height, 0.6)
        behaviors.stand(script, onset, length)
        return [script], onset, onset + length
    seat = seats[rng.integers(len(seats))]
    stage.taken.append(seat.xy)
    front = seat.xy + np.array([np.cos(seat.yaw), np.sin(seat.yaw)]) * 0.34
    script = _enter(stage, front, onset, height, 0.7)
    start = max(onset, script.path[-1][0])
    length = max(length, 3.0) if rng.random() < 0.5 else duration - start + 1.0
    end = behaviors.sit(script, start, length, seat.xy, seat.yaw)
    return [script], start, end


def attend(
    fallen: Script,
    helper: Script,
    rng: np.random.Generator,
    time: float,
    end: float,
    duration: float,
) -> None:
    """Let a bystander who is free by then hurry to the fallen and crouch."""
    busy = max([helper.path[-1][0], *(keys[-1][0] for keys in helper.keys.values())])
    begin = max(time + rng.uniform(0, 1.0), busy + 0.1)
    gap = fallen.xy - helper.xy
    far = float(np.linalg.norm(gap))
    seconds = max((far - 0.8) / 1.9, 0.3)
    if begin + seconds > min(end, duration) - 0.5:
        return
    helper.go(begin, begin + seconds, fallen.xy - gap / max(far, 1e-6) * 0.8)
    there = begin + seconds
    helper.move(there - 0.2, there + 0.6, pitch=20, spine=32, hip_f_l=110, hip_f_r=96, kn_l=126,
                kn_r=128, sh_f_l=60, sh_f_r=68, el_l=20, el_r=25, head_p=10)  # fmt: skip
    if end < duration - 0.5:
        helper.rest(end, end + 0.8)

"""Assaults and faints, written into motion scripts as `behaviors` writes its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.behaviors import draw_side
from vigil.demo.world.motions import Script

Floats = NDArray[np.float64]

_GUARD = {"sh_f_l": 52, "sh_a_l": 12, "sh_r_l": 20, "el_l": 112,
          "sh_f_r": 40, "sh_a_r": 12, "sh_r_r": 20, "el_r": 122,
          "spine": 10, "kn_l": 14, "kn_r": 18, "hip_f_l": 16, "hip_f_r": 2}  # fmt: skip
_COVER = {"sh_f_l": 82, "sh_a_l": 8, "sh_r_l": 28, "el_l": 128, "sh_f_r": 78, "sh_a_r": 8,
          "sh_r_r": 28, "el_r": 126, "spine": 24, "head_p": 22, "kn_l": 22, "kn_r": 22,
          "hip_f_l": 20, "hip_f_r": 18}  # fmt: skip

_BUCKLE = {"hip_f_l": 62, "hip_f_r": 54, "kn_l": 100, "kn_r": 92, "sh_a_l": 25, "sh_a_r": 25,
           "sh_f_l": 15, "sh_f_r": 15, "el_l": 40, "el_r": 40}  # fmt: skip


def _recoil(who: Script, time: float, away: Floats, far: float, hard: float) -> None:
    """Jerk the body away from a blow coming along `away` (2,) and step back `far` meters."""
    c, s = np.cos(who.yaw), np.sin(who.yaw)
    forward = float(away @ [c, s])
    left = float(away @ [-s, c])
    who.move(time, time + 0.16, pitch=16 * forward * hard, roll=-14 * left * hard,
             spine=-10 * hard, head_p=-20 * hard * max(-forward, 0.3),
             head_y=who.rng.uniform(-35, 35) * hard)  # fmt: skip
    who.move(time + 0.2, time + 0.7, pitch=0, roll=0, spine=12, head_p=10, head_y=0)
    who.go(time, time + 0.35 + 0.4 * far, who.xy + away * far, False)


def _close(attacker: Script, victim: Script, start: float, reach: float) -> tuple[float, Floats]:
    """Step up to `reach` meters from the victim; return the time and the (2,) direction."""
    gap = victim.xy - attacker.xy
    far = float(np.linalg.norm(gap))
    unit = gap / max(far, 1e-6)
    seconds = max(abs(far - reach) / 1.8, 0.15)
    attacker.face(start - 0.2, start + 0.15, victim.xy)
    attacker.go(start, start + seconds, victim.xy - unit * reach, False)
    return start + seconds, unit


def push(attacker: Script, victim: Script, start: float, length: float) -> float:
    """Shove with both hands; the victim staggers back each time."""
    rng, time, limit = attacker.rng, start, start + length
    while True:
        time, unit = _close(attacker, victim, time, 0.62)
        hit = time + rng.uniform(0.16, 0.26)
        attacker.move(time - 0.15, time, sh_f_l=20, el_l=125, sh_f_r=20, el_r=125, sh_a_l=14,
                      sh_a_r=14, pitch=2)  # fmt: skip
        left = np.array([-unit[1], unit[0]]) * 0.12
        for s, sign in (("l", 1.0), ("r", -1.0)):
            chest = victim.xy + unit * 0.02 + left * sign
            attacker.aim(time, s, np.array([*chest, victim.height * 0.74]))
            attacker.aim(hit, s, np.array([*(chest + unit * 0.12), victim.height * 0.76]))
            attacker.move(time, hit - 0.06, **{f"ik_{s}": 1.0})
        attacker.move(time, hit, pitch=14, spine=12, hip_f_l=42, kn_l=35, hip_f_r=-4, kn_r=12,
                      sh_f_l=80, sh_f_r=80, el_l=15, el_r=15)  # fmt: skip
        attacker.shift(time, hit + 0.05, 0.14)
        far = rng.uniform(0.5, 1.2)
        _recoil(victim, hit - 0.03, unit, far, rng.uniform(0.9, 1.5))
        for s in "lr":
            victim.move(
                hit,
                hit + 0.22,
                **{
                    f"sh_f_{s}": rng.uniform(25, 75),
                    f"sh_a_{s}": rng.uniform(25, 65),
                    f"el_{s}": 40,
                },
            )
            attacker.move(hit + 0.15, hit + 0.4, **{f"ik_{s}": 0.0})
        attacker.rest(hit + 0.2, hit + 0.65)
        settle = hit + 0.45 + 0.4 * far
        victim.rest(settle - 0.1, settle + 0.45)
        time = settle + rng.uniform(0.1, 0.6)
        if time + 0.9 > limit:
            return max(settle + 0.3, hit + 0.7)


def punch(attacker: Script, victim: Script, start: float, length: float) -> float:
    """Strike repeatedly with alternate fists; the victim recoils and covers."""
    rng, limit = attacker.rng, start + length
    time, unit = _close(attacker, victim, start, 0.58)
    attacker.move(start, time, **_GUARD)
    s, blows = draw_side(rng), 0
    while blows < 2 or time + 0.45 < limit:
        out, back = rng.uniform(0.12, 0.18), rng.uniform(0.16, 0.26)
        hit = time + out
        low = rng.random() < 0.25
        part = 0.64 if low else (0.9 if blows == 0 else rng.uniform(0.8, 0.9))
        target = np.array([*(victim.xy - unit * 0.06), victim.height * part])
        attacker.aim(time, s, target)
        sign = 1.0 if s == "r" else -1.0
        attacker.move(time, hit, twist=32 * sign, spine=12, pitch=8, **{f"ik_{s}": 1.0})
        attacker.move(hit + 0.03, hit + back, twist=0, pitch=2, **{f"ik_{s}": 0.0})
        far = rng.uniform(0.05, 0.3)
        _recoil(victim, hit - 0.03, unit, far, rng.uniform(0.7, 1.3))
        if blows == 0:
            victim.move(hit + 0.15, hit + 0.5, **_COVER)
        if low:
            victim.move(hit, hit + 0.2, spine=45)
        time = (
            hit + back + (rng.uniform(0.02, 0.12) if rng.random() < 0.7 else rng.uniform(0.3, 0.7))
        )
        if float(np.linalg.norm(victim.xy - attacker.xy)) > 0.68:
            time, unit = _close(attacker, victim, time - 0.1, 0.58)
        s = ("r" if s == "l" else "l") if rng.random() < 0.75 else s
        blows += 1
    attacker.rest(time, time + 0.5)
    victim.rest(time + 0.6, time + 1.4)
    return time + 0.2


def kick(attacker: Script, victim: Script, start: float, length: float) -> float:
    """Kick the victim's legs or belly; the victim folds and staggers back."""
    rng, limit, time, blows = attacker.rng, start + length, start, 0
    attacker.move(start, start + 0.3, sh_f_l=35, el_l=85, sh_f_r=25, el_r=85, sh_a_l=20, sh_a_r=20)
    while blows < 1 or time + 1.1 < limit:
        time, unit = _close(attacker, victim, time, 0.72)
        s = draw_side(rng)
        o = "r" if s == "l" else "l"
        high = rng.uniform(62, 98)
        load, hit = time + rng.uniform(0.16, 0.24), time + rng.uniform(0.34, 0.44)
        attacker.move(time, load, **{f"hip_f_{s}": 55, f"kn_{s}": 105, f"kn_{o}": 12})
        attacker.move(load, hit, pitch=-20, spine=8, twist=12 if s == "r" else -12,
                      **{f"hip_f_{s}": high, f"kn_{s}": 6, f"hip_f_{o}": -14, f"sh_a_{s}": 45,
                         f"sh_f_{s}": -25})  # fmt: skip
        attacker.rest(hit + 0.1, hit + 0.5)
        far = rng.uniform(0.25, 0.8)
        _recoil(victim, hit - 0.03, unit, far, 0.7)
        victim.move(hit + 0.02, hit + 0.25, spine=48, pitch=14, head_p=15, hip_f_l=38, hip_f_r=34,
                    kn_l=36, kn_r=36, sh_f_l=55, el_l=80, sh_f_r=55, el_r=80, sh_r_l=40,
                    sh_r_r=40)  # fmt: skip
        settle = hit + 0.6 + 0.4 * far
        victim.rest(settle, settle + 0.6)
        time = max(hit + 0.5, settle - 0.2) + rng.uniform(0.05, 0.6)
        blows += 1
    attacker.rest(time, time + 0.3)
    return time + 0.2


def collapse(who: Script, start: float, length: float, direction: str) -> float:
    """Sway, collapse forward, backward or sideways, and lie still for the rest of `length`."""
    rng = who.rng
    begin = _sway(who, start)
    end = begin + rng.uniform(0.75, 1.25)
    half = (begin + end) / 2
    tall, sign = who.height, float(rng.choice([-1, 1]))
    who.move(begin, end, calm=1.0, head_y=rng.uniform(30, 70) * sign)
    if direction == "forward":
        buckle = _BUCKLE | {"hip_f_l": 20, "hip_f_r": 14}
        who.move(begin, half, pitch=26, spine=22, head_p=25, roll=0, **buckle)
        limp = _limp(rng, hips=(-4, 3), knees=(0, 14))
        who.move(half, end, pitch=88, spine=2, head_p=-8, **limp)
        who.shift(begin, end, 0.3 * tall)
    elif direction == "backward":
        who.move(begin, half, pitch=-18, spine=14, head_p=15, roll=0, **_BUCKLE)
        limp = _limp(rng, hips=(0, 40), knees=(5, 80))
        who.move(half, end, pitch=-87, spine=0, head_p=6, **limp)
        who.shift(begin, end, -0.3 * tall)
    else:
        who.move(begin, half, pitch=4, roll=22 * sign, side=10 * sign, head_p=15, **_BUCKLE)
        limp = _limp_on_side(rng, "r" if sign > 0 else "l")
        who.move(half, end, pitch=rng.uniform(-8, 20), roll=84 * sign, spine=14, side=0, head_p=10,
                 **limp)  # fmt: skip
        who.shift(begin, end, 0.0, -sign * 0.28 * tall)
    if rng.random() < 0.5:
        twitch = end + rng.uniform(0.3, 1.5)
        who.move(twitch, twitch + 0.5, el_l=who.last("el_l") + 10, kn_r=who.last("kn_r") + 10)
    return max(end + 1.0, start + length)


def _sway(who: Script, start: float) -> float:
    """Reel for a moment, perhaps with a hand to the head; return when the legs give way."""
    rng, time = who.rng, start
    stop = start + rng.uniform(0.2, 1.5)
    if rng.random() < 0.5:
        s = draw_side(rng)
        who.move(time, time + 0.5, **{f"sh_f_{s}": 75, f"sh_a_{s}": 22, f"el_{s}": 138,
                                      f"sh_r_{s}": 35})  # fmt: skip
    while time < stop:
        beat = rng.uniform(0.3, 0.5)
        who.move(time, time + beat, roll=rng.uniform(-9, 9), pitch=rng.uniform(-6, 8),
                 head_p=rng.uniform(10, 30), kn_l=14, kn_r=14, hip_f_l=12, hip_f_r=12)  # fmt: skip
        time += beat
    return time


def _limp(
    rng: np.random.Generator, hips: tuple[float, float], knees: tuple[float, float]
) -> dict[str, float]:
    """Draw how limbs fall in the body's own plane, hips and knees within ranges in degrees."""
    limp: dict[str, float] = {}
    for s in "lr":
        limp |= {f"sh_f_{s}": rng.uniform(-8, 4), f"sh_a_{s}": rng.uniform(12, 140),
                 f"el_{s}": rng.uniform(8, 90), f"sh_r_{s}": rng.choice([-1, 1]) * 82,
                 f"hip_f_{s}": rng.uniform(*hips), f"kn_{s}": rng.uniform(*knees),
                 f"hip_a_{s}": rng.uniform(4, 16)}  # fmt: skip
    return limp


def _limp_on_side(rng: np.random.Generator, lower: str) -> dict[str, float]:
    """Draw how limbs fall when lying on side "l" or "r": arms and legs in front of the body."""
    limp: dict[str, float] = {}
    for s in "lr":
        reach = (30, 110) if s == lower else (0, 60)
        limp |= {f"sh_f_{s}": rng.uniform(*reach), f"sh_a_{s}": rng.uniform(0, 12),
                 f"el_{s}": rng.uniform(10, 90), f"sh_r_{s}": rng.uniform(0, 30),
                 f"hip_f_{s}": rng.uniform(0, 45), f"kn_{s}": rng.uniform(5, 60),
                 f"hip_a_{s}": rng.uniform(0, 4)}  # fmt: skip
    return limp


def get_up(who: Script, start: float) -> float:
    """Rise from the floor by way of sitting."""
    who.move(start, start + 1.1, pitch=-14, roll=0, spine=28, hip_f_l=105, kn_l=98, hip_f_r=92,
             kn_r=82, sh_f_l=-30, el_l=15, head_p=10, head_y=0, calm=0.0)  # fmt: skip
    who.move(start + 1.3, start + 2.0, pitch=28, spine=36, hip_f_l=112, kn_l=122, hip_f_r=100,
             kn_r=118, sh_f_l=40, sh_f_r=40)  # fmt: skip
    who.rest(start + 2.0, start + 2.9)
    return start + 2.9

"""What people normally do, written into motion scripts.

Each behaviour function takes the scripts it moves and a start time in seconds, and returns its end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.motions import Script

Floats = NDArray[np.float64]

NORMAL = ("walk", "stand", "talk", "sit", "bend", "wave", "hug", "help_up")
ASSAULT = ("push", "punch", "kick")
FAINT = ("collapse_forward", "collapse_backward", "collapse_sideways")
PAIRS = ("talk", "hug", "help_up", *ASSAULT)

_CROSSED = {"sh_f_l": 28, "sh_a_l": 12, "sh_r_l": 62, "el_l": 92,
            "sh_f_r": 24, "sh_a_r": 12, "sh_r_r": 62, "el_r": 98}  # fmt: skip
_HIPS = {"sh_f_l": -18, "sh_a_l": 38, "sh_r_l": 50, "el_l": 85,
         "sh_f_r": -18, "sh_a_r": 38, "sh_r_r": 50, "el_r": 85}  # fmt: skip


def heading(yaw: float) -> Floats:
    """Return the (2,) direction of a heading."""
    return np.array([np.cos(yaw), np.sin(yaw)])


def draw_side(rng: np.random.Generator) -> str:
    """Draw left or right."""
    return "l" if rng.random() < 0.5 else "r"


def stand(who: Script, start: float, length: float) -> float:
    """Stand: arms crossed, on the hips, looking at a phone, or hanging; shift and look around."""
    rng, end = who.rng, start + length
    kind = rng.choice(["hang", "crossed", "hips", "phone", "look"])
    if kind == "crossed":
        who.move(start, start + 0.7, **_CROSSED)
    elif kind == "hips":
        who.move(start, start + 0.7, **_HIPS)
    elif kind == "phone":
        s = draw_side(rng)
        who.move(start, start + 0.8, head_p=28, spine=8,
                 **{f"sh_f_{s}": 38, f"el_{s}": 98, f"sh_r_{s}": 30})  # fmt: skip
    else:
        who.move(start, start + 0.6, head_y=rng.uniform(-50, 50))
    time = start + rng.uniform(0.8, 1.6)
    while time < end - 0.9:
        lean = rng.uniform(-3.5, 3.5)
        who.move(time, time + 0.7, roll=lean, head_y=rng.uniform(-45, 45),
                 kn_l=3 + max(0, lean) * 4, kn_r=3 + max(0, -lean) * 4)  # fmt: skip
        if rng.random() < 0.3:
            who.turn(time, time + 0.8, who.yaw + rng.uniform(-0.7, 0.7))
        time += rng.uniform(1.0, 2.4)
    who.rest(end - 0.5, end)
    return end


def talk(one: Script, two: Script, start: float, length: float) -> float:
    """Two people face each other and gesture in turns."""
    end = start + length
    for who, other in ((one, two), (two, one)):
        rng = who.rng
        who.face(start - 0.3, start + 0.4, other.xy)
        if rng.random() < 0.35:
            who.move(start, start + 0.7, **(_CROSSED if rng.random() < 0.6 else _HIPS))
            who.move(start + 1.0, start + 1.6, head_p=rng.uniform(-5, 12))
        time = start + rng.uniform(0, 0.8)
        while time < end - 1.0 and who.last("sh_a_l") < 12:
            s = draw_side(rng)
            step = rng.uniform(0.3, 0.6)
            who.move(time, time + step, **{f"sh_f_{s}": rng.uniform(15, 60),
                                           f"el_{s}": rng.uniform(60, 105),
                                           f"sh_r_{s}": rng.uniform(-20, 40)},
                     head_p=rng.uniform(-8, 14))  # fmt: skip
            if rng.random() < 0.6:
                who.move(time + step, time + 1.8 * step, **{f"el_{s}": rng.uniform(50, 110)})
            who.rest(time + 2 * step, time + 3 * step, f"sh_f_{s}", f"el_{s}", f"sh_r_{s}")
            time += 3 * step + rng.uniform(0.1, 1.5)
        who.rest(end - 0.5, end)
    return end


def sit(who: Script, start: float, length: float, seat: Floats, yaw: float) -> float:
    """Sit down on a chair whose sitter is at `seat` facing `yaw`, stay, and perhaps rise."""
    rng, end = who.rng, start + length
    who.turn(start - 0.3, start + 0.4, yaw)
    down = rng.uniform(0.8, 1.2)
    who.move(
        start + 0.4, start + 0.4 + 0.6 * down, spine=32, hip_f_l=60, hip_f_r=60, kn_l=62, kn_r=62
    )
    who.go(start + 0.4, start + 0.4 + down, seat, False)
    lap = {"sh_f_l": 28, "el_l": 55, "sh_f_r": 28, "el_r": 55}
    who.move(start + 0.4 + 0.6 * down, start + 0.5 + down, spine=rng.uniform(-2, 10), hip_f_l=88,
             hip_f_r=88, kn_l=rng.uniform(80, 98), kn_r=rng.uniform(80, 98), **lap)  # fmt: skip
    time = start + 1.0 + down
    while time < end - 2.2:
        s = draw_side(rng)
        who.move(time, time + 0.6, **{f"el_{s}": rng.uniform(40, 110)}, head_y=rng.uniform(-40, 40))
        time += rng.uniform(0.9, 2.0)
    if rng.random() < 0.5 and end - start > 4:
        who.move(end - 1.3, end - 0.7, spine=38)
        who.rest(end - 0.8, end)
        who.go(end - 0.9, end, seat + heading(yaw) * 0.32, False)
    return end


def bend(who: Script, start: float, length: float) -> float:
    """Bend or squat to pick something up, hold, and straighten."""
    rng = who.rng
    down, s = rng.uniform(0.7, 1.1), draw_side(rng)
    time, end = start, start + max(length, 2.2)
    while time < end - 2.0 * down:
        hold = rng.uniform(0.1, 0.9)
        if rng.random() < 0.55:
            who.move(time, time + down, pitch=58, spine=34, hip_f_l=74, hip_f_r=74, kn_l=26,
                     kn_r=26, head_p=-15, **{f"sh_f_{s}": 92, f"el_{s}": 8})  # fmt: skip
        else:
            who.move(time, time + down, pitch=22, spine=30, hip_f_l=112, hip_f_r=100, kn_l=128,
                     kn_r=132, head_p=5, **{f"sh_f_{s}": 62, f"el_{s}": 15})  # fmt: skip
        up = time + down + hold
        who.rest(up, up + down)
        who.move(up, up + down, **{f"sh_f_{s}": 25, f"el_{s}": 70})
        time = up + down + rng.uniform(0.3, 1.5)
    who.rest(max(time, end - 0.5), max(time, end - 0.5) + 0.5)
    return max(time + 0.2, end)


def wave(who: Script, start: float, length: float) -> float:
    """Wave with a raised arm."""
    rng, s = who.rng, draw_side(who.rng)
    end = start + max(length, 1.5)
    high = rng.uniform(95, 150)
    who.move(start, start + 0.5, **{f"sh_f_{s}": 30, f"sh_a_{s}": high, f"el_{s}": 45,
                                    f"sh_r_{s}": -80})  # fmt: skip
    time, beat = start + 0.5, rng.uniform(0.22, 0.36)
    while time < end - 0.5 - beat:
        who.move(time, time + beat, **{f"el_{s}": rng.uniform(65, 90)})
        who.move(time + beat, time + 2 * beat, **{f"el_{s}": rng.uniform(8, 30)})
        time += 2 * beat
    who.rest(end - 0.4, end + 0.2)
    return end


def hug(one: Script, two: Script, start: float, length: float) -> float:
    """Two people step together, embrace, and part."""
    hold = max(length - 1.6, 0.8)
    end = start + 1.6 + hold
    middle = (one.xy + two.xy) / 2
    gap = two.xy - one.xy
    unit = gap / max(float(np.linalg.norm(gap)), 1e-6)
    left = np.array([-unit[1], unit[0]])
    for who, other, sign in ((one, two, -1.0), (two, one, 1.0)):
        home = who.xy
        who.face(start - 0.2, start + 0.2, other.xy)
        spot = middle + unit * sign * 0.16 + left * sign * 0.05
        who.go(start, start + 0.8, spot, False)
        tall = other.height
        for s, side in (("l", -1.0), ("r", 1.0)):
            high = tall * (0.76 if (s == "l") == (sign > 0) else 0.66)
            back = middle - unit * sign * 0.28 + left * (sign * side * 0.1)
            who.aim(start, s, np.array([*back, high]))
            who.move(start + 0.1, start + 0.6, **{f"sh_f_{s}": 65, f"sh_a_{s}": 30, f"el_{s}": 35})
            who.move(start + 0.5, start + 0.95, **{f"ik_{s}": 1.0})
        who.move(start + 0.5, start + 1.0, spine=8, head_y=-sign * 0 + 35, head_p=10)
        for beat in np.arange(start + 1.2, end - 1.2, 0.9):
            who.move(float(beat), float(beat) + 0.45, side=who.rng.uniform(-4, 4))
        who.rest(end - 0.8, end - 0.1)
        who.go(end - 0.7, end, middle + (home - middle) * 0.8, False)
    return end


def on_floor(who: Script, start: float, seconds: float, lying: bool) -> None:
    """Put a person on the floor, seated or lying on the back, by `start` + `seconds`."""
    end = start + seconds
    if lying:
        who.move(start, end, pitch=-84, hip_f_l=30, kn_l=55, hip_f_r=12, kn_r=20, spine=0,
                 head_p=14, sh_a_l=28, sh_a_r=30, el_l=30, el_r=60, sh_f_l=0,
                 sh_f_r=20)  # fmt: skip
        return
    who.move(start, end, pitch=-22, spine=22, hip_f_l=98, kn_l=78, hip_f_r=80, kn_r=50, head_p=5,
             sh_f_l=-25, sh_a_l=22, el_l=12, sh_f_r=28, el_r=35)  # fmt: skip


def help_up(helper: Script, other: Script, start: float, length: float) -> float:
    """Help someone up who sits or lies on the floor when the scene begins."""
    rng = helper.rng
    helper.face(start - 0.4, start + 0.1, other.xy)
    reach = start + rng.uniform(0.9, 1.3)
    gap = other.xy - helper.xy
    unit = gap / max(float(np.linalg.norm(gap)), 1e-6)
    other.turn(start, start + 0.8, float(np.arctan2(-unit[1], -unit[0])))
    other.move(start, reach, pitch=-12, spine=26, hip_f_l=102, kn_l=96, hip_f_r=98, kn_r=88,
               head_p=-12, sh_f_l=50, el_l=30, sh_f_r=50, el_r=30)  # fmt: skip
    helper.move(start + 0.1, reach, pitch=34, spine=24, hip_f_l=62, hip_f_r=48, kn_l=40, kn_r=34,
                sh_f_l=70, sh_f_r=70, head_p=-8)  # fmt: skip
    both = rng.random() < 0.6
    middle = helper.xy + gap * 0.52
    left = np.array([-unit[1], unit[0]]) * 0.09
    rise = reach + rng.uniform(0.3, 0.7)
    up = rise + rng.uniform(1.2, 1.9)
    for s, sign in (("l", 1.0), ("r", -1.0)):
        if s == "l" and not both:
            continue
        mirror = "r" if s == "l" else "l"
        for who, hand in ((helper, s), (other, mirror)):
            point = middle + left * sign
            who.aim(start, hand, np.array([*point, 0.72]))
            who.aim(rise, hand, np.array([*point, 0.72]))
            who.aim(up, hand, np.array([*point, 1.0]))
            who.move(reach - 0.7, reach, **{f"ik_{hand}": 1.0})
    other.move(rise, rise + 0.55 * (up - rise), pitch=24, spine=30, hip_f_l=105, hip_f_r=100,
               kn_l=118, kn_r=112)  # fmt: skip
    other.shift(rise, rise + 0.6 * (up - rise), 0.22)
    helper.move(rise, up, pitch=-4, spine=4, hip_f_l=4, hip_f_r=4, kn_l=6, kn_r=6, head_p=6)
    other.rest(rise + 0.55 * (up - rise), up)
    for s in "lr":
        helper.move(up, up + 0.5, **{f"ik_{s}": 0.0})
        other.move(up, up + 0.5, **{f"ik_{s}": 0.0})
    helper.rest(up, up + 0.7)
    end = up + 0.5
    if start + length > end + 1.2:
        return talk(helper, other, end + 0.1, start + length - end - 0.1)
    return end

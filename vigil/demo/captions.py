"""Sentences about crops of synthetic scenes, and prompts for its three classes.

Knows: words. Does not know: pixels or networks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

KINDS: Final = ("person", "pair", "frame")
LABELS: Final = ("normal", "assault", "faint")
ACTIONS: Final = ("nobody", "stand", "walk", "run", "wave", "sit", "bend", "talk", "hug", "help_up",
                  "on_floor", "victim", "push", "kick", "punch", "collapse", "lie")  # fmt: skip

COLORS: Final = {
    "black": (25, 25, 28), "dark gray": (62, 62, 64), "gray": (112, 112, 112),
    "white": (205, 205, 205), "red": (150, 40, 40), "orange": (190, 110, 50),
    "yellow": (190, 180, 70), "green": (50, 110, 60), "blue": (45, 70, 140),
    "light blue": (110, 150, 190), "purple": (100, 50, 120), "pink": (190, 120, 140),
    "brown": (95, 65, 45), "beige": (180, 160, 130),
}  # fmt: skip

_PERSON: Final[dict[str, tuple[str, ...]]] = {
    "stand": ("standing", "standing still", "standing upright", "waiting"),
    "walk": ("walking", "walking normally", "walking through the room", "going somewhere"),
    "run": ("running", "running away", "hurrying"),
    "wave": ("waving", "waving a hand", "with a raised arm"),
    "sit": ("sitting", "sitting on a chair", "seated"),
    "bend": ("bending down", "picking something up", "crouching", "squatting"),
    "talk": ("talking", "talking to somebody", "having a conversation", "chatting"),
    "hug": ("hugging somebody", "embracing somebody", "giving a hug"),
    "help_up": ("helping somebody up", "getting help", "helping somebody stand up"),
    "on_floor": ("sitting on the floor", "getting up from the floor", "resting on the floor"),
    "victim": ("being attacked", "being hit", "being beaten", "fighting", "being pushed"),
    "push": ("pushing somebody", "shoving somebody", "attacking somebody", "fighting"),
    "kick": ("kicking somebody", "attacking somebody", "fighting"),
    "punch": ("punching somebody", "hitting somebody", "attacking somebody", "fighting"),
    "collapse": ("collapsing", "falling down", "fainting", "falling to the floor"),
    "lie": ("lying on the floor", "lying on the ground", "lying motionless", "who has fainted",
            "unconscious on the floor"),
}  # fmt: skip
_PAIR: Final[dict[str, tuple[str, ...]]] = {
    "talk": ("two people talking", "two people having a conversation", "two people chatting"),
    "hug": ("two people hugging", "two people embracing"),
    "help_up": ("one person helping another up", "a person helping somebody stand up"),
    "victim": ("two people fighting", "a fight between two people"),
    "push": ("one person pushing another", "one person shoving another", "two people fighting"),
    "kick": ("one person kicking another", "two people fighting", "one person attacking another"),
    "punch": ("one person punching another", "one person hitting another", "two people fighting"),
    "collapse": ("one person collapsing beside another", "a person falling down near somebody"),
    "lie": ("one person lying on the floor beside another", "a person near somebody who fainted"),
}
_CLASS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "person": {
        "normal": ("a person behaving normally", "a normal person", "somebody doing nothing "
                   "unusual"),
        "assault": ("a person in a fight", "an assault", "violence", "a person fighting"),
        "faint": ("a person who has fainted", "a person who collapsed", "a person who fell down",
                  "a person lying on the ground"),
    },
    "pair": {
        "normal": ("two people behaving normally", "two people together", "a normal meeting"),
        "assault": ("two people fighting", "an assault", "violence", "a fight"),
        "faint": ("a person who has fainted near another", "a person who collapsed near somebody"),
    },
    "frame": {
        "normal": ("a normal scene", "people behaving normally", "a room where nothing unusual "
                   "happens"),
        "assault": ("a room where people fight", "an assault in a room", "violence in a room"),
        "faint": ("a room where somebody has fainted", "a room where a person lies on the floor",
                  "a room where a person collapsed"),
    },
}  # fmt: skip
_VIEWS: Final = ("{}", "a photo of {}", "a CCTV photo of {}", "a CCTV image of {}",
                 "surveillance footage of {}", "a picture of {}")  # fmt: skip
_NIGHT: Final = ("at night", "in the dark", "seen by an infrared camera")
_DAY: Final = ("by day", "in a lit room", "in color")


def class_caption(kind: int, label: int, rng: np.random.Generator) -> str:
    """Say only whether something happens: of which class a crop is."""
    return _view(_choose(_CLASS[KINDS[kind]][LABELS[label]], rng), rng)


def action_caption(kind: int, action: int, rng: np.random.Generator) -> str:
    """Say what is done."""
    return _view(_core(KINDS[kind], ACTIONS[action], "a person", rng), rng)


def full_caption(
    kind: int, action: int, colors: tuple[int, int], night: bool, rng: np.random.Generator
) -> str:
    """Say who does what in which light.

    Args:
        kind: number of KINDS.
        action: number of ACTIONS.
        colors: numbers of COLORS of shirt and trousers, -1 where unknown.
        night: the camera sees infrared.
        rng: chooses the words.
    """
    names = list(COLORS)
    who = "a person"
    if not night and colors[0] >= 0 and rng.random() < 0.7:
        who += f" in a {names[colors[0]]} shirt"
        if colors[1] >= 0 and rng.random() < 0.6:
            who += f" and {names[colors[1]]} trousers"
    text = _core(KINDS[kind], ACTIONS[action], who, rng)
    if rng.random() < 0.5:
        text += f" {_choose(_NIGHT if night else _DAY, rng)}"
    return _view(text, rng)


def prompts(kind: str) -> dict[str, list[str]]:
    """Return what each class is called in crops of a kind, for judging without training."""
    views = ("a photo of {}", "a CCTV photo of {}")
    return {
        label: [view.format(text) for text in _CLASS[kind][label] for view in views]
        for label in LABELS
    }


def _core(kind: str, action: str, who: str, rng: np.random.Generator) -> str:
    if action == "nobody":
        return "an empty room"
    if kind == "pair":
        if action in _PAIR:
            return _choose(_PAIR[action], rng)
        return f"two people, one {_choose(_PERSON[action], rng)}"
    text = f"{who} {_choose(_PERSON[action], rng)}"
    return f"a room with {text}" if kind == "frame" else text


def _choose(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _view(text: str, rng: np.random.Generator) -> str:
    return _choose(_VIEWS, rng).format(text)

"""How the classes look in the browser: their keys and colors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from vigil.config import LabelingSection

PALETTE = ("#4c78a8", "#e4572e", "#e0a100", "#3d9a6a", "#9c6ade", "#d6649b", "#2aa1b3", "#9d755d",
           "#7a8793")  # fmt: skip
_DIGITS = "123456789"


@dataclass(frozen=True)
class LabelClass:
    """A class as an annotator sees it.

    Attributes:
        name: as in `params.yaml`.
        key: that gives it; empty where more classes than keys are.
        color: `#rrggbb`, never the only sign.
    """

    name: str
    key: str
    color: str

    def as_dict(self) -> dict[str, str]:
        """Return it as the labeling surface takes it."""
        return asdict(self)


def label_classes(classes: Sequence[str], labeling: LabelingSection) -> list[LabelClass]:
    """Return the classes in label order; those without a key or color of their own take free ones.

    Args:
        classes: their names.
        labeling: keys and colors by name.
    """
    taken = set(labeling.keys.values())
    free = iter(digit for digit in _DIGITS if digit not in taken)
    return [
        LabelClass(
            name,
            labeling.keys[name] if name in labeling.keys else next(free, ""),
            labeling.colors.get(name, PALETTE[index % len(PALETTE)]),
        )
        for index, name in enumerate(classes)
    ]

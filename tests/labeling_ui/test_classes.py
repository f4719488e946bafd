"""Classes get keys and colors that nobody else has."""

from __future__ import annotations

from typing import Any

from labeling_ui.classes import PALETTE, label_classes
from vigil.config import LabelingSection


def section(params: dict[str, Any], **values: Any) -> LabelingSection:
    return LabelingSection.model_validate(params["labeling"] | values)


def test_keys_are_the_digits_in_label_order_but_for_those_that_are_given(
    params: dict[str, Any],
) -> None:
    found = label_classes(["a", "b", "c"], section(params, keys={"b": "1", "c": "q"}))
    assert [one.key for one in found] == ["2", "1", "q"]


def test_a_tenth_class_has_no_key(params: dict[str, Any]) -> None:
    found = label_classes([f"c{n}" for n in range(10)], section(params))
    assert [one.key for one in found] == [*"123456789", ""]


def test_colors_given_stand_and_others_come_from_the_palette(params: dict[str, Any]) -> None:
    found = label_classes(["a", "b"], section(params, colors={"a": "#000000"}))
    assert [one.color for one in found] == ["#000000", PALETTE[1]]

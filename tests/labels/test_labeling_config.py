"""The section `labeling` is refused where it could not be followed."""

from __future__ import annotations

from typing import Any

import pytest

from vigil.config import load
from vigil.errors import InputError


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("keys", {"robbery": "r"}, "robbery"),
        ("colors", {"robbery": "#d62728"}, "robbery"),
        ("keys", {"faint": "a", "assault": "a"}, "a key for one class each"),
        ("keys", {"faint": "F1"}, "keys.faint"),
        ("colors", {"faint": "red; background: url(x)"}, "colors.faint"),
        ("k", 0, "labeling.k"),
        ("gold_share", 0.9, "gold_share"),
        ("order", "alphabet", "order"),
        ("skip_reasons", [], "skip_reasons"),
        ("oidc_roles", {"a@b.c": "god"}, "oidc_roles"),
    ],
)
def test_what_cannot_be_followed_is_named(
    params: dict[str, Any], project: Any, key: str, value: Any, said: str
) -> None:
    params["labeling"][key] = value
    with pytest.raises(InputError, match=said):
        load(project(params))

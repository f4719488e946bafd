"""Pages read like text to people, whatever the values are."""

from __future__ import annotations

from vigil.environment import describe
from vigil.html import made_on


def test_versions_are_read_as_words_not_as_code() -> None:
    found = describe()
    page = made_on(found)
    name, version = next(iter(found["packages"].items()))
    assert f"{name} {version}, " in page
    assert "{" not in page


def test_names_of_machines_are_text() -> None:
    assert "<td>&lt;b&gt;</td>" in made_on({"cpu": "<b>"})

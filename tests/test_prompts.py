"""Prompts that people edit are read as they are meant, or refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from vigil.config import load
from vigil.errors import InputError
from vigil.prompts import read_prompts

CLASSES = ("normal", "assault")


def write(folder: Path, text: str) -> Path:
    path = folder / "prompts.yaml"
    path.write_text(text, "utf-8")
    return path


def test_prompts_come_back_in_label_order_without_spaces(tmp_path: Path) -> None:
    path = write(tmp_path, "assault: [' 싸우는 사람 ']\nnormal: [a person walking, a person]")
    found = read_prompts(path, CLASSES)
    assert list(found.items()) == [
        ("normal", ("a person walking", "a person")), ("assault", ("싸우는 사람",))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("normal: [a]\nassault: [b]\narson: [c]",
                     "expected the classes normal, assault, got arson", id="unknown class"),
        pytest.param("normal: [a]\nassault: []",
                     "assault: expected a list of at least one prompt, got an empty list",
                     id="empty list"),
        pytest.param("normal: [a]", "assault: expected a list of at least one prompt, got none",
                     id="missing class"),
        pytest.param("normal: [a]\nassault: b", "got 'b'", id="no list"),
        pytest.param("normal: [a]\nassault: ['  ']", "expected sentences, got '  '", id="blank"),
        pytest.param("normal: [a]\nassault: [3]", "expected sentences, got 3", id="number"),
        pytest.param("normal: [a, b, 'a ']\nassault: [c]", "got 'a' twice", id="twice"),
        pytest.param("[a, b]", "expected a list of prompts per class, got list", id="no mapping"),
        pytest.param("", "expected a list of prompts per class, got NoneType", id="empty file"),
        pytest.param("normal: [a", "expected readable YAML", id="no YAML"),
    ],
)  # fmt: skip
def test_bad_prompts_are_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"prompts\.yaml: ") as caught:
        read_prompts(write(tmp_path, text), CLASSES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: expected readable YAML"):
        read_prompts(tmp_path / "none.yaml", CLASSES)


@pytest.mark.parametrize(
    ("prompts", "params"),
    [("prompts.yaml", "params.yaml"), ("prompts.real.yaml", "params.real.yaml")],
)
def test_the_shipped_prompts_fit_the_shipped_classes(prompts: str, params: str) -> None:
    classes = load(ROOT / params)[0].classes
    assert list(read_prompts(ROOT / prompts, classes)) == list(classes)

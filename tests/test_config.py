"""`params.yaml`: unknown keys and values out of range are one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from vigil.config import load
from vigil.errors import InputError

Project = Callable[[dict[str, Any]], Path]


def test_the_shipped_parameters_load_and_resolve_below_their_folder() -> None:
    config, paths = load(ROOT / "params.yaml")
    assert config.classes == ("normal", "assault", "faint")
    assert paths.tracks == ROOT / "data" / "tracks"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(colour="red"), "colour: Extra inputs are not permitted, got 'red'"),
        (lambda p: p["clips"].update(lenght_s=3), "clips.lenght_s: Extra inputs"),
        (lambda p: p["clips"].update(length_s=-1), "clips.length_s: .*greater than 0, got -1"),
        (lambda p: p["mask"]["tracker"].update(high_threshold=1.5), "less than or equal to 1"),
        (lambda p: p["mask"]["detector"].update(input_size=[100, 64]), "multiple of 32"),
        (lambda p: p.pop("clips"), "clips: Field required"),
        (lambda p: p.update(classes=["a", "a"], normal_class="a"), "expected distinct names"),
        (lambda p: p.update(normal_class="calm"), "normal_class: expected one of"),
        (
            lambda p: p.update(ensembles={"pair": {"members": {"protogcn": 1, "nobody": 1}}}),
            r"ensembles.pair: expected recognizers \(protogcn, clip_gru\), got \['nobody'\]",
        ),
        (
            lambda p: p.update(ensembles={"pair": {"members": {"protogcn": 1}}}),
            "ensembles.pair.members: .* at least 2",
        ),
        (
            lambda p: p.update(ensembles={"pair": {"members": {"protogcn": 0, "b": 1}}}),
            "ensembles.pair.members.protogcn: .*greater than 0, got 0",
        ),
    ],
)
def test_a_bad_parameter_is_named_in_one_line(
    params: dict[str, Any],
    project: Project,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(params)
    with pytest.raises(InputError, match=message) as caught:
        load(project(params))
    assert "\n" not in str(caught.value)


def test_the_ensembles_of_the_read_me_are_parameters_as_they_stand(
    params: dict[str, Any], project: Project
) -> None:
    """The paper's weights: 1:1 of two streams, 2:2:1:1 of four streams, 2:2:2:1:1:1 of six."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Ensembles")[2]
    given = yaml.safe_load(text.partition("```yaml")[2].partition("```")[0])
    params.update(given | {"models": params["models"] | given["models"]})
    config, _ = load(project(params))
    found = [
        {config.models[member].stream: weight for member, weight in ensemble.members.items()}
        for ensemble in config.ensembles.values()
    ]
    assert found == [
        {"j": 1, "b": 1},
        {"j": 2, "b": 2, "jm": 1, "bm": 1},
        {"j": 2, "b": 2, "k": 2, "jm": 1, "bm": 1, "km": 1},
    ]


def test_unreadable_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: [1,\nb: }")
    with pytest.raises(InputError, match="expected readable YAML") as caught:
        load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_parameter_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected readable YAML"):
        load(tmp_path / "params.yaml")


def test_configuration_is_frozen() -> None:
    config, _ = load(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.workers = 3  # type: ignore[misc]


def test_equal_parameters_hash_alike_so_that_workers_can_cache_by_them() -> None:
    assert hash(load(ROOT / "params.yaml")[0]) == hash(load(ROOT / "params.yaml")[0])

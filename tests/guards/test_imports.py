"""Imports run downhill only, and each heavy dependency has one door."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.guards.modules import imports, sources, third_party

# Lower number = lower floor; a module may import its own floor and those below.
FLOORS = [
    {"vigil.errors"},
    {
        "vigil.paths",
        "vigil.files",
        "vigil.tables",
        "vigil.schema",
        "vigil.compat",
        "vigil.drawing",
        "vigil.figures",
        "vigil.html",
        "vigil",
    },
    {"vigil.config"},
    {
        "vigil.items",
        "vigil.workers",
        "vigil.video",
        "vigil.feeds",
        "vigil.triton",
        "vigil.session",
        "vigil.command",
        "vigil.environment",
    },
    {"vigil.weights"},
    {"vigil.sampling", "vigil.splits", "vigil.motion_baseline", "vigil.events", "vigil.sequences"},
    {
        "vigil.perception",
        "vigil.clips",
        "vigil.proxies",
        "vigil.labels",
        "vigil.dataset",
        "vigil.tokens",
        "vigil.models",
        "vigil.frames",
        "vigil.prompts",
        "vigil.zero_shot",
        "vigil.suggestions",
        "vigil.words",
    },
    {
        "vigil.pretrained",
        "vigil.public_skeletons",
        "vigil.training",
        "vigil.export",
        "vigil.triton_config",
        "vigil.quantization",
        "vigil.serving",
        "vigil.ensemble",
        "vigil.fusion",
        "vigil.crop_graph",
        "vigil.prelabel",
    },
    {"vigil.evaluation", "vigil.controls", "vigil.tuning"},
    {"vigil.frame_systems", "vigil.frame_judging"},
    {
        "vigil.benchmark",
        "vigil.plots",
        "vigil.mistakes",
        "vigil.page",
        "vigil.frame_report",
        "vigil.frame_page",
        "vigil.clip_study",
    },
    {"vigil.reporting", "vigil.release", "vigil.watching"},
    {"vigil.demo", "vigil.real"},
    {"vigil.study"},
    {"labeling_ui"},
    {"stages"},
]
DOORS = {
    "ultralytics": {"vigil.perception.yolo_network", "vigil.demo.train_yolo"},
    "sam2": {"vigil.perception.sam2", "vigil.perception.segmenter", "vigil.demo.train_sam2"},
    "mmpose": {"vigil.perception.rtmo", "vigil.perception.rtmo_network", "vigil.demo.train_rtmo"},
    "mmaction": {"vigil.models", "vigil.training", "vigil.compat", "vigil.dataset",
                 "vigil.benchmark.protogcn"},
    "mmengine": {"vigil.models", "vigil.training", "vigil.compat", "vigil.perception.rtmo",
                 "vigil.perception.rtmo_network", "vigil.demo.train_rtmo",
                 "vigil.benchmark.protogcn"},
    "tritonclient": {"vigil.triton", "vigil.serving", "vigil.benchmark"},
    "av": {"vigil.video"},
    "dvclive": {"vigil.models.training_hooks"},
    "open_clip": {"vigil.perception.clip_network", "vigil.benchmark.embedding"},
    "streamlit": {"labeling_ui"},
    "starlette": {"labeling_ui"},
    "uvicorn": {"labeling_ui"},
    "sqlalchemy": {"vigil.labels"},
    "alembic": {"vigil.labels.migrating", "vigil.labels.migrations"},
    "argon2": {"vigil.labels.users"},
    "boto3": {"vigil.release.s3_client"},
    "botocore": {"vigil.release"},
    "optuna": {"vigil.tuning"},
    "onnxruntime": {"vigil.session", "vigil.serving.backends", "vigil.benchmark", "vigil.export",
                    "vigil.quantization"},
}  # fmt: skip
LIGHT = ("vigil", "vigil.config", "vigil.schema", "vigil.video", "vigil.items", "vigil.clips")


def floor(module: str) -> int:
    """Return the floor of the longest listed prefix of `module`."""
    best = max(
        (
            (len(name), number)
            for number, names in enumerate(FLOORS)
            for name in names
            if module == name or (module.startswith(f"{name}.") and name != "vigil")
        ),
        default=None,
    )
    assert best is not None, f"{module} stands on no floor: name its room in FLOORS"
    return best[1]


def inside(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


@pytest.mark.parametrize("module", sorted(sources()))
def test_imports_run_downhill(module: str) -> None:
    uphill = {name for name in imports(module) if floor(name) > floor(module)}
    assert not uphill, f"{module} imports uphill: {sorted(uphill)}"


def test_stages_never_import_each_other() -> None:
    for module in sources():
        if module.startswith("stages."):
            siblings = {name for name in imports(module) if name.startswith("stages.")}
            assert not siblings, f"{module} imports {sorted(siblings)}"


@pytest.mark.parametrize("package", sorted(DOORS))
def test_heavy_dependencies_enter_by_their_door(package: str) -> None:
    strangers = [
        module
        for module in sources()
        if package in third_party(module) and not inside(module, DOORS[package])
    ]
    assert not strangers, f"{package} belongs behind {sorted(DOORS[package])}"


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'ultralytics', 'mmengine', 'onnxruntime', 'streamlit', 'tritonclient'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

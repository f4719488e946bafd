"""The scripts of the pages are whole, and never read text as HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labeling_ui import components
from labeling_ui.components import script, style

NAMES = ("label", "videos", "account")
FOLDER = Path(components.__file__).parent


@pytest.mark.parametrize("name", NAMES)
def test_a_component_is_one_module_with_one_mount(name: str) -> None:
    assert script(name).count("export default function mount(") == 1
    assert style(name).count("{") == style(name).count("}")


@pytest.mark.parametrize("name", NAMES)
def test_a_component_is_valid_javascript(name: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here; the browser's tests read it as well")
    path = tmp_path / f"{name}.mjs"
    path.write_text(script(name), "utf-8")
    checked = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_no_script_turns_text_into_elements() -> None:
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(")
    for path in FOLDER.glob("js/*.js"):
        assert not ways.search(path.read_text("utf-8")), path.name

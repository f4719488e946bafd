"""Where the deployed files lie, and what the tests need of the system."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def program(name: str, package: str) -> str:
    """Return the path of a program that a Debian package brings; skip the test without it.

    It is looked for where root finds programs too, and where `requirements/system.sh` puts them.
    """
    found = shutil.which(name) or shutil.which(name, path=f"/usr/sbin:{ROOT}/.vigil/bin")
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found

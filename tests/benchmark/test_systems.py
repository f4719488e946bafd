"""What the compared systems are is what they are at their best."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import torch

from tests import networks
from vigil.benchmark.systems import settle_threads

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("quick", [1, CORES])
def test_pytorch_gets_the_threads_that_make_it_quickest(quick: int) -> None:
    def function(_: object) -> None:
        time.sleep(0.001 if torch.get_num_threads() == quick else 0.02)

    assert settle_threads(function, networks.clips(1), 0.05) == quick
    assert torch.get_num_threads() == quick

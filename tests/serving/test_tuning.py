"""How a model is served is chosen by measurement, and nothing above the device's gain is tried."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.config import TuneServingSection
from vigil.errors import InputError
from vigil.serving.repository import read_config
from vigil.serving.tuning import Setting, Trial, choose, settings, tune

PARAMS = TuneServingSection(
    seconds=0.3, rounds=1, concurrency=16, delays_us=(0, 2000), least_gain=1.1
)


def trial(instances: int, throughput: float, alone: float) -> Trial:
    return Trial(Setting(instances, 1, 1, 0), [throughput] * 3, [alone] * 3)


def test_batches_are_tried_only_where_the_device_gains() -> None:
    flat = settings({1: 1.0, 4: 0.9, 16: 1.05}, 4, PARAMS)
    assert {(one.batch, one.rows) for one in flat} == {(1, 0), (16, 1)}
    assert {(one.instances, one.threads) for one in flat} == {(1, 1), (1, 4), (2, 2), (4, 1)}
    steep = settings({1: 1.0, 4: 2.0, 16: 5.0, 32: 4.9}, 1, PARAMS)
    assert steep == [Setting(1, 1, 1, 0), Setting(1, 1, 16, 0), Setting(1, 1, 16, 2000),
                     Setting(1, 1, 32, 0, rows=1)]  # fmt: skip


def test_of_equally_fast_settings_the_soonest_alone_is_chosen() -> None:
    trials = [trial(1, 98.0, 5.0), trial(2, 100.0, 9.0), trial(4, 60.0, 1.0)]
    assert choose(trials).setting.instances == 1
    trials[0].throughput_per_s[:] = [90.0] * 3
    assert choose(trials).setting.instances == 2


def test_one_disturbed_round_decides_nothing() -> None:
    calm, disturbed = trial(1, 80.0, 5.0), trial(2, 100.0, 5.0)
    disturbed.throughput_per_s[1] = 3.0
    assert choose([calm, disturbed]) is disturbed


@pytest.mark.slow
def test_a_network_that_gains_by_batches_is_given_them(tmp_path: Path) -> None:
    model = tmp_path / "repository" / "heavy"
    networks.weight_bound(model / "1" / "model.onnx", width=512)
    networks.configure(model, "x FP32 512", "y FP32 512", 16)
    rows = [{"x": np.full((1, 512), n, np.float32)} for n in range(4)]
    said: list[str] = []
    found = tune(model, rows, PARAMS, 60, said.append)
    assert found["batch_gain"]["16"] > 3
    assert found["chosen"]["batch"] > 1
    gains = {int(batch): gain for batch, gain in found["batch_gain"].items()}
    tried = settings(gains, len(os.sched_getaffinity(0)), PARAMS)
    assert len(found["trials"]) == len(said) - 1 == len(tried) >= 3
    config = read_config(model)
    Setting(2, 1, 8, 500).apply(config)
    assert (config.instance_group[0].count, config.max_batch_size) == (2, 16)
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    assert "rows_per_run" not in config.parameters
    Setting(2, 1, 8, 0, rows=2).apply(config)
    assert config.parameters["rows_per_run"].string_value == "2"
    Setting(2, 1, 8, 0).apply(config)
    assert "rows_per_run" not in config.parameters
    with pytest.raises(InputError, match="at least one row"):
        tune(model, [], PARAMS, 60, said.append)

"""Choose how a model is served on this machine by measuring it: instances, threads, batch, delay.

First the device's own batch gain G(b): throughput of ONNX Runtime in this process at batch b over
batch 1, which no server can exceed. Then every sensible configuration in one server, measured in
turns, so that a disturbance of the machine meets all of them alike.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import TuneServingSection
from vigil.environment import describe
from vigil.errors import InputError, VigilError
from vigil.feeds import Array
from vigil.serving.client import Client
from vigil.serving.repository import ModelConfig, check_model, stage_variant, versions
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession

Feeds = Mapping[str, Array]
_NEAR = 0.97  # of the best throughput: as good, so that the sooner answer decides


@dataclass(frozen=True, order=True)
class Setting:
    """One way to serve a model.

    Attributes:
        instances: processes that run it.
        threads: of each, within one execution.
        batch: rows that the server tries to join, when requests wait; 1 joins none.
        delay_us: longest wait of a request for company, in microseconds.
        rows: of a joined batch that are run at once; 0 runs all.
    """

    instances: int
    threads: int
    batch: int
    delay_us: int
    rows: int = 0

    @property
    def name(self) -> str:
        """A name that Triton takes for a model."""
        how = f"i{self.instances}_t{self.threads}_b{self.batch}_d{self.delay_us}"
        return f"{how}_r{self.rows}" if self.rows else how

    def apply(self, config: ModelConfig) -> None:
        """Write it into a parsed configuration, in place."""
        group = config.instance_group[0] if config.instance_group else config.instance_group.add()
        group.count = self.instances
        config.parameters["intra_op_thread_count"].string_value = str(self.threads)
        config.parameters.pop("rows_per_run", None)
        if self.rows:
            config.parameters["rows_per_run"].string_value = str(self.rows)
        config.ClearField("dynamic_batching")
        if self.batch > 1:
            config.dynamic_batching.preferred_batch_size.append(self.batch)
            config.dynamic_batching.max_queue_delay_microseconds = self.delay_us


@dataclass
class Trial:
    """What was measured of a setting, one value a round.

    Attributes:
        setting: what was served.
        throughput_per_s: rows per second under load.
        alone_ms: median latency of a single caller, in milliseconds.
    """

    setting: Setting
    throughput_per_s: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.throughput_per_s)

    @property
    def alone(self) -> float:
        """Median over the rounds, in milliseconds."""
        return statistics.median(self.alone_ms)


def batch_gains(session: OnnxSession, row: Feeds, most: int, seconds: float) -> dict[int, float]:
    """Measure G(b) for b of 1, 2, 4 ... `most`, with one thread, the sizes taking turns.

    Args:
        session: the network in this process.
        row: one row of inputs.
        most: largest batch.
        seconds: spent on each size.
    """
    sizes = [size for size in (2**power for power in range(9)) if size <= most]
    batches = {n: {k: np.repeat(v, n, axis=0) for k, v in row.items()} for n in sizes}
    spent, rows = dict.fromkeys(sizes, 0.0), dict.fromkeys(sizes, 0)
    for batch in batches.values():
        session.run(batch)
    while min(spent.values()) < seconds:
        for size, batch in batches.items():
            if spent[size] < seconds:
                began = time.perf_counter()
                session.run(batch)
                spent[size] += time.perf_counter() - began
                rows[size] += size
    rate = {size: rows[size] / spent[size] for size in sizes}
    return {size: rate[size] / rate[1] for size in sizes}


def settings(gains: Mapping[int, float], cores: int, params: TuneServingSection) -> list[Setting]:
    """Return the settings worth a trial: as many threads as cores, and batches where they gain.

    Requests may always travel together and be run row by row: one core may gain by a batch from
    which all cores at once, that share caches and memory, do not.
    """
    pairs = {(1, 1), (1, cores), (cores, 1), (max(cores // 2, 1), min(2, cores))}
    best = max(gains, key=lambda size: gains[size])
    ways = {(1, 0, 0), (max(gains), 0, 1)}  # batch, delay, rows
    if gains[best] >= params.least_gain:
        ways |= {(best, delay, 0) for delay in params.delays_us}
    return sorted(
        Setting(instances, threads, batch, delay, rows)
        for instances, threads in pairs
        for batch, delay, rows in ways
    )


def choose(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the highest throughput; of those as good, the soonest single answer."""
    most = max(trial.throughput for trial in trials)
    good = [trial for trial in trials if trial.throughput >= _NEAR * most]
    return min(good, key=lambda trial: (trial.alone, trial.setting))


def tune(
    model: Path,
    rows: Sequence[Feeds],
    params: TuneServingSection,
    startup_timeout_s: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure the settings of one model; return the choice with its evidence.

    Args:
        model: the model's folder; the newest version is measured.
        rows: inputs to go round, each a batch of one.
        params: seconds, rounds, load.
        startup_timeout_s: longest wait for the server, in seconds.
        say: receives a line per trial.

    Raises:
        InputError: no row, or a model that does not batch.
        ModelError: the configuration contradicts the ONNX file.
        ServerError: the server did not start, or refused a request.
    """
    if not rows:
        raise InputError("tune-serving: expected at least one row to ask about, got none")
    config = check_model(model)
    if config.max_batch_size < 1:
        raise InputError(f"tune-serving: {model.name}: expected a model that batches")
    session = OnnxSession(versions(model)[-1] / (config.default_model_filename or "model.onnx"))
    gains = batch_gains(session, rows[0], config.max_batch_size, params.seconds)
    say("batch gain " + ", ".join(f"G({size}) {gain:.2f}" for size, gain in gains.items()))
    cores = len(os.sched_getaffinity(0))
    trials = [Trial(setting) for setting in settings(gains, cores, params)]
    with tempfile.TemporaryDirectory(prefix="vigil-tune-") as folder:
        for trial in trials:
            stage_variant(model, Path(folder), trial.setting.name, trial.setting.apply)
        with EmbeddedTriton(folder, startup_timeout_s=startup_timeout_s) as server:
            for _ in range(params.rounds):
                for trial in trials:
                    _measure(server.grpc_url, trial, rows, params)
                    say(
                        f"{trial.setting.name:18s} {trial.throughput_per_s[-1]:8.1f} rows/s, "
                        f"alone {trial.alone_ms[-1]:7.2f} ms"
                    )
    best = choose(trials)
    return {
        "model": model.name,
        "environment": describe(),
        "batch_gain": {str(size): round(gain, 3) for size, gain in gains.items()},
        "concurrency": params.concurrency,
        "chosen": asdict(best.setting),
        "trials": [asdict(trial) for trial in trials],
    }


def _measure(url: str, trial: Trial, rows: Sequence[Feeds], params: TuneServingSection) -> None:
    """Measure one setting once: a single caller, then many."""
    with Client(url) as client:
        _load(client, trial.setting.name, rows, 1, params.seconds / 4)
        alone = _load(client, trial.setting.name, rows, 1, params.seconds)
        many = _load(client, trial.setting.name, rows, params.concurrency, params.seconds)
    trial.alone_ms.append(1e3 * statistics.median(alone))
    trial.throughput_per_s.append(len(many) / params.seconds)


def _load(
    client: Client, model: str, rows: Sequence[Feeds], callers: int, seconds: float
) -> list[float]:
    """Ask in closed loops for `seconds`; return the latencies of the answers within them."""
    end = time.perf_counter() + seconds
    found: list[float] = []
    failed: list[Exception] = []

    def work(first: int) -> None:
        turn = first
        while (began := time.perf_counter()) < end and not failed:
            try:
                client.infer(model, rows[turn % len(rows)])
            except VigilError as error:
                failed.append(error)
                return
            turn += callers
            if (ended := time.perf_counter()) <= end or not found:
                found.append(ended - began)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return found

"""A candidate on live traffic is compared, and promoted or withdrawn by rule."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.release import plants
from vigil.config import CanarySection
from vigil.errors import InputError, ServerError
from vigil.release.beside import beside, sweep
from vigil.release.canary import Trial
from vigil.release.candidate import Candidate
from vigil.release.live import LiveModel, models
from vigil.release.referee import Decision, Mode, Tally, decide
from vigil.serving.control import Control
from vigil.serving.server import EmbeddedTriton
from vigil.session import TritonSession

RULE = CanarySection(
    share=0.5, requests=40, min_agreement=0.9, max_slowdown=3.0, max_failures=0, timeout_s=5.0,
    longest_s=60.0,
)  # fmt: skip


def tally(**values: Any) -> Tally:
    counts = {"requests": 40, "rows": 40, "agreed": 40, "failures": 0}
    times = {"served_s": [0.01], "candidate_s": [0.01]}
    return Tally(**{**counts, **times, **values})


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        pytest.param(tally(), "promoted", "agreement 1.000", id="good"),
        pytest.param(tally(requests=39), "running", "39 requests", id="too few"),
        pytest.param(Tally(), "running", "0 requests", id="none"),
        pytest.param(tally(requests=3, failures=1), "withdrawn", "it fails", id="failure"),
        pytest.param(tally(agreed=35), "withdrawn", "it disagrees", id="below the least"),
        pytest.param(tally(requests=20, rows=20, agreed=9), "withdrawn", "disagrees", id="early"),
        pytest.param(tally(requests=20, rows=20, agreed=17), "running", "", id="maybe chance"),
        pytest.param(tally(candidate_s=[0.04]), "withdrawn", "it is slow: .*4.00 times", id="slow"),
    ],
)  # fmt: skip
def test_the_rule(seen: Tally, state: str, reason: str) -> None:
    decision = decide(seen, RULE)
    assert decision.state == state
    assert re.search(reason, decision.reason)


class Fake:
    """A session whose answers, delays and failures are chosen; not what is proved here."""

    inputs = outputs = ()
    provider = "none"

    def __init__(self, label: int, error: Exception | None = None) -> None:
        self.metadata: dict[str, str] = {}
        self.label, self.error, self.calls = label, error, 0

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        if self.error:
            raise self.error
        return {"probabilities": np.eye(3, dtype=np.float32)[[self.label]]}


def test_a_failing_candidate_costs_the_caller_nothing_and_is_asked_no_more() -> None:
    served, candidate = Fake(0), Fake(1, ServerError("dead"))
    ended: list[Decision] = []
    with Trial(served, candidate, "canary", RULE, ended.append) as trial:
        answers = [int(trial.run({})["probabilities"].argmax()) for _ in range(50)]
    assert answers == [0] * 50
    assert candidate.calls == 1
    assert [decision.state for decision in ended] == ["withdrawn"]


def test_a_callers_own_mistake_is_not_held_against_the_candidate() -> None:
    wrong = InputError("shape")
    with Trial(Fake(0, wrong), Fake(0, wrong), "canary", RULE) as trial:
        for _ in range(20):
            with pytest.raises(InputError):
                trial.run({})
    assert trial.tally.failures == 0


def test_a_share_answers_in_a_canary_and_none_in_a_shadow() -> None:
    shares = {}
    for mode in ("canary", "shadow"):
        rule = RULE.model_copy(update={"requests": 10_000, "min_agreement": 0.0, "share": 0.3})
        with Trial(Fake(0), Fake(1), mode, rule) as trial:
            said = [int(trial.run({})["probabilities"].argmax()) for _ in range(400)]
        shares[mode] = float(np.mean(said))
        assert trial.tally.requests + trial.tally.dropped == pytest.approx(120, abs=35)
    assert shares["canary"] == pytest.approx(0.3, abs=0.08)
    assert shares["shadow"] == 0


def test_a_candidate_that_hangs_delays_nobody_in_a_shadow() -> None:
    gate = threading.Event()
    slow = Fake(0)
    run = slow.run
    slow.run = lambda feeds: gate.wait(60) and run(feeds)  # type: ignore[method-assign]
    rule = RULE.model_copy(update={"share": 1.0})
    with Trial(Fake(0), slow, "shadow", rule) as trial:
        began = time.monotonic()
        try:
            for _ in range(200):
                trial.run({})
                assert time.monotonic() - began < 30
        finally:
            gate.set()
        assert trial.tally.dropped >= 100, "copies are dropped, not queued without end"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_on_a_real_server_a_twin_is_promoted_and_another_network_withdrawn(
    tmp_path: Path, mode: Mode
) -> None:
    live = LiveModel(tmp_path / "live", "tiny")
    plants.release(live, plants.model(tmp_path / "old"))
    new = plants.model(tmp_path / "new")
    with EmbeddedTriton(live.repository, ["tiny"]) as server:
        control = Control(server.http_url)
        served = TritonSession(server.grpc_url, "tiny")
        for scale, state in ((plants.SCALE, "promoted"), (-plants.SCALE, "withdrawn")):
            networks.recognizer(new / "1" / "model.onnx", scale=scale)
            with beside(live.storage, Candidate.at(new), [control]) as name:
                assert models(live.repository) == ["tiny"]
                # A shadow is sure of the copies that find room, however slowly they are answered.
                rule = RULE.model_copy(update={"max_slowdown": 100.0, "requests": 30})
                candidate = TritonSession(server.grpc_url, name)
                with Trial(served, candidate, mode, rule) as trial, ThreadPoolExecutor(4) as pool:
                    requests = [networks.clips(1, seed) for seed in range(200)]
                    answers = list(pool.map(trial.run, requests))
                assert trial.decision.state == state, trial.decision
                assert len(answers) == 200
            if state == "promoted":
                assert plants.release(live, new, [control]) == 2
        assert control.ready() == {"tiny": [2]}
        assert not (live.repository / name).exists()


def test_a_published_model_of_a_candidates_name_is_not_taken_for_one(tmp_path: Path) -> None:
    other = LiveModel(tmp_path / "live", "tiny_canary")
    plants.release(other, plants.model(tmp_path / "new", "tiny_canary"))
    with pytest.raises(InputError, match="expected tiny_canary to be free"):
        sweep(other.storage, "tiny", [])
    other.check(1)

"""The demo's trainings compute in bfloat16 only where the processor does so itself."""

from __future__ import annotations

import pytest
import torch

from vigil.demo.precision import computes_bfloat16, half


@pytest.mark.parametrize("able", [True, False])
def test_a_network_runs_in_bfloat16_only_where_the_processor_has_it(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: able)
    cpu, layer = torch.device("cpu"), torch.nn.Linear(4, 4)

    with half(cpu):
        found = layer(torch.ones(2, 4)).dtype

    assert computes_bfloat16(cpu) is able
    assert found is (torch.bfloat16 if able else torch.float32)

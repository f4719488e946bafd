"""The number format that the demo's trainings compute in: bfloat16 where that is faster."""

from __future__ import annotations

import torch


def computes_bfloat16(device: torch.device) -> bool:
    """True where the device multiplies bfloat16 itself; any but a processor is trusted to.

    A processor that must emulate it took five times as long for a step of RTMO's as in float32.
    """
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def half(device: torch.device) -> torch.autocast:
    """Return the context in which a network runs in bfloat16 where that pays, else float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_bfloat16(device))

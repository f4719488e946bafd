"""Parameters of short runs, shared by the tests of the benchmark."""

from __future__ import annotations

from vigil.config import BenchmarkSection

PARAMS = BenchmarkSection.model_validate(
    {
        "model": "tiny",
        "systems": [
            "pytorch", "pytorch_batched", "onnxruntime", "onnxruntime_batched",
            "triton_no_batching", "triton_dynamic_batching",
        ],
        "protocols": ["http"], "concurrencies": [4],
        "window_s": 0.3, "warmup_s": 0.1, "max_windows": 3, "agreement": 0.1, "timeout_s": 10,
        "max_lag_ms": 50, "check_share": 0.2, "answer_tolerance": 1e-4, "open_shares": [],
        "arrivals": "poisson", "slo_p99_ms": 0, "seed": 0, "max_batch": 8,
        "max_queue_delay_us": 500,
        "demo": {
            "systems": ["onnxruntime"], "protocols": ["http"], "concurrencies": [2],
            "window_s": 0.2, "warmup_s": 0.1, "max_windows": 1,
        },
    }
)  # fmt: skip

"""One inference of zeros: the only sure sign that a model answers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from vigil.serving.control import exchange
from vigil.serving.repository import ModelConfig, triton_type

_sequence_ids = itertools.count(2**62)  # apart from the ids of callers


@dataclass(frozen=True)
class Probe:
    """A request that is sent again and again.

    Attributes:
        path: of the model or of one of its versions.
        body: the request with binary tensors.
        headers: its HTTP headers.
    """

    path: str
    body: bytes
    headers: dict[str, str]

    def send(self, http_url: str, timeout_s: float) -> None:
        """Ask once, over a connection of its own.

        Raises:
            InvalidRequest, ModelNotFound: the server refused, so it lives.
            ServerError: the server failed: its reason.
            DeadlineExceeded: no answer in time.
            ServerUnavailable: nobody answers, or the connection broke.
        """
        exchange(http_url, "POST", f"{self.path}/infer", self.body, self.headers, timeout_s)


def probe_of(config: ModelConfig, version: int | None = None) -> Probe | None:
    """Build the probe of a model: one row of zeros, sizes that vary taken as 1.

    Args:
        config: the model's configuration.
        version: one version of it; None is whichever the server takes.

    Returns:
        The probe; None for a model that answers a request more than once, which HTTP cannot carry.
    """
    import tritonclient.http as client

    if config.model_transaction_policy.decoupled:
        return None
    tensors = [_zeros(client, tensor, config.max_batch_size > 0) for tensor in config.input]
    sequence: dict[str, Any] = {}
    if config.HasField("sequence_batching"):
        sequence = {"sequence_id": next(_sequence_ids), "sequence_start": True,
                    "sequence_end": True}  # fmt: skip
    body, size = client.InferenceServerClient.generate_request_body(tensors, **sequence)
    path = f"/v2/models/{quote(config.name, safe='')}"
    if version is not None:
        path += f"/versions/{version}"
    headers = {} if size is None else {"Inference-Header-Content-Length": str(size)}
    return Probe(path, bytes(body), headers)


def check_version(http_url: str, config: ModelConfig, version: int, timeout_s: float) -> None:
    """Make sure that one version of a model answers.

    Raises:
        ServerError: it does not; also where it refuses zeros, which `publish` must not let pass.
    """
    probe = probe_of(config, version)
    if probe is not None:
        probe.send(http_url, timeout_s)


def _zeros(client: Any, tensor: Any, batched: bool) -> Any:
    from tritonclient.utils import triton_to_np_dtype

    name = triton_type(tensor).removeprefix("TYPE_")
    shape = [1 if size < 0 else int(size) for size in tensor.dims]
    shape = [1, *shape] if batched else shape
    is_text = name == "STRING"
    given = client.InferInput(tensor.name, shape, "BYTES" if is_text else name)
    zeros = np.full(shape, b"", object) if is_text else np.zeros(shape, triton_to_np_dtype(name))
    given.set_data_from_numpy(zeros)
    return given

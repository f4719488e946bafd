"""A network of the server that this process is a model of (Triton's business logic scripting)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vigil.errors import ServerError
from vigil.feeds import Array, TensorSpec, check_feeds
from vigil.serving.behaviour.spec import Network


class BlsSession:
    """A `vigil.session.Session` whose runs are requests to the surrounding server."""

    def __init__(self, network: Network, backend: Any) -> None:
        """Declare the network; nothing is asked of the server yet, which may still be loading.

        Args:
            network: what the network takes and gives, as it was exported.
            backend: the module `triton_python_backend_utils`.
        """
        self._model, self._max_batch, self._backend = network.model, network.max_batch, backend
        self.inputs: tuple[TensorSpec, ...] = tuple(tensor.spec for tensor in network.inputs)
        self.outputs: tuple[TensorSpec, ...] = tuple(tensor.spec for tensor in network.outputs)
        self.metadata = dict(network.metadata)
        self.provider = "triton:bls"

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one batch, in pieces of the model's maximum; see `Session.run`.

        Raises:
            InputError: the feeds do not fit the declared inputs.
            ServerError: the server refused or failed.
        """
        one_by_one = self._max_batch == 0
        if not one_by_one:
            check_feeds(self._model, self.inputs, feeds)
        step = max(self._max_batch, 1)
        count = len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, step):
            part = {name: array[start : start + step] for name, array in feeds.items()}
            if one_by_one:
                check_feeds(self._model, self.inputs, part)
            parts.append(self._ask(part))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _ask(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        utils = self._backend
        memory = utils.PreferredMemory(utils.TRITONSERVER_MEMORY_CPU, 0)
        response = utils.InferenceRequest(
            model_name=self._model,
            requested_output_names=[spec.name for spec in self.outputs],
            inputs=[
                utils.Tensor(name, np.ascontiguousarray(array)) for name, array in feeds.items()
            ],
            preferred_memory=memory,
        ).exec()
        if response.has_error():
            reason = " ".join(str(response.error().message()).split())
            raise ServerError(f"{self._model}: {reason}")
        outputs = [utils.get_output_tensor_by_name(response, s.name) for s in self.outputs]
        return {tensor.name(): np.array(tensor.as_numpy()) for tensor in outputs}

"""A network on a Triton server, over HTTP or gRPC, with every failure named by its cause."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakSet

import numpy as np

from vigil.errors import (
    DeadlineExceeded,
    InputError,
    InvalidRequest,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
)
from vigil.feeds import Array, TensorSpec, check_feeds

TransportName = Literal["http", "grpc"]
_BROKEN = {"ClientConnectionError", "HTTPConnectionClosed"}  # aiohttp's and geventhttpclient's
_threads = threading.local()


class TritonSession:
    """A model on a Triton server, over HTTP or gRPC. Safe to call from several threads."""

    def __init__(
        self, url: str, model: str, protocol: TransportName = "grpc", timeout_s: float = 30.0
    ) -> None:
        """Ask the server at `url` (`host:port`) what `model` takes and gives.

        Args:
            url: address of the server's HTTP or gRPC endpoint, without a scheme.
            model: name of a served model.
            protocol: which of the two endpoints `url` is.
            timeout_s: longest wait for one answer, in seconds.

        Raises:
            ServerUnavailable, ModelNotFound, DeadlineExceeded: see `vigil.errors`.
        """
        self.url, self.model, self.protocol, self.timeout_s = url, model, protocol, timeout_s
        self._local = threading.local()
        if protocol == "grpc":
            described = self._call("get_model_metadata", self.model, as_json=True)
            config = self._call("get_model_config", self.model, as_json=True)["config"]
        else:
            described = self._call("get_model_metadata", self.model)
            config = self._call("get_model_config", self.model)
        self.max_batch = int(config.get("max_batch_size", 0))
        parameters = config.get("parameters", {})
        self.metadata = {key: value["string_value"] for key, value in parameters.items()}
        self.provider = f"triton:{config.get('backend') or config.get('platform')}"
        self.inputs = tuple(_triton_spec(tensor) for tensor in described["inputs"])
        self.outputs = tuple(_triton_spec(tensor) for tensor in described["outputs"])

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one batch, in pieces of the model's maximum where it is larger; see `Session.run`.

        Raises:
            InputError: the feeds do not fit the declared inputs.
            ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded: by cause.
        """
        check_feeds(self.model, self.inputs, feeds)
        if self.max_batch == 0:
            return self._infer(feeds)
        sizes = {array.shape[0] for array in feeds.values()}
        if len(sizes) != 1:
            raise InputError(f"{self.model}: expected one batch size, got {sorted(sizes)}")
        parts = [
            self._infer({name: array[i : i + self.max_batch] for name, array in feeds.items()})
            for i in range(0, sizes.pop(), self.max_batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        module = _triton_module(self.protocol)
        inputs = []
        for spec in self.inputs:
            array = feeds[spec.name]
            tensor = module.InferInput(spec.name, list(array.shape), _triton_dtype(spec.dtype))
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        outputs = [module.InferRequestedOutput(spec.name) for spec in self.outputs]
        answer = self._call("infer", self.model, inputs, outputs=outputs)
        return {spec.name: answer.as_numpy(spec.name) for spec in self.outputs}

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call the client of this thread and give every failure its cause's class."""
        if self.protocol == "grpc":
            options["client_timeout"] = self.timeout_s
        try:
            return getattr(self._client(), method)(*args, **options)
        except Exception as error:  # sockets, gevent and tritonclient raise unrelated classes
            self._local.client = None  # a connection that broke or timed out is not used again
            raise triton_error(f"{self.model} at {self.protocol}://{self.url}", error) from error

    def _client(self) -> Any:
        """Return this thread's client: tritonclient's are not made for sharing."""
        client = getattr(self._local, "client", None)
        if client is None:
            if self.protocol == "http":
                limit = self.timeout_s
                client = http_client(self.url, connection_timeout=limit, network_timeout=limit)
            else:
                client = _triton_module(self.protocol).InferenceServerClient(self.url)
            self._local.client = client
        return client


class _Opened:
    """What one thread has opened over HTTP; it is closed when the thread is over.

    tritonclient waits by gevent, whose loop of a thread holds two files open and leaves them so.
    The loop is never gevent's default one: made anew, that one reaps this process's children.
    """

    def __init__(self) -> None:
        from gevent._hub_local import get_hub_if_exists
        from gevent.hub import Hub, set_hub
        from gevent.resolver.blocking import Resolver

        self.clients: WeakSet[Any] = WeakSet()
        self._hub: Any = None
        if get_hub_if_exists() is None:  # else it is somebody else's
            self._hub = Hub(default=False)
            self._hub.resolver = Resolver(self._hub)  # the usual one: a thread and loop of its own
            set_hub(self._hub)

    def __del__(self) -> None:
        from gevent.hub import set_hub

        if self._hub is not None:
            set_hub(self._hub)  # a thread that ends has lost it, and would get another
        for client in list(self.clients):
            client.close()
        if self._hub is not None:
            self._hub.destroy(destroy_loop=True)


def http_client(url: str, **options: Any) -> Any:
    """Return tritonclient's client over HTTP for this thread; it is closed when the thread is over.

    Args:
        url: `host:port`.
        options: see `tritonclient.http.InferenceServerClient`.
    """
    from tritonclient.http import InferenceServerClient

    if threading.current_thread() is threading.main_thread():
        return InferenceServerClient(url, **options)
    if not hasattr(_threads, "opened"):
        _threads.opened = _Opened()
    client = InferenceServerClient(url, **options)
    _threads.opened.clients.add(client)
    return client


def triton_error(subject: str, error: Exception) -> ServerError:
    """Turn whatever a Triton client raised into the error class of its cause.

    Args:
        subject: what was asked for and where, for the message.
        error: the exception of tritonclient, gRPC, gevent or the socket.

    Returns:
        The error to raise: ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded, or
        a plain ServerError for what the server itself failed at.
    """
    status = getattr(error, "status", None)
    code = str(status() if callable(status) else "").removeprefix("StatusCode.")
    reason = " ".join(str(error).split())
    kind: type[ServerError] = ServerError
    if code in {"NOT_FOUND", "404"} or "unknown model" in reason:
        kind = ModelNotFound
    elif code in {"DEADLINE_EXCEEDED", "504"} or isinstance(error, TimeoutError):
        kind = DeadlineExceeded
    elif code == "UNAVAILABLE" and "not ready" in reason:
        kind = ModelNotFound
    elif code in {"UNAVAILABLE", "502", "503"} or _broke(error):
        kind = ServerUnavailable
    elif code in {"INVALID_ARGUMENT", "400"}:
        kind = InvalidRequest
    return kind(f"{subject}: {reason}")


def _broke(error: Exception) -> bool:
    """Tell whether a connection could not be made or broke: not every library says OSError."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return isinstance(error, OSError) or not names.isdisjoint(_BROKEN)


def _triton_module(protocol: TransportName) -> Any:
    if protocol == "grpc":
        import tritonclient.grpc as module
    else:
        import tritonclient.http as module
    return module


def _triton_dtype(dtype: np.dtype[Any]) -> str:
    from tritonclient.utils import np_to_triton_dtype

    return str(np_to_triton_dtype(dtype))


def _triton_spec(tensor: Mapping[str, Any]) -> TensorSpec:
    from tritonclient.utils import triton_to_np_dtype

    sizes = tuple(int(size) for size in tensor["shape"])
    shape = tuple(size if size >= 0 else None for size in sizes)
    return TensorSpec(tensor["name"], np.dtype(triton_to_np_dtype(tensor["datatype"])), shape)

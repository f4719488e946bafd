"""The front's gRPC door: what callers may ask of it, what goes on to Triton, what comes back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.utils import InferenceServerException

from tests import networks
from vigil.errors import ServerError
from vigil.release.grpc_front import GrpcFront
from vigil.serving.kserve_grpc import can_compare, read_request
from vigil.serving.server import EmbeddedTriton

REFUSED = "this endpoint is not for clients"


@contextmanager
def front(upstream: str) -> Iterator[str]:
    """Run a gRPC front without any trial in a thread; yield where it is."""
    loop, found, up = asyncio.new_event_loop(), [""], threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        async with GrpcFront(upstream, {}).listening("127.0.0.1:0") as found[0]:
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert up.wait(30)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("behind")
    networks.recognizer_model(folder)
    networks.echo(folder / "echo" / "1" / "model.onnx", 1)
    networks.configure(folder / "echo", "x FP32 3", "y FP32 3", 2**21)
    networks.weight_bound(folder / "slow" / "1" / "model.onnx")
    networks.configure(folder / "slow", "x FP32 1024", "y FP32 1024")
    with EmbeddedTriton(folder) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: EmbeddedTriton) -> Iterator[InferenceServerClient]:
    with front(server.grpc_url) as where, closing(InferenceServerClient(where)) as one:
        yield one


def inputs(**arrays: np.ndarray[Any, Any]) -> list[InferInput]:
    found = []
    for name, array in arrays.items():
        found.append(InferInput(name, list(array.shape), "FP32"))
        found[-1].set_data_from_numpy(array)
    return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.get_model_repository_index(), lambda c: c.load_model("tiny"),
        lambda c: c.unload_model("tiny"), lambda c: c.get_inference_statistics("tiny"),
        lambda c: c.get_trace_settings(), lambda c: c.update_log_settings({"log_info": False}),
        lambda c: c.register_system_shared_memory("r", "/r", 8),
        lambda c: c.get_system_shared_memory_status(),
        lambda c: c.get_cuda_shared_memory_status(),
    ],
)  # fmt: skip
def test_what_is_not_for_clients_is_refused(
    client: InferenceServerClient, ask: Callable[[InferenceServerClient], object]
) -> None:
    with pytest.raises(InferenceServerException, match=REFUSED) as error:
        ask(client)
    assert "PERMISSION_DENIED" in str(error.value.status())


def test_what_clients_may_ask_passes(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata().name.startswith("vigil")
    assert client.get_model_metadata("tiny").name == "tiny"
    assert client.get_model_config("tiny").config.max_batch_size > 0


def test_answers_and_refusals_are_the_servers_own(
    client: InferenceServerClient, server: EmbeddedTriton
) -> None:
    feeds = networks.clips(2)
    asked: Sequence[InferInput] = inputs(**feeds)
    with closing(InferenceServerClient(server.grpc_url)) as straight:
        wanted = straight.infer("tiny", asked)
        got = client.infer("tiny", asked)
        assert (got.as_numpy("probabilities") == wanted.as_numpy("probabilities")).all()
        faults = []
        for one in (client, straight):
            with pytest.raises(InferenceServerException) as error:
                one.infer("nobody", asked)
            faults.append((error.value.status(), error.value.message()))
        assert faults[0] == faults[1]


def test_a_large_request_passes_whole(client: InferenceServerClient) -> None:
    sent = np.arange(6 * 2**20, dtype=np.float32).reshape(-1, 3)  # 24 MiB; grpc's own limit is 4
    assert (client.infer("echo", inputs(x=sent)).as_numpy("y") == sent).all()


def test_a_stream_passes(client: InferenceServerClient) -> None:
    got: list[Any] = []
    done = threading.Event()

    def keep(result: Any, error: Any) -> None:
        got.append(error or result.as_numpy("y").tolist())
        if len(got) == 3:
            done.set()

    client.start_stream(keep)
    try:
        for turn in range(3):
            client.async_stream_infer("echo", inputs(x=np.full((1, 3), turn, np.float32)))
        assert done.wait(30)
    finally:
        client.stop_stream()
    assert sorted(got) == [[[turn] * 3] for turn in range(3)]


def test_who_leaves_takes_the_request_along(
    client: InferenceServerClient,
) -> None:
    row = inputs(x=np.zeros((1, 1024), np.float32))

    def seconds() -> float:
        began = time.perf_counter()
        client.infer("slow", row)
        return time.perf_counter() - began

    alone = sorted(seconds() for _ in range(5))[2]
    left = [client.async_infer("slow", row, lambda result, error: None) for _ in range(80)]
    time.sleep(0.1)
    for call in left:
        call.cancel()
    assert seconds() < 20 * alone, "nobody waits for the others any more"


def test_no_server_is_said_in_its_status() -> None:
    with front("127.0.0.1:9") as where, closing(InferenceServerClient(where)) as one:
        with pytest.raises(InferenceServerException) as error:
            one.infer("tiny", inputs(x=np.zeros((1, 1), np.float32)))
        assert "UNAVAILABLE" in str(error.value.status())


def test_a_taken_port_is_one_line(server: EmbeddedTriton) -> None:
    async def run() -> None:
        async with GrpcFront("127.0.0.1:9", {}).listening(server.grpc_url):
            pass

    with pytest.raises(ServerError, match=f"front: gRPC {server.grpc_url}"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "comparable"),
    [
        ({}, True),
        ({"model_version": "1"}, False),
        ({"outputs": ["logits"]}, False),
        ({"outputs": ["logits", "probabilities"]}, True),
        ({"sequence_id": 4}, False),
        ({"shared_memory_region": "r"}, False),
    ],
)
def test_what_both_models_may_be_asked(change: dict[str, Any], comparable: bool) -> None:
    asked = ModelInferRequest(model_name="m", model_version=change.get("model_version", ""))
    asked.inputs.add(name="x")
    for name in change.get("outputs", ()):
        asked.outputs.add(name=name)
    if "sequence_id" in change:
        asked.parameters["sequence_id"].int64_param = change["sequence_id"]
    if "shared_memory_region" in change:
        asked.inputs[0].parameters["shared_memory_region"].string_param = "r"
    assert can_compare(asked) == comparable


def test_a_request_that_cannot_be_read_is_the_servers_to_refuse() -> None:
    assert not read_request(b"\xff\xff").model_name
    assert read_request(ModelInferRequest(model_name="m").SerializeToString()).model_name == "m"


def test_a_method_of_no_service_is_refused(client: InferenceServerClient) -> None:
    channel = client._channel
    with pytest.raises(grpc.RpcError, match=REFUSED):
        channel.unary_unary("/another.Service/Method")(b"")

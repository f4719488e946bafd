"""The served model: one call or a stream, JPEG or pixels, every fault its own."""

from __future__ import annotations

import asyncio
from contextlib import closing

import cv2
import numpy as np
import psutil
import pytest
from tritonclient.http import InferenceServerClient

from tests.serving.behaviour.test_stream import run
from tests.stages.project import Project
from tests.videos import scene
from vigil.errors import InputError, InvalidRequest, ServerError
from vigil.serving.behaviour.model import Streams
from vigil.serving.behaviour.result import joined
from vigil.serving.behaviour.stream import Pipeline, Stream
from vigil.serving.client import AsyncClient, Client
from vigil.serving.client.stream import frames_call
from vigil.serving.client.wire import Call, Place
from vigil.serving.repository import check_model
from vigil.serving.server import EmbeddedTriton
from vigil.session import TransportName

Footage = tuple[np.ndarray, np.ndarray]
PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


def url_of(server: EmbeddedTriton, protocol: TransportName) -> str:
    return server.http_url if protocol == "http" else server.grpc_url


@pytest.mark.slow
def test_served_and_in_process_say_the_same(
    server: EmbeddedTriton, pipeline: Pipeline, footage: Footage
) -> None:
    frames, time_s = footage
    wanted = run(pipeline, frames, time_s, 1000)
    with Client(server.http_url, "http") as client:
        whole = client.behaviour(frames, time_s)
    with Client(server.grpc_url, shared_memory=True) as client, client.stream() as camera:
        parts = [camera.send(frames[i : i + 5], time_s[i : i + 5]) for i in range(0, 84, 5)]
        parts.append(camera.end())

    async def ask() -> object:
        async with AsyncClient(server.grpc_url) as other:
            return await other.behaviour(frames, time_s, chunk=30)

    for found in (whole, joined(parts), asyncio.run(ask())):
        for name, value in wanted.tensors.items():
            np.testing.assert_allclose(getattr(found, name), value, atol=1e-3, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_jpeg_is_nearly_as_good_as_pixels(
    server: EmbeddedTriton, footage: Footage, protocol: TransportName
) -> None:
    frames, time_s = footage[0][:30], footage[1][:30]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    files = [cv2.imencode(".jpg", frame[..., ::-1], quality)[1].tobytes() for frame in frames]
    with Client(url_of(server, protocol), protocol) as client:
        plain, packed = client.behaviour(frames, time_s), client.behaviour(files, time_s)
    np.testing.assert_array_equal(packed.track, plain.track)
    np.testing.assert_allclose(packed.box, plain.box, atol=8)
    np.testing.assert_allclose(packed.clip_probabilities, plain.clip_probabilities, atol=0.1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_chunk_leaves_its_stream_and_others_as_they_are(
    server: EmbeddedTriton, protocol: TransportName
) -> None:
    frame = scene([40])[None]
    with Client(url_of(server, protocol), protocol) as client:
        one, two = client.stream(), client.stream()
        one.send(frame, [0.0])
        two.send(frame, [5.0])
        for files, at, message in (
            ([b"no picture"], [0.25], "frame 0: expected a JPEG file"),
            (frame, [0.0], "expected rising seconds"),
            (frame[:, :64], [0.25], r"expected \(96, 512\)"),
        ):
            with pytest.raises(InvalidRequest, match=message):
                one.send(files, at)
        assert one.send(frame, [0.25], last=True).frame.tolist() == [0, 1]
        assert two.send(frame, [5.25], last=True).time_s.tolist() == [5.0, 5.25]
        with pytest.raises((InvalidRequest, ServerError), match=r"START|begun"):
            client.call(frames_call("behaviour", frame, [0.5], Place(77, False, False)))


def test_a_canary_of_zeros_in_every_input_is_answered(server: EmbeddedTriton) -> None:
    zeros = {
        "jpeg": np.array([b""], object),
        "frames": np.zeros((1, 1, 1, 3), np.uint8),
        "time_s": np.zeros(1),
    }
    with Client(server.http_url, "http") as client:
        answer = client.call(Call("behaviour", zeros, place=Place(2**62, True, True)))
    assert len(answer["box"]) == 0


def test_the_process_has_no_torch_in_it(server: EmbeddedTriton, footage: Footage) -> None:
    with Client(server.grpc_url) as client:
        client.behaviour(footage[0][:4], footage[1][:4])
    stubs = [
        child
        for child in psutil.Process(server._process.pid).children(recursive=True)
        if any("behaviour" in part for part in child.cmdline()) and "stub" in child.name()
    ]
    assert stubs
    loaded = {m.path for stub in stubs for m in stub.memory_maps()}
    assert any("cv2" in path for path in loaded)
    assert not [path for path in loaded if "torch" in path]


def test_the_model_folder_passes_the_repositorys_check(server: EmbeddedTriton) -> None:
    config = check_model(server.model_repository / "behaviour")
    assert config.sequence_batching.oldest.max_candidate_sequences == 32


def test_streams_are_bounded_and_forgotten_when_silent(pipeline: Pipeline) -> None:
    streams = Streams(most=2, idle_s=10)
    streams.begin("a", Stream(pipeline), 0.0)
    streams.begin("b", Stream(pipeline), 6.0)
    streams.find("a", 8.0)
    with pytest.raises(ServerError, match="at most 2 streams"):
        streams.begin("c", Stream(pipeline), 9.0)
    streams.begin("c", Stream(pipeline), 17.0)  # b was silent since 6
    with pytest.raises(InputError, match=r"stream b: .*silent for more than 10 s"):
        streams.find("b", 17.0)
    assert streams.find("a", 17.5)
    streams.begin("a", Stream(pipeline), 17.6)  # the same name begins anew
    assert len(streams) == 2


@pytest.mark.slow
def test_a_network_that_fails_ends_its_stream_and_no_other(
    project: Project, pipeline: Pipeline
) -> None:
    frame = scene([40])[None]
    models = ["behaviour", "yolo11-seg", "clip_image", "protogcn", "clip_gru"]
    with (
        EmbeddedTriton(project.paths.triton_repo, models) as server,
        Client(server.grpc_url) as client,
        closing(InferenceServerClient(server.http_url)) as control,
    ):
        failing, quiet = client.stream(), client.stream()
        quiet.send(scene([])[None], [0.0])
        with pytest.raises(ServerError, match="rtmo"):
            failing.send(np.concatenate([frame, frame]), [0.0, 0.1])
        control.load_model("rtmo")
        with pytest.raises(InvalidRequest, match="expected one that has begun"):
            client.call(frames_call("behaviour", frame, [0.2], Place(failing.number, False, False)))
        assert quiet.send(frame, [0.1], last=True).frame.tolist() == []
        assert client.behaviour(frame, [0.0]).frame.tolist() == [0]

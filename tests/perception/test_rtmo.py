"""RTMO around its graph, and the graph against mmpose's own prediction."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.conftest import ROOT
from vigil.config import load
from vigil.errors import ModelError
from vigil.perception import rtmo, rtmo_network
from vigil.session import OnnxSession

SIZE = rtmo_network.VARIANTS["demo"].input_size
WEIGHTS = Path(rtmo.__file__).parents[1] / "demo/weights/rtmo.safetensors"

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mmengine and mmcv on Python 3.12
]

SCORE = load(ROOT / "params.yaml")[0].skeletons.score_threshold


def _candidates(boxes: list[list[float]], scores: list[float]) -> dict[str, NDArray[np.float32]]:
    """A graph's rows for one image; each joint lies at its box's center with score 0.5."""
    xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    center = (xyxy[:, None, :2] + xyxy[:, None, 2:]) / 2
    joints = np.concatenate([center, np.full_like(center[..., :1], 0.5)], axis=2)
    return {
        "boxes": xyxy,
        "scores": np.array(scores, dtype=np.float32),
        "keypoints": np.repeat(joints, 17, axis=1),
    }


@pytest.mark.parametrize(
    ("shape", "scale", "inner"),
    [
        ((360, 640), 0.6, (216, 384)),
        ((720, 320), 224 / 720, (224, 100)),
        ((20, 20), 11.2, (224, 224)),
    ],
    ids=["wide", "tall", "small"],
)
def test_preprocess_puts_the_image_top_left_in_bgr_on_gray(
    shape: tuple[int, int], scale: float, inner: tuple[int, int]
) -> None:
    """Red comes out in the last plane, and 114 fills what the image does not."""
    rgb = np.zeros((*shape, 3), dtype=np.uint8)
    rgb[..., 0] = 200
    tensor, got = rtmo.preprocess(rgb, (384, 224))
    assert tensor.shape == (3, 224, 384)
    assert tensor.dtype == np.float32
    assert got == pytest.approx(scale)
    assert (tensor[2, : inner[0], : inner[1]] == 200).all()
    assert (tensor[:2, : inner[0], : inner[1]] == 0).all()
    assert (tensor[:, inner[0] :] == 114).all()
    assert (tensor[:, :, inner[1] :] == 114).all()


def test_postprocess_drops_weak_and_double_candidates_and_undoes_the_scale() -> None:
    """Best first; a box that overlaps a better one is its double, a lone one stays."""
    outputs = _candidates(
        [[0, 0, 10, 20], [100, 0, 120, 40], [1, 0, 10, 20], [50, 50, 60, 60]],
        [0.6, 0.9, 0.5, 0.05],
    )
    poses = rtmo.postprocess(outputs, 0.5, SIZE, score_threshold=0.1, nms_threshold=0.65)
    assert poses.scores.tolist() == pytest.approx([0.9, 0.6])
    assert poses.boxes.tolist() == [[200, 0, 240, 80], [0, 0, 20, 40]]
    assert poses.keypoints[0].tolist() == [[220, 40]] * 17
    assert poses.keypoint_scores.tolist() == [[0.5] * 17] * 2


def test_boxes_are_cut_at_the_edge_after_doubles_are_dropped() -> None:
    """Two that differ beyond the picture's edge stay two, and end at it."""
    outputs = _candidates([[0, -10, 10, 20], [0, 0, 10, 20]], [0.9, 0.8])
    poses = rtmo.postprocess(outputs, 0.5, (8, 16), score_threshold=0.1, nms_threshold=0.7)
    assert poses.boxes.tolist() == [[0, 0, 16, 32]] * 2
    assert len(rtmo.postprocess(outputs, 0.5, (8, 16), 0.1, 0.6)) == 1


def test_postprocess_of_nothing_is_no_person() -> None:
    """No candidate above the threshold gives empty arrays of the right shapes, never zeros."""
    poses = rtmo.postprocess(_candidates([[0, 0, 1, 1]], [0.01]), 1.0, SIZE)
    assert len(poses) == 0
    assert poses.boxes.shape == (0, 4)
    assert poses.keypoints.shape == (0, 17, 2)
    assert poses.keypoint_scores.shape == (0, 17)


def test_postprocess_reads_the_publishers_own_graph() -> None:
    """`dets` holds boxes and scores together."""
    outputs = _candidates([[0, 0, 10, 20]], [0.6])
    dets = np.concatenate([outputs["boxes"], outputs["scores"][:, None]], axis=1)
    theirs = rtmo.postprocess({"dets": dets, "keypoints": outputs["keypoints"]}, 1.0, SIZE)
    ours = rtmo.postprocess(outputs, 1.0, SIZE)
    np.testing.assert_array_equal(theirs.boxes, ours.boxes)
    np.testing.assert_array_equal(theirs.scores, ours.scores)
    np.testing.assert_array_equal(theirs.keypoints, ours.keypoints)


@pytest.fixture(scope="module")
def scenes() -> NDArray[np.uint8]:
    """Three rendered frames of held-out scenes, (3, 360, 640, 3) RGB."""
    from vigil.demo.images import scene_seeds
    from vigil.demo.world.scenes import make_scene

    frames = []
    for seed in scene_seeds("test", 1, 3):
        scene = make_scene(seed)
        frames.append(scene.render(scene.n_frames // 2)[0])
    return np.stack(frames)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped demo weights as ONNX."""
    path = tmp_path_factory.mktemp("rtmo") / "model.onnx"
    rtmo_network.export_rtmo("demo", WEIGHTS, path)
    return path


def _native(model: Any, inputs: NDArray[np.float32], score_threshold: float) -> list[Any]:
    """What mmpose itself predicts, in pixels of the input."""
    from mmpose.structures import PoseDataSample

    size = (inputs.shape[3], inputs.shape[2])
    samples = [PoseDataSample(metainfo={"input_size": size}) for _ in inputs]
    settings = {"score_thr": score_threshold, "nms_thr": 0.65}
    with torch.no_grad():
        features = model.extract_feat(torch.from_numpy(inputs))
        found: list[Any] = model.head.predict(features, samples, settings)
    return found


def test_graph_and_postprocess_equal_mmpose_on_rendered_scenes(
    scenes: NDArray[np.uint8], graph: Path
) -> None:
    """Same persons, within 1 px and 0.01 of score, at once and one by one.

    At the score the demo asks for: below it a scene has more candidates than the 100 that leave
    the graph, which mmpose's own prediction does not limit.
    """
    model = rtmo_network.build_rtmo("demo")
    rtmo_network.load_weights(model, WEIGHTS)
    inputs = np.stack([rtmo.preprocess(scene, SIZE)[0] for scene in scenes])
    session = OnnxSession(graph, device="cpu")
    batch = session.run({"input": inputs})
    persons = 0
    for row, native in enumerate(_native(model, inputs, SCORE)):
        alone = session.run({"input": inputs[row : row + 1]})
        for outputs in ({k: v[row] for k, v in batch.items()}, {k: v[0] for k, v in alone.items()}):
            poses = rtmo.postprocess(outputs, 1.0, SIZE, SCORE, 0.65)
            assert len(poses) == len(native.scores)
            np.testing.assert_allclose(poses.boxes, native.bboxes, atol=0.5)
            np.testing.assert_allclose(poses.scores, native.scores, atol=0.005)
            np.testing.assert_allclose(poses.keypoints, native.keypoints, atol=0.5)
            np.testing.assert_allclose(poses.keypoint_scores, native.keypoint_scores, atol=0.005)
        persons += len(native.scores)
    assert persons >= 3


def test_graph_declares_what_every_server_can_load(graph: Path) -> None:
    """Opset 17, IR 8, only the batch axis free, 100 candidates, the demo's input size."""
    import onnx

    model = onnx.load(graph)
    assert model.ir_version == 8
    assert [opset.version for opset in model.opset_import] == [17]
    session = OnnxSession(graph, device="cpu")
    assert [(spec.name, spec.shape) for spec in session.inputs] == [
        ("input", (None, 3, SIZE[1], SIZE[0]))
    ]
    assert {spec.name: spec.shape for spec in session.outputs} == {
        "boxes": (None, 100, 4),
        "scores": (None, 100),
        "keypoints": (None, 100, 17, 3),
    }
    assert session.metadata["variant"] == "demo"


def test_an_official_size_exports_at_any_input_size(tmp_path: Path) -> None:
    """RTMO-t, from mmpose's form of checkpoint, equals mmpose at another input size."""
    model: Any = rtmo_network.build_rtmo("t")
    torch.manual_seed(0)
    model.init_weights()
    checkpoint = tmp_path / "rtmo-t.pth"
    torch.save({"meta": {"epoch": 1}, "state_dict": model.state_dict()}, checkpoint)
    path = tmp_path / "t.onnx"
    rtmo_network.export_rtmo("t", checkpoint, path, input_size=(128, 96))
    inputs = np.random.default_rng(0).uniform(0, 255, (2, 3, 96, 128)).astype(np.float32)
    outputs = OnnxSession(path, device="cpu").run({"input": inputs})
    assert outputs["scores"].shape == (2, 60)  # all cells: 48 of stride 16 and 12 of stride 32
    for row, native in enumerate(_native(model, inputs, 0.0)):
        poses = rtmo.postprocess({k: v[row] for k, v in outputs.items()}, 1.0, SIZE, 0.0, 0.65)
        best = int(native.scores.argmax())
        np.testing.assert_allclose(poses.scores[0], native.scores[best], atol=1e-4)
        np.testing.assert_allclose(poses.keypoints[0], native.keypoints[best], atol=0.1)


def test_making_the_graph_warns_of_nothing() -> None:
    """In a process of its own, because torch warns once a process."""
    made = "r.exportable(r.build_rtmo('demo'), (64, 64), 10)"
    code = f"from vigil.perception import rtmo_network as r; {made}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, "Warning" in done.stderr) == (0, False), done.stderr


def test_demo_weights_find_the_joints_of_held_out_scenes() -> None:
    """The shipped file is a trained network: most labeled joints of clear persons lie near."""
    from vigil.demo.images import scene_seeds
    from vigil.demo.world.scenes import make_scene

    graph = rtmo_network.build_rtmo("demo")
    rtmo_network.load_weights(graph, WEIGHTS)
    graph = rtmo_network.exportable(graph, SIZE, 100)
    found = joints = 0
    for seed in scene_seeds("test", 2, 10):
        scene = make_scene(seed)
        image, truth = scene.render(scene.n_frames // 2)
        tensor, scale = rtmo.preprocess(image, SIZE)
        with torch.no_grad():
            boxes, scores, keypoints = graph(torch.from_numpy(tensor[None]))
        outputs = {"boxes": boxes[0], "scores": scores[0], "keypoints": keypoints[0]}
        poses = rtmo.postprocess({k: v.numpy() for k, v in outputs.items()}, scale, SIZE, 0.2)
        for row in np.flatnonzero(truth.visible_fraction > 0.8):
            inside = truth.visibility[row] > 0
            distance = np.linalg.norm(poses.keypoints - truth.keypoints[row], axis=2)[:, inside]
            joints += int(inside.sum())
            if len(poses):
                box = truth.boxes[row]
                best = distance[distance.mean(axis=1).argmin()]
                found += int((best < 0.2 * max(box[2:] - box[:2])).sum())
    assert joints >= 100
    assert found / joints > 0.8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.safetensors", None, "expected a file"),
        ("text.safetensors", b"not a tensor", "expected a state dict"),
        ("text.pth", b"not a pickle", "expected a state dict"),
    ],
)
def test_unusable_weights_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Missing and broken files end in one line with the path."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        rtmo_network.load_weights(rtmo_network.build_rtmo("demo"), path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    """A state dict with other shapes does not load half."""
    path = tmp_path / "other.safetensors"
    save_file(rtmo_network.build_rtmo("t").state_dict(), path)
    with pytest.raises(ModelError, match="of another shape"):
        rtmo_network.load_weights(rtmo_network.build_rtmo("demo"), path)


def test_unknown_variant_and_odd_input_size_are_refused(tmp_path: Path) -> None:
    """Both errors say what would have been accepted."""
    with pytest.raises(ModelError, match="expected one of demo, t, s, m, l, got 'xl'"):
        rtmo_network.build_rtmo("xl")
    with pytest.raises(ModelError, match="multiples of 32, got 100 x 100"):
        rtmo_network.export_rtmo("demo", WEIGHTS, tmp_path / "x.onnx", input_size=(100, 100))
    assert not list(tmp_path.iterdir())

"""Training of the demo RTMO: its data, its figures, and one very short run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vigil.demo import pose_data, pose_metrics, train_rtmo
from vigil.demo.images import make_images
from vigil.demo.pose_data import FLIPPED, Persons
from vigil.demo.rtmo_run import Recipe, start
from vigil.errors import InputError
from vigil.perception import rtmo_network
from vigil.perception.poses import Poses

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mmengine and mmcv on Python 3.12
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few rendered images for training and validation."""
    folder = tmp_path_factory.mktemp("data")
    make_images(folder / "train", 6, seed=1, split="train", workers=1)
    make_images(folder / "val", 4, seed=1, split="val", workers=1)
    return folder


def test_load_letterboxes_images_and_persons_alike(data: Path) -> None:
    """Boxes and joints shrink with the image, and hidden joints count half."""
    images = pose_data.load(data / "val", (384, 224))
    coco = json.loads((data / "val/annotations.json").read_text())
    clear = [a for a in coco["annotations"] if a["image_id"] == images.ids[0] and not a["iscrowd"]]
    assert images.images.shape == (4, 224, 384, 3)
    assert images.scales == [0.6] * 4
    x, y, width, height = clear[0]["bbox"]
    expected = np.array([x, y, x + width, y + height]) * 0.6
    np.testing.assert_allclose(images.persons[0].boxes[0], expected, rtol=1e-5)
    labels = np.array(clear[0]["keypoints"]).reshape(17, 3)[:, 2]
    assert images.persons[0].visible[0].tolist() == [[0.0, 0.5, 1.0][int(v)] for v in labels]


def test_joined_sets_keep_every_image_with_its_own_persons(data: Path) -> None:
    """The second set's images come behind the first's, and numbers are not used twice."""
    first, second = (pose_data.load(data / name, (96, 64)) for name in ("train", "val"))
    both = pose_data.join([first, second])
    assert both.images.shape == (10, 64, 96, 3)
    assert both.ids == list(range(10))
    np.testing.assert_array_equal(both.images[6:], second.images)
    assert both.persons[6:] == second.persons
    assert both.scales == first.scales + second.scales
    assert pose_data.join([first]) is first


def test_load_names_what_is_missing(tmp_path: Path) -> None:
    """A folder without annotations, and one without an image that they name."""
    with pytest.raises(InputError, match=r"annotations\.json: expected COCO annotations"):
        pose_data.load(tmp_path, (384, 224))
    document = {"images": [{"id": 1, "file_name": "gone.jpg"}], "annotations": []}
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"gone\.jpg: expected an image"):
        pose_data.load(tmp_path, (384, 224))


@pytest.mark.parametrize("seed", range(8))
def test_augment_moves_joints_with_the_pixels(seed: int) -> None:
    """A bright dot at each joint is found again at the augmented joint, left and right swapped."""
    random = np.random.default_rng(seed)
    joints = random.integers([60, 40], [320, 180], size=(17, 2)).astype(np.float32)
    persons = Persons(
        boxes=np.array([[30, 20, 350, 200]], dtype=np.float32),
        keypoints=joints[None],
        visible=np.ones((1, 17), dtype=np.float32),
        areas=np.array([1000], dtype=np.float32),
    )
    for joint in (0, 5):
        image = np.zeros((224, 384, 3), dtype=np.uint8)
        x, y = joints[joint].astype(int)
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
        made, moved = pose_data.augment(
            image, persons, (256, 160), (1.0, 1.3), np.random.default_rng(seed)
        )
        if len(moved.boxes) == 0:
            continue
        near = np.unravel_index(np.argmax(made.sum(axis=2) * 1.0), made.shape[:2])
        candidates = [joint, int(FLIPPED[joint])]
        inside = [j for j in candidates if moved.visible[0, j] > 0]
        distances = [np.abs(moved.keypoints[0, j] - near[::-1]).max() for j in inside]
        assert not inside or min(distances) < 4


def test_augment_drops_persons_outside_and_clips_the_rest() -> None:
    """At a magnification of 3 most of the image is cut away; what is left lies inside."""
    grid = np.stack(np.meshgrid(np.arange(6) * 60, np.arange(3) * 70, indexing="ij"), axis=-1)
    corner = grid.reshape(-1, 2).astype(np.float32)
    persons = Persons(
        boxes=np.concatenate([corner, corner + 50], axis=1),
        keypoints=np.repeat(corner[:, None] + 25, 17, axis=1),
        visible=np.ones((18, 17), dtype=np.float32),
        areas=np.full(18, 2500, dtype=np.float32),
    )
    image = np.zeros((224, 384, 3), dtype=np.uint8)
    _, moved = pose_data.augment(image, persons, (384, 224), (3.0, 3.0), np.random.default_rng(0))
    assert 0 < len(moved.boxes) < 18
    assert (moved.boxes >= 0).all()
    assert (moved.boxes <= [384, 224, 384, 224]).all()
    np.testing.assert_allclose(moved.areas, 2500 * 9, rtol=1e-5)


def test_focus_brings_a_person_near_the_middle() -> None:
    """With a focus of 1 the only person of a wide image is always in the crop."""
    persons = Persons(
        boxes=np.array([[350, 190, 370, 220]], dtype=np.float32),
        keypoints=np.full((1, 17, 2), [360, 205], dtype=np.float32),
        visible=np.ones((1, 17), dtype=np.float32),
        areas=np.array([300], dtype=np.float32),
    )
    image = np.zeros((224, 384, 3), dtype=np.uint8)
    for seed in range(20):
        random = np.random.default_rng(seed)
        _, moved = pose_data.augment(image, persons, (128, 96), (3.0, 3.0), random, focus=1.0)
        assert np.abs(moved.keypoints[0, 0] / [128, 96] - 0.5).max() < 0.17


def test_a_person_gets_every_cell_inside_its_box_up_to_six() -> None:
    """The assigner gives a fresh network as many cells as a trained one."""
    run = train_rtmo.start(Recipe(), torch.device("cpu"))
    cost = torch.full((12, 2), 1e5)
    cost[:9, 0] = torch.arange(9.0)
    cost[9:, 1] = 1.0
    valid = torch.ones(12, dtype=torch.bool)
    quality = torch.zeros(12, 2)
    _, persons = run.model.head.assigner.dynamic_k_matching(cost, quality, 2, valid)
    assert valid.tolist() == [True] * 6 + [False] * 3 + [True] * 3
    assert persons.tolist() == [0] * 6 + [1] * 3


def _truth_as_poses(folder: Path, shift: float) -> list[tuple[int, Poses]]:
    """The annotations themselves, every joint `shift` box sizes to the right."""
    coco = json.loads((folder / "annotations.json").read_text())
    found = []
    for image in coco["images"]:
        own = [a for a in coco["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        boxes = np.array([a["bbox"] for a in own], dtype=np.float32).reshape(-1, 4)
        joints = np.array([a["keypoints"] for a in own], dtype=np.float32).reshape(-1, 17, 3)
        joints[..., 0] += shift * boxes[:, 2:].max(axis=1, initial=0)[:, None]
        boxes[:, 2:] += boxes[:, :2]
        scores = np.ones(len(own), dtype=np.float32)
        poses = Poses(boxes, scores, joints[..., :2], np.ones((len(own), 17), dtype=np.float32))
        found.append((image["id"], poses))
    return found


@pytest.mark.parametrize(
    ("shift", "ap", "pck"), [(0.0, 1.0, 1.0), (0.19, 0.0, 1.0), (0.21, 0.0, 0.0)]
)
def test_figures_are_those_of_their_definitions(
    data: Path, shift: float, ap: float, pck: float
) -> None:
    """The truth scores 1; a fifth of the box away PCK falls to 0, and OKS AP long before."""
    figures = pose_metrics.evaluate(data / "val", _truth_as_poses(data / "val", shift))
    assert figures["oks_ap"] == pytest.approx(ap, abs=0.01)
    assert figures["pck_found"] == pck
    assert figures["pck_all"] == pck


def test_missed_persons_count_in_one_of_the_two_pcks(data: Path) -> None:
    """With no prediction at all nothing is right, and nothing divides by zero."""
    none = [
        (image_id, Poses(*(array[:0] for array in vars(poses).values())))
        for image_id, poses in _truth_as_poses(data / "val", 0.0)
    ]
    kept = none[:2] + _truth_as_poses(data / "val", 0.0)[2:]
    figures = pose_metrics.evaluate(data / "val", kept)
    assert figures["pck_found"] == 1.0
    assert 0 < figures["pck_all"] < 1
    assert pose_metrics.evaluate(data / "val", none)["pck_all"] == 0


def test_schedule_warms_up_and_falls() -> None:
    """The rate rises to its peak and falls to a fiftieth."""
    recipe = train_rtmo.Recipe(warm_up=0.1)
    run = train_rtmo.start(recipe, torch.device("cpu"))
    rates = [train_rtmo.set_schedule(run, recipe, p) for p in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[1] < rates[2] == pytest.approx(recipe.learning_rate)
    assert rates[2] > rates[3] > rates[4] == pytest.approx(0.02 * recipe.learning_rate)


@pytest.mark.slow
def test_a_short_training_learns_resumes_and_ships_loadable_weights(
    data: Path, tmp_path: Path
) -> None:
    """Steps change the weights, a second start continues, and the result is this variant's."""
    recipe = replace(
        train_rtmo.Recipe(), minutes=0.02, batch=2, checkpoint_minutes=0.0, validate_minutes=9.0
    )
    first = train_rtmo.train(data, tmp_path, recipe, torch.device("cpu"))
    assert first["iterations"] >= 1
    assert first["images"] == 4
    again = train_rtmo.train(data, tmp_path, recipe, torch.device("cpu"))
    assert again["iterations"] == first["iterations"]  # its minutes were already over
    longer = replace(recipe, minutes=first["minutes"] + 0.02)
    more = train_rtmo.train(data, tmp_path, longer, torch.device("cpu"), also=data)
    assert more["iterations"] > first["iterations"]
    model = rtmo_network.build_rtmo("demo")
    rtmo_network.load_weights(model, tmp_path / "rtmo.safetensors")
    assert (tmp_path / "rtmo.safetensors").stat().st_size < 6_000_000


def test_batches_of_an_iteration_do_not_depend_on_where_the_run_began(data: Path) -> None:
    """A resumed run sees the same rows and the same chance as one that never stopped."""
    recipe = train_rtmo.Recipe(batch=2)
    images = pose_data.load(data / "train", (64, 64))
    whole, late = train_rtmo.batches(images, recipe, 0), train_rtmo.batches(images, recipe, 4)
    seen = [next(whole) for _ in range(7)]
    for rows, random in seen[4:]:
        other_rows, other_random = next(late)
        assert rows.tolist() == other_rows.tolist()
        assert random.random() == other_random.random()
    assert sorted(np.concatenate([rows for rows, _ in seen[:3]]).tolist()) == list(range(6))


def test_wrists_weigh_more_than_other_joints_in_the_classifier() -> None:
    """One bad wrist costs three times what one bad ankle costs; a joint not labeled nothing."""
    run = start(Recipe(), torch.device("cpu"))
    loss = run.model.head.loss_mle
    good = torch.ones(1, 17, 4) / 4
    right = (good, good)

    def cost(joint: int, labeled: float = 1.0) -> float:
        seen = torch.zeros(1, 17)
        seen[0, joint] = labeled
        return float(loss(right, right, seen))

    wrist, elbow, ankle = (cost(joint) for joint in (9, 7, 15))
    assert wrist == pytest.approx(3 * ankle)
    assert elbow == pytest.approx(1.5 * ankle)
    assert cost(9, 0.0) == 0.0
    assert ankle > 0


@pytest.mark.parametrize("able", [True, False])
def test_a_step_computes_in_bfloat16_only_where_the_processor_has_it(
    able: bool, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: able)
    recipe = Recipe(batch=2)
    run = start(recipe, torch.device("cpu"))
    images = pose_data.load(data / "train", train_rtmo.SIZE)
    enabled: list[bool] = []
    look = run.model.extract_feat

    def seen(inputs: torch.Tensor) -> torch.Tensor:
        enabled.append(torch.is_autocast_enabled("cpu"))
        features: torch.Tensor = look(inputs)
        return features

    monkeypatch.setattr(run.model, "extract_feat", seen)

    train_rtmo.step(run, images, np.arange(2), np.random.default_rng(0), recipe, 0.0)

    assert enabled == [able]

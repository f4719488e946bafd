"""CLIP-GRU: every encoder and head learns who acts, pads nothing into the answer, and is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.skeletons import CLASSES, annotation, config
from tests.tracks import CLIP, bag, clip, write_bags
from vigil import compat
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.errors import InputError, ModelError
from vigil.evaluation import auc, predict
from vigil.export import export
from vigil.models import store
from vigil.models.reading import JointReading, SequenceReading, reading
from vigil.sequences import pool as pool_arrays
from vigil.serving.repository import check_model, parse_config, parse_labels
from vigil.session import OnnxSession
from vigil.training import key, train

compat.apply()

from vigil.models import losses  # noqa: E402, F401  its class is registered
from vigil.models.clip_gru.encoder import Disturb, EmbeddingEncoder, time_embedding  # noqa: E402
from vigil.models.clip_gru.head import SequenceHead  # noqa: E402
from vigil.models.clip_gru.pooling import pool, there  # noqa: E402

VARIANTS = [
    {"head": "last"},
    {"head": "mean"},
    {"head": "attention"},
    {"head": "last", "bidirectional": True, "layers": 2},
    {"head": "attention", "bidirectional": True},
    {"encoder": "transformer", "layers": 2, "head": "attention"},
    {"encoder": "transformer", "head": "last", "length": 32, "span_s": 4.0},
]


def tuned(**train: Any) -> Config:
    return config(epochs=12, lr=0.01, optimizer="adamw", ema_momentum=0.0, **train)


def section(**changes: Any) -> Any:
    values = config().models["clip_gru"].model_dump() | changes
    return type(config().models["clip_gru"]).model_validate(values)


def network(**changes: Any) -> tuple[Any, store.ModelSpec]:
    cfg = config()
    spec = store.ModelSpec.of("clip_gru", CLASSES, {"clip_gru": section(**changes)}, cfg.dataset)
    torch.manual_seed(0)
    return store.build(spec), spec


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_every_variant_is_exported_equal_to_torch_at_every_batch(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    recognizer, spec = network(**changes)
    store.save(tmp_path / "clip_gru", recognizer.state_dict(), spec)
    rows = [clip(i, i % 2) for i in range(3)]
    parity = export(tmp_path / "clip_gru", tmp_path / "repo", rows, config().export)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    assert max(parity["max_difference"].values()) < 1e-5
    check_model(tmp_path / "repo" / "clip_gru")
    path = tmp_path / "repo" / "clip_gru" / "1" / "model.onnx"
    kinds = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert not {"Loop", "If", "Scan", "Einsum"} & kinds
    session = OnnxSession(path, device="cpu")
    length = changes.get("length", 8)
    assert [str(s) for s in session.inputs] == [f"embeddings float32 (*, {length}, 16)"]


def test_the_served_model_says_what_it_must_be_fed(tmp_path: Path) -> None:
    recognizer, spec = network(crops=("person", "pair"))
    spec = replace(spec, reads=replace(spec.reads, clip=CLIP))
    store.save(tmp_path / "clip_gru", recognizer.state_dict(), spec)
    export(tmp_path / "clip_gru", tmp_path / "repo", [clip(0, 0)], config().export)
    session = OnnxSession(tmp_path / "repo/clip_gru/1/model.onnx", device="cpu")
    served = parse_config((tmp_path / "repo/clip_gru/config.pbtxt").read_text())
    told = {k: v.string_value for k, v in served.parameters.items()}
    for facts in (session.metadata, told):
        assert parse_labels(facts["labels"]) == list(CLASSES)
        assert (facts["length"], facts["dim"], facts["span_s"]) == ("8", "16", "2")
        assert (facts["clip"], facts["crops"], facts["pool"]) == (CLIP, "person,pair", "top")
    assert list(served.input[0].dims) == [8, 16]
    assert served.model_warmup[0].inputs["embeddings"].zero_data


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "annotations.pkl"
    write_bags(path, 48)
    return path


def judged(cfg: Config, annotations: Path, root: Path) -> float:
    """Train, and return the AUC on test clips."""
    train("clip_gru", cfg, annotations, root / "model", root / "work")
    test = select(*read_annotations(annotations), "test")
    said = predict(root / "model", test)
    np.testing.assert_allclose(said.sum(1), 1.0, rtol=1e-5)
    return auc(1.0 - said[:, 0], np.array([row["label"] == 1 for row in test]))


@pytest.mark.parametrize(
    "changes",
    [
        {"models.learn": "mil", "models.head": "attention"},
        {"models.learn": "all", "models.pool": "top", "models.encoder": "transformer"},
    ],
    ids=["mil-gru-attention", "all-transformer"],
)
def test_it_finds_the_one_among_three_who_acts(
    changes: dict[str, Any], annotations: Path, tmp_path: Path
) -> None:
    cfg = tuned().override("clip_gru", changes)
    assert judged(cfg, annotations, tmp_path) > 0.9
    _, spec = store.load(tmp_path / "model")
    assert isinstance(spec.reads, SequenceReading)
    assert (spec.reads.clip, spec.reads.dim) == (CLIP, 16)


def test_what_events_tell_of_each_track_is_learned(tmp_path: Path) -> None:
    """Bystanders of an event are judged normal where the events file says who is involved."""
    write_bags(tmp_path / "annotations.pkl", 48, told=True)
    cfg = tuned().override("clip_gru", {"models.learn": "all"})
    assert judged(cfg, tmp_path / "annotations.pkl", tmp_path) > 0.9
    recognizer, spec = store.load(tmp_path / "model")
    found = spec.reads.sequences(bag(101, 1, told=True))  # type: ignore[union-attr]
    with torch.inference_mode():
        said = recognizer.inference_graph()(torch.from_numpy(found.embedding))[0].numpy()[:, 0]
    acts, stands = said[found.label == 1], said[found.label == 0]
    assert acts.max() < stands.min()


def test_a_killed_training_would_begin_anew_with_other_embeddings(
    annotations: Path, tmp_path: Path
) -> None:
    write_bags(tmp_path / "annotations.pkl", 48)
    same = key("clip_gru", tuned(), annotations, None)
    assert key("clip_gru", tuned(), tmp_path / "annotations.pkl", None) == same
    other = key("protogcn", tuned(), annotations, None)
    write_bags(tmp_path / "annotations.pkl", 48, people=2)
    assert key("clip_gru", tuned(), tmp_path / "annotations.pkl", None) != same
    assert key("protogcn", tuned(), tmp_path / "annotations.pkl", None) == other


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([annotation(0, 0)], "v0@0: expected embeddings in the dataset, got none"),
        ([clip(0, 0) | {"embedding": np.zeros((64, 512), np.float16)}], "of width 16, got .* 512"),
    ],
)
def test_clips_without_its_embeddings_are_one_line(
    rows: list[dict[str, Any]], message: str
) -> None:
    reads = reading(section(), config().dataset)
    with pytest.raises(InputError, match=message.replace("of width", "(of )?width")):
        reads.batch(rows)


def test_embeddings_of_another_clip_are_refused() -> None:
    reads = replace(reading(section(), config().dataset), clip="ViT-B/32")
    with pytest.raises(InputError, match=r"expected embeddings of ViT-B/32 16, got test/clip"):
        reads.batch([clip(0, 0)])


def test_a_training_without_embeddings_is_one_line(tmp_path: Path) -> None:
    write_bags(tmp_path / "annotations.pkl")
    (tmp_path / "embeddings.pkl").unlink()
    with pytest.raises(InputError, match="expected embeddings in the dataset"):
        train("clip_gru", tuned(), tmp_path / "annotations.pkl", tmp_path / "m", tmp_path / "w")


def test_every_clip_has_its_answer_whatever_its_number_of_sequences() -> None:
    reads = reading(section(pool="max"), config().dataset)
    nobody = clip(2, 0, people=0)
    rows = [clip(0, 1), nobody, clip(1, 0, people=1)]
    batch = reads.batch(rows)
    assert np.bincount(batch.owner).tolist() == [9, 3, 3]
    said = np.linspace(0.1, 0.9, len(batch.owner))
    found = reads.settle(np.stack([1 - said, said], 1), batch.owner, 3)
    assert found[:, 1].tolist() == pytest.approx([said[8], said[11], said[14]])


def test_a_trained_recognizer_survives_the_round_trip_and_damage_is_one_line(
    tmp_path: Path,
) -> None:
    recognizer, spec = network(crops=("pair", "frame"), pool="top")
    store.save(tmp_path, recognizer.state_dict(), spec)
    assert store.load(tmp_path)[1] == spec
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"sequences"', '"smells"'))
    with pytest.raises(ModelError, match="expected a trained recognizer: reads") as caught:
        store.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["max", "top", "mean"])
def test_pooling_in_the_graph_is_pooling_outside_it(how: Any) -> None:
    rng = np.random.default_rng(0)
    counts = [5, 1, 3]
    said = rng.dirichlet(np.ones(3), (3, 5)).astype(np.float32)
    held = (np.arange(5) < np.array(counts)[:, None]).astype(np.float32)
    found = pool(torch.from_numpy(said), torch.from_numpy(held), how, 2, 1)
    owner = np.repeat(np.arange(3), counts)
    wanted = pool_arrays(said[held > 0], owner, 3, how, 2, 1)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_padding_is_not_there_and_the_first_sequence_always_is() -> None:
    bags = torch.zeros(2, 3, 4, 5)
    bags[0, :2] = 1.0
    assert there(bags).tolist() == [[1, 1, 0], [1, 0, 0]]


def head(learn: Any, **options: Any) -> SequenceHead:
    torch.manual_seed(0)
    made = SequenceHead(3, 4, "mean", False, 1, 0.0, learn, "max", 1, 0, topk=1,
                        loss_cls={"type": "ClassificationLoss"}, **options)  # fmt: skip
    torch.nn.init.normal_(made.fc.weight)
    return made


def sample(label: int) -> Any:
    from mmaction.structures import ActionDataSample
    from mmengine.structures import LabelData

    made = ActionDataSample()
    made.gt_labels = LabelData(item=torch.tensor([label]))
    return made


def touched(learn: Any, held: list[float], said: list[int], label: int) -> list[bool]:
    """Tell which sequences of one clip the loss moves."""
    made = head(learn)
    x = torch.randn(len(held), 2, 4, generator=torch.Generator().manual_seed(1))
    x.requires_grad_()
    found = made.loss(x, [sample(label)], torch.tensor([held]), torch.tensor([said]))
    found["loss_cls"].backward()
    assert x.grad is not None
    return (x.grad.abs().sum((1, 2)) > 1e-9).tolist()


def test_all_teaches_every_sequence_that_is_there() -> None:
    assert touched("all", [1, 1, 1, 0], [-1] * 4, 2) == [True, True, True, False]


def test_mil_teaches_the_sequence_that_decides_and_those_that_are_known() -> None:
    assert sum(touched("mil", [1, 1, 1, 0], [-1] * 4, 2)) == 1
    moved = touched("mil", [1, 1, 1, 0], [0, -1, -1, -1], 2)
    assert moved[0]
    assert sum(moved[1:3]) == 1
    assert not moved[3]
    assert touched("mil", [1, 1, 1, 0], [0, 2, 0, -1], 2) == [True, True, True, False]


def test_a_crowded_clip_weighs_as_much_as_an_empty_one() -> None:
    """Two clips, one of eight equal sequences and one of one: the loss is the clips' mean."""
    made = head("all")
    x = torch.randn(2, 1, 2, 4, generator=torch.Generator().manual_seed(1)).repeat(1, 8, 1, 1)
    held = torch.ones(2, 8)
    held[1, 1:] = 0
    said = torch.full((2, 8), -1)
    both = made.loss(x.flatten(0, 1), [sample(1), sample(2)], held, said)["loss_cls"]
    alone = [
        made.loss(x[i, :1], [sample(i + 1)], torch.ones(1, 1), torch.full((1, 1), -1))["loss_cls"]
        for i in range(2)
    ]
    torch.testing.assert_close(both, sum(alone) / 2)


def test_the_last_head_reads_both_ends_of_a_bidirectional_gru() -> None:
    torch.manual_seed(0)
    encoder = EmbeddingEncoder(4, hidden=8, bidirectional=True).eval()
    x = torch.randn(1, 5, 4)
    from vigil.models.clip_gru.head import Summarize

    found = Summarize("last", 16, True, 1, 0.0)(encoder(x))
    _, states = encoder.gru(encoder.norm(x))
    torch.testing.assert_close(found, torch.cat([states[0], states[1]], dim=1))


def test_time_matters_to_the_attention_head() -> None:
    """The mean cannot tell a sequence from its reverse; attention with a time embedding can."""
    torch.manual_seed(0)
    from vigil.models.clip_gru.head import Summarize

    x = torch.randn(1, 6, 8)
    attention = Summarize("attention", 8, False, 2, 0.0)
    attention.query.data *= 200
    assert not torch.allclose(attention(x), attention(x.flip(1)), atol=1e-3)
    assert torch.allclose(Summarize("mean", 8, False, 2, 0.0)(x), x.mean(1))


def test_time_embeddings_differ_at_every_place() -> None:
    table = time_embedding(32, 16)
    assert table.shape == (32, 16)
    assert torch.cdist(table, table).fill_diagonal_(9).min() > 0.1


def test_disturbance_is_for_training_only() -> None:
    disturb = Disturb(0.5, 0.5)
    x = torch.randn(4, 8, 16)
    assert not torch.equal(disturb(x), x)
    assert torch.equal(disturb.eval()(x), x)


def test_a_fusion_reads_both_and_pads_the_sequences() -> None:
    cfg = config()
    parts = [reading(cfg.models[name], cfg.dataset) for name in ("protogcn", "clip_gru")]
    joint = JointReading(*parts)  # type: ignore[arg-type]
    rows = [clip(0, 1), clip(1, 0, people=1)]
    batch = joint.batch(rows)
    assert {name: array.shape for name, array in batch.feeds.items()} == {
        "keypoints": (2, 2, 16, 17, 3), "image_size": (2, 2), "embeddings": (2, 12, 8, 16),
    }  # fmt: skip
    found = batch.feeds["embeddings"].any((2, 3)).sum(1)
    assert found.tolist() == [9, 3]


def test_width_and_heads_must_fit() -> None:
    with pytest.raises(InputError, match="expected a divisor of the width"):
        config().override("clip_gru", {"models.heads": 5})

"""`params.yaml` as frozen, checked models: every number that changes a result, read once.

Sections are named after stages. An unknown key or a value out of range is refused with one line
that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vigil.errors import InputError
from vigil.paths import Paths

Fraction = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=32, multiple_of=32)]
Size = tuple[Side, Side]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class Section(BaseModel):
    """Base of every section: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PathsSection(Section):
    """Where the user's material and the results lie, relative to the parameter file."""

    videos: str = Field(description="folder of footage")
    labels: str = Field(description="CSV of published labels")
    groups: str = Field(description="CSV video_id,group: which videos share a scene or session")
    data: str = Field(description="folder of what the stages make")
    models: str = Field(description="folder of checkpoints and pretrained networks")
    reports: str = Field(description="folder of metrics, plots and summaries")
    triton_repo: str = Field(description="Triton's model repository")


class FootageSection(Section):
    """Synthetic demo footage."""

    folder: str = Field(description="where it goes; never where your own footage lies")
    n_videos: int = Field(ge=0, description="how many videos to make")
    seed: int = Field(ge=0, description="random seed of scenes, people and behaviors")


class WeightsSection(Section):
    """Which pretrained networks the stages use."""

    set: Literal["demo", "official", "files"] = Field(
        description="demo: shipped with vigil; official: the publishers'; files: your own ONNX"
    )
    detector: str = Field(description="registry name, or a path to ONNX with set: files")
    segmenter: str = Field(description="registry name of the SAM2 variant")
    pose: str = Field(description="registry name, or a path to ONNX with set: files")


class DetectorSection(Section):
    """YOLO11 person detector."""

    name: Literal["yolo11", "yolo11-seg"] = Field(description="-seg brings masks of its own")
    input_size: Size = Field(description="network input, width and height in pixels")
    score_threshold: Fraction = Field(description="lowest score that reaches the tracker")
    nms_threshold: Fraction = Field(description="IoU above which the weaker box goes")


class TrackerSection(Section):
    """ByteTrack (Zhang et al., ECCV 2022)."""

    high_threshold: Fraction = Field(description="score that the first association takes")
    low_threshold: Fraction = Field(description="score that the second association takes")
    new_track_threshold: Fraction = Field(description="score that may begin a track")
    buffer_s: float = Field(gt=0, le=60, description="seconds a lost track is remembered")
    match_threshold: Fraction = Field(description="largest association cost")


class SegmenterSection(Section):
    """SAM2 with box prompts."""

    mode: Literal["image", "video"] = Field(
        description="image: every frame by itself; video: propagate between key frames"
    )
    keyframe_s: float = Field(gt=0, le=15, description="video mode: seconds between box prompts")
    crop: bool = Field(description="look at the region around the people instead of the frame")
    dilate_px: int = Field(ge=0, le=31, description="grow masks so that hands are not cut")


class MaskSection(Section):
    """Stage `mask`: person boxes, identities and masks."""

    detector: DetectorSection
    tracker: TrackerSection
    segmenter: SegmenterSection
    max_persons: int = Field(ge=1, le=100, description="persons kept per frame, best scores first")


class ClipsSection(Section):
    """Stage `clips`: fixed-length windows."""

    length_s: float = Field(gt=0, le=120, description="window length in seconds")
    stride_s: float = Field(gt=0, le=120, description="seconds between window starts")
    min_length_s: float = Field(gt=0, description="a shorter video or tail gives no clip")


class SkeletonsSection(Section):
    """Stage `skeletons`: pose per frame, joined to tracks."""

    pose: Literal["rtmo", "yolo-pose"] = Field(description="pose network")
    source: Literal["raw", "masked"] = Field(description="frames to look at; the paper: masked")
    input_size: Size = Field(description="network input, width and height in pixels")
    score_threshold: Fraction = Field(description="lowest person score")
    nms_threshold: Fraction = Field(description="IoU above which the weaker person goes")
    keypoint_threshold: Fraction = Field(description="a joint scored lower is missing")
    match_iou: Fraction = Field(description="least IoU of a pose's box with a track's box")


class DatasetSection(Section):
    """Stage `dataset`: what a recognizer is given, and the splits."""

    clip_len: int = Field(ge=8, le=400, description="frames T sampled from each clip; paper: 100")
    max_persons: int = Field(ge=1, le=10, description="persons M kept per clip")
    sampling: Literal["loop", "stretch"] = Field(
        description="a clip shorter than clip_len is repeated (paper) or stretched"
    )
    split: tuple[Fraction, Fraction, Fraction] = Field(
        description="wanted shares of clips in train, val and test; groups stay whole"
    )
    folds: Literal[0, 3, 4, 5, 6, 7, 8, 9, 10] = Field(
        description="cross-validation splits beside the three; 0: none"
    )
    seed: int = Field(ge=0, description="random seed of the splits")

    @model_validator(mode="after")
    def _split_is_whole(self) -> DatasetSection:
        if abs(sum(self.split) - 1) > 1e-6 or not self.split[0]:
            raise ValueError(f"split: expected shares that sum to 1, train above 0: {self.split}")
        return self


class AugmentSection(Section):
    """Random changes of the training clips; every 0 switches one off."""

    flip: Fraction = Field(description="probability of mirroring, left and right swapped")
    rotate_deg: float = Field(ge=0, le=45, description="largest rotation of the whole clip")
    scale: float = Field(ge=0, lt=1, description="largest relative change of size, per axis")
    jitter: float = Field(ge=0, le=0.2, description="noise per joint, in body extents")
    drop_joint: Fraction = Field(description="share of single joints that go missing")
    drop_span: Fraction = Field(description="probability that a limb goes missing for a while")
    crop: float = Field(ge=0, lt=1, description="largest share of the clip's time cut off")
    time_scale: float = Field(ge=0, le=1, description="largest relative change of the clip's speed")
    offset: float = Field(ge=0, le=0.5, description="largest shift in time, as share of the clip")


class LossSection(Section):
    """The classification loss."""

    weights: Literal["none", "inverse", "effective"] = Field(
        description="classes weighed by 1 / clips, by effective number of clips, or alike"
    )
    beta: float = Field(gt=0, lt=1, description="of effective (Cui et al., 2019); useful from 0.99")
    focal_gamma: float = Field(ge=0, le=10, description="focal loss (Lin et al., 2017); 0: off")


class TrainSection(Section):
    """Stage `train`: one recognizer's training, `train.all` with `train.<name>` laid over it."""

    threads: int = Field(ge=1, description="CPU threads; small networks gain nothing from more")
    epochs: int = Field(ge=1, le=2000, description="passes over the training clips")
    batch_size: int = Field(ge=2, le=1024, description="clips per step, over all processes")
    lr: float = Field(gt=0, le=10, description="highest learning rate; cosine to 0")
    warmup_epochs: int = Field(ge=0, description="epochs of linear rise to lr")
    optimizer: Literal["sgd", "adamw"] = Field(
        description="sgd: Nesterov momentum 0.9, the paper's"
    )
    weight_decay: float = Field(ge=0, le=1, description="L2 penalty (adamw: decoupled)")
    clip_grad: float = Field(ge=0, description="largest gradient norm; 0: no limit")
    label_smoothing: Fraction = Field(description="share of the target spread over all classes")
    loss: LossSection
    ema_momentum: Fraction = Field(description="averaging of weights per step; 0: off")
    select: Literal["last", "best"] = Field(description="weights to keep: last, or best val loss")
    patience_epochs: int = Field(ge=0, description="stop so long after the best val loss; 0: never")
    amp: bool = Field(description="float16 where it is safe, on CUDA only")
    compile: bool = Field(description="torch.compile of the training step, on CUDA only")
    init: str = Field(
        description="weights to begin with: demo/<name> as shipped, a trained model's folder, or ''"
    )
    seed: int = Field(ge=0, description="random seed of weights, order and augmentation")
    augment: AugmentSection


class TuneRange(Section):
    """Numbers to search between."""

    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(description="search the orders of magnitude evenly; needs low above 0")

    @model_validator(mode="after")
    def _is_a_range(self) -> TuneRange:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected low below high, above 0 where log: {self.low}, {self.high}")
        return self


class TuneChoices(Section):
    """Values to choose from."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1, description="the values")


class TuneSection(Section):
    """`make tune`: a search for training parameters."""

    trials: int = Field(ge=1, le=10_000, description="trainings, those of earlier calls included")
    metric: Literal["macro_f1", "auc"] = Field(description="what of the validation clips to raise")
    seed: int = Field(ge=0, description="random seed of the search")
    space: dict[
        Annotated[str, Field(pattern=r"^(train|models)(\.[a-z][a-z0-9_]*)+$")],
        TuneRange | TuneChoices,
    ] = Field(
        min_length=1, description="`train.<key>` or `models.<key>` of the recognizer: where to look"
    )


class LayoutSection(Section):
    """A skeleton layout of your own; see `vigil.models.layouts`."""

    num_joints: int = Field(ge=1, le=200, description="joints V")
    parents: tuple[int, ...] = Field(description="joint that each joint hangs from")
    grandparents: tuple[int, ...] | None = Field(
        default=None, description="joint two bones up; without: the parents' parents"
    )
    center: int = Field(ge=0, description="the root joint, its own parent")
    mirror: tuple[int, ...] = Field(description="each joint's partner on the other side")
    sources: tuple[tuple[int, ...], ...] = Field(
        description="COCO-17 joints whose mean each joint is"
    )


class RecognizerSection(Section):
    """What every skeleton recognizer has; `type` names the plug-in of `vigil.models`."""

    type: str = Field(description="plug-in; without it the entry's own name")
    layout: Literal["coco", "coco_new"] | LayoutSection = Field(
        description="17 joints, 20 with hip and neck, or a table of your own"
    )
    stream: str = Field(
        pattern=r"^(j|b|k|jm|bm|km)(\+(j|b|k|jm|bm|km))*$",
        description="joints, bones, 2-hop bones and their motions; + stacks them as channels",
    )
    norm: Literal["image", "box", "body", "pixels"] = Field(description="units of the coordinates")
    min_score: Fraction = Field(description="joints scored at or below it are missing")
    dropout: float = Field(ge=0, lt=1, description="before the classifier")
    persons: Literal["present", "all"] = Field(
        default="present", description="mean over who is there; all: every slot, as published"
    )


class ProtoGCNSection(RecognizerSection):
    """ProtoGCN (Liu et al., CVPR 2025)."""

    type: Literal["protogcn"]
    base_channels: int = Field(ge=8, le=256, multiple_of=8, description="first width; paper: 96")
    stages: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field(
        min_length=1, max_length=4, description="blocks per stage; paper: 4, 3, 3"
    )
    alpha: float = Field(
        default=0.1, ge=0, le=1, description="first weight of the motion topology; published: 0"
    )
    w_csc: float = Field(ge=0, le=10, description="weight of the contrastive loss; 0: no branch")
    n_prototypes: int = Field(ge=1, le=4096, description="prototypes of the reconstruction")


class GraphSection(RecognizerSection):
    """A graph network in stages; each after the first doubles the width and halves the time."""

    base_channels: int = Field(ge=8, le=256, multiple_of=8, description="first width; papers: 64")
    stages: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field(
        min_length=1, max_length=4, description="blocks per stage; papers: 4, 3, 3"
    )


class STGCNSection(GraphSection):
    """ST-GCN (Yan et al., AAAI 2018)."""

    type: Literal["stgcn"]


class STGCNPPSection(GraphSection):
    """STGCN++ (Duan et al., ACM MM 2022)."""

    type: Literal["stgcnpp"]


class AAGCNSection(GraphSection):
    """2s-AGCN (Shi et al., CVPR 2019), with the attention of AAGCN (Shi et al., TIP 2020)."""

    type: Literal["aagcn"]
    attention: bool = Field(description="gates over joints, time and channels; false: 2s-AGCN")


class CTRGCNSection(GraphSection):
    """CTR-GCN (Chen et al., ICCV 2021)."""

    type: Literal["ctrgcn"]


class PoseC3DSection(RecognizerSection):
    """PoseC3D (Duan et al., CVPR 2022): heat maps of the joints through a 3-D network."""

    type: Literal["posec3d"]
    stream: Literal["j"] = Field(description="heat maps are of joints")
    norm: Literal["image", "box"] = Field(description="what the heat maps show; paper: box")
    persons: Literal["present"] = Field(
        default="present", description="all persons are drawn into the same maps"
    )
    base_channels: int = Field(ge=4, le=256, description="first width; paper: 32")
    stages: tuple[Annotated[int, Field(ge=1, le=40)], ...] = Field(
        min_length=1, max_length=4, description="blocks per stage; paper: 4, 6, 3"
    )
    heatmap_size: int = Field(ge=16, le=112, multiple_of=8, description="pixels; paper: 56")
    sigma: float = Field(gt=0, le=8, description="a joint's spread in pixels; paper: 0.6")


ModelSection = Annotated[
    ProtoGCNSection | STGCNSection | STGCNPPSection | AAGCNSection | CTRGCNSection | PoseC3DSection,
    Field(discriminator="type"),
]


class EvaluateSection(Section):
    """Stage `evaluate`."""

    bootstrap: int = Field(ge=100, le=100_000, description="resamples of videos for intervals")
    calibration_bins: int = Field(ge=2, le=50, description="bins of the calibration plot")
    mistakes: int = Field(ge=0, le=200, description="clips on the sheet of the worst mistakes")
    seed: int = Field(ge=0, description="random seed of the resampling")


class EnsembleSection(Section):
    """Several recognizers as one: the weighted mean of their probabilities."""

    members: dict[Name, Annotated[float, Field(gt=0, le=1000)]] = Field(
        min_length=2, description="weight by recognizer; only their ratios matter"
    )


class ExportSection(Section):
    """Stage `export`."""

    max_batch: int = Field(ge=1, le=256, description="largest batch, checked for parity")
    tolerance: float = Field(gt=0, le=1e-2, description="largest difference torch to ONNX Runtime")
    config: Literal["cpu", "gpu"] = Field(description="which Triton configuration is served")
    cpu_instances: int = Field(ge=1, le=256, description="CPU configuration: one per core")


class ServeSection(Section):
    """The embedded Triton server."""

    http_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    grpc_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    metrics_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    startup_timeout_s: float = Field(gt=0, description="seconds until every model must be ready")


class BenchmarkSection(Section):
    """`make bench`: closed-loop load on the served recognizer."""

    model: str = Field(description="recognizer or ensemble to load")
    concurrencies: tuple[Annotated[int, Field(ge=1, le=1024)], ...]
    protocols: tuple[Literal["http", "grpc"], ...]
    seconds: float = Field(gt=0, description="measured window per row")
    warmup_s: float = Field(ge=0, description="load before the window, not counted")
    max_batch: int = Field(ge=1, le=256, description="largest dynamic batch")
    max_queue_delay_us: int = Field(ge=0, description="dynamic batching: microseconds to wait")


class Config(Section):
    """All of `params.yaml`."""

    classes: tuple[str, ...] = Field(min_length=2, description="class names; order is label order")
    normal_class: str = Field(description="the class that is not an event")
    workers: int = Field(ge=0, description="processes for per-video work; 0 means every core")
    paths: PathsSection
    footage: FootageSection
    weights: WeightsSection
    mask: MaskSection
    clips: ClipsSection
    skeletons: SkeletonsSection
    dataset: DatasetSection
    train: dict[Name, dict[str, Any]] = Field(
        description="`all`: what holds for every recognizer; `<name>`: what differs for one"
    )
    recognizers: tuple[Name, ...] = Field(
        min_length=1, description="entries of `models` that are trained, evaluated and exported"
    )
    models: dict[Name, ModelSection]
    ensembles: dict[Name, EnsembleSection] = Field(
        description="beside the recognizers: ensembles of them, evaluated and exported as one"
    )
    evaluate: EvaluateSection
    export: ExportSection
    serve: ServeSection
    benchmark: BenchmarkSection
    tune: TuneSection

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> Config:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes: expected distinct names, got {list(self.classes)}")
        if self.normal_class not in self.classes:
            raise ValueError(f"normal_class: expected one of {list(self.classes)}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _types_default_to_names(cls, raw: Any) -> Any:
        """Let `models.protogcn` without a `type` be of type `protogcn`."""
        entries = raw.get("models") if isinstance(raw, dict) else None
        if not isinstance(entries, dict):
            return raw
        typed = {
            name: {"type": name, **entry} if isinstance(entry, dict) else entry
            for name, entry in entries.items()
        }
        return raw | {"models": typed}

    @model_validator(mode="after")
    def _recognizers_are_known(self) -> Config:
        unknown = [name for name in self.recognizers if name not in self.models]
        unknown += [name for name in self.train if name not in {"all", *self.models}]
        if unknown:
            raise ValueError(f"expected names of models ({', '.join(self.models)}), got {unknown}")
        for name in self.models:
            self.training(name)
        return self

    def __hash__(self) -> int:
        """Equal parameters hash alike, so that a worker builds its networks once."""
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _ensembles_are_of_recognizers(self) -> Config:
        for name, ensemble in self.ensembles.items():
            unknown = sorted(set(ensemble.members) - set(self.recognizers))
            if unknown:
                raise ValueError(
                    f"ensembles.{name}: expected recognizers ({', '.join(self.recognizers)}), "
                    f"got {unknown}"
                )
            if name in self.models:
                raise ValueError(f"ensembles.{name}: expected a name that no model has")
        return self

    def training(self, name: str) -> TrainSection:
        """Return how the recognizer `name` is trained: `train.all` with `train.<name>` over it."""
        return TrainSection.model_validate(
            merge(self.train.get("all", {}), self.train.get(name, {}))
        )

    def override(self, name: str, values: Mapping[str, Any]) -> Config:
        """Return these parameters with others for the recognizer `name`.

        Args:
            name: an entry of `models`.
            values: by `train.<key>` or `models.<key>`, dots for what lies deeper.

        Raises:
            InputError: an unknown key, or a value out of range.
        """
        raw = self.model_dump()
        for key, value in values.items():
            section, *parts = key.split(".")
            leaf = {parts[-1]: value}
            for part in reversed([name, *parts[:-1]]):
                leaf = {part: leaf}
            raw[section] = merge(raw[section], leaf)
        try:
            return Config.model_validate(raw)
        except ValidationError as error:
            raise InputError(f"{', '.join(values)}: {one_line(error)}") from error

    def resolve(self, root: Path) -> Paths:
        """Return the artefact paths of a project whose parameter file lies in `root`."""
        parts = {name: root / value for name, value in self.paths.model_dump().items()}
        return Paths(root=root, **parts)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the leaves of `over` in place of its own."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged


def load(path: Path | str = "params.yaml") -> tuple[Config, Paths]:
    """Read and check a parameter file; return it with the paths it implies.

    Raises:
        InputError: unreadable YAML, an unknown key, or a value out of range.
    """
    path = Path(path)
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: expected readable YAML, got {text}") from error
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    return config, config.resolve(path.resolve().parent)


def one_line(error: ValidationError) -> str:
    """Name each bad key, what was expected of it and what it was."""
    parts = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        given = "" if problem["type"] == "missing" else f", got {problem['input']!r:.80}"
        parts.append(f"{where}: {problem['msg']}{given}")
    return "; ".join(parts)

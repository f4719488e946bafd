"""`params.yaml` as frozen, checked models: every number that changes a result, read once.

Sections are named after stages. An unknown key or a value out of range is refused with one line
that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from vigil.config.active import ActiveSection, SimulateSection, Spread, Strategy
from vigil.config.base import (
    Fraction,
    Name,
    Section,
    Side,
    Size,
)
from vigil.config.benchmark import BenchmarkProtocol, BenchmarkSection, BenchmarkSystem
from vigil.config.frames import AlarmSection, FramesSection, View, ZeroShotSection
from vigil.config.labeling import Consensus, LabelingSection, Order, Role
from vigil.config.learning import (
    AugmentSection,
    DatasetSection,
    LossSection,
    TrainSection,
    TuneChoices,
    TuneRange,
    TuneSection,
)
from vigil.config.perception import (
    ClipsSection,
    ClipsStageSection,
    DetectorSection,
    EmbedSection,
    FootageSection,
    MaskSection,
    PathsSection,
    ProxySection,
    SegmenterSection,
    SkeletonsSection,
    TrackerSection,
    WeightsSection,
)
from vigil.config.recognizers import (
    AAGCNSection,
    ClipGRUSection,
    CTRGCNSection,
    GraphSection,
    KinematicsSection,
    LayoutSection,
    ModelSection,
    NetworkSection,
    PoseC3DSection,
    ProtoGCNSection,
    RecognizerSection,
    SequenceSection,
    STGCNPPSection,
    STGCNSection,
)
from vigil.config.release import CanarySection, GateSection, ReleaseSection, WatchSection
from vigil.config.results import (
    BehaviourLimits,
    BehaviourSection,
    EnsembleSection,
    EvaluateSection,
    ExportSection,
    FusionSection,
    Int8Section,
    Precision,
    ServeSection,
    TuneServingSection,
)
from vigil.config.watching import DriftSection, ReferenceSection, RequestLogSection
from vigil.errors import InputError
from vigil.paths import Paths

__all__ = [
    "AAGCNSection",
    "ActiveSection",
    "AlarmSection",
    "AugmentSection",
    "BehaviourLimits",
    "BehaviourSection",
    "BenchmarkProtocol",
    "BenchmarkSection",
    "BenchmarkSystem",
    "CTRGCNSection",
    "CanarySection",
    "ClipGRUSection",
    "ClipsSection",
    "ClipsStageSection",
    "Config",
    "Consensus",
    "DatasetSection",
    "DetectorSection",
    "DriftSection",
    "EmbedSection",
    "EnsembleSection",
    "EvaluateSection",
    "ExportSection",
    "FootageSection",
    "Fraction",
    "FramesSection",
    "FusionSection",
    "GateSection",
    "GraphSection",
    "Int8Section",
    "KinematicsSection",
    "LabelingSection",
    "LayoutSection",
    "LossSection",
    "MaskSection",
    "ModelSection",
    "Name",
    "NetworkSection",
    "Order",
    "PathsSection",
    "PoseC3DSection",
    "Precision",
    "ProtoGCNSection",
    "ProxySection",
    "RecognizerSection",
    "ReferenceSection",
    "ReleaseSection",
    "RequestLogSection",
    "Role",
    "STGCNPPSection",
    "STGCNSection",
    "Section",
    "SegmenterSection",
    "SequenceSection",
    "ServeSection",
    "Side",
    "SimulateSection",
    "Size",
    "SkeletonsSection",
    "Spread",
    "Strategy",
    "TrackerSection",
    "TrainSection",
    "TuneChoices",
    "TuneRange",
    "TuneSection",
    "TuneServingSection",
    "View",
    "WatchSection",
    "WeightsSection",
    "ZeroShotSection",
    "load",
    "merge",
    "one_line",
]


_POOLING = ("clip_gru",)  # types whose section has `normal`


class Config(Section):
    """All of `params.yaml`."""

    classes: tuple[str, ...] = Field(min_length=2, description="class names; order is label order")
    normal_class: str = Field(description="the class that is not an event")
    workers: int = Field(ge=0, description="processes for per-video work; 0 means every core")
    paths: PathsSection
    footage: FootageSection
    weights: WeightsSection
    mask: MaskSection
    clips: ClipsStageSection
    skeletons: SkeletonsSection
    embed: EmbedSection
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
    fusions: dict[Name, FusionSection] = Field(
        description="beside them: recognizers joined by weights learned on validation clips"
    )
    evaluate: EvaluateSection
    zero_shot: ZeroShotSection
    frames: FramesSection
    export: ExportSection
    behaviours: dict[Name, BehaviourSection] = Field(
        description="served models from pixels to behavior, each by some of the recognizers"
    )
    serve: ServeSection
    watch: WatchSection
    gate: GateSection
    release: ReleaseSection
    canary: CanarySection
    request_log: RequestLogSection
    reference: ReferenceSection
    drift: DriftSection
    benchmark: BenchmarkSection
    tune: TuneSection
    labeling: LabelingSection
    tune_serving: TuneServingSection

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> Config:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes: expected distinct names, got {list(self.classes)}")
        if self.normal_class not in self.classes:
            raise ValueError(f"normal_class: expected one of {list(self.classes)}")
        alien = sorted({*self.labeling.keys, *self.labeling.colors} - set(self.classes))
        if alien:
            raise ValueError(f"labeling: expected keys and colors of classes, got {alien}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _models_are_complete(cls, raw: Any) -> Any:
        """Let `models.protogcn` without a `type` be of that type; say which class is normal."""
        entries = raw.get("models") if isinstance(raw, dict) else None
        if not isinstance(entries, dict):
            return raw
        typed = {
            name: {"type": name, **entry} if isinstance(entry, dict) else entry
            for name, entry in entries.items()
        }
        classes = list(raw.get("classes") or ())
        if raw.get("normal_class") in classes:
            place = {"normal": classes.index(raw["normal_class"])}
            typed = {
                name: entry | place
                if isinstance(entry, dict) and entry["type"] in _POOLING
                else entry
                for name, entry in typed.items()
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

    @model_validator(mode="after")
    def _fusions_are_of_recognizers(self) -> Config:
        for name, fusion in self.fusions.items():
            unknown = sorted(set(fusion.members) - set(self.recognizers))
            if unknown:
                raise ValueError(
                    f"fusions.{name}: expected recognizers ({', '.join(self.recognizers)}), "
                    f"got {unknown}"
                )
            if name in self.models or name in self.ensembles:
                raise ValueError(f"fusions.{name}: expected a name that nothing else has")
        alien = [
            name for name in self.export.crops
            if name not in self.recognizers or not isinstance(self.models[name], SequenceSection)
        ]  # fmt: skip
        if alien:
            raise ValueError(f"export.crops: expected recognizers of embeddings, got {alien}")
        unknown = sorted(set(self.export.precision) - set(self.recognizers))
        if unknown:
            raise ValueError(f"export.precision: expected recognizers, got {unknown}")
        return self

    @model_validator(mode="after")
    def _behaviours_are_of_recognizers(self) -> Config:
        for name, behaviour in self.behaviours.items():
            unknown = sorted(set(behaviour.recognizers) - set(self.recognizers))
            if unknown:
                raise ValueError(
                    f"behaviours.{name}: expected recognizers ({', '.join(self.recognizers)}), "
                    f"got {unknown}"
                )
            if name in self.models or name in self.ensembles or name in self.fusions:
                raise ValueError(f"behaviours.{name}: expected a name that nothing else has")
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
        places: dict[str, str] = self.paths.model_dump()
        events = places.pop("events")
        parts = {name: root / value for name, value in places.items()}
        return Paths(root=root, events=root / events if events else None, **parts)


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

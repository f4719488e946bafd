"""Sections of the recognizers: one class per plug-in of `vigil.models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.config.base import Fraction, Section


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


class NetworkSection(Section):
    """What every recognizer has; `type` names the plug-in of `vigil.models`."""

    type: str = Field(description="plug-in; without it the entry's own name")
    dropout: float = Field(ge=0, lt=1, description="before the classifier")


class RecognizerSection(NetworkSection):
    """What every skeleton recognizer has."""

    layout: Literal["coco", "coco_new"] | LayoutSection = Field(
        description="17 joints, 20 with hip and neck, or a table of your own"
    )
    stream: str = Field(
        pattern=r"^[jbkp]m?(\+[jbkp]m?)*$",
        description="joints, bones, 2-hop bones, the nearest other person (p), and their motions "
        "(m); + stacks them as channels",
    )
    norm: Literal["image", "box", "body", "track", "pixels"] = Field(
        description="units of the coordinates; track: every person for itself"
    )
    min_score: Fraction = Field(description="joints scored at or below it are missing")
    persons: Literal["present", "max", "all"] = Field(
        default="present",
        description="mean over who is there, or their max; all: mean of every slot, as published",
    )
    test_clips: int = Field(
        default=1, ge=1, le=32, description="samplings of a clip to judge and average; papers: 10"
    )
    test_mirror: bool = Field(default=False, description="their mirror images are judged too")


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


class SequenceSection(NetworkSection):
    """What every recognizer of CLIP embeddings has; see `vigil.sequences`."""

    dim: int = Field(ge=1, le=8192, description="width D of the embeddings; ViT-B: 512, L: 768")
    length: int = Field(ge=1, le=512, description="embeddings L in a sequence; source: 8")
    span_s: float = Field(gt=0, le=120, description="seconds that a sequence spans")
    stride_s: float = Field(gt=0, le=120, description="seconds between sequences of a clip")
    crops: tuple[Literal["person", "pair", "frame"], ...] = Field(
        min_length=1, description="what makes sequences: persons, two close ones, whole frames"
    )
    max_sequences: int = Field(ge=1, le=256, description="most sequences of a clip")
    event_share: float = Field(
        gt=0, le=1, description="share of its moments that make a sequence one of the event"
    )
    pool: Literal["max", "top", "mean"] = Field(
        description="a clip's answer: its least normal sequence's, the mean of top_k, of all"
    )
    top_k: int = Field(ge=1, le=64, description="of pool: top")
    normal: int = Field(
        default=0, ge=0, description="place of normal_class in classes; filled in, not written"
    )

    @model_validator(mode="after")
    def _top_k_is_among_the_sequences(self) -> SequenceSection:
        if self.top_k > self.max_sequences:
            raise ValueError(f"top_k: expected at most max_sequences, got {self.top_k}")
        return self


class ClipGRUSection(SequenceSection):
    """CLIP embeddings of tracks through a GRU or a temporal transformer."""

    type: Literal["clip_gru"]
    encoder: Literal["gru", "transformer"] = Field(description="transformer: for long sequences")
    hidden: int = Field(ge=8, le=2048, multiple_of=8, description="width, of each GRU direction")
    layers: int = Field(ge=1, le=12, description="layers of the encoder")
    bidirectional: bool = Field(description="the GRU reads the sequence from both ends")
    head: Literal["last", "mean", "attention"] = Field(
        description="last state, mean, or a learned query's view added to the mean"
    )
    heads: int = Field(ge=1, le=32, description="heads of every attention; divides the width")
    noise: float = Field(ge=0, le=2, description="training: noise, relative to an embedding")
    drop: Fraction = Field(description="training: share of moments that repeat the one before")
    learn: Literal["all", "mil"] = Field(
        description="label for every track, or multiple-instance: for those that decide the clip"
    )

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> ClipGRUSection:
        width = self.hidden * (2 if self.bidirectional and self.encoder == "gru" else 1)
        if width % self.heads:
            raise ValueError(f"heads: expected a divisor of the width {width}, got {self.heads}")
        return self


class KinematicsSection(RecognizerSection):
    """Motion statistics of persons and pairs, and a linear model."""

    type: Literal["kinematics"]
    layout: Literal["coco"] = Field(description="the statistics know COCO's joints")
    stream: Literal["j"] = Field(description="the statistics are of joints")
    norm: Literal["body", "box", "pixels"] = Field(
        description="units before the statistics, which have their own"
    )
    persons: Literal["present"] = Field(
        default="present", description="the two, and the pair, that show most of each statistic"
    )
    step: int = Field(ge=1, le=6, description="frames over which speeds are measured")


ModelSection = Annotated[
    ProtoGCNSection
    | STGCNSection
    | STGCNPPSection
    | AAGCNSection
    | CTRGCNSection
    | PoseC3DSection
    | ClipGRUSection
    | KinematicsSection,
    Field(discriminator="type"),
]

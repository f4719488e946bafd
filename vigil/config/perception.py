"""Sections of what becomes of footage: paths, weights, masks, clips, skeletons."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vigil.config.base import Fraction, Section, Size


class PathsSection(Section):
    """Where the user's material and the results lie, relative to the parameter file."""

    videos: str = Field(description="folder of footage")
    labels: str = Field(description="CSV of published labels")
    groups: str = Field(description="CSV video_id,group: which videos share a scene or session")
    events: str = Field(
        description="CSV video_id,label,start_s,end_s,track_ids,points: what happens when; '': none"
    )
    data: str = Field(description="folder of what the stages make")
    models: str = Field(description="folder of checkpoints and pretrained networks")
    reports: str = Field(description="folder of metrics, plots and summaries")
    triton_repo: str = Field(description="Triton's model repository")
    labeling: str = Field(description="folder of votes and users; no stage touches it")


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
    clip: str = Field(
        description="registry name, or with set: files a path to an ONNX image encoder that vigil "
        "exported, its text encoder beside it as <name>_text.onnx; '' for none"
    )


class DetectorSection(Section):
    """YOLO11 person detector."""

    name: Literal["yolo11", "yolo11-seg"] = Field(description="-seg brings masks of its own")
    input_size: Size = Field(description="network input, width and height in pixels")
    score_threshold: Fraction = Field(description="lowest score that reaches the tracker")
    nms_threshold: Fraction = Field(description="IoU above which the weaker box goes")


class TrackerSection(Section):
    """ByteTrack (Zhang et al., ECCV 2022), which `rebirth_iou: 1` is to the letter."""

    high_threshold: Fraction = Field(description="score that the first association takes")
    low_threshold: Fraction = Field(description="score that the second association takes")
    new_track_threshold: Fraction = Field(description="score that may begin a track")
    buffer_s: float = Field(gt=0, le=60, description="seconds a lost track is remembered")
    match_threshold: Fraction = Field(description="largest association cost")
    rebirth_iou: Fraction = Field(
        default=1.0,
        description="least overlap at which a weak detection is a lost person again; 1: never",
    )


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


class ProxySection(Section):
    """Small copies of the videos, for people to look at in a browser."""

    source: Literal["raw", "masked"] = Field(description="masked: nothing but the people is seen")
    height: int = Field(ge=32, le=2160, multiple_of=2, description="pixels; higher videos shrink")
    keyframe_s: float = Field(
        gt=0, le=5, description="longest time between key frames, in seconds: what seeking costs"
    )
    crf: int = Field(ge=0, le=51, description="x264's quality, lower is better")
    thumbnail_s: float = Field(ge=0, description="the thumbnail shows this second, or the last")
    thumbnail_height: int = Field(ge=16, le=1080, description="pixels")


class ClipsSection(Section):
    """Fixed-length windows."""

    length_s: float = Field(gt=0, le=120, description="window length in seconds")
    stride_s: float = Field(gt=0, le=120, description="seconds between window starts")
    min_length_s: float = Field(gt=0, description="a shorter video or tail gives no clip")


class ClipsStageSection(ClipsSection):
    """Stage `clips`: windows, and proxies to look at them."""

    proxy: ProxySection


class SkeletonsSection(Section):
    """Stage `skeletons`: pose per frame, joined to tracks."""

    pose: Literal["rtmo", "yolo-pose"] = Field(description="pose network")
    source: Literal["raw", "masked"] = Field(description="frames to look at; the paper: masked")
    input_size: Size = Field(description="network input, width and height in pixels")
    score_threshold: Fraction = Field(description="lowest person score")
    nms_threshold: Fraction = Field(description="IoU above which the weaker person goes")
    keypoint_threshold: Fraction = Field(description="a joint scored lower is missing")
    match_iou: Fraction = Field(description="least IoU of a pose's box with a track's box")
    smooth_s: float = Field(
        ge=0, le=1, description="deviation in seconds of a joint's average over time; 0 for none"
    )


class EmbedSection(Section):
    """Stage `embed`: CLIP's view of tracked persons, pairs of people and whole frames."""

    crop_px: int = Field(
        ge=16, le=896, description="side of a crop: the network's own, less, or a multiple of it"
    )
    pad: float = Field(ge=0, le=1, description="added on each side of a person's longer edge")
    min_side: float = Field(
        ge=1, le=1024, description="least side of a crop in pixels of the original frame"
    )
    fill: Literal["gray", "edge"] = Field(
        description="outside the frame: CLIP's mean gray, or the border pixels repeated"
    )
    every_s: float = Field(gt=0, le=60, description="seconds between the frames looked at")
    frames: bool = Field(description="embed whole frames too")
    pairs: bool = Field(description="embed the common box of people close to each other too")
    pair_distance: float = Field(
        ge=0, le=5, description="widest gap between the boxes of a pair, in mean box heights"
    )
    batch: int = Field(ge=1, le=512, description="crops the network sees at once")

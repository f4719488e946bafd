"""Where each artefact lives, below one project root. Nothing else joins path strings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The folders of one project.

    Attributes:
        root: folder that holds `params.yaml` and `dvc.yaml`.
        videos: the user's footage.
        labels: CSV of published labels.
        groups: CSV that maps a video to its scene or recording session; may be absent.
        events: CSV of what happens when; None where there is none.
        data: what the stages make from the footage.
        models: checkpoints and pretrained networks.
        reports: metrics, plots and summaries.
        triton_repo: the model repository that Triton serves.
        labeling: what people decided, and who may: never made or removed by a stage.
    """

    root: Path
    videos: Path
    labels: Path
    groups: Path
    events: Path | None
    data: Path
    models: Path
    reports: Path
    triton_repo: Path
    labeling: Path

    @property
    def timelines(self) -> Path:
        """Presentation times of every decoded frame, one Parquet file a video."""
        return self.data / "timelines"

    @property
    def tracks(self) -> Path:
        """Person boxes with identities, one Parquet file a video."""
        return self.data / "tracks"

    @property
    def masks(self) -> Path:
        """Person masks as COCO RLE, one Parquet file a video."""
        return self.data / "masks"

    @property
    def masked(self) -> Path:
        """H.264 videos in which everything but people is black."""
        return self.data / "masked"

    @property
    def clips(self) -> Path:
        """The windows of all videos, one Parquet file."""
        return self.data / "clips.parquet"

    @property
    def proxies(self) -> Path:
        """Small copies of the videos that browsers play and seek, and a thumbnail of each."""
        return self.data / "proxies"

    @property
    def skeletons(self) -> Path:
        """COCO-17 keypoints of every tracked person, one Parquet file a video."""
        return self.data / "skeletons"

    @property
    def embeddings(self) -> Path:
        """CLIP's vectors of persons, pairs and whole frames, one Parquet file a video."""
        return self.data / "embeddings"

    @property
    def dataset(self) -> Path:
        """The mmaction2 annotation file and the split table."""
        return self.data / "dataset"

    @property
    def pretrained(self) -> Path:
        """Verified pretrained networks."""
        return self.models / "pretrained"

    @property
    def segmenter(self) -> Path:
        """SAM2's tensors, whichever its variant."""
        return self.pretrained / "sam2.safetensors"

    @property
    def clip_text(self) -> Path:
        """CLIP's text encoder as ONNX; its image encoder is the served model `clip_image`."""
        return self.pretrained / "clip_text.onnx"

    @property
    def stage_reports(self) -> Path:
        """What each per-video stage did to each video, one JSON a stage."""
        return self.reports / "stages"

    @property
    def cache(self) -> Path:
        """Content-addressed results of the per-video stages; safe to delete."""
        return self.root / ".vigil" / "cache"

    @property
    def all_frame_scores(self) -> Path:
        """What every system says of every frame, one folder a system."""
        return self.data / "frame_scores"

    def frame_scores(self, system: str) -> Path:
        """Return the folder of what `system` says of every frame, one Parquet file a video."""
        return self.all_frame_scores / system

    @property
    def suggestions(self) -> Path:
        """CSV of what each clip probably shows, for people who label."""
        return self.data / "suggestions.csv"

    @property
    def frame_report(self) -> Path:
        """Folder of the report on frame scores: JSON, page and ROC."""
        return self.reports / "frames"

    @property
    def label_store(self) -> Path:
        """SQLite database of votes, where no other is configured."""
        return self.labeling / "labels.db"

    @property
    def users(self) -> Path:
        """JSON of names, roles and password hashes; readable by its owner alone."""
        return self.labeling / "users.json"

    @property
    def prelabels(self) -> Path:
        """CSV of what served recognizers suggest; no stage makes it."""
        return self.labeling / "suggestions.csv"

    def reference(self, name: str) -> Path:
        """Return the JSON of what `name`'s inputs and answers looked like when it was made."""
        return self.data / "reference" / f"{name}.json"

    @property
    def drift_report(self) -> Path:
        """Folder of the report on what is served: JSON, page, metrics and what to label."""
        return self.reports / "drift"

    def model(self, name: str) -> Path:
        """Return the folder of checkpoints and exports of the recognizer `name`."""
        return self.models / name

    def onnx(self, name: str, version: int = 1) -> Path:
        """Return where `name`'s graph lies in Triton's model repository."""
        return self.triton_repo / name / str(version) / "model.onnx"

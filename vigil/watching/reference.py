"""What a recognizer's inputs and answers looked like when it was made: counts, and no example."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from vigil.config import ReferenceSection, one_line
from vigil.dataset import ANNOTATIONS, EMBEDDINGS, read_annotations, select
from vigil.errors import InputError
from vigil.files import write_text
from vigil.models.reading import Reading
from vigil.paths import Paths
from vigil.session import Session
from vigil.watching import features
from vigil.watching.binning import Bins, choose
from vigil.watching.features import Features, Floats
from vigil.watching.psi import Counts

View = Literal["rows", "clips"]  # of requests to the recognizer; of the model from pixels on


class Feature(BaseModel):
    """How often a feature had which value.

    Attributes:
        splits: what was looked at.
        edges: of the bins, see `Bins`.
        names: of the bins.
        groups: counts of each video; which video is not told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    splits: tuple[str, ...]
    edges: tuple[float, ...]
    names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]

    @model_validator(mode="after")
    def _fits(self) -> Feature:
        widths = {len(self.names), len(self.edges) + 1, *(len(row) for row in self.groups)}
        if len(widths) != 1 or not self.groups:
            raise ValueError(f"expected counts of {len(self.names)} bins, got {widths}")
        return self

    @property
    def bins(self) -> Bins:
        """The bins."""
        return Bins(self.edges)

    @property
    def counts(self) -> Counts:
        """(G, bins) counts of each video."""
        return np.array(self.groups, np.int64)


class Reference(BaseModel):
    """A recognizer's inputs and answers in the data that it was made from.

    Attributes:
        model: the recognizer.
        classes: names in label order.
        data_sha256: of the annotation files.
        network_sha256: of the exported network that gave the answers.
        centroid: mean embedding, empty where it reads none.
        rows: features of the rows it is asked about.
        clips: features of whole clips, as the model from pixels to behavior reports them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["reference"] = "reference"
    version: Literal[1] = 1
    model: str
    classes: tuple[str, ...]
    data_sha256: str
    network_sha256: str
    centroid: tuple[float, ...]
    rows: dict[str, Feature]
    clips: dict[str, Feature]

    def view(self, name: View) -> dict[str, Feature]:
        """Return the features of rows or of clips."""
        return self.rows if name == "rows" else self.clips

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_text(path, self.model_dump_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> Reference:
        """Read what `write` wrote.

        Raises:
            InputError: unreadable, or another file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: expected a reference, got {error}") from error
        except ValidationError as error:
            raise InputError(f"{path}: expected a reference: {one_line(error):.300}") from error


def make(
    model: str,
    classes: Sequence[str],
    reads: Reading,
    network: tuple[Session, Path],
    dataset: Path,
    params: ReferenceSection,
) -> Reference:
    """Describe a recognizer's data.

    Args:
        model: name of the recognizer.
        classes: names in label order.
        reads: what it reads.
        network: its exported network as a session, and the file.
        dataset: folder of the annotation files.
        params: which splits, and how the bins are made.

    Raises:
        InputError: unreadable annotations, or no clip in the splits.
    """
    splits, rows = read_annotations(dataset / ANNOTATIONS)
    inputs, answers = _of(splits, rows, params.inputs), _of(splits, rows, params.answers)
    fed, asked = reads.batch(inputs), reads.batch(answers)
    said = _ask(network[0], asked.feeds)
    settled = reads.settle(said, asked.owner, len(answers))
    vectors = fed.feeds.get("embeddings")
    centroid = features.centroid_of(vectors) if vectors is not None else np.zeros(0, np.float32)
    by_clip, by_answer = _videos(inputs), _videos(answers)

    def counted(found: Features, videos: NDArray[np.int64]) -> dict[str, Feature]:
        return {
            name: feature_of(name, values, videos, params, classes)
            for name, values in found.items()
        }

    return Reference(
        model=model,
        classes=tuple(classes),
        data_sha256=_hash(dataset / ANNOTATIONS, dataset / EMBEDDINGS),
        network_sha256=_hash(network[1]),
        centroid=tuple(centroid.tolist()),
        rows=counted(features.of_feeds(fed.feeds, centroid), by_clip[fed.owner])
        | counted(_answers(said), by_answer[asked.owner]),
        clips=counted(features.of_rows(inputs), by_clip) | counted(_answers(settled), by_answer),
    )


def references(paths: Paths) -> dict[str, Reference]:
    """Read the references that there are, by recognizer.

    Raises:
        InputError: one is unreadable, or none is there.
    """
    folder = paths.reference("any").parent
    found = [Reference.read(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise InputError(f"{folder}: expected references, got none; run the stage `reference`")
    return {one.model: one for one in found}


def feature_of(
    name: str,
    values: Floats,
    videos: NDArray[np.int64],
    params: ReferenceSection,
    classes: Sequence[str],
) -> Feature:
    """Count a feature's values in bins that are chosen on them.

    Args:
        name: of the feature; `class` is counted by class.
        values: (n,), NaN where there is none.
        videos: (n,) numbers of the videos that they are of.
        params: how the bins are made, and which splits are looked at.
        classes: names in label order.
    """
    values = np.round(values, features.DIGITS)  # as a log tells them
    splits = params.answers if name in ("class", "confidence") else params.inputs
    if name == "class":
        bins, names = Bins(tuple(index + 0.5 for index in range(len(classes) - 1))), list(classes)
    else:
        bins = choose(name, values, params.bins, params.least)
        names = bins.names(name)
    groups = [tuple(bins.count(values[videos == one]).tolist()) for one in np.unique(videos)]
    return Feature(splits=splits, edges=bins.edges, names=tuple(names), groups=tuple(groups))


def _of(
    splits: Mapping[str, Sequence[str]], rows: Sequence[dict[str, Any]], parts: Sequence[str]
) -> list[dict[str, Any]]:
    found = [row for name in parts for row in select(splits, rows, name)]
    if not found:
        raise InputError(f"reference: expected clips in {', '.join(parts)}, got none")
    return found


def _answers(probabilities: NDArray[Any]) -> Features:
    return {
        "class": probabilities.argmax(1).astype(np.float64),
        "confidence": np.asarray(probabilities.max(1), np.float64),
    }


def _videos(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Number the videos of annotations; (n,)."""
    places = np.unique([row["video_id"] for row in rows], return_inverse=True)[1]
    return np.asarray(places, np.int64)


def _ask(network: Session, feeds: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the (n, classes) probabilities of rows, a few at a time."""
    count = len(next(iter(feeds.values())))
    parts = [
        network.run({name: values[start : start + 16] for name, values in feeds.items()})
        for start in range(0, count, 16)
    ]
    return np.concatenate([part["probabilities"] for part in parts])


def _hash(*paths: Path) -> str:
    """Return the SHA-256 of files, one after the other; absent ones add nothing."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()

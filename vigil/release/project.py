"""The gate and the live repository of one project, from its parameters and folders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from vigil.benchmark.systems import torch_function
from vigil.config import Config
from vigil.config.place import is_s3
from vigil.crop_graph import SUFFIX, embed
from vigil.dataset import ANNOTATIONS, read_annotations, select
from vigil.ensemble import load, named
from vigil.errors import InputError
from vigil.export import OUTPUTS, metadata, names
from vigil.files import write_json, write_text
from vigil.paths import Paths
from vigil.perception.embedder import CLIP_IMAGE
from vigil.release import publish as publishing
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Feeds
from vigil.release.gate.footage import crop_reading, is_network, seen_by
from vigil.release.gate.judging import Case, Served, Trained, judge
from vigil.release.gate.page import page
from vigil.release.gate.people import Known, known
from vigil.release.gate.pixels import show
from vigil.release.gate.quality import TestSplit
from vigil.release.gate.scripted import Scripted, judge_scripted
from vigil.release.gate.unlabeled import Unlabeled, judge_unlabeled
from vigil.release.lineage import lineage
from vigil.release.live import VERDICT, LiveModel, models
from vigil.schema import read_clips
from vigil.serving.control import Control
from vigil.session import Array, OnnxSession
from vigil.video import list_videos

PAGE = "index.html"
_ROWS = 8  # of one video that a network without labels is judged on
_VIDEOS = 3  # that the whole way from pixels is judged on


def live_model(config: Config, paths: Paths, name: str) -> LiveModel:
    """Return a model's place in the project's live repository."""
    return LiveModel(place(config, paths), name)


def place(config: Config, paths: Paths) -> Path | str:
    """Return where the project's live repository lies: a folder, or an S3 address."""
    repository = config.release.repository
    return repository if is_s3(repository) else paths.root / repository


def listing(config: Config, paths: Paths) -> Iterator[str]:
    """Yield a line for each version of each published model: whence it comes, which serves."""
    for name in models(place(config, paths)):
        live = live_model(config, paths, name)
        for number in live.numbers():
            told = live.lineage(number)
            commit = (told["git"] or {}).get("commit", "no commit")[:12]
            traced = f"{len(told['data'])} sources" if told["traced"] else "not traced by dvc.lock"
            mark = "serves" if number == live.current else ""
            yield f"{name:16s}{number:4d}  {told['published_at']}  {commit}  {traced}  {mark}"


def report(paths: Paths, name: str) -> Path:
    """Return the folder of the gate's verdict on a model."""
    return paths.reports / "gate" / name


def verify(config: Config, paths: Paths, name: str) -> dict[str, Any]:
    """Judge the exported model `name` by what there is to hold it against, and the served one.

    A recognizer, an ensemble, a fusion and a recognizer behind CLIP: its checkpoint and the test
    split. A network of the perception stages: ONNX Runtime, and who is known to be in the test
    videos. `behaviour`: the stages' own code, and the test clips as frames.

    Returns:
        The verdict, also written as `verdict.json` and `index.html` into `report`.

    Raises:
        InputError: there is no test split, or no footage.
        ModelError: no checkpoint or no exported model.
    """
    live = live_model(config, paths, name)  # as long as it lives, so do copies of what serves
    candidate, old = Candidate.at(paths.triton_repo / name), served(live)
    limit_s = config.serve.startup_timeout_s
    if name in config.behaviours:
        found = judge_scripted(_scripted(config, paths, candidate, old), limit_s)
    elif is_network(name, config):
        found = judge_unlabeled(_unlabeled(config, paths, candidate, old), limit_s)
    else:
        trained, split = _trained(config, paths, name)
        case = Case(candidate, old, trained, split, config.gate, config.evaluate)
        found = judge(case, limit_s)
    write_json(report(paths, name) / VERDICT, found)
    write_text(report(paths, name) / PAGE, page(found))
    return found


def publish(
    config: Config, paths: Paths, name: str, servers: Sequence[Control], hold: bool = False
) -> int:
    """Publish the exported model `name` by the verdict that `verify` wrote; return its version.

    With `hold` it is written only, to be tried first: see `canary`.

    Raises:
        InputError, ModelError, ServerError: see `vigil.release.publish.publish`.
    """
    path = report(paths, name) / VERDICT
    try:
        verdict: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"publish: {path}: expected the gate's verdict; run verify") from error
    candidate = Candidate.at(paths.triton_repo / name)
    live = live_model(config, paths, name)
    publishing.check_verdict(live, candidate, verdict)
    told = lineage(candidate, verdict, config, paths.root)
    if hold:
        return publishing.hold(live, candidate, verdict, told, config.release.keep)
    return publishing.publish(live, candidate, verdict, told, servers, config.release.keep)


def served(live: LiveModel) -> Served | None:
    """Return what a model's live folder serves; None before the first publish."""
    number = live.current
    if number is None:
        return None
    tested = str(live.verdict(number)["test"]["sha256"])
    return Served(live.at_hand(number), number, live.candidate(number), tested)


def _trained(config: Config, paths: Paths, name: str) -> tuple[Trained, TestSplit]:
    """Build PyTorch's side of the comparison and the test split."""
    base = name.removesuffix(SUFFIX) if name.removesuffix(SUFFIX) in config.export.crops else name
    graph, spec = load(named(base, config, paths), base)
    function = torch_function(graph, names(spec))

    def run(feeds: Feeds) -> dict[str, Array]:
        answers = (answer.numpy() for answer in function(feeds))
        return dict(zip(OUTPUTS, answers, strict=True))

    splits, rows = read_annotations(paths.dataset / ANNOTATIONS)
    test, classes = select(splits, rows, "test"), tuple(config.classes)
    if base == name:
        trained = Trained(run, metadata(spec), config.export.precision_of(name))
        return trained, TestSplit(test, spec.reads, classes, config.normal_class)
    encoder = OnnxSession(paths.onnx(CLIP_IMAGE), device="cpu")
    clips = {clip.clip_id: clip for clip in read_clips(paths.clips)}
    reads = crop_reading(spec, encoder, config.embed, _footage(paths), paths.tracks, clips)
    told = metadata(replace(spec, name=name)) | {"side": str(reads.door.side)}

    def behind(feeds: Feeds) -> dict[str, Array]:
        return run({"embeddings": embed(encoder, feeds["crops"])})

    return Trained(behind, told), TestSplit(test, reads, classes, config.normal_class)


def _unlabeled(config: Config, paths: Paths, candidate: Candidate, old: Served | None) -> Unlabeled:
    """Gather what a network of the perception stages is asked about the footage."""
    rows, videos = config.gate.rows, list(_footage(paths).values())
    videos = videos[:: max(1, len(videos) * _ROWS // rows)]
    session = OnnxSession(candidate.files["model.onnx"], device="cpu")
    feeds = seen_by(candidate.name, session, config, paths.tracks, videos, rows)
    known_people: Known | str = "nothing is labeled"
    if candidate.name != CLIP_IMAGE:
        test = [row["video_id"] for row in _test_rows(paths)]
        folder = paths.root / config.gate.ground_truth
        known_people = known(candidate.name, config, folder, _footage(paths), test)
    return Unlabeled(candidate, old, feeds, len(videos), config.gate, known_people)


def _scripted(config: Config, paths: Paths, candidate: Candidate, old: Served | None) -> Scripted:
    """Gather footage and the published networks that `behaviour` would ask."""
    footage = _footage(paths)
    live = cache(lambda one: live_model(config, paths, one))
    clips = (
        {clip.clip_id: clip for clip in read_clips(paths.clips)} if paths.clips.is_file() else {}
    )
    shown = show(
        _test_rows(paths), clips, footage, tuple(config.classes), config.normal_class,
        config.gate.clips, config.evaluate,
    )  # fmt: skip
    return Scripted(candidate, old, live, list(footage.values())[:_VIDEOS], config.gate, shown)


def _test_rows(paths: Paths) -> list[dict[str, Any]]:
    """Return the annotations of the frozen test split; none before there is a data set."""
    path = paths.dataset / ANNOTATIONS
    return select(*read_annotations(path), "test") if path.is_file() else []


def _footage(paths: Paths) -> dict[str, Path]:
    """Return the project's videos by id."""
    return {video.stem: video for video in list_videos(paths.videos)}

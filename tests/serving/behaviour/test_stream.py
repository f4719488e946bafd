"""Frames in chunks become what the stages make of the whole video, number for number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.stages.project import Project
from tests.videos import scene
from vigil.clips import propose_clips
from vigil.dataset import annotation
from vigil.errors import InputError, ModelError
from vigil.perception.embedder import embed_video
from vigil.perception.skeletons import follow_poses
from vigil.perception.tracker import PersonTracker
from vigil.schema import Timeline, Tracks
from vigil.serving.behaviour.publish import publish_behaviour
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.behaviour.spec import FILE, read_spec
from vigil.serving.behaviour.stream import Pipeline, Stream
from vigil.session import OnnxSession
from vigil.tokens import token_row


def run(pipeline: Pipeline, frames: np.ndarray, time_s: np.ndarray, chunk: int) -> Behaviour:
    stream = Stream(pipeline)
    parts = [
        stream.feed(list(frames[i : i + chunk]), time_s[i : i + chunk], i + chunk >= len(frames))
        for i in range(0, len(frames), chunk)
    ]
    return joined(parts)


def staged_tracks(pipeline: Pipeline, frames: np.ndarray, time_s: np.ndarray) -> Tracks:
    tracker = PersonTracker(pipeline.spec.tracker)
    found = pipeline.detector.detect(list(frames))
    persons = [tracker.update(people, at) for people, at in zip(found, time_s, strict=True)]
    frame = np.repeat(np.arange(len(frames)), [len(p) for p in persons]).astype(np.int32)
    columns = [np.concatenate([getattr(p, k) for p in persons]) for k in ("track_id", "xyxy")]
    score = np.concatenate([p.score for p in persons])
    return Tracks("yard", 512, 96, frame, time_s[frame], *columns, score)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_any_chunks_give_what_the_stages_make_of_the_video(
    project: Project, pipeline: Pipeline, footage: tuple[np.ndarray, np.ndarray], chunk: int
) -> None:
    frames, time_s = footage
    found = run(pipeline, frames, time_s, chunk)
    tracks = staged_tracks(pipeline, frames, time_s)
    assert len(np.unique(tracks.track_id)) >= 3
    np.testing.assert_array_equal(found.frame, tracks.frame)
    np.testing.assert_array_equal(found.track, tracks.track_id)
    np.testing.assert_allclose(found.box, tracks.xyxy, atol=1e-4)
    video = project.videos / "yard.mp4"
    skeletons = follow_poses(video, tracks, pipeline.pose, pipeline.spec.skeletons)
    place = {key: i for i, key in enumerate(zip(found.frame, found.track, strict=True))}
    rows = [place[key] for key in zip(skeletons.frame, skeletons.track_id, strict=True)]
    wanted = np.nan_to_num(skeletons.xy)
    np.testing.assert_allclose(found.skeleton[rows][..., :2], wanted, atol=1e-3)
    timeline = Timeline("yard", 512, 96, time_s)
    clips = propose_clips(timeline, tracks, pipeline.spec.clips)
    np.testing.assert_allclose(found.clip_s, [(c.start_s, c.end_s) for c in clips])
    assert pipeline.embedder is not None
    table = embed_video(video, tracks, pipeline.embedder, pipeline.spec.embed)
    annotated = [
        annotation(clip, 0, "", skeletons, timeline) | token_row(clip, table, None)
        for clip in clips
    ]
    for number, recognizer in enumerate(pipeline.spec.recognizers):
        batch = recognizer.reads.batch(annotated)
        session = OnnxSession(project.paths.onnx(recognizer.network.model))
        said = session.run(batch.feeds)["probabilities"]
        wanted = recognizer.reads.settle(said, batch.owner, len(clips))
        np.testing.assert_allclose(found.clip_probabilities[:, number], wanted, atol=1e-5)
    for number, clip in enumerate(clips):
        inside = (tracks.frame >= clip.start_frame) & (tracks.frame < clip.end_frame)
        people = found.person_track[found.person_clip == number]
        assert people.tolist() == np.unique(tracks.track_id[inside]).tolist()
    assert np.isfinite(found.person_probabilities[found.person_track == 1]).all()


@pytest.mark.slow
def test_a_clock_that_began_long_ago_changes_nothing_but_the_times(
    pipeline: Pipeline, footage: tuple[np.ndarray, np.ndarray]
) -> None:
    frames, time_s = footage[0][:40], footage[1][:40]
    here, there = (run(pipeline, frames, time_s + shift, 9) for shift in (0.0, 1.7e9))
    np.testing.assert_array_equal(here.track, there.track)
    np.testing.assert_allclose(there.clip_s, here.clip_s + 1.7e9, atol=1e-4)
    np.testing.assert_allclose(there.clip_probabilities, here.clip_probabilities, atol=1e-4)


def test_windows_are_reported_as_soon_as_nothing_can_change_them(pipeline: Pipeline) -> None:
    stream = Stream(pipeline)
    reach_s = 3 * pipeline.spec.skeletons.smooth_s
    for number in range(16):
        at = number / 4
        found = stream.feed([scene([40 + 4 * number])], np.array([at]))
        due = [s for s in range(4) if at - 0.25 < s + 2 + reach_s <= at]
        assert found.clip_s[:, 0].tolist() == due, at
        assert (found.time_s <= at - reach_s).all()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_stream(pipeline: Pipeline) -> None:
    stream = Stream(pipeline)
    sizes, windows = [], 0
    for number in range(30):
        times = np.arange(4 * number, 4 * number + 4) / 4
        found = stream.feed([scene([40 + number])] * 4, times)
        windows += len(found.clip_s)
        sizes.append(len(stream._kept))
    assert windows >= 26
    assert max(sizes) <= 4 * (2 + 1 + 1) + 2
    assert max(sizes[20:]) <= max(sizes[5:15])


def test_a_stream_without_anybody_still_has_windows(pipeline: Pipeline) -> None:
    times = np.arange(12) / 4
    found = Stream(pipeline).feed([scene([])] * 12, times, last=True)
    assert found.clip_s.tolist() == [[0, 2], [1, 3]]
    assert np.isfinite(found.clip_probabilities).all()
    assert len(found.person_clip) == len(found.box) == 0
    empty = Stream(pipeline).feed([], np.zeros(0), last=True)
    assert [len(value) for value in empty.tensors.values()] == [0] * len(empty.tensors)


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        pytest.param(1, [0.5, 0.75], "expected 1, one a frame, got 2", id="counts"),
        pytest.param(2, [0.75, 0.75], "expected rising seconds", id="still"),
        pytest.param(1, [0.2], "expected rising seconds", id="back"),
        pytest.param(1, [99.0], "at most 60 apart", id="hole"),
        pytest.param(1, [np.nan], "expected finite seconds", id="nan"),
        pytest.param("tall", [0.75], r"expected \(96, 512\) \(height, width\)", id="size"),
    ],
)
def test_a_chunk_that_cannot_follow_is_refused_and_changes_nothing(
    pipeline: Pipeline, frames: int | str, times: list[float], message: str
) -> None:
    stream = Stream(pipeline)
    stream.feed([scene([40])] * 2, np.array([0.25, 0.5]))
    given = [np.zeros((128, 512, 3), np.uint8)] if frames == "tall" else [scene([40])] * frames
    with pytest.raises(InputError, match=message):
        stream.feed(given, np.array(times))
    assert stream.feed([scene([44])], np.array([0.75]), last=True).frame.tolist() == [1, 2]


def test_what_cannot_be_served_is_not_published(project: Project, tmp_path: Path) -> None:
    values = project.config.model_dump(mode="json")
    values["skeletons"]["source"] = "masked"
    masked = type(project.config).model_validate(values)
    with pytest.raises(InputError, match=r"expected skeletons\.source raw, got masked"):
        publish_behaviour("behaviour", masked, project.paths)
    with pytest.raises(InputError, match=r"expected one of \['behaviour'\], got other"):
        publish_behaviour("other", project.config, project.paths)
    values["skeletons"]["source"] = "raw"
    values["classes"] = ["normal", "faint", "assault"]
    turned = type(project.config).model_validate(values)
    with pytest.raises(ModelError, match="expected recognizers of"):
        publish_behaviour("behaviour", turned, project.paths)
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(ModelError, match="classes: Field required"):
        read_spec(tmp_path / FILE)

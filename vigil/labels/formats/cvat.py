"""CVAT for video 1.1: a track of boxes per person and judgment, one file a video.

CVAT has no labels of clips: a judgment that names nobody is a track of the whole frame, and what
CVAT has no place for are attributes of the boxes. Tracks of others, and tags of `CVAT for images`,
go to the clips they cover.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.files import atomic
from vigil.labels.formats.boxes import boxes_near, whose
from vigil.labels.formats.reading import identities, number, whole
from vigil.labels.formats.records import Footage, Record
from vigil.labels.formats.xml import Element, parse, plain

_HELD = ("clip_id", "annotator", "labeled_at", "start_s", "end_s", "track_ids")
_EDGES = ("xtl", "ytl", "xbr", "ybr")
_Box = NDArray[np.float32]


def write(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write `<video_id>.xml` for each video into the folder `path`; see `Format`.

    Raises:
        InputError: a name with control characters, which XML cannot hold.
    """
    by_video: dict[str, list[Record]] = {}
    for one in records:
        by_video.setdefault(one.clip.video_id, []).append(one)
    for video, own in by_video.items():
        root = _document(video, footage)
        shown = [(one, who) for one in own for who in one.track_ids or (None,)]
        for place, (one, who) in enumerate(shown):
            _add_track(root, place, one, who, footage)
        ElementTree.indent(root)
        for element in root.iter():
            for text in (element.text or "", *element.attrib.values()):
                plain(text, f"{path}: {video}")
        with atomic(path / f"{video}.xml") as partial:
            ElementTree.ElementTree(root).write(partial, "utf-8", xml_declaration=True)


def _document(video: str, footage: Footage) -> ElementTree.Element:
    timeline = footage.timeline(video)
    root = ElementTree.Element("annotations")
    _leaf(root, "version", "1.1")
    meta = ElementTree.SubElement(root, "meta")
    task = ElementTree.SubElement(meta, "task")
    for tag, text in (("name", video), ("size", str(len(timeline))), ("mode", "interpolation")):
        _leaf(task, tag, text)
    labels = ElementTree.SubElement(task, "labels")
    for name in footage.classes:
        label = ElementTree.SubElement(labels, "label")
        _leaf(label, "name", name)
        attributes = ElementTree.SubElement(label, "attributes")
        for held in _HELD:
            attribute = ElementTree.SubElement(attributes, "attribute")
            for tag, text in (("name", held), ("mutable", "False"), ("input_type", "text"),
                              ("default_value", ""), ("values", "")):  # fmt: skip
                _leaf(attribute, tag, text)
    size = ElementTree.SubElement(task, "original_size")
    _leaf(size, "width", str(timeline.width))
    _leaf(size, "height", str(timeline.height))
    _leaf(meta, "source", video)
    return root


def _leaf(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text


def _add_track(
    root: ElementTree.Element, place: int, one: Record, who: int | None, footage: Footage
) -> None:
    facts = {"id": str(place), "label": str(one.label), "source": "manual"}
    track = ElementTree.SubElement(root, "track", facts)
    shown = [(frame, box, "0") for frame, box in _boxes(one, who, footage)]
    after = shown[-1][0] + 1
    if after < len(footage.timeline(one.clip.video_id)):  # a box goes on until one is outside
        shown.append((after, shown[-1][1], "1"))
    for frame, edges, outside in shown:
        sides = {name: f"{value:.2f}" for name, value in zip(_EDGES, edges, strict=True)}
        facts = {"frame": str(frame), "outside": outside, "occluded": "0", "keyframe": "1"}
        box = ElementTree.SubElement(track, "box", facts | sides | {"z_order": "0"})
        for name, text in _held(one).items():
            _leaf(box, "attribute", text, name=name)


def _held(one: Record) -> dict[str, str]:
    when = ("", "") if one.start_s is None else tuple(repr(float(end)) for end in one.span_s)
    people = " ".join(map(str, one.track_ids))
    held = (one.clip.clip_id, one.annotator, one.labeled_at, *when, people)
    return dict(zip(_HELD, held, strict=True))


def _boxes(one: Record, who: int | None, footage: Footage) -> list[tuple[int, _Box]]:
    """Return a person's boxes by frame while it happens; the whole frame where there are none."""
    video = one.clip.video_id
    first, after = footage.frames(video, *one.span_s)
    first = min(first, one.clip.end_frame - 1)
    after = max(after, first + 1)
    timeline, tracks = footage.timeline(video), footage.tracks(video)
    inside = (tracks.frame >= first) & (tracks.frame < after) & (tracks.track_id == who)
    if who is not None and inside.any():
        return list(zip(tracks.frame[inside].tolist(), tracks.xyxy[inside], strict=True))
    frame = np.array([0, 0, timeline.width, timeline.height], np.float32)
    return [(place, frame) for place in dict.fromkeys((first, after - 1))]


def read(path: Path, footage: Footage) -> list[Record]:
    """Read one XML file, or all of a folder; see `Format`.

    Raises:
        InputError: no XML, or a file that fits no video of the project.
    """
    files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected XML files, got none")
    return list(dict.fromkeys(one for file in files for one in _records(file, footage)))


def _records(path: Path, footage: Footage) -> Iterator[Record]:
    root = parse(path)
    if root.tag != "annotations":
        raise InputError(f"{path}: line {root.line}: expected <annotations>, got <{root.tag}>")
    tracks, images = root.all("track"), root.all("image")
    for track in tracks:
        yield from _judgments(path, root, track, footage)
    if images:
        yield from _tagged(path, root, images, footage)


def _video(path: Path, root: Element, footage: Footage) -> str:
    """Return which video a document is of: its source, else its task's name, else the file's."""
    names = (root.find("meta", "source"), root.find("meta", "task", "source"),
             root.find("meta", "task", "name"))  # fmt: skip
    named = [name for name in names if name]
    for name in named[:-1]:
        try:
            return footage.video(name, str(path))
        except InputError:
            continue
    return footage.video(named[-1] if named else path.name, str(path))


def _judgments(path: Path, root: Element, track: Element, footage: Footage) -> Iterator[Record]:
    where = f"{path}: line {track.line}"
    label = footage.label(track.attributes.get("label", ""), where)
    shown = [box for box in track.all("box") if box.attributes.get("outside") != "1"]
    if not shown:
        return
    told = {leaf.attributes.get("name", ""): leaf.text for leaf in shown[0].all("attribute")}
    if told.get("clip_id"):
        yield _own(told, label, where, footage)
        return
    video = _video(path, root, footage)
    ends = [box for box in track.all("box") if box.attributes.get("outside") == "1"]
    first = _frame(shown[0], path)
    later = [_frame(box, path) for box in ends if _frame(box, path) > first]
    after = min(later, default=max(_frame(box, path) for box in shown) + 1)
    start_s, end_s = (footage.seconds(video, frame, where) for frame in (first, after))
    for one in footage.spread({"label": label}, video, start_s, end_s, where):
        who = whose(_edges(shown[0], path), boxes_near(footage.tracks(video), one.clip, start_s))
        yield Record(**{**vars(one), "track_ids": () if who is None else (who,)})


def _own(told: dict[str, str], label: str, where: str, footage: Footage) -> Record:
    when: dict[str, Any] = {
        name: number(told[name], where) for name in ("start_s", "end_s") if told.get(name)
    }
    return Record(
        footage.clip(told["clip_id"], where), label,
        annotator=told.get("annotator", ""), labeled_at=told.get("labeled_at", ""),
        track_ids=identities(told.get("track_ids", ""), where), **when,
    )  # fmt: skip


def _tagged(
    path: Path, root: Element, images: Sequence[Element], footage: Footage
) -> Iterator[Record]:
    """Turn runs of frames with the same tag into segments."""
    video = _video(path, root, footage)
    frames: dict[str, list[int]] = {}
    for image in images:
        where = f"{path}: line {image.line}"
        for tag in image.all("tag"):
            label = footage.label(tag.attributes.get("label", ""), where)
            frames.setdefault(label, []).append(whole(image.attributes.get("id", ""), where))
    for label, tagged in frames.items():
        order = np.unique(tagged)
        for run in np.split(order, np.flatnonzero(np.diff(order) > 1) + 1):
            ends = (int(run[0]), int(run[-1]) + 1)
            start_s, end_s = (footage.seconds(video, frame, str(path)) for frame in ends)
            yield from footage.spread({"label": label}, video, start_s, end_s, str(path))


def _frame(box: Element, path: Path) -> int:
    return whole(box.attributes.get("frame", ""), f"{path}: line {box.line}")


def _edges(box: Element, path: Path) -> _Box:
    where = f"{path}: line {box.line}"
    return np.array([number(box.attributes.get(name, ""), where) for name in _EDGES], np.float32)

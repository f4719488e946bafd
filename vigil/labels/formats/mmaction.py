"""mmaction2's lists: `path label` of VideoDataset, `folder offset frames label` of RawframeDataset.

The second is of windows in whole videos (`with_offset=True`). Spaces divide the columns, so
whitespace and `%` in names are written as in URLs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from vigil.errors import InputError
from vigil.files import write_text
from vigil.labels.formats.reading import text_of, whole
from vigil.labels.formats.records import Footage, Record
from vigil.schema import Clip

_SUFFIX = ".mp4"
_DIVIDES = re.compile(r"[\s%\x00-\x1f]")


def write_videos(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write `<clip_id>.mp4 label` lines; see `Format`."""
    lines = [
        f"{_name(one.clip.clip_id)}{_SUFFIX} {footage.classes.index(str(one.label))}"
        for one in records
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_frames(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write `<video_id> start_frame frames label` lines; see `Format`."""
    lines = [
        f"{_name(one.clip.video_id)} {one.clip.start_frame} "
        f"{one.clip.end_frame - one.clip.start_frame} {footage.classes.index(str(one.label))}"
        for one in records
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read(path: Path, footage: Footage) -> list[Record]:
    """Read lines of either list, also `folder frames label` of clips cut apart; see `Format`."""
    windows = {(c.video_id, c.start_frame, c.end_frame): c for c in footage.clips.values()}
    found = []
    for line, text in enumerate(text_of(path).split("\n"), start=1):
        cells = text.split()
        where = f"{path}: line {line}"
        if not cells:
            continue
        if len(cells) == 4:
            clip = _window(cells, windows, footage, where)
        elif len(cells) in {2, 3}:
            clip = _cut(unquote(cells[0]), footage, where)
        else:
            raise InputError(f"{where}: expected 2 to 4 columns, got {len(cells)}")
        found.append(Record(clip, footage.label_at(cells[-1], where)))
    return found


def _name(text: str) -> str:
    return _DIVIDES.sub(lambda found: quote(found[0], safe=""), text)


def _cut(name: str, footage: Footage, where: str) -> Clip:
    """Return the clip of a file or folder that is named after it, wherever it lies."""
    last = PurePosixPath(name).name
    stem = last.removesuffix(PurePosixPath(last).suffix)
    known = [one for one in (name.removesuffix(_SUFFIX), last, stem) if one in footage.clips]
    return footage.clip(known[0] if known else name, where)


def _window(
    cells: Sequence[str],
    windows: dict[tuple[str, int, int], Clip],
    footage: Footage,
    where: str,
) -> Clip:
    video = footage.video(unquote(cells[0]), where)
    first, count = whole(cells[1], where), whole(cells[2], where)
    if (video, first, first + count) not in windows:
        raise InputError(
            f"{where}: expected a clip's frames, got {first} to {first + count} of {video}"
        )
    return windows[video, first, first + count]

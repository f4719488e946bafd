"""Files of other tools: what each holds of a judgment, and how it is written and read.

Importing never overwrites: it adds votes, and only where the annotator has none on the clip yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.errors import InputError
from vigil.labels.formats import activitynet, ava, boris, cvat, mmaction, sheet
from vigil.labels.formats.records import Footage, Record
from vigil.labels.votes import Kind

OPTIONAL = ("kind", "annotator", "reason", "span", "track_ids", "labeled_at")


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: on the command line.
        holds: which of `OPTIONAL` it keeps besides clip and label; the rest is lost.
        write: writes records to a path; a folder for `cvat`.
        read: returns the records of a path, or raises InputError with the line that is wrong.
    """

    name: str
    holds: frozenset[str]
    write: Callable[[Path, Sequence[Record], Footage], None]
    read: Callable[[Path, Footage], list[Record]]

    def held(self, record: Record) -> Record | None:
        """Return what of a record the file keeps; None where it cannot hold it at all.

        Without `kind`, judgments that give no label are left out, and decisions of reviewers are
        labels like others.
        """
        gone = {
            "annotator": {"annotator": ""},
            "reason": {"reason": ""},
            "span": {"start_s": None, "end_s": None},
            "track_ids": {"track_ids": ()},
            "labeled_at": {"labeled_at": ""},
        }
        if "kind" not in self.holds:
            if record.label is None or record.kind not in {Kind.LABEL, Kind.ADJUDICATE}:
                return None
            record = replace(record, kind=Kind.LABEL)
        for name, empty in gone.items():
            if name not in self.holds:
                record = replace(record, **empty)  # type: ignore[arg-type]
        return record

    def export(self, path: Path, records: Sequence[Record], footage: Footage) -> int:
        """Write what the file can hold of `records`; return how many those are."""
        kept = [one for one in records if self.held(one) is not None]
        if not kept:
            raise InputError(f"{path}: expected judgments that {self.name} can hold, got none")
        self.write(path, kept, footage)
        return len(kept)


_TOLD = frozenset({"annotator", "span", "track_ids", "labeled_at"})
FORMATS = {
    one.name: one
    for one in (
        Format("csv", frozenset(OPTIONAL), sheet.write, sheet.read),
        Format("mmaction2", frozenset(), mmaction.write_videos, mmaction.read),
        Format("mmaction2-frames", frozenset(), mmaction.write_frames, mmaction.read),
        Format("ava", frozenset({"track_ids"}), ava.write, ava.read),
        Format("activitynet", _TOLD, activitynet.write, activitynet.read),
        Format("boris", _TOLD, boris.write, boris.read),
        Format("cvat", _TOLD, cvat.write, cvat.read),
    )
}

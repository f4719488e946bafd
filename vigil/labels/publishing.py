"""Write a snapshot where the pipeline reads it, and nowhere where something would be lost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.config import Config, LabelingSection
from vigil.errors import InputError
from vigil.files import write_json
from vigil.labels.audit import now
from vigil.labels.migrating import head
from vigil.labels.outputs import maker_of
from vigil.labels.snapshot import Snapshot, snapshot
from vigil.labels.store import LabelStore
from vigil.paths import Paths
from vigil.schema import write_events, write_labels


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        path: the CSV of labels.
        events: the CSV of events beside it.
        sha256: of the CSV of labels.
        snapshot: what is in them.
        advice: lines of `params.yaml` to change so that the pipeline reads them; empty where it
            does.
    """

    path: Path
    events: Path
    sha256: str
    snapshot: Snapshot
    advice: tuple[str, ...]


def preview(store: LabelStore, config: Config) -> Snapshot:
    """Return what `publish` would write.

    Raises:
        InputError: a label that is no class.
    """
    settings = store.settings()
    return snapshot(
        store.votes(),
        [row.clip for row in store.clips() if not row.retired],
        config.classes,
        config.normal_class,
        settings.consensus,
        settings.min_votes,
        settings.keep_stale,
    )


def publish(store: LabelStore, config: Config, paths: Paths, actor: str) -> Published:
    """Write the CSV of `labeling.publish`, its events, and `.json` beside it.

    Args:
        store: of the project.
        config: all parameters.
        paths: of the project.
        actor: who publishes, for the audit log.

    Raises:
        InputError: nothing is settled, the place belongs to a stage, or a file lies there that
            was not published from a store.
    """
    settings = store.settings()
    target = paths.root / config.labeling.publish
    events = target.with_suffix(".events.csv")
    before = _published_before(target.with_suffix(".json"))
    for path in (target, events):
        _check_place(path, before, config, paths)
    found = preview(store, config)
    if not found.labels:
        raise InputError("publish: expected at least one settled clip, got none; nothing written")
    sums = _sums(found, target)
    facts = _facts(found, settings, (target, events), sums) | {"published_by": actor}
    # Before the CSVs: where this ends halfway, either kind of file is known as published.
    write_json(target.with_suffix(".json"), facts | {"replaces": sorted(before)})
    write_labels(target, found.labels)
    write_events(events, found.events)
    store.record(actor, "publish", {"file": config.labeling.publish, "sha256": sums[0],
                                    "rows": len(found.labels)})  # fmt: skip
    return Published(target, events, sums[0], found, _advice(target, events, paths))


def _facts(
    found: Snapshot, settings: LabelingSection, files: tuple[Path, Path], sums: tuple[str, str]
) -> dict[str, Any]:
    """Return what the JSON says of a snapshot."""
    rows = len(found.labels), len(found.events)
    return {
        "published_at": now(),
        "consensus": settings.consensus,
        "min_votes": settings.min_votes,
        "keep_stale": settings.keep_stale,
        **{
            name: {"file": file.name, "sha256": digest, "rows": count}
            for name, file, digest, count in zip(
                ("labels", "events"), files, sums, rows, strict=True
            )
        },
        "classes": dict(found.classes),
        "states": {state.value: count for state, count in found.states.items()},
        "left_out": {"stale": found.stale, "no_longer_cut": found.gone},
        "store_schema": head(),
    }


def _sums(found: Snapshot, target: Path) -> tuple[str, str]:
    """Return the sha256 of both CSVs before they are at their place."""
    trial = target.with_name(f".{target.name}.trial")
    try:
        write_labels(trial, found.labels)
        labels = hashlib.sha256(trial.read_bytes()).hexdigest()
        write_events(trial, found.events)
        return labels, hashlib.sha256(trial.read_bytes()).hexdigest()
    finally:
        trial.unlink(missing_ok=True)


def _published_before(path: Path) -> frozenset[str]:
    """Return the sha256 of files that publishing wrote here, as the JSON beside them says."""
    try:
        told: Any = json.loads(path.read_text("utf-8"))
        sums = [told["labels"]["sha256"], told["events"]["sha256"], *told["replaces"]]
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: expected what publish wrote, got {error!r:.80}") from error
    return frozenset(str(one) for one in sums)


def _check_place(path: Path, before: frozenset[str], config: Config, paths: Paths) -> None:
    maker = maker_of(path, config, paths)
    if maker:
        raise InputError(
            f"publish: {path}: expected a place that no stage writes, got an output of `{maker}`; "
            "set labeling.publish"
        )
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() not in before:
        raise InputError(
            f"publish: {path}: expected no file, or one that publish wrote, got one from elsewhere "
            "or edited since; move it away, or bring it in with `import csv`"
        )


def _advice(target: Path, events: Path, paths: Paths) -> tuple[str, ...]:
    wanted = (("labels", target, paths.labels), ("events", events, paths.events))
    return tuple(
        f"{name}: {_relative(path, paths.root)}"
        for name, path, now_read in wanted
        if now_read is None or path.resolve() != now_read.resolve()
    )


def _relative(path: Path, root: Path) -> str:
    inside = path.resolve()
    return str(inside.relative_to(root) if inside.is_relative_to(root) else inside)

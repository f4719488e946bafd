"""What `python -m stages.labels` does, action by action; each returns what people are told."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.errors import InputError, StoreError
from vigil.labels import learning_curves, publishing
from vigil.labels.exchange import bring_in, records
from vigil.labels.formats import FORMATS
from vigil.labels.formats.records import Footage
from vigil.labels.project import open_store, sync
from vigil.labels.simulation import simulate, task
from vigil.labels.store import LabelStore
from vigil.labels.users import Users
from vigil.paths import Paths


@contextmanager
def _store(config: Config, paths: Paths) -> Iterator[LabelStore]:
    """Open the project's store with the clips as they are cut now."""
    with closing(open_store(config, paths)) as store:
        sync(store, paths)
        yield store


def publish(config: Config, paths: Paths, _: Namespace) -> str:
    """Publish a snapshot; see `vigil.labels.publishing`."""
    with _store(config, paths) as store:
        found = publishing.publish(store, config, paths, getpass.getuser())
    made = found.snapshot
    shares = ", ".join(f"{count} {name}" for name, count in made.classes.items())
    states = ", ".join(f"{count} {state}" for state, count in made.states.items() if count)
    lines = [f"publish: {len(made.labels)} labels ({shares}) in {found.path}",
             f"publish: {len(made.events)} events in {found.events}",
             f"publish: of all clips {states}; left out: {made.stale} cut anew since, {made.gone} "
             f"no longer cut; sha256 {found.sha256}"]  # fmt: skip
    if found.advice:
        lines += ["publish: for the pipeline to read it, set in params.yaml under `paths`:"]
        lines += [f"  {line}" for line in found.advice]
    return "\n".join(lines)


def export(config: Config, paths: Paths, arguments: Namespace) -> str:
    """Write a file of another tool; `csv` has every standing vote, others what is settled."""
    form, path = FORMATS[arguments.format], Path(arguments.path)
    footage = Footage.of(config, paths)
    with _store(config, paths) as store:
        found = records(store, footage, whole=form.name == "csv")
    count = form.export(path, found, footage)
    left = f"; {len(found) - count} that it cannot hold left out" if len(found) > count else ""
    return f"export: {count} judgments in {path}{left}"


def bring(config: Config, paths: Paths, arguments: Namespace) -> str:
    """Add a file's judgments as votes."""
    form, path = FORMATS[arguments.format], Path(arguments.path)
    with _store(config, paths) as store:
        found = bring_in(store, form, path, Footage.of(config, paths), arguments.annotator)
    return (
        f"import: {found.added} votes by {', '.join(found.annotators)}; {found.left} left out, "
        "where the annotator has a vote already"
    )


def backup(config: Config, paths: Paths, arguments: Namespace) -> str:
    """Copy the store while people go on labeling."""
    with closing(open_store(config, paths)) as store:
        store.backup(Path(arguments.path))
    return f"backup: {arguments.path}"


def check(config: Config, paths: Paths, _: Namespace) -> str:
    """Check the store.

    Raises:
        StoreError: something is wrong with it.
    """
    with closing(open_store(config, paths)) as store:
        problems = store.check()
        count = len(store.votes())
    if problems:
        raise StoreError(f"check: expected a sound store, got {'; '.join(problems)}")
    return f"check: {count} votes, nothing wrong"


def user(config: Config, paths: Paths, arguments: Namespace) -> str:
    """List users, or add or remove one, or give one a password; it comes from standard input.

    Raises:
        InputError: no name.
    """
    what, name, actor = arguments.what, arguments.name, getpass.getuser()
    with closing(open_store(config, paths)) as store:
        users = Users(paths.users, record=store.record)
        if what == "list":
            return "\n".join(
                f"{one.name}\t{one.role}\t{'active' if one.active else 'may not sign in'}"
                for one in users.list()
            )
        if not name:
            raise InputError(f"user {what}: expected a name, got none")
        if what == "remove":
            users.remove(name, actor)
        elif what == "add":
            users.add(name, _password(name), arguments.role, actor)
        else:
            users.set_password(name, _password(name), actor)
    return f"user: {what} {name}: done"


def _password(name: str) -> str:
    """Ask twice on a terminal; else read a line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"password for {name}: ")
    if getpass.getpass("once more: ") != first:
        raise InputError("user: expected the same password twice, got two")
    return first


def rename(config: Config, paths: Paths, arguments: Namespace) -> str:
    """Say what renaming classes would change; with `--yes` do it.

    Raises:
        InputError: no pairs `old=new`.
    """
    pairs = [pair.partition("=") for pair in arguments.pairs]
    if not all(all(pair) for pair in pairs):
        raise InputError(f"rename: expected old=new, got {arguments.pairs}")
    mapping = {old: new for old, _, new in pairs}
    with closing(open_store(config, paths)) as store:
        counts = store.rename_preview(mapping)
        lines = [f"rename: {one.label}: {one.before} votes, then {one.after}" for one in counts]
        if arguments.yes:
            store.rename(mapping, getpass.getuser())
    return "\n".join([*lines, "rename: done" if arguments.yes else "rename: nothing changed yet; "
                      "--yes does it, then change `classes` in params.yaml"])  # fmt: skip


def simulation(config: Config, paths: Paths, arguments: Namespace) -> str:
    """Simulate labeling on annotations, the test split held out; write `reports/active`."""
    source = paths.dataset / "annotations.pkl"
    splits, rows = read_annotations(Path(arguments.annotations or source), embeddings=False)
    pool = [row for name in ("train", "val") for row in select(splits, rows, name)]
    normal, params = config.classes.index(config.normal_class), config.labeling.simulate
    test = select(splits, rows, "test")
    made = task(pool, test, config.dataset, normal, len(config.classes))
    curves, final = simulate(made, params)
    folder = paths.reports / "active"
    learning_curves.write(folder, curves, final, made, params)
    return (
        f"{learning_curves.table(curves, params)}\n\nsimulate: {len(pool)} clips to label, "
        f"{len(test)} to judge by; macro-F1 with all labels {final:.3f}; mean of {params.runs} "
        f"runs; {folder}"
    )

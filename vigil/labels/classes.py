"""Classes renamed and merged: recorded, and applied when votes are read; votes never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, func, insert, select, update

from vigil.errors import InputError
from vigil.labels.audit import now, record
from vigil.labels.drafts import check_text
from vigil.labels.tables import GoldTable, RenameTable, VoteTable
from vigil.labels.votes import Vote

_MOST = 200


@dataclass(frozen=True)
class Renames:
    """The recorded mappings, oldest first, each with the last vote that it speaks of."""

    steps: tuple[tuple[Mapping[str, str], int], ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    @classmethod
    def read(cls, connection: Connection) -> Self:
        """Read them from the store."""
        query = select(RenameTable.mapping, RenameTable.last_vote_id)
        rows = connection.execute(query.order_by(RenameTable.rename_id))
        return cls(tuple((row.mapping, row.last_vote_id) for row in rows))

    def name(self, label: str | None, vote_id: int) -> str | None:
        """Return what the label of a vote is called today."""
        for mapping, last in self.steps:
            if label is not None and vote_id <= last:
                label = mapping.get(label, label)
        return label


@dataclass(frozen=True)
class ClassCount:
    """A class in the preview of a rename.

    Attributes:
        label: the class.
        before: standing votes that name it now.
        after: standing votes that would.
    """

    label: str
    before: int
    after: int


def preview(votes: Sequence[Vote], mapping: Mapping[str, str]) -> list[ClassCount]:
    """Count votes per class before and after a rename.

    Args:
        votes: that stand, under today's names.
        mapping: new name by old name; several old ones with one new name are merged. All at
            once, so that two classes can change their names.

    Returns:
        One row a class that occurs before or after, sorted by name.

    Raises:
        InputError: a mapping that says nothing or names nothing.
    """
    check_mapping(mapping)
    before = Counter(vote.label for vote in votes if vote.label is not None)
    after: Counter[str] = Counter()
    for label, count in before.items():
        after[mapping.get(label, label)] += count
    names = sorted({*before, *after, *mapping, *mapping.values()})
    return [ClassCount(name, before[name], after[name]) for name in names]


def rename(connection: Connection, mapping: Mapping[str, str], actor: str) -> None:
    """Record a rename of everything said so far, and rename the gold labels.

    Args:
        connection: of a writing transaction.
        mapping: see `preview`.
        actor: who decides it.

    Raises:
        InputError: a mapping that says nothing or names nothing.
    """
    check_mapping(mapping)
    last = connection.execute(select(func.max(VoteTable.vote_id))).scalar() or 0
    row = {"mapping": dict(mapping), "last_vote_id": last, "actor": actor, "at": now()}
    connection.execute(insert(RenameTable).values(row))
    golden = connection.execute(select(GoldTable.clip_id, GoldTable.label)).all()
    for clip_id, label in golden:
        if label in mapping:
            change = update(GoldTable).where(GoldTable.clip_id == clip_id)
            connection.execute(change.values(label=mapping[label]))
    record(connection, actor, "rename", {"mapping": dict(mapping), "last_vote": last})


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse a mapping without effect or with a name that is none.

    Raises:
        InputError: says which.
    """
    if not mapping or all(old == new for old, new in mapping.items()):
        raise InputError("rename: expected at least one class with another name, got none")
    for name in [*mapping, *mapping.values()]:
        check_text("class", name, _MOST)

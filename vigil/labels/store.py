"""The label store: what people said of clips, kept for good."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import delete, func, insert, select

from vigil.config import LabelingSection, Order
from vigil.errors import InputError, NotFound
from vigil.labels import audit, casting, classes, clips_sync, queue, undo
from vigil.labels.backup import copy_sqlite
from vigil.labels.checking import check
from vigil.labels.classes import ClassCount
from vigil.labels.coverage import Progress, read_progress
from vigil.labels.database import Database
from vigil.labels.drafts import check_drafts, check_text
from vigil.labels.migrating import migrate
from vigil.labels.reading import read_votes, votes_by_id
from vigil.labels.rows import AuditRow, ClipRow, VideoRow
from vigil.labels.settings import read_settings, write_setting
from vigil.labels.standing import standing as those_standing
from vigil.labels.tables import ClipTable, GoldTable, VideoTable
from vigil.labels.votes import Draft, Vote
from vigil.schema import Clip

_MAX_TOKEN = 80  # an undo of many votes lengthens it
_MAX_NAME = 100


class LabelStore:
    """Append-only votes on clips, with everything that is decided about them.

    Safe to share between threads; several processes may open the same store. A call that changes
    something returns only when the change is on disk.

    Args:
        database: with the newest schema.
        labeling: the parameters that hold where an admin set nothing else.
    """

    def __init__(self, database: Database, labeling: LabelingSection) -> None:
        self._database = database
        self._labeling = labeling

    @classmethod
    def open(cls, url: str, labeling: LabelingSection) -> Self:
        """Open a store, make it where there is none, and bring its schema up to date.

        Args:
            url: of SQLAlchemy; see `vigil.labels.database.sqlite_url`.
            labeling: the section of `params.yaml`.

        Raises:
            InputError: not a database that can be had here.
            StoreError: it cannot be opened, or a newer vigil made it.
        """
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database, labeling)

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    # clips

    def sync_clips(self, clips: Sequence[Clip], fingerprints: Mapping[str, str]) -> None:
        """Add new clips, retire those that are gone, flag those cut anew; delete nothing.

        Args:
            clips: all clips of the project.
            fingerprints: sha256 of each video's bytes by video id; clips of a video that is not
                among them stay as they are.

        Raises:
            InputError: a clip twice.
        """
        with self._database.writing() as connection:
            clips_sync.sync_clips(connection, clips, fingerprints)

    def videos(self) -> list[VideoRow]:
        """Return the videos that have clips now, sorted by id."""
        query = (
            select(VideoTable.key, VideoTable.video_id, func.count(), func.max(ClipTable.end_s))
            .join(ClipTable, ClipTable.video_id == VideoTable.video_id)
            .where(~ClipTable.retired)
            .group_by(VideoTable.key, VideoTable.video_id)
            .order_by(VideoTable.video_id)
        )
        with self._database.reading() as connection:
            return [VideoRow(*row) for row in connection.execute(query)]

    def clips(self, video_id: str | None = None) -> list[ClipRow]:
        """Return the clips of a video, or all, in order of time; retired ones too."""
        query = select(ClipTable.__table__)
        if video_id is not None:
            query = query.where(ClipTable.video_id == video_id)
        query = query.order_by(ClipTable.video_id, ClipTable.start_s, ClipTable.end_s)
        with self._database.reading() as connection:
            return [clips_sync.as_clip_row(row._mapping) for row in connection.execute(query)]

    def clip_by_key(self, key: str) -> ClipRow:
        """Return the clip with this opaque id.

        Raises:
            NotFound: there is none.
        """
        query = select(ClipTable.__table__).where(ClipTable.key == key)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"clip: expected the key of a clip, got {key!r:.40}")
        return clips_sync.as_clip_row(row._mapping)

    def video_by_key(self, key: str) -> VideoRow:
        """Return the video with this opaque id.

        Raises:
            NotFound: there is none, or it has no clips now.
        """
        for row in self.videos():
            if row.key == key:
                return row
        raise NotFound(f"video: expected the key of a video, got {key!r:.40}")

    # votes

    def cast(self, drafts: Sequence[Draft]) -> list[Vote]:
        """Save votes, all of them or none; a token that is there already adds nothing.

        Args:
            drafts: one action: an undo takes all of it back.

        Returns:
            The votes as saved, in the drafts' order.

        Raises:
            InputError: a draft that says nothing a reader could understand.
            NotFound: an unknown clip.
            Conflict: a token that another vote has.
            StoreFull: no room is left.
            StoreError: the database failed.
        """
        check_drafts(drafts)
        with self._database.writing() as connection:
            return votes_by_id(connection, casting.cast(connection, drafts))

    def undo(self, annotator: str, token: str) -> list[Vote]:
        """Take back the annotator's last action: a key, or a whole page.

        Returns:
            The retracting votes, one for each taken back; empty where there is nothing.

        Raises:
            Conflict: the token is another vote's.
            StoreError: the database failed.
        """
        check_text("token", token, _MAX_TOKEN)
        with self._database.writing() as connection:
            return votes_by_id(connection, undo.undo(connection, annotator, token))

    def redo(self, annotator: str, token: str) -> list[Vote]:
        """Take back the last undo; nothing to redo once they decided something else.

        Returns:
            The votes that retract the undo's; empty where there is nothing.

        Raises:
            Conflict: the token is another vote's.
            StoreError: the database failed.
        """
        check_text("token", token, _MAX_TOKEN)
        with self._database.writing() as connection:
            return votes_by_id(connection, undo.redo(connection, annotator, token))

    def votes(
        self,
        clip_ids: Collection[str] | None = None,
        annotator: str | None = None,
        standing: bool = False,
    ) -> list[Vote]:
        """Return votes in the order of saving, with classes by today's names.

        Args:
            clip_ids: of these clips only.
            annotator: of this person only.
            standing: only those that count; see `vigil.labels.standing`.
        """
        with self._database.reading() as connection:
            found = read_votes(connection, clip_ids, annotator)
        return those_standing(found) if standing else found

    # work

    def assign(
        self,
        annotator: str,
        n: int,
        order: Order | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> list[ClipRow]:
        """Give an annotator up to n clips to label; see `vigil.labels.queue`.

        Args:
            annotator: who asks; gets back what they have on lease first.
            n: how many clips.
            order: None takes the setting's.
            scores: by clip id, higher ones first, for every order but `chance`.
        """
        settings = self.settings()
        if order is not None:
            settings = settings.model_copy(update={"order": order})
        return queue.assign(self._database, annotator, n, settings, scores or {})

    def progress(self, annotator: str) -> dict[str, Progress]:
        """Return by video how many clips this annotator has voted on and how many are done."""
        k = self.settings().k
        with self._database.reading() as connection:
            return read_progress(connection, annotator, k)

    def set_gold(self, clip_id: str, label: str | None, actor: str) -> None:
        """Say that a clip's label is known, or with None that it is not.

        Raises:
            NotFound: an unknown clip.
            InputError: no name of a class.
        """
        if label is not None:
            check_text("label", label, 200)
        with self._database.writing() as connection:
            casting.fingerprints(connection, [clip_id])
            connection.execute(delete(GoldTable).where(GoldTable.clip_id == clip_id))
            if label is not None:
                connection.execute(insert(GoldTable).values(clip_id=clip_id, label=label))
            audit.record(connection, actor, "gold", {"clip": clip_id, "label": label})

    def gold(self) -> dict[str, str]:
        """Return the known labels by clip id."""
        with self._database.reading() as connection:
            rows = connection.execute(select(GoldTable.clip_id, GoldTable.label))
            return {row.clip_id: row.label for row in rows}

    # settings

    def settings(self) -> LabelingSection:
        """Return the parameters with what an admin set over them."""
        with self._database.reading() as connection:
            return read_settings(connection, self._labeling)

    def setting(self, name: str) -> Any:
        """Return one parameter as it holds now.

        Raises:
            InputError: no such parameter.
        """
        if name not in LabelingSection.model_fields:
            raise InputError(f"setting: expected a field of labeling, got {name!r:.60}")
        return getattr(self.settings(), name)

    def set_setting(self, name: str, value: Any, actor: str) -> None:
        """Set one parameter for this project, whatever `params.yaml` says.

        Raises:
            InputError: no such setting, or no value for it.
        """
        with self._database.writing() as connection:
            write_setting(connection, self._labeling, name, value, actor)

    # classes

    def rename_preview(self, mapping: Mapping[str, str]) -> list[ClassCount]:
        """Count standing votes per class before and after a rename; change nothing.

        Args:
            mapping: new name by old name; one new name for several merges them.

        Raises:
            InputError: a mapping that says nothing.
        """
        return classes.preview(self.votes(standing=True), mapping)

    def rename(self, mapping: Mapping[str, str], actor: str) -> None:
        """Record that classes are called otherwise from now on; votes stay as they are.

        Raises:
            InputError: a mapping that says nothing.
        """
        with self._database.writing() as connection:
            classes.rename(connection, mapping, actor)

    # care

    def record(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """Write into the audit log what was changed outside the store: users, snapshots."""
        check_text("actor", actor, _MAX_NAME)
        with self._database.writing() as connection:
            audit.record(connection, actor, action, detail)

    def audit(self, limit: int = 100, offset: int = 0) -> list[AuditRow]:
        """Return rows of the audit log, newest first."""
        with self._database.reading() as connection:
            return audit.read(connection, limit, offset)

    def check(self) -> list[str]:
        """Return what is wrong with the store, one line each; empty where all is well."""
        return check(self._database)

    def backup(self, path: Path) -> None:
        """Write one state of the store to `path` while people go on labeling.

        Raises:
            InputError: not SQLite; use the server's own tool.
            StoreError: it cannot be written; what was there stays.
        """
        copy_sqlite(self._database, path)

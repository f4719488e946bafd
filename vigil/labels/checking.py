"""Whether a store is whole: the file, and what must hold among its rows."""

from __future__ import annotations

from sqlalchemy import Connection, text

from vigil.errors import StoreError
from vigil.labels.database import Database

_RULES = {
    "votes on clips that do not exist": (
        "SELECT count(*) FROM votes v LEFT JOIN clips c ON c.clip_id = v.clip_id "
        "WHERE c.clip_id IS NULL"
    ),
    "tokens used twice": "SELECT count(*) - count(DISTINCT token) FROM votes",
    "undos of nothing, of something later or of somebody else": (
        "SELECT count(*) FROM votes r LEFT JOIN votes v ON v.vote_id = r.retracts "
        "WHERE (r.kind = 'retract' OR r.retracts IS NOT NULL) AND (r.kind <> 'retract' OR "
        "v.vote_id IS NULL OR v.vote_id >= r.vote_id OR v.annotator <> r.annotator)"
    ),
    "votes undone twice at once": (
        "SELECT count(*) FROM (SELECT u.retracts FROM votes u LEFT JOIN votes r "
        "ON r.retracts = u.vote_id WHERE u.retracts IS NOT NULL AND r.vote_id IS NULL "
        "GROUP BY u.retracts HAVING count(*) > 1) AS doubled"
    ),
    "labels missing": (
        "SELECT count(*) FROM votes WHERE kind IN ('label', 'adjudicate') AND label IS NULL"
    ),
    "clips of videos that do not exist": (
        "SELECT count(*) FROM clips c LEFT JOIN videos v ON v.video_id = c.video_id "
        "WHERE v.video_id IS NULL"
    ),
    "renames of votes that do not exist yet": (
        "SELECT count(*) FROM renames WHERE last_vote_id > "
        "(SELECT coalesce(max(vote_id), 0) FROM votes)"
    ),
}


def check(database: Database) -> list[str]:
    """Return what is wrong with a store, one line each; empty where all is well."""
    try:
        with database.reading() as connection:
            found = _file(connection) if database.file else []
            for name, query in _RULES.items():
                count = connection.execute(text(query)).scalar() or 0
                if count:
                    found.append(f"labels: {database.name}: expected no {name}, got {count}")
    except StoreError as error:
        return [str(error)]
    return found


def _file(connection: Connection) -> list[str]:
    rows = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    broken = [f"labels: expected a sound file, got: {row}" for row in rows if row != "ok"]
    strays = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if strays:
        broken.append(f"labels: expected whole references, got {len(strays)} broken ones")
    return broken

"""What an admin changed for a running project, over what `params.yaml` says."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, delete, insert, select

from vigil.config import LabelingSection, one_line
from vigil.errors import InputError
from vigil.labels.audit import record
from vigil.labels.tables import SettingTable

FIXED = ("database", "publish", "host", "port", "oidc_roles")  # for who has the machine alone


def read_settings(connection: Connection, base: LabelingSection) -> LabelingSection:
    """Return the parameters with what was set over them; what no longer fits is passed over."""
    merged = base
    for row in connection.execute(select(SettingTable.name, SettingTable.value)):
        try:
            merged = _with(merged, row.name, row.value)
        except InputError:
            continue
    return merged


def write_setting(
    connection: Connection, base: LabelingSection, name: str, value: Any, actor: str
) -> None:
    """Set one parameter for this project.

    Args:
        connection: of a writing transaction.
        base: what `params.yaml` says.
        name: a field of `LabelingSection`.
        value: JSON value that the field takes.
        actor: who sets it.

    Raises:
        InputError: no such setting, or no value for it.
    """
    before = getattr(read_settings(connection, base), name, None)
    plain = _with(base, name, value).model_dump(mode="json")[name]
    connection.execute(delete(SettingTable).where(SettingTable.name == name))
    connection.execute(insert(SettingTable).values(name=name, value=plain))
    record(connection, actor, "setting", {"name": name, "before": _plain(before), "after": plain})


def _with(section: LabelingSection, name: str, value: Any) -> LabelingSection:
    known = sorted(set(LabelingSection.model_fields) - set(FIXED))
    if name not in known:
        raise InputError(f"setting: expected one of {', '.join(known)}, got {name!r:.60}")
    try:
        return LabelingSection.model_validate(section.model_dump() | {name: value})
    except ValidationError as error:
        raise InputError(f"setting: {one_line(error)}") from error


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

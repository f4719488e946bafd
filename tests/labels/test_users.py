"""Names, roles and passwords lie in a file that only its owner reads and that is never half."""

from __future__ import annotations

import json
import statistics
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from vigil.errors import Conflict, InputError, NotFound
from vigil.labels import users as module
from vigil.labels.store import LabelStore
from vigil.labels.user_file import ROLES
from vigil.labels.users import Users

SECRET = "correct horse"  # noqa: S105


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost little; what they cost in earnest has a test of its own."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(module, "PasswordHasher", cheap)


@pytest.fixture
def users(tmp_path: Path, quick: None) -> Users:
    found = Users(tmp_path / "labeling" / "users.json")
    found.add("boss", SECRET, "admin")
    found.add("김민수", SECRET, "annotator")
    return found


def test_the_right_password_signs_in_and_no_other(users: Users) -> None:
    kim = users.verify("김민수", SECRET)
    assert kim is not None
    assert (kim.name, kim.role) == ("김민수", "annotator")
    assert users.verify("김민수", SECRET + " ") is None
    assert users.verify("nobody", SECRET) is None
    assert users.verify("BOSS", SECRET) is None
    assert users.verify("boss", "\ud800") is None


def test_roles_include_those_below(users: Users) -> None:
    boss, kim = users.get("boss"), users.get("김민수")
    assert boss is not None
    assert kim is not None
    assert [boss.may(role) for role in ROLES] == [True, True, True]
    assert [kim.may(role) for role in ROLES] == [True, False, False]


def test_the_file_holds_no_password_and_is_its_owners_alone(users: Users, tmp_path: Path) -> None:
    path = tmp_path / "labeling" / "users.json"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text("utf-8")
    assert SECRET not in text
    assert text.count("$argon2id$") == 2


def test_a_file_that_others_may_read_is_refused(users: Users, tmp_path: Path) -> None:
    (tmp_path / "labeling" / "users.json").chmod(0o644)
    with pytest.raises(InputError, match="owner alone"):
        users.list()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2, "users": []}', "\xff"])
def test_a_damaged_file_is_an_error_and_never_a_file_without_users(
    users: Users, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "labeling" / "users.json"
    path.write_bytes(content.encode("latin-1"))
    assert users.exist()
    with pytest.raises(InputError, match="expected a file of users"):
        users.verify("boss", SECRET)
    with pytest.raises(InputError):
        users.add("new", SECRET, "admin")
    assert path.read_bytes() == content.encode("latin-1")


def test_somebody_deactivated_signs_in_no_more_and_comes_back(users: Users) -> None:
    before = users.get("김민수")
    after = users.set_active("김민수", False)
    assert before is not None
    assert before.stamp != after.stamp
    assert users.verify("김민수", SECRET) is None
    users.set_active("김민수", True)
    assert users.verify("김민수", SECRET) is not None


def test_a_new_password_ends_the_old_one(users: Users) -> None:
    users.set_password("김민수", "another one")
    assert users.verify("김민수", SECRET) is None
    assert users.verify("김민수", "another one") is not None


def test_the_last_admin_stays(users: Users) -> None:
    for change in (
        lambda: users.remove("boss"),
        lambda: users.set_role("boss", "reviewer"),
        lambda: users.set_active("boss", False),
    ):
        with pytest.raises(Conflict, match="admin"):
            change()
    users.set_role("김민수", "admin")
    users.remove("boss")
    assert [user.name for user in users.list()] == ["김민수"]


def test_names_and_passwords_are_checked(users: Users) -> None:
    with pytest.raises(Conflict):
        users.add("Boss", SECRET, "annotator")
    for name in ("", " kim", "a\nb", "x" * 101, "\u202ekim"):
        with pytest.raises(InputError):
            users.add(name, SECRET, "annotator")
    with pytest.raises(InputError, match="password"):
        users.add("new", "short", "annotator")
    with pytest.raises(InputError, match="role"):
        users.add("new", SECRET, "god")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        users.set_password("nobody", SECRET)


def test_changes_go_into_the_audit_log_without_passwords(store: LabelStore, tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json", store.record)
    users.add("boss", SECRET, "admin", actor="root")
    users.set_password("boss", "another one", actor="boss")
    rows = store.audit()
    assert [(row.actor, row.action) for row in rows] == [
        ("boss", "user password"),
        ("root", "user add"),
    ]
    assert "another" not in json.dumps([dict(row.detail) for row in rows])


def test_people_added_at_once_are_all_there(users: Users, tmp_path: Path) -> None:
    other = Users(tmp_path / "labeling" / "users.json")
    threads = [
        threading.Thread(target=(users, other)[n % 2].add, args=(f"p{n}", SECRET, "annotator"))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users.list()) == 8


def test_weak_hashes_of_old_are_made_strong_at_the_next_sign_in(
    users: Users, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PasswordHasher", PasswordHasher)
    path = tmp_path / "labeling" / "users.json"
    before = users.get("boss")
    assert "m=8," in path.read_text("utf-8")
    assert Users(path).verify("boss", SECRET) == before
    assert path.read_text("utf-8").count("m=65536,") == 1
    assert users.verify("boss", SECRET) is not None


@pytest.mark.slow
def test_an_unknown_name_takes_as_long_as_a_wrong_password(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    users.add("boss", SECRET, "admin")

    def seconds(name: str) -> float:
        began = time.process_time()
        assert users.verify(name, "wrong password") is None
        return time.process_time() - began

    def nothing() -> float:
        began = time.process_time()
        assert users.get("nobody") is None
        return time.process_time() - began

    users.verify("nobody", "wrong")
    idle = statistics.median(nothing() for _ in range(5))
    known = statistics.median(seconds("boss") for _ in range(5))
    unknown = statistics.median(seconds("nobody") for _ in range(5))
    assert known > 5 * idle, "nothing was hashed: nothing was proved"
    assert 0.3 < unknown / known < 3

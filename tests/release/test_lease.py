"""A mark that is renewed: one holder at a time, and none that is dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from vigil.errors import Conflict, InputError, ServerUnavailable
from vigil.release import lease
from vigil.release.lease import Mark, leased


class Store:
    """One object with a tag; `down` while it does not answer."""

    def __init__(self) -> None:
        self.tag: str | None = None
        self.writes, self.down, self.lock = 0, False, threading.Lock()

    def write(self, seen: str | None) -> str:
        with self.lock:
            if self.down:
                raise ServerUnavailable("store: it does not answer")
            if self.tag != seen:
                raise Conflict("store: another came first")
            self.writes += 1
            self.tag = str(self.writes)
            return self.tag

    def remove(self) -> None:
        self.tag = None

    @property
    def mark(self) -> Mark:
        return Mark(lambda: self.tag, self.write, self.remove)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_RENEW_S", 0.02), ("_LOST_S", 0.3), ("_REST_S", 0.6)):
        monkeypatch.setattr(lease, name, seconds)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_held_mark_is_renewed_refused_to_others_and_removed_at_the_end() -> None:
    store = Store()
    with leased(store.mark, "here", "trial") as held:
        with (
            pytest.raises(InputError, match="here: another trial is under way"),
            leased(store.mark, "here", "trial"),
        ):
            pass
        until(lambda: store.writes > 3)
        assert held()
    assert store.tag is None


def test_a_mark_whose_holder_is_gone_is_taken_after_a_while() -> None:
    store = Store()
    store.write(None)
    began = time.monotonic()
    with leased(store.mark, "here", "trial") as held:
        assert time.monotonic() - began >= 0.6
        assert held()


def test_a_mark_that_its_holder_gives_back_meanwhile_is_taken_at_once() -> None:
    store = Store()
    store.write(None)
    threading.Timer(0.1, store.remove).start()
    began = time.monotonic()
    with leased(store.mark, "here", "trial"):
        assert time.monotonic() - began < 0.6


def test_who_cannot_renew_it_has_lost_it_before_another_may_take_it() -> None:
    store = Store()
    with leased(store.mark, "here", "trial") as held:
        store.down = True
        began = time.monotonic()
        until(lambda: not held())
        assert time.monotonic() - began < 0.6
        store.tag = "of another"
    assert store.tag == "of another", "what was lost is not removed"


def test_who_is_overtaken_notices() -> None:
    store = Store()
    with leased(store.mark, "here", "trial") as held:
        store.tag = "of another"
        until(lambda: not held())
    assert store.tag == "of another"

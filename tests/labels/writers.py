"""What processes of the crash and load tests run; they are killed without warning."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import Connection

from tests.labels.stores import draft, labeling
from vigil.labels.store import LabelStore
from vigil.labels.votes import Draft


def label_until_killed(url: str, run: int, clip_ids: Sequence[str], acks: Connection) -> None:
    """Cast pages of three votes for ever; say each action's first token once it is saved."""
    store = LabelStore.open(url, labeling())
    number = 0
    while True:
        tokens = [f"{run}-{number}-{place}" for place in range(3)]
        page = [draft(clip_ids[place], token=token) for place, token in enumerate(tokens)]
        store.cast(page)
        acks.send(tokens[0])
        number += 1


def label_many(
    url: str, name: str, n: int, clip_ids: Sequence[str], also: str, acks: Connection
) -> None:
    """Cast n votes one by one, and every tenth once more; repeat some of somebody else's."""
    store = LabelStore.open(url, labeling())
    saved = []
    for number in range(n):
        (vote,) = store.cast([vote_of(name, number, clip_ids)])
        saved.append((vote.token, vote.vote_id))
        if number % 10 == 0:
            saved += [
                (vote.token, vote.vote_id)
                for who in (name, also)
                for vote in store.cast([vote_of(who, number, clip_ids)])
            ]
    acks.send(saved)
    store.close()


def vote_of(name: str, number: int, clip_ids: Sequence[str]) -> Draft:
    """Return the `number`th vote of a person; the same for whoever sends it."""
    clip = clip_ids[number % len(clip_ids)]
    return draft(clip, ("a", "b")[number % 2], by=name, token=f"{name}-{number}")

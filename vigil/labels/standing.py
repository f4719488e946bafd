"""Which votes of a history stand."""

from __future__ import annotations

from collections.abc import Sequence

from vigil.labels.votes import Kind, Vote


def standing(votes: Sequence[Vote]) -> list[Vote]:
    """Return, of whole histories, the votes that stand.

    That is per clip and annotator the newest vote that is not undone and, apart from it, the
    newest decision as a reviewer: who adjudicates has still voted.

    Args:
        votes: all of some clips, or all of some annotators.
    """
    undos = {vote.vote_id for vote in votes if vote.kind is Kind.RETRACT}
    redone = {vote.retracts for vote in votes if vote.retracts in undos}
    holding = undos - redone
    undone = {vote.retracts for vote in votes if vote.vote_id in holding}
    newest: dict[tuple[str, str, bool], Vote] = {}
    for vote in sorted(votes, key=lambda vote: vote.vote_id):
        if vote.kind is not Kind.RETRACT and vote.vote_id not in undone:
            newest[vote.clip_id, vote.annotator, vote.kind is Kind.ADJUDICATE] = vote
    return sorted(newest.values(), key=lambda vote: vote.vote_id)

"""What the votes on a clip come to: computed whenever it is asked, never stored over the votes.

A ballot is an annotator's newest standing vote on a clip. One that names a label speaks for it;
`unsure` and `skip` speak for no label, but they count as having looked: where enough people have
looked and no label follows, the clip is disputed and a reviewer decides. A reviewer's adjudication
stands above every ballot, also above later ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from vigil.labels.standing import standing
from vigil.labels.votes import Kind, Vote

Rule = Literal["majority", "unanimous", "first"]


class State(StrEnum):
    """How far a clip is."""

    UNLABELED = "unlabeled"  # no ballot
    PARTIAL = "partial"  # fewer ballots than wanted
    AGREED = "agreed"  # the rule gives a label
    DISPUTED = "disputed"  # enough ballots, and the rule gives none
    ADJUDICATED = "adjudicated"  # a reviewer has decided
    SKIPPED = "skipped"  # everybody who looked skipped it


@dataclass(frozen=True)
class Verdict:
    """What stands for one clip.

    Attributes:
        clip_id: the clip.
        label: what it shows; None where nothing is settled, or where a reviewer left it out.
        state: how far it is.
        votes: the ballots, or the adjudication alone where there is one; ascending by `vote_id`.
        stale: a vote that the label rests on was cast on a clip that has been cut anew since.
    """

    clip_id: str
    label: str | None
    state: State
    votes: tuple[Vote, ...]
    stale: bool

    @property
    def support(self) -> tuple[Vote, ...]:
        """The votes that the label rests on."""
        if self.label is None:
            return ()
        return tuple(vote for vote in self.votes if vote.label == self.label and _speaks(vote))


def settle(
    votes: Iterable[Vote], rule: Rule, min_votes: int, clip_ids: Iterable[str] = ()
) -> dict[str, Verdict]:
    """Settle every clip that has votes.

    `majority`: the label with more ballots than any other; a tie is disputed. `unanimous`: every
    ballot names the same label. `first`: the label of the earliest ballot that names one.

    Args:
        votes: of any clips and annotators, in any order.
        rule: see above.
        min_votes: ballots with a label that an agreed clip has at least.
        clip_ids: clips that appear in the result even without a vote.

    Returns:
        A verdict per clip: those of `clip_ids` in their order, then the others.
    """
    by_clip: dict[str, list[Vote]] = {clip_id: [] for clip_id in clip_ids}
    for vote in standing(list(votes)):
        by_clip.setdefault(vote.clip_id, []).append(vote)
    return {clip_id: _verdict(clip_id, own, rule, min_votes) for clip_id, own in by_clip.items()}


def _verdict(clip_id: str, votes: Sequence[Vote], rule: Rule, min_votes: int) -> Verdict:
    for vote in reversed(votes):
        if vote.kind is Kind.ADJUDICATE:
            return Verdict(clip_id, vote.label, State.ADJUDICATED, (vote,), vote.stale)
    label, state = _decide(votes, rule, min_votes)
    used = [vote for vote in votes if label is None or (vote.label == label and _speaks(vote))]
    return Verdict(clip_id, label, state, tuple(votes), any(vote.stale for vote in used))


def _decide(ballots: Sequence[Vote], rule: Rule, min_votes: int) -> tuple[str | None, State]:
    if not ballots:
        return None, State.UNLABELED
    if len(ballots) < min_votes:
        return None, State.PARTIAL
    if all(vote.kind is Kind.SKIP for vote in ballots):
        return None, State.SKIPPED
    names = [vote.label for vote in ballots if _speaks(vote) and vote.label is not None]
    label = _choose(names, len(ballots), rule) if len(names) >= min_votes else None
    return label, State.DISPUTED if label is None else State.AGREED


def _choose(names: Sequence[str], ballots: int, rule: Rule) -> str | None:
    """Return the label that `names`, in the order of voting, give; None where they give none."""
    if rule == "first":
        return names[0]
    (winner, count), *others = Counter(names).most_common(2)
    if rule == "unanimous":
        return winner if count == ballots else None
    return None if others and others[0][1] == count else winner


def _speaks(vote: Vote) -> bool:
    """Say whether the vote names a label for its clip."""
    return vote.kind in {Kind.LABEL, Kind.ADJUDICATE}


def counts(verdicts: Iterable[Verdict]) -> dict[State, int]:
    """Count the clips in each state, every state named."""
    found = Counter(verdict.state for verdict in verdicts)
    return {state: found[state] for state in State}

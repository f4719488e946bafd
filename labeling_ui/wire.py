"""What the browser and the API say to each other: checked on the way in, plain on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request

from labeling_ui.body import read_body
from vigil.config import one_line
from vigil.errors import InputError
from vigil.labels.audit import ago
from vigil.labels.rows import ClipRow
from vigil.labels.votes import Draft, Kind, Source, Vote

MOST_VOTES = 100  # in one request: a page and then some
_MOST_BYTES = 256 << 10
_MOST_PERSONS = 100
_FRESH_S = 1.0  # a vote that was sent so soon was decided when it is saved
_SLACK_S = 1e-3  # a browser's clock on a video rounds to milliseconds

Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]
Age = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
TrackId = Annotated[int, Field(ge=0, lt=2**31)]


class Body(BaseModel):
    """Base of what browsers send: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Judgment(Body):
    """What one person says of one clip, `age_s` seconds after it was decided."""

    token: Token
    clip: Key
    label: Text | None = None
    reason: Text = ""
    start_s: Moment | None = None
    end_s: Moment | None = None
    track_ids: tuple[TrackId, ...] = Field(default=(), max_length=_MOST_PERSONS, strict=False)
    age_s: Age = 0.0

    @model_validator(mode="after")
    def _has_both_times(self) -> Self:
        if (self.start_s is None) != (self.end_s is None):
            raise ValueError("expected both start_s and end_s, or neither")
        return self


class Decision(Judgment):
    """A reviewer's decision."""

    label: Annotated[str, Field(min_length=1, max_length=200)]


class Ballot(Judgment):
    """One vote as a browser sends it; see `vigil.labels.votes.Draft`."""

    kind: str = Field(pattern="^(label|unsure|skip)$")
    source: str = Field(default="person", pattern="^(person|page|accepted|accepted_page)$")
    suggested: Text | None = None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "label" and not self.label:
            raise ValueError("label: expected a class")
        if self.kind == "skip" and (self.label or not self.reason.strip()):
            raise ValueError("skip: expected a reason and no label")
        return self


_J = TypeVar("_J", bound=Judgment)


class Action(Body, Generic[_J]):
    """All that is said by one action, e.g. of a whole page."""

    votes: tuple[_J, ...] = Field(min_length=1, max_length=MOST_VOTES, strict=False)

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        if len({vote.token for vote in self.votes}) != len(self.votes):
            raise ValueError("votes: expected a token of its own for each")
        return self


class Undo(Body):
    """A wish to take back, or to do again, the newest action; the token makes it once."""

    token: Token


_B = TypeVar("_B", bound=Body)


async def parse(request: Request, kind: type[_B]) -> _B:
    """Read and check a JSON body.

    Raises:
        HTTPException: too long, or not JSON.
        InputError: not what was expected, in one line.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "expected application/json")
    body = await read_body(request, _MOST_BYTES)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InputError(one_line(error)[:500]) from error


def draft(
    vote: Judgment, row: ClipRow, annotator: str, classes: Sequence[str],
    persons: frozenset[int],
) -> Draft:  # fmt: skip
    """Return a vote for the store, checked against its clip.

    Args:
        vote: of a browser.
        row: the clip it names.
        annotator: who is signed in.
        classes: labels that may be given.
        persons: track ids in the clip.

    Raises:
        InputError: a label that is no class, moments outside the clip, persons not in it.
    """
    for name in (vote.label, vote.suggested if isinstance(vote, Ballot) else None):
        if name is not None and name not in classes:
            raise InputError(f"label: expected one of {list(classes)}, got {name!r}")
    clip = row.clip
    if vote.start_s is not None and vote.end_s is not None:
        begin, end = clip.start_s - _SLACK_S, clip.end_s + _SLACK_S
        if not begin <= vote.start_s < vote.end_s <= end:
            raise InputError(
                f"start_s, end_s: expected moments of the clip, {clip.start_s:g} to "
                f"{clip.end_s:g} s, in order, got {vote.start_s:g} and {vote.end_s:g}"
            )
    strangers = sorted(set(vote.track_ids) - persons)
    if strangers:
        raise InputError(f"track_ids: expected persons of the clip, got {strangers}")
    common: dict[str, Any] = {
        "token": vote.token, "clip_id": clip.clip_id, "annotator": annotator,
        "label": vote.label, "reason": vote.reason.strip(),
        "start_s": vote.start_s, "end_s": vote.end_s,
        "track_ids": tuple(sorted(set(vote.track_ids))),
        "decided_at": ago(vote.age_s) if vote.age_s > _FRESH_S else "",
    }  # fmt: skip
    if not isinstance(vote, Ballot):
        return Draft(kind=Kind.ADJUDICATE, **common)
    return Draft(kind=Kind(vote.kind), source=Source(vote.source), suggested=vote.suggested,
                 seconds=vote.seconds, **common)  # fmt: skip


def vote_json(vote: Vote) -> dict[str, Any]:
    """Return a vote as a browser gets it: whose it is stays here."""
    return {
        "token": vote.token,
        "vote_id": vote.vote_id,
        "voted_at": vote.voted_at,
        "kind": vote.kind.value,
        "label": vote.label,
        "reason": vote.reason,
        "start_s": vote.start_s,
        "end_s": vote.end_s,
        "track_ids": list(vote.track_ids),
        "source": vote.source.value,
        "suggested": vote.suggested,
        "stale": vote.stale,
    }

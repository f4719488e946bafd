"""The section of the labeling UI, its work queue and the snapshots it publishes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.config.active import ActiveSection, SimulateSection
from vigil.config.base import Fraction, Section

Order = Literal["chance", "uncertainty", "disagreement", "suspicion"]
Role = Literal["annotator", "reviewer", "admin"]
Consensus = Literal["majority", "unanimous", "first"]
Key = Annotated[str, Field(pattern=r"^[0-9a-z]$")]
Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Reason = Annotated[str, Field(min_length=1, max_length=200)]


class LabelingSection(Section):
    """`make label`; an admin may change each of these for a running project, in its store."""

    database: str = Field(description="URL of the store; '': SQLite in paths.labeling")
    publish: str = Field(description="CSV that a published snapshot is written to")
    host: str = Field(description="address to listen on; beyond loopback only with users")
    hosts: tuple[str, ...] = Field(
        description="names by which browsers reach the server beyond loopback; others are refused"
    )
    port: int = Field(ge=0, le=65535, description="0 takes a free port")
    session_hours: float = Field(gt=0, le=8760, description="how long a sign-in lasts")
    oidc_roles: dict[str, Role] = Field(description="role by e-mail address of the OIDC provider")
    keys: dict[str, Key] = Field(description="key by class; classes without one take 1-9 in order")
    colors: dict[str, Color] = Field(description="color by class; others take one of a palette")
    skip_reasons: tuple[Reason, ...] = Field(min_length=1, description="why a clip is skipped")
    page_size: int = Field(ge=1, le=60, description="clips on a page")
    silhouette_first: bool = Field(description="show the masked video unless asked for the raw one")
    suggestions: str = Field(description="system of data/suggestions.csv that suggests; '': none")
    show_suggestions: bool = Field(description="false: hidden, so that nobody is anchored")
    accept_above: Fraction = Field(description="least probability that accept-all takes")
    k: int = Field(ge=1, le=20, description="annotators each clip is given to")
    order: Order = Field(description="of the work queue")
    gold_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        description="of a queue: clips with a known answer, to measure annotators"
    )
    lease_s: float = Field(ge=10, le=86_400, description="how long a clip is kept for somebody")
    seed: int = Field(ge=0, description="random seed of each annotator's order")
    consensus: Consensus = Field(description="which of the votes becomes the label")
    min_votes: int = Field(ge=1, le=20, description="votes that a label needs at least")
    keep_stale: bool = Field(description="publish labels of clips that were cut anew since, too")
    active: ActiveSection
    simulate: SimulateSection

    @model_validator(mode="after")
    def _keys_are_distinct(self) -> LabelingSection:
        if len(set(self.keys.values())) != len(self.keys):
            raise ValueError(f"keys: expected a key for one class each, got {self.keys}")
        return self

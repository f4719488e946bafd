"""Sections of active learning: what the queue's orders mean, and the simulation behind them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vigil.config.base import Fraction, Section

Strategy = Literal["random", "entropy", "margin", "vote_entropy", "divergence", "suspicion"]
Spread = Literal["none", "video", "relevance", "k_center"]


class ActiveSection(Section):
    """How the work queue's orders besides `chance` rank clips; see `vigil.labels.active`."""

    uncertainty: Literal["entropy", "margin"] = Field(description="what that order goes by")
    disagreement: Literal["vote_entropy", "divergence"] = Field(
        description="what that order goes by, over the systems that suggest"
    )
    spread: Spread = Field(description="what keeps clips apart that show nearly the same")
    spread_weight: Fraction = Field(description="of being unlike, against telling much")


class SimulateSection(Section):
    """`labels simulate`: how many labels each strategy needs."""

    start: int = Field(ge=1, description="labels by chance that every strategy begins with")
    batch: int = Field(ge=1, description="labels between two trainings")
    runs: int = Field(ge=2, le=1000, description="repetitions, each with its own seed")
    members: int = Field(ge=2, le=50, description="of the committee, trained on resampled labels")
    penalty: float = Field(gt=0, description="inverse strength of the regularization")
    share: Fraction = Field(description="of the macro-F1 with all labels that is to be reached")
    strategies: tuple[tuple[Strategy, Spread, Fraction], ...] = Field(
        min_length=1, description="how clips are ranked, how kept apart, and with which weight"
    )
    seed: int = Field(ge=0)

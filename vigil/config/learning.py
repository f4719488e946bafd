"""Sections of what a recognizer is given and how it is trained and tuned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.config.base import Fraction, Section


class DatasetSection(Section):
    """Stage `dataset`: what a recognizer is given, and the splits."""

    clip_len: int = Field(ge=8, le=400, description="frames T sampled from each clip; paper: 100")
    max_persons: int = Field(ge=1, le=10, description="persons M kept per clip")
    sampling: Literal["loop", "stretch"] = Field(
        description="a clip shorter than clip_len is repeated (paper) or stretched"
    )
    split: tuple[Fraction, Fraction, Fraction] = Field(
        description="wanted shares of clips in train, val and test; groups stay whole"
    )
    folds: Literal[0, 3, 4, 5, 6, 7, 8, 9, 10] = Field(
        description="cross-validation splits beside the three; 0: none"
    )
    seed: int = Field(ge=0, description="random seed of the splits")

    @model_validator(mode="after")
    def _split_is_whole(self) -> DatasetSection:
        if abs(sum(self.split) - 1) > 1e-6 or not self.split[0]:
            raise ValueError(f"split: expected shares that sum to 1, train above 0: {self.split}")
        return self


class AugmentSection(Section):
    """Random changes of the training clips; every 0 switches one off."""

    flip: Fraction = Field(description="probability of mirroring, left and right swapped")
    rotate_deg: float = Field(ge=0, le=45, description="largest rotation of the whole clip")
    scale: float = Field(ge=0, lt=1, description="largest relative change of size, per axis")
    jitter: float = Field(ge=0, le=0.2, description="noise per joint, in body extents")
    drop_joint: Fraction = Field(description="share of single joints that go missing")
    drop_span: Fraction = Field(description="probability that a limb goes missing for a while")
    crop: float = Field(ge=0, lt=1, description="largest share of the clip's time cut off")
    time_scale: float = Field(ge=0, le=1, description="largest relative change of the clip's speed")
    offset: float = Field(ge=0, le=0.5, description="largest shift in time, as share of the clip")
    roll: Fraction = Field(
        default=0.0, description="probability that the clip's end is put before its beginning"
    )


class LossSection(Section):
    """The classification loss."""

    weights: Literal["none", "inverse", "effective"] = Field(
        description="classes weighed by 1 / clips, by effective number of clips, or alike"
    )
    beta: float = Field(gt=0, lt=1, description="of effective (Cui et al., 2019); useful from 0.99")
    focal_gamma: float = Field(ge=0, le=10, description="focal loss (Lin et al., 2017); 0: off")


class TrainSection(Section):
    """Stage `train`: one recognizer's training, `train.all` with `train.<name>` laid over it."""

    threads: int = Field(ge=1, description="CPU threads; small networks gain nothing from more")
    epochs: int = Field(ge=1, le=2000, description="passes over the training clips")
    batch_size: int = Field(ge=2, le=1024, description="clips per step, over all processes")
    lr: float = Field(gt=0, le=10, description="highest learning rate; cosine to 0")
    warmup_epochs: int = Field(ge=0, description="epochs of linear rise to lr")
    optimizer: Literal["sgd", "adamw"] = Field(
        description="sgd: Nesterov momentum 0.9, the paper's"
    )
    weight_decay: float = Field(ge=0, le=1, description="L2 penalty (adamw: decoupled)")
    clip_grad: float = Field(ge=0, description="largest gradient norm; 0: no limit")
    label_smoothing: Fraction = Field(description="share of the target spread over all classes")
    loss: LossSection
    ema_momentum: Fraction = Field(description="averaging of weights per step; 0: off")
    settle_batches: int = Field(
        ge=1, le=100_000,
        description="at most so many batches of 2 batch_size clips to 4 measure the statistics "
        "of normalization that a network is judged and saved with",
    )  # fmt: skip
    select: Literal["last", "best"] = Field(description="weights to keep: last, or best val loss")
    patience_epochs: int = Field(ge=0, description="stop so long after the best val loss; 0: never")
    calibrate: bool = Field(
        description="divide the logits by a temperature learned on the validation clips"
    )
    amp: bool = Field(description="float16 where it is safe, on CUDA only")
    compile: bool = Field(description="torch.compile of the training step, on CUDA only")
    init: str = Field(
        description="weights to begin with: demo/<name> as shipped, a trained model's folder, or ''"
    )
    anchor: float = Field(
        ge=0, le=10, description="pull towards the weights of init (L2-SP); 0: none"
    )
    seed: int = Field(ge=0, description="random seed of weights, order and augmentation")
    augment: AugmentSection


class TuneRange(Section):
    """Numbers to search between."""

    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(description="search the orders of magnitude evenly; needs low above 0")

    @model_validator(mode="after")
    def _is_a_range(self) -> TuneRange:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected low below high, above 0 where log: {self.low}, {self.high}")
        return self


class TuneChoices(Section):
    """Values to choose from."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1, description="the values")


class TuneSection(Section):
    """`make tune`: a search for training parameters."""

    trials: int = Field(ge=1, le=10_000, description="trainings, those of earlier calls included")
    metric: Literal["macro_f1", "auc"] = Field(description="what of the validation clips to raise")
    seed: int = Field(ge=0, description="random seed of the search")
    space: dict[
        Annotated[str, Field(pattern=r"^(train|models)(\.[a-z][a-z0-9_]*)+$")],
        TuneRange | TuneChoices,
    ] = Field(
        min_length=1, description="`train.<key>` or `models.<key>` of the recognizer: where to look"
    )

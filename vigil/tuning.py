"""Search training parameters with Optuna: each trial is a training, judged on validation clips.

The study lies in an SQLite file, so a search that was killed goes on, and the training it was
killed in continues from its last checkpoint. One search at a time works on a study.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, TuneRange
from vigil.dataset import read_annotations, select
from vigil.errors import InputError
from vigil.evaluation import predict
from vigil.schema import write_text
from vigil.training import key, train

if TYPE_CHECKING:
    import optuna

_DIGITS = 4  # of a searched number; what is printed is what was tried


@dataclass(frozen=True)
class Tried:
    """One finished trial.

    Attributes:
        number: of the trial; 0 tries what the parameter file says, unless that is `outside`.
        value: the metric on the validation clips.
        values: the searched parameters.
        seconds: that it took.
    """

    number: int
    value: float
    values: dict[str, Any]
    seconds: float


def tune(
    name: str,
    config: Config,
    annotations: Path,
    work: Path,
    say: Callable[[str], None] = lambda _: None,
) -> list[Tried]:
    """Try as many parameters as `tune.trials` says, earlier calls' included.

    Args:
        name: the recognizer.
        config: all parameters; `tune.space` says what is searched, the rest stays.
        annotations: the annotation file; only its train and val clips are looked at.
        work: folder of the study and of the trainings.
        say: receives a line per trial.

    Returns:
        The finished trials, best first.

    Raises:
        InputError: no validation clip of some class that the metric needs, an unknown parameter, or
            values out of range.
    """
    validation, labels = _validation(config, annotations)
    config.override(name, _present(name, config))
    study = _study(name, config, annotations, work)
    while len(_finished(study)) < config.tune.trials:
        trial = study.ask()
        values = _from_nothing(name, config, _suggest(trial, config))
        changed, started_s = config.override(name, values), time.monotonic()
        folder = work / study.study_name / f"trial_{trial.number}"
        train(name, changed, annotations, folder, work / study.study_name)
        value = score(predict(folder, validation), labels, config)
        trial.set_user_attr("values", values)
        trial.set_user_attr("seconds", round(time.monotonic() - started_s, 1))
        study.tell(trial, value)
        shown = ", ".join(f"{k} {v}" for k, v in values.items())
        say(f"trial {trial.number}: {config.tune.metric} {value:.4f} with {shown}")
    tried = [
        Tried(t.number, float(t.value or 0.0), t.user_attrs["values"], t.user_attrs["seconds"])
        for t in _finished(study)
    ]
    return sorted(tried, key=lambda one: (-one.value, one.number))


def _validation(
    config: Config, annotations: Path
) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
    """Return the validation clips and their labels; refuse such as the metric is not defined on."""
    splits, rows = read_annotations(annotations)
    validation = select(splits, rows, "val")
    labels = np.array([row["label"] for row in validation], np.int64)
    event = labels != config.classes.index(config.normal_class)
    if not len(labels) or (config.tune.metric == "auc" and len(set(event)) < 2):
        raise InputError(f"tune: {config.tune.metric}: expected validation clips of both kinds")
    return validation, labels


def score(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], config: Config
) -> float:
    """Return the metric to raise.

    Args:
        probabilities: (N, classes).
        labels: (N,) true classes.
        config: `tune.metric` and the classes.
    """
    from sklearn.metrics import f1_score, roc_auc_score

    if config.tune.metric == "auc":
        normal = config.classes.index(config.normal_class)
        return float(roc_auc_score(labels != normal, 1.0 - probabilities[:, normal]))
    return float(f1_score(labels, probabilities.argmax(1), average="macro"))


def current(config: Config, name: str, parameter: str) -> Any:
    """Return what `parameter`, as `tune.space` names it, is for the recognizer `name`.

    Raises:
        InputError: there is no such parameter.
    """
    section, *parts = parameter.split(".")
    params = config.training(name) if section == "train" else config.models[name]
    value: Any = params.model_dump()
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            raise InputError(f"tune: space: expected parameters of {name}, got {parameter}")
        value = value[part]
    return value


def command(name: str, values: dict[str, Any]) -> str:
    """Return the command that runs the pipeline with `values`; `++` adds a key or replaces it."""
    settings = []
    for parameter, value in values.items():
        section, _, rest = parameter.partition(".")
        settings.append(f"-S '++{section}.{name}.{rest}={value}'")
    return f"dvc exp run {' '.join(settings)}"


def write_table(path: Path, tried: Sequence[Tried], metric: str) -> None:
    """Write the trials as CSV: trial, the metric, seconds, and a column per parameter."""
    text = io.StringIO()
    names = sorted({name for one in tried for name in one.values})
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", metric, "seconds", *names])
    for one in tried:
        cells = [one.values.get(name, "") for name in names]
        writer.writerow([one.number, f"{one.value:.6f}", one.seconds, *cells])
    write_text(path, text.getvalue())


def _study(name: str, config: Config, annotations: Path, work: Path) -> optuna.Study:
    """Open the study of this search; a trial that was killed is queued to be tried again."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    asked = config.tune.model_dump(mode="json", exclude={"trials"})
    text = key(name, config, annotations, None) + json.dumps(asked, sort_keys=True)
    title = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    work.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{work / 'studies.db'}", study_name=title, direction="maximize",
        load_if_exists=True,
    )  # fmt: skip
    study.sampler = optuna.samplers.TPESampler(seed=config.tune.seed + len(study.trials))
    if not study.trials and not outside(name, config):
        study.enqueue_trial(_present(name, config))
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def outside(name: str, config: Config) -> dict[str, Any]:
    """Return the present values of the recognizer `name` that the searched space leaves out."""
    present = _present(name, config).items()
    return {key: value for key, value in present if not _inside(config, key, value)}


def _present(name: str, config: Config) -> dict[str, Any]:
    """Return what the searched parameters of the recognizer `name` are now."""
    return {parameter: current(config, name, parameter) for parameter in config.tune.space}


def _inside(config: Config, parameter: str, value: Any) -> bool:
    """Tell whether `value` lies in the searched space."""
    where = config.tune.space[parameter]
    if isinstance(where, TuneRange):
        return bool(where.low <= value <= where.high)
    return value in where.choices


def _from_nothing(name: str, config: Config, values: dict[str, Any]) -> dict[str, Any]:
    """Drop `train.init` where the network is another than the one its weights are of."""
    other = any(
        parameter.startswith("models.") and value != current(config, name, parameter)
        for parameter, value in values.items()
    )
    return values | {"train.init": ""} if other and config.training(name).init else values


def _suggest(trial: optuna.Trial, config: Config) -> dict[str, Any]:
    """Let Optuna choose a value of every searched parameter."""
    values: dict[str, Any] = {}
    for parameter, where in config.tune.space.items():
        if isinstance(where, TuneRange):
            found = trial.suggest_float(parameter, where.low, where.high, log=where.log)
            values[parameter] = float(f"{found:.{_DIGITS}g}")
        else:
            values[parameter] = trial.suggest_categorical(parameter, where.choices)
    return values

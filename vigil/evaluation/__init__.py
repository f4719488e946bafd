"""How good a recognizer is: its scores, metrics with intervals, baselines, and comparisons.

`scores` holds what a classifier said of clips, `statistics` computes every figure for many
resamples at once, `metrics` gives figures their intervals, `judging` runs recognizers and
baselines on splits, `report` gathers what a report holds `comparing` sets two side by side, and
`fusing` learns how to weigh several.
"""

from vigil.evaluation.fusing import learn
from vigil.evaluation.judging import judge, majority, predict, seen
from vigil.evaluation.metrics import measure, wilson
from vigil.evaluation.report import report
from vigil.evaluation.scores import Scores, confusion
from vigil.evaluation.statistics import auc

__all__ = [
    "Scores",
    "auc",
    "confusion",
    "judge",
    "learn",
    "majority",
    "measure",
    "predict",
    "report",
    "seen",
    "wilson",
]

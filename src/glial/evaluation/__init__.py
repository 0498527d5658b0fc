"""How good a run is, how sure, how fair, and where it fails."""

from glial.evaluation.bootstrap import bootstrap_weights, interval, intervals, replicate
from glial.evaluation.comparison import Compared, Pair, compare, compare_on
from glial.evaluation.folds import compare_folds
from glial.evaluation.paired import (
    Difference,
    McNemar,
    Tested,
    corrected_resampled_t,
    mcnemar,
    paired_t,
    signed_rank,
)

__all__ = [
    "Compared",
    "Difference",
    "McNemar",
    "Pair",
    "Tested",
    "bootstrap_weights",
    "compare",
    "compare_folds",
    "compare_on",
    "corrected_resampled_t",
    "interval",
    "intervals",
    "mcnemar",
    "paired_t",
    "replicate",
    "signed_rank",
]

"""How good a run is, how sure, how fair, and where it fails."""

from glial.evaluation.bootstrap import bootstrap_weights, interval, intervals, replicate
from glial.evaluation.comparison import Compared, Pair, compare, compare_on
from glial.evaluation.fairness import audit, audit_answers
from glial.evaluation.folds import compare_folds
from glial.evaluation.gaps import Audit, compare_groups, implied_false_positive_rate
from glial.evaluation.paired import (
    Difference,
    McNemar,
    Tested,
    corrected_resampled_t,
    mcnemar,
    paired_t,
    signed_rank,
)
from glial.evaluation.rates import of_classes, of_numbers
from glial.evaluation.sensitive import Grouping, groupings

__all__ = [
    "Audit",
    "Compared",
    "Difference",
    "Grouping",
    "McNemar",
    "Pair",
    "Tested",
    "audit",
    "audit_answers",
    "bootstrap_weights",
    "compare",
    "compare_folds",
    "compare_groups",
    "compare_on",
    "corrected_resampled_t",
    "groupings",
    "implied_false_positive_rate",
    "interval",
    "intervals",
    "mcnemar",
    "of_classes",
    "of_numbers",
    "paired_t",
    "replicate",
    "signed_rank",
]

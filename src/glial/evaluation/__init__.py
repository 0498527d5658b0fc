"""How good a run is, how sure, how fair, and where it fails."""

from glial.evaluation.bootstrap import bootstrap_weights, interval, intervals, replicate
from glial.evaluation.comparison import Compared, Pair, compare, compare_on
from glial.evaluation.curve import Curve, CurveInterrupted, Point
from glial.evaluation.curves import learning_curve, validation_curve
from glial.evaluation.decomposition import (
    Decomposition,
    squared_decomposition,
    zero_one_decomposition,
)
from glial.evaluation.dividing import BiasVariance, bias_variance
from glial.evaluation.evaluating import evaluate
from glial.evaluation.fairness import audit, audit_answers
from glial.evaluation.folds import compare_folds
from glial.evaluation.gaps import Audit, compare_groups, implied_false_positive_rate
from glial.evaluation.mistakes import Mistakes, find_mistakes
from glial.evaluation.paired import (
    Difference,
    McNemar,
    Tested,
    corrected_resampled_t,
    mcnemar,
    paired_t,
    signed_rank,
)
from glial.evaluation.power_law import PowerLaw, fit_power_law
from glial.evaluation.rates import of_classes, of_numbers
from glial.evaluation.run_drift import RunDrift, drift
from glial.evaluation.sensitive import Grouping, groupings
from glial.evaluation.table_drift import ColumnDrift, Drift, ToldApart, compare_tables, source_drift
from glial.evaluation.theory import distance_contrast, pac_rows

__all__ = [
    "Audit",
    "BiasVariance",
    "ColumnDrift",
    "Compared",
    "Curve",
    "CurveInterrupted",
    "Decomposition",
    "Difference",
    "Drift",
    "Grouping",
    "McNemar",
    "Mistakes",
    "Pair",
    "Point",
    "PowerLaw",
    "RunDrift",
    "Tested",
    "ToldApart",
    "audit",
    "audit_answers",
    "bias_variance",
    "bootstrap_weights",
    "compare",
    "compare_folds",
    "compare_groups",
    "compare_on",
    "compare_tables",
    "corrected_resampled_t",
    "distance_contrast",
    "drift",
    "evaluate",
    "find_mistakes",
    "fit_power_law",
    "groupings",
    "implied_false_positive_rate",
    "interval",
    "intervals",
    "learning_curve",
    "mcnemar",
    "of_classes",
    "of_numbers",
    "pac_rows",
    "paired_t",
    "replicate",
    "signed_rank",
    "source_drift",
    "squared_decomposition",
    "validation_curve",
    "zero_one_decomposition",
]

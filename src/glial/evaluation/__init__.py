"""How good a run is, how sure, how fair, and where it fails."""

from glial.evaluation.comparing.comparison import Compared, Pair, compare, compare_on
from glial.evaluation.comparing.folds import compare_folds
from glial.evaluation.comparing.paired import (
    Difference,
    McNemar,
    Tested,
    corrected_resampled_t,
    mcnemar,
    paired_t,
    signed_rank,
)
from glial.evaluation.curves.curve import Curve, CurveInterrupted, Point
from glial.evaluation.curves.decomposition import (
    Decomposition,
    squared_decomposition,
    zero_one_decomposition,
)
from glial.evaluation.curves.dividing import BiasVariance, bias_variance
from glial.evaluation.curves.making import learning_curve, validation_curve
from glial.evaluation.curves.power_law import PowerLaw, fit_power_law
from glial.evaluation.curves.theory import distance_contrast, pac_rows
from glial.evaluation.drifting.runs import RunDrift, drift
from glial.evaluation.drifting.tables import (
    ColumnDrift,
    Drift,
    ToldApart,
    compare_tables,
    source_drift,
)
from glial.evaluation.evaluating import evaluate, evaluate_forecasts
from glial.evaluation.failures.mistakes import Mistakes, find_mistakes
from glial.evaluation.fairness.audits import audit, audit_answers
from glial.evaluation.fairness.gaps import Audit, compare_groups, implied_false_positive_rate
from glial.evaluation.fairness.rates import of_classes, of_numbers
from glial.evaluation.fairness.sensitive import Grouping, groupings
from glial.evaluation.metrics.bootstrap import bootstrap_weights, interval, intervals, replicate

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
    "evaluate_forecasts",
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

"""Why a network says what it says, and whether the explanation can be believed."""

from glial.explanation.asked_runs import (
    explain_rows,
    run_counterfactuals,
    run_importance,
    run_surrogate,
)
from glial.explanation.explained import ExplainedRow, Explanation, Part
from glial.explanation.explaining import explain, suitable
from glial.explanation.functions.association import associations, hierarchy
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.counterfactuals import (
    Counterfactuals,
    column_gaps,
    find_counterfactuals,
)
from glial.explanation.functions.dependence import (
    Dependence,
    PairDependence,
    interaction_strengths,
    local_effects,
    pair_dependence,
    partial_dependence,
)
from glial.explanation.functions.games import Game, TableGame
from glial.explanation.functions.importance import Importance, permutation_importance
from glial.explanation.functions.kernel import kernel_shap, kernel_values
from glial.explanation.functions.local import LocalModel, lime, lime_values
from glial.explanation.functions.partition import partition_shap, partition_values
from glial.explanation.functions.pieces import SegmentGame, WordGame, colour_segments, grid_segments
from glial.explanation.functions.rules import Condition, Rule, RuleList, extract_rules
from glial.explanation.functions.shapley import (
    Interactions,
    exact_shap,
    exact_values,
    permutation_shap,
    permutation_values,
    shap_interactions,
)
from glial.explanation.functions.surrogates import Fidelity, Surrogate, fidelity, fit_surrogate
from glial.explanation.neighbours import NearExamples, near_examples
from glial.explanation.page import page
from glial.explanation.predictions import Asked
from glial.explanation.predictors import RunPredictor, rows_of, run_predictor
from glial.explanation.table import EXPLAINERS, Explainer

__all__ = [
    "EXPLAINERS",
    "Asked",
    "Condition",
    "Contributions",
    "Counterfactuals",
    "Dependence",
    "ExplainedRow",
    "Explainer",
    "Explanation",
    "Fidelity",
    "Game",
    "Importance",
    "Interactions",
    "LocalModel",
    "NearExamples",
    "PairDependence",
    "Part",
    "Rule",
    "RuleList",
    "RunPredictor",
    "SegmentGame",
    "Surrogate",
    "TableGame",
    "WordGame",
    "associations",
    "colour_segments",
    "column_gaps",
    "exact_shap",
    "exact_values",
    "explain",
    "explain_rows",
    "extract_rules",
    "fidelity",
    "find_counterfactuals",
    "fit_surrogate",
    "grid_segments",
    "hierarchy",
    "interaction_strengths",
    "kernel_shap",
    "kernel_values",
    "lime",
    "lime_values",
    "local_effects",
    "near_examples",
    "page",
    "pair_dependence",
    "partial_dependence",
    "partition_shap",
    "partition_values",
    "permutation_importance",
    "permutation_shap",
    "permutation_values",
    "rows_of",
    "run_counterfactuals",
    "run_importance",
    "run_predictor",
    "run_surrogate",
    "shap_interactions",
    "suitable",
]

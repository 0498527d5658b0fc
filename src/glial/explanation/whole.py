"""The explainers of a whole network that ask it about a table, as the table names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.explanation.asked_runs import explain_rows, run_importance, run_surrogate
from glial.explanation.asking import SHAP
from glial.explanation.explained import Explanation
from glial.explanation.functions.dependence import (
    Dependence,
    interaction_strengths,
    local_effects,
    partial_dependence,
)
from glial.explanation.functions.rules import Condition, extract_rules
from glial.explanation.functions.surrogates import Form, Surrogate
from glial.explanation.functions.trees import Node
from glial.explanation.predictions import Asked
from glial.explanation.predictors import run_predictor, some_rows

DEPENDENCE_ROWS = 500
SHAP_ROWS = 50
ROW_POINTS = 8


@dataclass(frozen=True)
class ByTable:
    """An explainer of a network that asks it about a table.

    Attributes:
        name: Its name in the table.
        make: From what is asked to tables and what is to be known of them.
        description: One line.

    Example:
        >>> IMPORTANCE.about
        'network'
    """

    name: str
    make: Callable[[Asked], tuple[dict[str, pl.DataFrame], list[str]]]
    description: str
    about: str = "network"

    def explain(self, asked: Asked) -> Explanation:
        """Explain by the rows of the source."""
        tables, notes = self.make(asked)
        return Explanation(self.name, "", tables=tables, notes=notes)


Made = tuple[dict[str, pl.DataFrame], list[str]]


def _importance(asked: Asked) -> Made:
    found = run_importance(asked.run, asked.background, seed=asked.seed)
    notes = [f"{found.metric} is {found.score:.4g} with every column as it is"]
    if found.correlated:
        pairs = ", ".join(f"{a} and {b} ({c:.2f})" for a, b, c in found.correlated[:5])
        notes.append(f"columns that say the same share their importance: {pairs}")
    return {"importance": found.table()}, notes


def _shap_importance(asked: Asked) -> Made:
    """The mean size of each column's Shapley values."""
    rows = some_rows(asked.background, SHAP_ROWS, asked.seed)
    found = explain_rows(
        asked.run,
        partial(SHAP.method, seed=asked.seed),
        rows,
        asked.background,
        target=asked.target,
        seed=asked.seed,
    )
    table = pl.DataFrame({"feature": found.names, "importance": found.importance})
    notes = [f"the mean size of Shapley values over {rows.height} rows"]
    return {"shap_importance": table.sort("importance", descending=True)}, notes


def _by_column(asked: Asked, make: Callable[[Any, pl.DataFrame, str], Dependence]) -> pl.DataFrame:
    """A dependence on every column, below one another."""
    predictor = run_predictor(asked.run)
    predict = predictor.output(asked.target)
    rows = some_rows(asked.background.select(predictor.columns), DEPENDENCE_ROWS, asked.seed)
    tables = []
    for name in predictor.columns:
        try:
            found = make(predict, rows, name).table()
        except InputError:  # a column without a value, or of one that has no order
            continue
        shown = found[name].round_sig_figs(4) if found[name].dtype.is_float() else found[name]
        values = shown.cast(pl.String).alias("value")
        rest = found.drop(name).get_columns()
        tables.append(pl.DataFrame([values, *rest]).insert_column(0, pl.lit(name).alias("feature")))
    if not tables:
        raise InputError(
            "no column can be followed",
            expected="columns of numbers or categories",
            got=", ".join(predictor.columns[:10]),
        )
    return pl.concat(tables, how="diagonal")


def _dependence(asked: Asked) -> Made:
    return {"dependence": _by_column(asked, partial_dependence)}, [
        "the mean prediction where all rows are given one value"
    ]


def _local_effects(asked: Asked) -> Made:
    return {"local_effects": _by_column(asked, local_effects)}, [
        "what the prediction gains from one value to the next among rows near there, added up"
    ]


def _curves_of_rows(asked: Asked) -> Made:
    """What would be said of each row with other values of one column (ICE)."""
    predictor = run_predictor(asked.run)
    rows = asked.frame.select(predictor.columns)
    others = some_rows(asked.background.select(predictor.columns), DEPENDENCE_ROWS, asked.seed)
    both = pl.concat([rows, others], how="vertical_relaxed")  # the values tried are those of all
    predict = predictor.output(asked.target)
    tables = []
    for name in predictor.columns:
        found = partial_dependence(predict, both, name, num_points=ROW_POINTS)
        values = pl.Series("value", [_told(value) for value in found.grid.tolist()])
        for number, curve in zip(asked.numbers, found.curves[: rows.height], strict=True):
            told = pl.DataFrame([values, pl.Series("prediction", curve)])
            places = (pl.lit(int(number)).alias("row"), pl.lit(name).alias("feature"))
            tables.append(told.select(*places, pl.all()))
    return {"ice": pl.concat(tables)}, ["what would be said of the row with this value of a column"]


def _told(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _interactions(asked: Asked) -> Made:
    predictor = run_predictor(asked.run)
    rows = asked.background.select(predictor.columns)
    found = interaction_strengths(predictor.output(asked.target), rows, seed=asked.seed)
    return {"interactions": found}, []


def _surrogate(asked: Asked, form: Form) -> tuple[Surrogate, list[str]]:
    """A simple model, and how far it can be trusted."""
    target = asked.target if len(asked.run.decoder.targets) > 1 else None
    found = run_surrogate(asked.run, asked.background, form=form, target=target, seed=asked.seed)
    notes = [f"of held-out rows: {found.fidelity}"]
    if found.accuracy is not None and found.network_accuracy is not None:
        right, network = found.accuracy, found.network_accuracy
        notes.append(f"against the truth {right:.4g}, the network {network:.4g}")
    return found, notes


def _linear(asked: Asked) -> Made:
    found, notes = _surrogate(asked, "linear")
    return {"weights": pl.DataFrame() if found.weights is None else found.weights}, notes


def _tree(asked: Asked) -> Made:
    """The tree from its top down: a question a line, what is asked next further in."""
    found, notes = _surrogate(asked, "tree")
    assert found.tree is not None  # noqa: S101 - a tree was asked for
    lines = list(_lines(found.tree))
    columns = {"question": [line for line, _ in lines], "answer": [told for _, told in lines]}
    return {"tree": pl.DataFrame(columns)}, notes


def _lines(node: Node, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The questions of a part of a tree, and what its leaves answer."""
    if node.feature is None or node.below is None or node.above is None:
        return
    below = Condition(node.feature, high=node.threshold)
    above = Condition(node.feature, low=node.threshold)
    for condition, part in ((below, node.below), (above, node.above)):
        yield "|  " * depth + str(condition), _told(part.answer) if part.is_leaf else ""
        yield from _lines(part, depth + 1)


def _rules(asked: Asked) -> Made:
    found, notes = _surrogate(asked, "tree")
    told = extract_rules(found)
    return {"rules": told.table()}, [f"the rules, of held-out rows: {told.fidelity}", *notes[1:]]


IMPORTANCE = ByTable("importance", _importance, "what the metric loses where a column is shuffled")
SHAP_IMPORTANCE = ByTable("shap_importance", _shap_importance, "mean size of Shapley values")
DEPENDENCE = ByTable("dependence", _dependence, "the prediction along each column (partial)")
LOCAL_EFFECTS = ByTable("local_effects", _local_effects, "the same among rows near by (ALE)")
ICE = ByTable("ice", _curves_of_rows, "each row along each column (ICE)", about="prediction")
INTERACTIONS = ByTable("interactions", _interactions, "which columns do something together")
SURROGATE_LINEAR = ByTable("surrogate_linear", _linear, "a linear model in its place")
SURROGATE_TREE = ByTable("surrogate_tree", _tree, "a tree of questions in its place")
RULES = ByTable("rules", _rules, "readable rules in its place, with their fidelity")

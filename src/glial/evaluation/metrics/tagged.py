"""Metrics of tags over many weightings of the same rows: counts of each row, weighed and summed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from glial.evaluation.metrics.bootstrap import Score
from glial.evaluation.metrics.scores import class_averages, class_counts
from glial.evaluation.metrics.weighted import Floats, weighted_sums
from glial.tasks.entities import count_entities


def tagging_replicates(task: Any, outputs: Tensor, frame: pl.DataFrame) -> Score:
    """The metrics of `glial.tasks.tagging.Tagging` as a function of weights of rows.

    Args:
        task: The task.
        outputs: A row per row.
        frame: The rows with their tags.
    """
    truth, found = task.pairs(outputs, frame)
    tagged = tags_replicates(truth, found)
    if task.scheme == "none":
        return tagged
    entities = entity_replicates(truth, found)
    return lambda weights: {"accuracy": tagged(weights)["accuracy"], **entities(weights)}


def tags_replicates(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> Score:
    """Accuracy, balanced accuracy and macro F1 of tags, a place without a tag left out.

    Args:
        truth: True tags of each row.
        found: Predicted ones.

    Example:
        >>> score = tags_replicates([["a"], ["b"]], [["a"], ["a"]])
        >>> score(np.array([[3.0, 1.0]]))["accuracy"]
        array([0.75])
    """
    places = [
        (row, tag, guess)
        for row, pair in enumerate(zip(truth, found, strict=True))
        for tag, guess in zip(*pair, strict=True)
        if tag
    ]
    names = sorted({name for _, *pair in places for name in pair})
    codes = {name: code for code, name in enumerate(names)}
    rows = np.array([row for row, _, _ in places], dtype=np.int64)
    both = np.array([[codes[tag], codes[guess]] for _, tag, guess in places], dtype=np.int64)
    cells, cell_of = np.unique(both.reshape(-1, 2), axis=0, return_inverse=True)

    def score(weights: Floats) -> dict[str, Floats]:
        table = weighted_sums(cell_of.reshape(-1), len(cells), weights, rows)
        counts = class_counts(table, cells[:, 0], cells[:, 1], len(names))
        averages = class_averages(counts, "macro")
        return {
            "accuracy": counts["hits"].sum(axis=1) / table.sum(axis=1),
            "balanced_accuracy": averages["balanced_accuracy"],
            "f1_macro": averages["f1_macro"],
        }

    return score


def entity_replicates(truth: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> Score:
    """`glial.tasks.entities.entity_scores` as a function of weights of rows.

    Args:
        truth: True tags of each row.
        found: Predicted ones.

    Example:
        >>> score = entity_replicates([["B-x"], ["B-x"]], [["B-x"], ["O"]])
        >>> score(np.array([[1.0, 1.0], [3.0, 1.0]]))["recall"]
        array([0.5 , 0.75])
    """
    each = [count_entities([tags], [guess]) for tags, guess in zip(truth, found, strict=True)]
    kinds = sorted({kind for counts in each for kind in counts})
    told = np.array([[counts.get(kind, (0, 0, 0)) for kind in kinds] for counts in each])
    flat = told.reshape(len(each), 3 * len(kinds)).astype(np.float64)

    def score(weights: Floats) -> dict[str, Floats]:
        sums = (weights @ flat).reshape(len(weights), len(kinds), 3)
        names = ("hits", "predicted", "actual")
        counts = {name: sums[:, :, place] for place, name in enumerate(names)}
        averages = class_averages(counts, "micro", "macro")
        scores = {name: averages[f"{name}_micro"] for name in ("precision", "recall", "f1")}
        return scores | {"f1_macro": np.nan_to_num(averages["f1_macro"])}

    return score

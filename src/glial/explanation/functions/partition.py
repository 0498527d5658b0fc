"""Partition SHAP: credit divided down a hierarchy of features (Owen values)."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.explanation.functions.association import hierarchy
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.games import Bools, Floats, Game, Predict, Table, TableGame

MOST_EVALUATIONS = 500
NODES_AT_ONCE = 16


def partition_shap(
    predict: Predict,
    rows: Table,
    background: Table,
    *,
    tree: NDArray[np.float64] | None = None,
    most_evaluations: int = MOST_EVALUATIONS,
) -> Contributions:
    """Owen values: features that belong together share their credit before others divide it.

    From the top of the hierarchy down, the two halves of a set of features divide its credit as
    two players do, each once without and once with the features outside that came before. That
    takes far fewer coalitions than `exact_shap`, about M squared where the tree is balanced.

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain.
        background: Rows to compare with.
        tree: SciPy's linkage matrix of the columns; by default those of the background that
            depend most on each other belong together, see `hierarchy`.
        most_evaluations: Coalitions to try; the largest credit is divided first, and what is left
            undivided is shared by the features in equal parts.

    Returns:
        Contributions that add up to the prediction; ``errors`` is NaN for features whose credit
        was left undivided, else 0.

    Raises:
        InputError: If the tree does not fit, or a table is wrong.

    Source:
        Owen (1977), "Values of games with a priori unions", doi:10.1007/978-3-642-45494-3_7;
        the partition explainer of the package shap (Lundberg).

    Example:
        >>> found = partition_shap(lambda x: x @ [1.0, 2.0], np.ones((1, 2)), np.eye(2))
        >>> found.values.round(9).tolist()
        [[0.5, 1.0]]
    """
    game = TableGame(predict, rows, background)
    if tree is None:
        single = np.zeros((0, 4))
        tree = hierarchy(background) if len(game.names) > 1 else single
    return partition_values(game, tree, most_evaluations=most_evaluations)


def partition_values(
    game: Game, tree: NDArray[np.float64], *, most_evaluations: int = MOST_EVALUATIONS
) -> Contributions:
    """Owen values of any game: see `partition_shap`.

    Raises:
        InputError: If the tree does not fit the game.

    Example:
        >>> game = TableGame(lambda x: x[:, 0] * x[:, 1], np.ones((1, 2)), np.zeros((1, 2)))
        >>> partition_values(game, np.array([[0, 1, 1.0, 2]])).values
        array([[0.5, 0.5]])
    """
    size = len(game.names)
    members = members_of(tree, size)
    ends = game(np.stack([np.zeros(size, np.bool_), np.ones(size, np.bool_)]))
    credit = np.zeros((len(ends), len(members)))
    count, evaluated = itertools.count(), 2
    top = (np.zeros(size, np.bool_), ends[:, 0], ends[:, 1], len(members) - 1, 1.0)
    waiting = [(0.0, next(count), top)]
    while waiting:
        batch: list[tuple[Bools, Floats, Floats, int, int, float]] = []
        while waiting and len(batch) < NODES_AT_ONCE:
            known, low, high, node, weight = waiting[0][2]
            if node >= size and evaluated + 2 * len(batch) + 2 > most_evaluations:
                break
            heapq.heappop(waiting)
            if node < size:
                credit[:, node] += weight * (high - low)
            else:
                left, right = map(int, tree[node - size, :2])
                batch.append((known, low, high, left, right, weight / 2))
        if not batch and waiting:
            for _, _, (_, low, high, node, weight) in waiting:
                credit[:, node] += weight * (high - low)
            break
        if batch:
            masks = [known | members[side] for known, _, _, *sides, _ in batch for side in sides]
            worth = game(np.stack(masks))
            evaluated += len(masks)
            for place, (known, low, high, left, right, weight) in enumerate(batch):
                with_left, with_right = worth[:, 2 * place], worth[:, 2 * place + 1]
                for part in (
                    (known, low, with_left, left, weight),
                    (known | members[right], with_right, high, left, weight),
                    (known, low, with_right, right, weight),
                    (known | members[left], with_left, high, right, weight),
                ):
                    gap = float(np.abs(part[2] - part[1]).max())
                    heapq.heappush(waiting, (-gap * weight, next(count), part))
    undivided = np.abs(credit[:, size:]).max(axis=0) > 0
    left_over = members[size:][undivided].any(axis=0)
    values = credit @ (members / members.sum(axis=1, keepdims=True))
    errors = np.where(left_over, np.nan, np.zeros_like(values))
    return Contributions(game.names, values, ends[:, 0], ends[:, 1], errors, evaluated)


def members_of(tree: Floats, size: int) -> Bools:
    """Which features each node of a linkage matrix holds: leaves first, all features last.

    Raises:
        InputError: If the tree is not one of so many features.

    Example:
        >>> members_of(np.array([[0, 1, 0.5, 2]]), 2).astype(int).tolist()
        [[1, 0], [0, 1], [1, 1]]
    """
    members = np.concatenate([np.eye(size, dtype=np.bool_), np.zeros((size - 1, size), np.bool_)])
    sides = np.asarray(tree)[:, :2] if np.ndim(tree) == 2 else np.zeros((0, 2))
    fits = sides.shape == (size - 1, 2)
    for node, (left, right) in enumerate(sides if fits else ()):
        if not (0 <= left < size + node and 0 <= right < size + node):
            fits = False
            break
        members[size + node] = members[int(left)] | members[int(right)]
    if not fits or not members[-1].all() or (np.diff(np.sort(sides.ravel())) == 0).any():
        raise InputError(
            "the hierarchy does not fit the features",
            expected=f"a linkage matrix of {size - 1} rows, as SciPy's linkage gives it",
            got=f"an array in the shape {np.shape(tree)}",
            do="make it with glial.explanation.hierarchy",
        )
    return members

"""Shapley values: exact by enumeration, estimated over permutations, and of pairs of features."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
import polars as pl

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.games import Bools, Floats, Game, Predict, Table, TableGame

MOST_PLAYERS = 16

Groups = Mapping[str, Sequence[str]]


def exact_shap(
    predict: Predict, rows: Table, background: Table, *, groups: Groups | None = None
) -> Contributions:
    r"""Shapley values by trying every coalition of features.

    .. math:: \phi_j = \sum_{S \not\ni j} \frac{|S|!\,(M-|S|-1)!}{M!}\,(v(S \cup j) - v(S))

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain.
        background: Rows to compare with; all are used for each coalition.
        groups: See `TableGame`.

    Returns:
        Contributions without error; they and ``base`` add up to the prediction.

    Raises:
        InputError: If there are more than 16 features, or a table is wrong.

    Source:
        Shapley (1953), "A value for n-person games"; Lundberg and Lee (2017), arXiv 1705.07874,
        eq. (8).

    Example:
        >>> found = exact_shap(lambda x: x[:, 0] * x[:, 1], np.ones((1, 2)), np.zeros((1, 2)))
        >>> found.values.tolist()
        [[0.5, 0.5]]
    """
    return exact_values(TableGame(predict, rows, background, groups))


def exact_values(game: Game) -> Contributions:
    """Shapley values of any game by trying every coalition: see `exact_shap`.

    Raises:
        InputError: If there are more than 16 players.

    Example:
        >>> exact_values(TableGame(lambda x: x[:, 0], np.ones((1, 1)), np.zeros((1, 1)))).values
        array([[1.]])
    """
    masks = all_coalitions(len(game.names))
    worth = game(masks)
    num_players = masks.shape[1]
    inside, outside = _weights(num_players)
    sizes = masks.sum(axis=1)
    matrix = np.where(masks, inside[sizes][:, None], -outside[sizes][:, None])
    values = worth @ matrix
    return Contributions(
        game.names, values, worth[:, 0], worth[:, -1], np.zeros_like(values), len(masks)
    )


def all_coalitions(num_players: int) -> Bools:
    """Every coalition, none first and all last, [coalition, player].

    Raises:
        InputError: If there are more than 16 players.

    Example:
        >>> all_coalitions(2).astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if num_players > MOST_PLAYERS:
        raise InputError(
            f"{num_players} features have too many coalitions to try all",
            expected=f"at most {MOST_PLAYERS}",
            got=str(num_players),
            do="estimate with kernel_shap, permutation_shap or partition_shap, or group features",
        )
    numbers = np.arange(1 << num_players)[:, None]
    return (numbers >> np.arange(num_players) & 1).astype(np.bool_)


def _weights(num_players: int) -> tuple[Floats, Floats]:
    """What a coalition weighs in the value of its players, and of others, by its size."""
    whole = factorial(num_players)
    inside = [
        factorial(s - 1) * factorial(num_players - s) / whole if s else 0.0
        for s in range(num_players + 1)
    ]
    return np.array(inside), np.array([*inside[1:], 0.0])


def permutation_shap(
    predict: Predict,
    rows: Table,
    background: Table,
    *,
    num_permutations: int = 10,
    groups: Groups | None = None,
    seed: int = 0,
) -> Contributions:
    """Shapley values as the mean of what features add in random orders.

    Each order is used forwards and backwards, which takes the errors of pairs of features away.

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain.
        background: Rows to compare with.
        num_permutations: Orders; each takes 2 (M - 1) coalitions of M features.
        groups: See `TableGame`.
        seed: Draws the orders, which are the same for all rows.

    Returns:
        Contributions that add up to the prediction, and their standard errors, which are exactly
        0 where no more than two features interact.

    Raises:
        InputError: If there is no order, or a table is wrong.

    Source:
        Castro, Gomez and Tejada (2009), "Polynomial calculation of the Shapley value based on
        sampling", doi:10.1016/j.cor.2008.04.004; Mitchell et al. (2022), "Sampling permutations
        for Shapley value estimation", arXiv 2104.12199, section 2.2 (antithetic pairs).

    Example:
        >>> found = permutation_shap(lambda x: x @ [1.0, 2.0], np.ones((1, 2)), np.zeros((1, 2)))
        >>> found.values.tolist(), found.errors.tolist()
        ([[1.0, 2.0]], [[0.0, 0.0]])
    """
    game = TableGame(predict, rows, background, groups)
    return permutation_values(game, num_permutations=num_permutations, seed=seed)


def permutation_values(game: Game, *, num_permutations: int = 10, seed: int = 0) -> Contributions:
    """Shapley values of any game over random orders: see `permutation_shap`.

    Raises:
        InputError: If there is no order.

    Example:
        >>> game = TableGame(lambda x: x[:, 0], np.ones((1, 1)), np.zeros((1, 1)))
        >>> permutation_values(game).values
        array([[1.]])
    """
    if num_permutations < 1:
        raise InputError(
            "there are no permutations to go through",
            expected="at least one",
            got=str(num_permutations),
        )
    size = len(game.names)
    generator = numpy_generator(seed, "permutation shap")
    drawn = generator.permuted(np.tile(np.arange(size), (num_permutations, 1)), axis=1)
    orders = np.stack([drawn, drawn[:, ::-1]], axis=1)  # [permutation, direction, position]
    # A player is in the coalition of a step if it stands before the step in the order.
    ranks = np.argsort(orders, axis=2)
    masks = ranks[:, :, None, :] < np.arange(1, size)[:, None]
    ends = np.stack([np.zeros(size, np.bool_), np.ones(size, np.bool_)])
    worth = game(np.concatenate([ends, masks.reshape(-1, size)]))
    base, prediction = worth[:, 0], worth[:, 1]
    steps = np.empty((len(worth), *orders.shape[:2], size + 1))
    steps[..., 0], steps[..., -1] = base[:, None, None], prediction[:, None, None]
    steps[..., 1:-1] = worth[:, 2:].reshape(len(worth), *masks.shape[:3])
    added = np.take_along_axis(np.diff(steps, axis=3), ranks[None], axis=3).mean(axis=2)
    errors = np.full((len(worth), size), np.nan if size > 2 else 0.0)
    if num_permutations > 1:
        errors = added.std(axis=1, ddof=1) / np.sqrt(num_permutations)
    return Contributions(
        game.names, added.mean(axis=1), base, prediction, errors, len(ends) + masks[..., 0].size
    )


@dataclass(frozen=True)
class Interactions:
    """What pairs of features add together, and each feature by itself.

    Attributes:
        names: The features.
        values: [row, feature, feature]: off the diagonal half of what a pair adds together
            beyond what both add apart; on it what is left to the feature itself. A row of the
            matrix sums to the feature's Shapley value.
        base: What is predicted where nothing is known, [row].
        prediction: What is predicted, [row].

    Example:
        >>> found = shap_interactions(
        ...     lambda x: x[:, 0] * x[:, 1], np.ones((1, 2)), np.zeros((1, 2))
        ... )
        >>> found.table().rows()
        [('0', '1', 1.0)]
    """

    names: list[str]
    values: Floats
    base: Floats
    prediction: Floats

    def table(self) -> pl.DataFrame:
        """Each pair, and the mean size over rows of what it adds together; the largest first."""
        size = np.abs(self.values).mean(axis=0)
        pairs = list(itertools.combinations(range(len(self.names)), 2))
        found = {
            "feature": [self.names[i] for i, _ in pairs],
            "other": [self.names[j] for _, j in pairs],
            "interaction": [2 * float(size[i, j]) for i, j in pairs],
        }
        schema = {"feature": pl.String, "other": pl.String, "interaction": pl.Float64}
        return pl.DataFrame(found, schema=schema).sort(
            "interaction", descending=True, maintain_order=True
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        arrays = ("values", "base", "prediction")
        return {"names": self.names, **{name: getattr(self, name).tolist() for name in arrays}}


def shap_interactions(
    predict: Predict, rows: Table, background: Table, *, groups: Groups | None = None
) -> Interactions:
    r"""Shapley interaction values by trying every coalition.

    A pair's index is

    .. math:: I_{ij} = \sum_{S \not\ni i, j} \frac{|S|!\,(M-|S|-2)!}{(M-1)!}\,
        (v(S \cup ij) - v(S \cup i) - v(S \cup j) + v(S))

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain.
        background: Rows to compare with.
        groups: See `TableGame`.

    Raises:
        InputError: If there are more than 16 features, or a table is wrong.

    Source:
        Grabisch and Roubens (1999), "An axiomatic approach to the concept of interaction among
        players", doi:10.1007/s001820050125; Lundberg, Erion and Lee (2018), arXiv 1802.03888,
        eq. (3) to (6).

    Example:
        >>> shap_interactions(lambda x: x.sum(axis=1), np.ones((1, 2)), np.zeros((1, 2))).values
        array([[[1., 0.],
                [0., 1.]]])
    """
    game = TableGame(predict, rows, background, groups)
    size = len(game.names)
    masks = all_coalitions(size)
    worth = game(masks)
    inside, outside = _weights(size)
    sizes = masks.sum(axis=1)
    shapley = worth @ np.where(masks, inside[sizes][:, None], -outside[sizes][:, None])
    values = np.zeros((len(worth), size, size))
    by_size = _weights(size - 1)[1]
    for i, j in itertools.combinations(range(size), 2):
        both = masks[:, i].astype(np.int64) + masks[:, j]
        weight = by_size[sizes - both] * np.where(both == 1, -1.0, 1.0)
        values[:, i, j] = values[:, j, i] = worth @ weight / 2
    values[:, np.arange(size), np.arange(size)] = shapley - values.sum(axis=2)
    return Interactions(game.names, values, worth[:, 0], worth[:, -1])

"""Kernel SHAP: Shapley values as a weighted regression on coalitions."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.games import Bools, Floats, Game, Predict, Table, TableGame
from glial.explanation.functions.shapley import Groups

EXTRA_SAMPLES = 2048


def kernel_shap(
    predict: Predict,
    rows: Table,
    background: Table,
    *,
    num_samples: int | None = None,
    groups: Groups | None = None,
    seed: int = 0,
) -> Contributions:
    """Shapley values as the linear model that fits the worth of coalitions best.

    Coalitions of few and of nearly all features, which weigh most, are tried completely as far
    as the samples reach; of the rest a sample is drawn, each with its complement. Where the
    samples suffice for all coalitions the values are exact.

    Args:
        predict: Gives a number for each row.
        rows: Rows to explain.
        background: Rows to compare with.
        num_samples: Coalitions to try, besides none and all; at least two a feature. By default
            2 M + 2,048 of M features.
        groups: See `TableGame`.
        seed: Draws the coalitions, which are the same for all rows.

    Returns:
        Contributions that add up to the prediction exactly, with standard errors.

    Raises:
        InputError: If there are too few samples, or a table is wrong.

    Source:
        Lundberg and Lee (2017), arXiv 1705.07874, theorem 2; Covert and Lee (2021), "Improving
        KernelSHAP", arXiv 2012.01536, eq. (6) (the constraint) and section 4.2 (pairs).

    Example:
        >>> found = kernel_shap(lambda x: x @ [1.0, 2.0, 3.0], np.ones((1, 3)), np.zeros((1, 3)))
        >>> found.values.round(9).tolist()
        [[1.0, 2.0, 3.0]]
    """
    return kernel_values(
        TableGame(predict, rows, background, groups), num_samples=num_samples, seed=seed
    )


def kernel_values(game: Game, *, num_samples: int | None = None, seed: int = 0) -> Contributions:
    """Shapley values of any game by regression: see `kernel_shap`.

    Raises:
        InputError: If there are too few samples.

    Example:
        >>> game = TableGame(lambda x: x[:, 0], np.ones((1, 1)), np.zeros((1, 1)))
        >>> kernel_values(game).values
        array([[1.]])
    """
    size = len(game.names)
    wanted = 2 * size + EXTRA_SAMPLES if num_samples is None else num_samples
    least = 2 * size if size > 2 else 2 * (size - 1)
    if wanted < least:
        raise InputError(
            "too few samples for kernel SHAP",
            expected=f"at least {least} for {size} features",
            got=str(wanted),
            do="raise num_samples",
        )
    drawn = _coalitions(size, wanted, seed)
    ends = np.stack([np.zeros(size, np.bool_), np.ones(size, np.bool_)])
    masks, places = np.unique(drawn.masks, axis=0, return_inverse=True)
    worth = game(np.concatenate([ends, masks]))
    base, prediction = worth[:, 0], worth[:, 1]
    values, errors = _fit(drawn, worth[:, 2:][:, places.ravel()] - base[:, None], prediction - base)
    return Contributions(game.names, values, base, prediction, errors, len(masks) + 2)


class _Coalitions(NamedTuple):
    """Coalitions [coalition, player] with their weights; those drawn come last, in pairs."""

    masks: Bools
    weights: Floats
    num_drawn: int


def _coalitions(size: int, wanted: int, seed: int) -> _Coalitions:
    """Whole sizes of coalitions from outside in, and a sample of the rest."""
    mass = np.array([(size - 1) / (k * (size - k)) for k in range(1, size)])
    masks, weights = [np.zeros((0, size), np.bool_)], [np.zeros(0)]
    left, inner = wanted, list(range(1, size // 2 + 1))
    while inner:
        k = inner[0]
        sizes = [k] if 2 * k == size else [k, size - k]
        count = comb(size, k)
        share = mass[sizes[0] - 1] / mass[inner[0] - 1 : size - inner[0]].sum()
        # Worth trying whole where a sample would meet each about once.
        if k > 1 and (count * len(sizes) > left or left * share < count):
            break
        whole = _subsets(size, k)
        for one in [whole] if len(sizes) == 1 else [whole, ~whole]:
            masks.append(one)
            weights.append(np.full(count, mass[k - 1] / count))
        left -= count * len(sizes)
        inner.pop(0)
    num_pairs = left // 2 if inner else 0
    if inner and num_pairs:
        generator = numpy_generator(seed, "kernel shap")
        rest = np.arange(inner[0], size - inner[0] + 1)
        chances = mass[rest - 1]
        sizes_drawn = generator.choice(rest, num_pairs, p=chances / chances.sum())
        ranks = generator.permuted(np.tile(np.arange(size), (num_pairs, 1)), axis=1)
        one = ranks < sizes_drawn[:, None]
        masks.append(np.stack([one, ~one], axis=1).reshape(-1, size))
        weights.append(np.full(2 * num_pairs, chances.sum() / (2 * num_pairs)))
    return _Coalitions(np.concatenate(masks), np.concatenate(weights), 2 * num_pairs)


def _subsets(size: int, k: int) -> Bools:
    """All coalitions of k players, [coalition, player]."""
    from itertools import combinations

    places = np.array(list(combinations(range(size), k)))
    masks = np.zeros((len(places), size), dtype=np.bool_)
    np.put_along_axis(masks, places, values=True, axis=1)
    return masks


def _fit(drawn: _Coalitions, worth: Floats, total: Floats) -> tuple[Floats, Floats]:
    """The weighted least squares whose coefficients add up to ``total``, and their errors.

    Args:
        drawn: The coalitions.
        worth: Their worth beyond the base, [row, coalition].
        total: Prediction less base, [row].
    """
    size = drawn.masks.shape[1]
    if size == 1:
        return total[:, None], np.zeros((len(total), 1))
    design = drawn.masks.astype(np.float64)
    weighted = design * drawn.weights[:, None]
    inverse = np.linalg.inv(design.T @ weighted)
    # What the constraint leaves of a change of the coefficients.
    ones = inverse.sum(axis=1)
    kept = inverse - np.outer(ones, ones) / ones.sum()
    values = worth @ weighted @ kept + total[:, None] * ones / ones.sum()
    errors = np.zeros_like(values)
    num_pairs = drawn.num_drawn // 2
    if num_pairs > 1:
        # Pairs are drawn independently: the delta method with the spread of their scores.
        part = slice(len(design) - drawn.num_drawn, None)
        pull = (weighted[part] @ kept).reshape(num_pairs, 2, size)
        for row, (y, value) in enumerate(zip(worth, values, strict=True)):
            residual = (y[part] - design[part] @ value).reshape(num_pairs, 2)
            score = np.einsum("pd,pdf->pf", residual, pull)
            errors[row] = np.sqrt(num_pairs * score.var(axis=0, ddof=1))
    elif num_pairs == 1:
        errors[:] = np.nan
    return values, errors

"""How strongly columns depend on each other, and the hierarchy that this makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import numbers, texts
from glial.data.columns import infer_kind
from glial.explanation.functions.games import Floats, Table

CORRELATED = 0.8


def associations(table: Table) -> Floats:
    """How strongly each two columns depend on each other, from 0 to 1.

    Between numbers it is the size of Spearman's rank correlation; between categories Cramer's V
    without its bias; between the two the correlation ratio of the ranks, without its bias. Cells
    that are missing are a category of their own, and among numbers lie in the middle.

    Args:
        table: Rows as numbers [row, feature], or a table of any columns.

    Returns:
        [feature, feature], symmetric, 1 on the diagonal; 0 where a column is constant.

    Source:
        Bergsma (2013), "A bias-correction for Cramer's V and Tschuprow's T",
        doi:10.1016/j.jkss.2012.10.002; Kelley (1935), doi:10.1073/pnas.21.9.554 (epsilon squared).

    Example:
        >>> rows = np.array([[1.0, 1.0], [2.0, 8.0], [3.0, 27.0]])
        >>> associations(rows).round(9).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    columns = [_ranks_or_codes(table, place) for place in range(table.shape[1])]
    ranks = np.stack([c for c in columns if c.dtype.kind == "f"] or [np.zeros(len(table))])
    places = [place for place, c in enumerate(columns) if c.dtype.kind == "f"]
    found = np.eye(len(columns))
    if places:
        found[np.ix_(places, places)] = np.clip(np.abs(ranks @ ranks.T), 0.0, 1.0)
    for i, one in enumerate(columns):
        for j, other in enumerate(columns):
            if one.dtype.kind == "i" and other.dtype.kind == "f":
                found[i, j] = found[j, i] = _ratio(one, other)
            elif one.dtype.kind == "i" and i < j:
                found[i, j] = found[j, i] = _cramer(one, other)
    np.fill_diagonal(found, 1.0)
    return found


def _ranks_or_codes(table: Table, place: int) -> NDArray[Any]:
    """Ranks of length 1 about a mean of 0; or codes of categories."""
    from scipy.stats import rankdata

    if isinstance(table, pl.DataFrame):
        column = table.to_series(place)
        if infer_kind(column) not in {"number", "constant", "empty", "identifier"}:
            words = texts(column).fill_null("")
            return np.unique(words.to_numpy(), return_inverse=True)[1].astype(np.int64)
        values = numbers(column).to_numpy()
    else:
        values = np.asarray(table[:, place], dtype=np.float64)
    known = np.isfinite(values)
    ranks = np.zeros(len(values))
    ranks[known] = rankdata(values[known]) - (known.sum() + 1) / 2
    length = np.linalg.norm(ranks)
    return ranks / length if length else ranks


def _cramer(one: NDArray[Any], other: NDArray[Any]) -> float:
    counts = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(counts, (one, other), 1)
    rows, columns = counts.shape
    total = len(one)
    if min(rows, columns) < 2 or total < 2:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    phi = ((counts - expected) ** 2 / expected).sum() / total
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (total - 1))
    sizes = [k - (k - 1) ** 2 / (total - 1) for k in (rows, columns)]
    return float(np.sqrt(min(1.0, phi / (min(sizes) - 1)))) if min(sizes) > 1 else 0.0


def _ratio(codes: NDArray[Any], values: Floats) -> float:
    """The root of the share of the spread that lies between categories."""
    counts = np.bincount(codes)
    between = float((np.bincount(codes, values) ** 2 / counts).sum())
    whole, spare = float(values @ values), len(values) - len(counts)
    if not whole or not spare:
        return 0.0
    inside = (whole - between) / spare * (len(values) - 1)
    return float(np.sqrt(np.clip(1 - inside / whole, 0.0, 1.0)))


def hierarchy(table: Table) -> Floats:
    """Columns joined two by two, those that depend most on each other first.

    The distance is 1 less the association, between sets of columns that of the two furthest.

    Args:
        table: Rows with at least two columns.

    Returns:
        SciPy's linkage matrix, [column - 1, 4].

    Raises:
        InputError: If there is only one column.

    Example:
        >>> rows = np.array([[1.0, 5.0, 1.0], [2.0, 1.0, 2.0], [3.0, 3.0, 3.0], [4.0, 2.0, 4.0]])
        >>> hierarchy(rows)[:, :2].astype(int).tolist()
        [[0, 2], [1, 3]]
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if table.shape[1] < 2:
        raise InputError("one column makes no hierarchy", expected="two columns or more", got="1")
    gaps = squareform(np.round(1 - associations(table), 12), checks=False)
    return np.asarray(linkage(gaps, method="complete"), dtype=np.float64)

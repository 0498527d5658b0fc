"""What all imputers draw and look up: rows, ends, and noise that hangs on a row's content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ends_of(rows: Floats) -> Floats:
    """The least and the greatest present value of each number; 0 where none is present.

    Example:
        >>> ends_of(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
        [[1.0, 0.0], [3.0, 0.0]]
    """
    gone = np.isnan(rows)
    low = np.where(gone, np.inf, rows).min(axis=0)
    high = np.where(gone, -np.inf, rows).max(axis=0)
    ends: Floats = np.where(gone.all(axis=0), 0.0, np.stack([low, high]))
    return ends


def sampled(rows: Floats, limit: int, seed: int) -> Floats:
    """So many of the rows at most, drawn at random and in their order.

    Example:
        >>> sampled(np.arange(3.0)[:, None], 2, seed=0).tolist()
        [[1.0], [2.0]]
    """
    if len(rows) <= limit:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), limit, replace=False))]


def noise_of(rows: Floats, draw: int, count: int | None = None) -> Floats:
    """Standard normal numbers that depend on a row's own content and the draw, not its place.

    So a row alone is filled as it is in a table, today and tomorrow.

    Args:
        rows: NaN where a number is missing.
        draw: Which draw this is.
        count: Numbers for each row; None is as many as it has.

    Example:
        >>> rows = np.array([[1.0, np.nan], [2.0, 0.0]])
        >>> np.array_equal(noise_of(rows[1:], 3, count=5), noise_of(rows, 3, count=5)[1:])
        True
    """
    bits = np.where(np.isnan(rows), np.float32(0.5), rows).astype(np.float32).view(np.uint32)
    own = np.arange(1, rows.shape[1] + 1, dtype=np.uint64)
    places = np.arange(1, (count or rows.shape[1]) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        row = np.bitwise_xor.reduce(_mixed(bits.astype(np.uint64) + (own << np.uint64(32))), 1)
        keys = row[:, None] + places * np.uint64(0x9E3779B97F4A7C15) + np.uint64(draw * 7919)
    from scipy.special import ndtri

    shares = (_mixed(keys) >> np.uint64(11)).astype(np.float64) / 2**53
    normal: Floats = ndtri(np.clip(shares, 1e-12, 1 - 1e-12))
    return normal


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Well-mixed bits of each key (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))

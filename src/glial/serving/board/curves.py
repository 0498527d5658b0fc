"""Curves: read from a history, and thinned so that every extreme stays."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.serving.board.texts import shown

Array = NDArray[np.float64]
AXES = ("epoch", "step", "seconds")
POINTS = 256  # of a curve that is kept; one that is looked at closely is read anew
MOST_COLUMNS = 64


def read_history(content: bytes) -> dict[str, Array]:
    r"""The columns of a ``history.csv``; what is no number is NaN, and a cut last row is left out.

    Args:
        content: The file.

    Returns:
        Columns by name, with ``epoch``, ``step`` and ``seconds`` in any case.

    Raises:
        InputError: If it is no table.

    Example:
        >>> read_history(b"epoch,val_loss\n1,0.5\n2,")["val_loss"].tolist()
        [0.5, nan]
    """
    import polars as pl

    try:
        if not content.strip():
            raise ValueError("it is empty")  # noqa: TRY301 one way out for all that is no table
        table = pl.read_csv(io.BytesIO(content), infer_schema=False, truncate_ragged_lines=True)
        found = {
            shown(name, 80): table[name].cast(pl.Float64, strict=False).to_numpy().astype(float)
            for name in table.columns[:MOST_COLUMNS]
        }
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InputError(
            "history.csv cannot be read", expected="a table, a row an epoch", got=str(error)[:200]
        ) from error
    found = {name: np.where(np.isfinite(values), values, np.nan) for name, values in found.items()}
    rows = np.arange(1.0, table.height + 1)
    return {**dict.fromkeys(AXES, rows), **found}


def quantities(history: dict[str, Array]) -> list[str]:
    """What can be drawn: every column but the axes, losses and scores of validation first.

    Args:
        history: The columns.

    Example:
        >>> quantities({"epoch": np.zeros(1), "lr": np.zeros(1), "val_loss": np.zeros(1)})
        ['val_loss', 'lr']
    """
    names = [name for name in history if name not in AXES]
    return sorted(names, key=lambda name: (not name.startswith("val_"), name == "lr"))


def thinned(values: Array, points: int = POINTS) -> NDArray[np.intp]:
    """Which points of a curve to draw: the lowest and the highest of every bucket, and both ends.

    Args:
        values: The curve; NaN is a gap.
        points: About how many points are kept, at least 4.

    Returns:
        Their places, in order; all of them where there are no more than that.

    Example:
        >>> thinned(np.array([0.0, 9.0, 1.0, 2.0, -5.0, 3.0]), points=4).tolist()
        [0, 1, 4, 5]
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    buckets = max(1, (points - 2) // 2)
    edges = np.linspace(0, count, buckets + 1).astype(np.intp)
    sizes = np.diff(edges)
    # A row a bucket, filled up with NaN, so that all buckets are searched at once.
    places = edges[:-1, None] + np.arange(sizes.max())
    inside = np.arange(sizes.max()) < sizes[:, None]
    rows = np.where(inside, values[np.minimum(places, count - 1)], np.nan)
    gaps = np.isnan(rows)
    low = places[np.arange(buckets), np.where(gaps, np.inf, rows).argmin(axis=1)]
    high = places[np.arange(buckets), np.where(gaps, -np.inf, rows).argmax(axis=1)]
    return np.unique(np.concatenate([[0, count - 1], low, high]))


def packed(history: dict[str, Array], quantity: str, points: int = POINTS) -> bytes:
    r"""A thinned curve as bytes: single-precision rows of epochs, steps, seconds and values.

    Args:
        history: The columns.
        quantity: Which is drawn.
        points: About how many points are kept.

    Example:
        >>> history = read_history(b"epoch,val_loss\n1,0.5\n2,0.25")
        >>> unpacked(packed(history, "val_loss"))[3].tolist()
        [0.5, 0.25]
    """
    kept = thinned(history[quantity], points)
    rows = np.stack([history[name][kept] for name in (*AXES, quantity)])
    return rows.astype("<f4").tobytes()


def unpacked(content: bytes) -> NDArray[np.float32]:
    """What :func:`packed` wrote: rows of epochs, steps, seconds and values.

    Example:
        >>> unpacked(b"").shape
        (4, 0)
    """
    return np.frombuffer(content, dtype="<f4").reshape(4, -1)

"""Explain a run: its predictions for rows, or its network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator
from glial.explanation.explained import Explanation
from glial.explanation.predictions import Asked
from glial.explanation.scores import run_scores
from glial.explanation.table import EXPLAINERS
from glial.runs import load
from glial.runs.prediction import read_for
from glial.runs.run import Run

logger = logging.getLogger(__name__)

ROWS = 5  # are explained unless more are asked for
BACKGROUND = 100


def explain(
    run: Run | str | Path,
    source: Any,
    *,
    method: str | Sequence[str] | None = None,
    rows: Sequence[int] | None = None,
    target: str | None = None,
    background: Any = None,
    check: bool = False,
    seed: int = 0,
    **options: Any,
) -> list[Explanation]:
    """Why a run says what it says.

    Args:
        run: The run, or its folder.
        source: Rows: a file, folder, data set or table in memory. Methods about a network look at
            all of them, methods about predictions at some.
        method: Names of explainers, see `glial.explanation.EXPLAINERS`; None is one that suits the
            run, see `suitable`.
        rows: Numbers of the rows that are explained, counted from 0; None is the first five.
        target: The class, or the target of several, that is explained; None is each row's
            likeliest class.
        background: Rows that stand for what may come; None draws them from the source.
        check: Whether methods are checked on the first rows: completeness, sensitivity, shuffled
            weights, deletion and insertion.
        seed: Of everything that is drawn.
        options: Of the methods, such as ``layer`` and ``unit``.

    Returns:
        An explanation a method.

    Raises:
        InputError: If the run cannot be explained so, or there is no such method, row or class.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=5, out=False)
        >>> found = explain(run, "iris", method="integrated_gradients", rows=[0])[0]
        >>> row = found.rows[0]
        >>> abs(row.output - row.reference - row.parts[0].total) < 1e-4
        True
    """
    run = run if isinstance(run, Run) else load(run)
    names = [method] if isinstance(method, str) else list(method or [suitable(run)])
    explainers = [EXPLAINERS.resolve(name) for name in names]
    frame, paths = read_for(run, source)
    if not frame.height:
        raise InputError("there are no rows to explain", expected="at least one row", got="none")
    numbers = _numbers(rows, frame.height)
    others = frame if background is None else read_for(run, background)[0]
    drawn = numpy_generator(seed, "background")
    whole = others
    if others.height > BACKGROUND:
        chosen = np.sort(drawn.choice(others.height, BACKGROUND, replace=False))
        others = others[chosen]
    told = []
    for explainer in explainers:
        asked = Asked(
            run=run,
            frame=frame[numbers],
            numbers=numbers,
            paths=None if paths is None else [str(paths[n]) for n in numbers],
            background=others if explainer.about == "prediction" else whole,
            target=target,
            check=check,
            seed=seed,
            options=options,
        )
        told.append(explainer.explain(asked))
    return told


def suitable(run: Run) -> str:
    """The explainer that suits a run.

    Shapley values for tables, ``grad_cam`` for images and sounds whose network convolves,
    ``integrated_gradients`` for everything else.

    Args:
        run: The run.

    Example:
        >>> import glial
        >>> suitable(glial.train("iris", model="linear", epochs=1, out=False))
        'shap'
    """
    import torch

    found = run_scores(run)
    kinds = found.kinds()
    if kinds <= {"numbers", "categories"}:
        return "shap"
    convolves = any(isinstance(m, torch.nn.Conv2d) for m in found.network.modules())
    if kinds & {"image", "sound"} and convolves:
        return "grad_cam"
    return "integrated_gradients"


def _numbers(rows: Sequence[int] | None, height: int) -> list[int]:
    if rows is None:
        return list(range(min(ROWS, height)))
    wrong = [row for row in rows if not 0 <= row < height]
    if wrong or not len(rows):
        raise InputError(
            "there is no such row to explain",
            expected=f"numbers from 0 to {height - 1}",
            got=str(wrong[0]) if wrong else "none",
        )
    return [int(row) for row in rows]

"""How strong the learning signal is in each layer while a network trains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Literal

from glial.charts.grids import heat_map
from glial.charts.scales import numbers
from glial.charts.ticks import write_number

Verdict = Literal["healthy", "vanishing", "exploding", "broken", "silent", "unknown"]
FAINTER = 1000.0  # times by which gradients change from one end of the network to the other
WORDS = {
    "healthy": "Healthy: the signal reaches the first layers.",
    "vanishing": "Vanishing: the signal fades on its way back to the input, so that the first "
    "layers hardly learn.",
    "exploding": "Exploding: the signal grows on its way back to the input, so that steps in the "
    "first layers are far too large.",
    "broken": "Broken: gradients are not finite, so nothing can be learnt from them.",
    "silent": "Silent: the last layers get no signal at all, so nothing is learnt.",
    "unknown": "Too little was recorded to say how the signal flows.",
}


def judge_flow(values: Iterable[Iterable[Any]]) -> tuple[Verdict, float]:
    """Whether gradients fade or grow on their way back to the input.

    Args:
        values: Of each layer, from the input to the output, the root mean squares of its gradient
            at the steps recorded.

    Returns:
        The verdict by the last half of the steps, and how many times stronger the signal is in the
        last third of the layers than in the first (medians). ``vanishing`` from a thousand times
        on, ``exploding`` where it is a thousand times weaker, ``broken`` where the last step
        recorded has numbers that are not finite, ``silent`` where the last layers' are 0.

    Example:
        >>> judge_flow([[1e-6, 1e-6], [1e-3, 1e-3], [1.0, 1.0]])
        ('vanishing', 1000000.0)
    """
    rows = [[value for value in row if value is not None] for row in values]
    rows = [numbers(row) for row in rows if row]
    if any(not math.isfinite(row[-1]) for row in rows):
        return "broken", math.nan
    late = [[v for v in row[len(row) // 2 :] if math.isfinite(v)] for row in rows]
    known = [median(row) for row in late if row]
    if len(known) < 2:
        return "unknown", math.nan
    third = max(1, len(known) // 3)
    first, last = median(known[:third]), median(known[-third:])
    if first == 0 or last == 0:
        return ("vanishing", math.inf) if last > 0 else ("silent", math.nan)
    if last / first >= FAINTER:
        return "vanishing", last / first
    return ("exploding" if last / first <= 1 / FAINTER else "healthy"), last / first


def gradient_flow(
    layers: Sequence[str],
    steps: Sequence[Any],
    values: Iterable[Iterable[Any]],
    *,
    title: str = "How strong the learning signal is, layer by layer",
    describe: str = "",
) -> str:
    """The root mean square of each layer's gradient over the steps, by powers of ten.

    Args:
        layers: Names of the layers, the one next to the input first, which is drawn at the top.
        steps: The steps recorded.
        values: Of each layer the root mean square of its gradient at each step; missing where it
            was not recorded.
        title: What the chart is called.
        describe: What one sees, in words; by default what `judge_flow` says.

    Returns:
        The text of an SVG, which says in words what it shows.

    Example:
        >>> "Vanishing" in gradient_flow(["in", "out"], [1, 2], [[1e-6, 1e-6], [1.0, 1.0]])
        True
    """
    rows = [list(row) for row in values]
    verdict, ratio = judge_flow(rows)
    told = WORDS[verdict]
    if math.isfinite(ratio):
        times = write_number(float(f"{ratio:.2g}"))
        told += (
            f" The last layers' gradients are {times} times those of the first ones; up to a "
            "thousand is usual."
        )
    return heat_map(
        rows,
        x_labels=[write_number(float(step)) for step in steps],
        y_labels=layers,
        title=title,
        scale="log",
        x_title="training step",
        y_title=told,
        describe=describe or f"{told} Rows are layers from the input (top) to the output.",
        show_numbers=False,
    )

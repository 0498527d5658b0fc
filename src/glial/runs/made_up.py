"""What a network that generates makes up while it learns."""

from __future__ import annotations

from glial.runs.generation import generate
from glial.runs.run import Run
from glial.runs.samples import LETTERS, ROWS, Sample, row_in_short, small_png

TOKENS = 80


def made_up(run: Run) -> list[Sample]:
    """What a network that generates makes up: texts, images or rows, the same draws each time.

    Args:
        run: The run, trained or on its way.
    """
    if run.task == "language-modelling":
        texts = generate(run, num_samples=2, length=TOKENS)
        return [Sample(str(one.text)[: 3 * LETTERS]) for one in texts]
    made = generate(run, num_samples=ROWS)
    if made.images is not None:
        told = made.classes or ["made up"] * len(made.images)
        pixels = made.images.float().div(255)
        return [Sample(name, image=small_png(one)) for name, one in zip(told, pixels, strict=True)]
    if made.frame is None:
        return []
    rows = made.frame.head(ROWS).iter_rows(named=True)
    return [Sample(row_in_short(row, made.frame.columns) or "") for row in rows]

"""Where a network looked, told in words: against pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from glial.explanation.explained import Part
from glial.reports.blocks import Grid, Text
from glial.reports.sections.reasons import _part


def said(values: np.ndarray, kind: str) -> list[str]:
    shown = np.ones((3, *values.shape)) if kind == "image" else np.ones(values.shape)
    grid, *rest = _part(Part("x", kind, [], values, shown), "probability")
    assert isinstance(grid, Grid)
    return [block.text for block in rest if isinstance(block, Text)]


@pytest.mark.parametrize(
    ("kind", "down", "across", "place"),
    [
        ("image", 0, 0, "the top left"),
        ("image", 1, 1, "the middle"),
        ("image", 2, 1, "the bottom centre"),
        ("image", 1, 2, "the middle right"),
        ("sound", 0, 2, "the lowest bands at its end"),
        ("sound", 2, 0, "the highest bands at its beginning"),
    ],
)
def test_the_place_that_counted_most_is_named(kind, down, across, place):
    values = np.zeros((9, 12))
    values[3 * down : 3 * down + 3, 4 * across : 4 * across + 4] = -3.0  # against it counts too
    values[4, 5] += 4.0 if (down, across) != (1, 1) else 0.0
    (text,) = said(values, kind)
    # 12 points of 3, and one of 4 elsewhere: 36 of 40; 20 of them are 4 + 6 x 3, on 7 of 108.
    share, points = (100, 6) if (down, across) == (1, 1) else (90, 6)
    assert text == (
        f"What counted most lies in {place}: {share} % of all, where an even look would give 11 %. "
        f"Half of what counted lies on {points} % of the {kind}."
    )


@pytest.mark.parametrize("values", [np.zeros((9, 9)), np.ones((2, 9))])
def test_nothing_is_said_where_nothing_can_be(values):
    assert said(values, "image") == []

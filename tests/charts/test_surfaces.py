"""Lines of equal height, decision boundaries and surfaces."""

from __future__ import annotations

import contourpy
import numpy as np
import pytest
from tests.charts.test_charts import axis, corners, named, tree

from glial.charts import boundary_chart, contours, surface_chart
from glial.charts.contours import levels


def length(lines):
    return sum(np.linalg.norm(np.diff(np.array(line), axis=0), axis=1).sum() for line in lines)


@pytest.mark.parametrize("seed", range(12))
def test_contours_are_contourpys(seed):
    draw = np.random.default_rng(seed)
    xs, ys = np.sort(draw.uniform(-1, 1, 9)), np.sort(draw.uniform(0, 5, 7))
    table = draw.normal(size=(7, 9))
    if seed % 3 == 0:
        table[3, 4] = np.nan
    masked = np.ma.masked_invalid(table)
    other = contourpy.contour_generator(xs, ys, masked, name="serial", corner_mask=False)
    for level in (-0.7, 0.0, 0.3, 5.0):
        mine, theirs = contours(table, level, xs, ys), other.lines(level)
        assert len(mine) == len(theirs)
        assert length(mine) == pytest.approx(length(theirs))
        ends = sorted({(round(x, 9), round(y, 9)) for line in mine for x, y in line})
        expected = sorted({(round(x, 9), round(y, 9)) for line in theirs for x, y in line})
        assert np.allclose(ends, expected) if ends else not expected


def test_a_circle_has_its_circumference():
    at = np.linspace(-2, 2, 81)
    (line,) = contours(at[:, None] ** 2 + at[None] ** 2, 1.0, at, at)
    assert line[0] == line[-1]
    assert length([line]) == pytest.approx(2 * np.pi, rel=1e-3)


def test_levels_are_round_or_by_equal_factors():
    assert levels([[0.0, 10.0]], 5) == [2.0, 4.0, 6.0, 8.0]
    steep = levels([[1e-3, 1e3]], 5)
    assert np.allclose(steep, [1e-2, 1e-1, 1.0, 10.0, 100.0])
    assert levels([[3.0, 3.0]]) == []
    assert levels([[np.nan]]) == []


def test_a_boundary_stands_where_it_is():
    svg = boundary_chart(
        lambda places: [1 / (1 + np.exp(-9 * (x - 0.5))) for x, _ in places],
        [(0, 0), (1, 1)],
        ["no", "yes"],
        title="Right of a half",
        x_range=(0, 1),
        y_range=(0, 1),
    )
    (line,) = named(svg, "path", "s0")
    (zero, left), (one, right) = axis(svg, across=True)
    assert (zero, one) == (0, 1)
    for x, _ in corners(line["d"]):
        assert (x - left) / (right - left) == pytest.approx(0.5, abs=0.002)
    assert "50 % of the plane" in tree(svg)[1].text
    shades = named(svg, "rect")
    assert {shade["class"] for shade in shades} == {"f1", "f2"}


def test_regions_of_classes_cover_the_plane():
    table = [["a", "a", "b"], ["a", "c", "b"]]
    svg = boundary_chart(table, title="Three", x_range=(0, 3), y_range=(0, 2))
    cells = named(svg, "rect")
    areas = {}
    for cell in cells:
        area = float(cell["width"]) * float(cell["height"])
        areas[cell["class"]] = areas.get(cell["class"], 0) + area
    whole = sum(areas.values())
    assert [round(6 * areas[f"f{n}"] / whole, 1) for n in (1, 2, 3)] == [3.0, 2.0, 1.0]
    lowest = max(float(cell["y"]) for cell in cells)  # the first row is at the lower end
    assert [cell["class"] for cell in cells if float(cell["y"]) == lowest] == ["f1", "f2"]
    assert "50 % is taken for a" in tree(svg)[1].text


def test_a_way_over_a_surface():
    at = np.linspace(-1, 1, 21)
    bowl = at[:, None] ** 2 + at[None] ** 2
    svg = surface_chart(bowl, [(1, 1), (0.5, 0.5), (0, 0), (7, 7)], title="Bowl")
    (way,) = named(svg, "path", "s2")
    (_, left), (_, right) = axis(svg, across=True)
    places = corners(way["d"])
    assert len(places) == 3  # what is beyond the edges is not drawn
    assert places[0][0] == pytest.approx(right, abs=0.1)
    assert places[2][0] == pytest.approx((left + right) / 2, abs=0.1)
    assert "lowest place is 0 at (0, 0)" in tree(svg)[1].text
    flat = surface_chart(np.full((3, 3), np.nan), title="Nothing")
    assert "nowhere finite" in tree(flat)[1].text

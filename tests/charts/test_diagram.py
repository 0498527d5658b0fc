"""Where boxes and arrows stand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from tests.charts.test_charts import named, tree

from glial.charts import Box, flow_diagram
from glial.charts.diagram import apart, lay_out


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    kinds = st.sampled_from(["layer", "join", "end", "weights"])
    boxes = [
        Box(f"b{n}", draw(st.sampled_from(["+", "Linear", "a long name of a layer"])),
            draw(st.sampled_from(["", "64×3×3"])), draw(kinds), draw(st.integers(1, 3)))
        for n in range(count)
    ]  # fmt: skip
    pairs = list(combinations(range(count), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    return boxes, [(f"b{a}", f"b{b}") for a, b in chosen]


def outline(box, place):
    (x, y), wide, high = place, box.width / 2, box.height / 2
    return x - wide, x + wide, y - high, y + high


@given(graphs())
def test_boxes_do_not_overlap_and_arrows_lead_down_past_them(graph):
    boxes, edges = graph
    layout = lay_out(boxes, edges)
    assert set(layout.routes) == set(edges)
    outlines = {box.name: outline(box, layout.places[box.name]) for box in boxes}
    for (_, a), (_, b) in combinations(outlines.items(), 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    for (start, end), corners in layout.routes.items():
        assert outlines[start][3] < outlines[end][2]
        heights = [y for _, y in corners]
        assert heights == sorted(heights)
        for x, y in corners:
            inside = [o for o in outlines.values() if o[0] < x < o[1] and o[2] <= y <= o[3]]
            assert inside == []
    for left, right, top, bottom in outlines.values():
        assert left >= -1e-6
        assert top >= -1e-6
        assert right <= layout.size[0] + 1e-6
        assert bottom <= layout.size[1] + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_places_in_a_row_are_the_nearest_to_those_wished_for(seed):
    draw = np.random.default_rng(seed)
    wishes, widths = draw.normal(0, 20, 5), draw.uniform(5, 30, 5)
    found = np.array(apart(wishes, widths, 3.0))
    room = (widths[1:] + widths[:-1]) / 2 + 3
    limits = [{"type": "ineq", "fun": lambda x, n=n: x[n + 1] - x[n] - room[n]} for n in range(4)]
    start = np.cumsum([0, *room])
    best = minimize(lambda x: ((x - wishes) ** 2).sum(), start, constraints=limits)
    assert (np.diff(found) >= room - 1e-9).all()
    assert ((found - wishes) ** 2).sum() == pytest.approx(best.fun, rel=1e-4)


def test_a_picture_has_every_box_and_every_arrow():
    boxes = [Box("in", "input", "", "end"), Box("a", "Block", "64", "weights", 12), Box("+", "+")]
    edges = [("in", "a"), ("a", "+"), ("in", "+"), ("+", "in"), ("?", "in")]
    svg = flow_diagram(boxes, edges, title="Net")
    assert len(named(svg, "path", "edge")) == 3  # arrows back, and from nowhere, are left out
    assert {"input", "Block", "×12"} <= {node.text for node in tree(svg).iter()}
    assert "input leads to Block, +; Block (64), 12 times leads to +" in tree(svg)[1].text
    assert "<svg" in flow_diagram([], [], title="Nothing")

"""What charts draw: places by the scale's formula, words for who cannot see, nothing that runs."""

from __future__ import annotations

import math
import random
import re
from datetime import date
from xml.etree import ElementTree

import numpy as np
import pytest

from glial.charts import (
    Band,
    Bar,
    Line,
    Mark,
    bar_chart,
    confusion_chart,
    gradient_flow,
    heat_map,
    histogram,
    judge_flow,
    line_chart,
    scatter_chart,
    sparkline,
    standalone,
    thin,
)
from glial.charts.bars import bin_edges

HOSTILE = "<script>alert(1)</script> & \" ' \x00 \ud800 \u202e ]]>"


def tree(svg):
    return ElementTree.fromstring(svg)


def named(svg, tag, kind=""):
    return [
        node.attrib
        for node in tree(svg).iter()
        if node.tag.endswith(f"}}{tag}") and (not kind or kind in node.get("class", "").split())
    ]


def corners(path):
    return [tuple(map(float, pair)) for pair in re.findall(r"([-\d.]+)[ ,]([-\d.]+)", path)]


def axis(svg, *, across):
    """The two outer marks of an axis: their numbers and places, from the words alone."""
    marks = {}
    for node in tree(svg).iter():
        if node.get("class") == "tick" and node.tag.endswith("}text"):
            is_across = node.get("text-anchor") == "middle"
            if is_across == across:
                place = float(node.get("x")) if across else float(node.get("y")) - 4
                marks[float(node.text.replace(",", "").replace("−", "-"))] = place
    return min(marks.items()), max(marks.items())


def read_back(svg, path, *, log_y=False):
    """The points of a path as numbers, by the words at the axes."""
    (x0, left), (x1, right) = axis(svg, across=True)
    (y0, low), (y1, high) = axis(svg, across=False)
    if log_y:
        y0, y1 = math.log10(y0), math.log10(y1)
    found = [
        (x0 + (x - left) / (right - left) * (x1 - x0), y0 + (y - low) / (high - low) * (y1 - y0))
        for x, y in corners(path)
    ]
    return [(x, 10**y if log_y else y) for x, y in found]


def test_a_line_goes_through_its_points():
    ys = [0.9, 0.52, 0.4, 0.38, 0.31]
    svg = line_chart([Line("train", range(1, 6), ys)], title="Loss", x_title="epoch")
    (line,) = named(svg, "path", "line")
    assert np.allclose(
        read_back(svg, line["d"]), list(zip(range(1, 6), ys, strict=True)), atol=0.01
    )
    told = tree(svg)
    assert told.get("role") == "img"
    assert told[0].text == "Loss"
    assert "goes from 0.9 to 0.31, lowest 0.31 at 5" in told[1].text


def test_a_wide_range_is_drawn_by_powers_of_ten():
    ys = [1000.0, 10.0, 1.0, 0.05]
    svg = line_chart([Line("loss", [0, 10, 20, 30], ys)], title="Loss")
    (line,) = named(svg, "path", "line")
    found = np.array(read_back(svg, line["d"], log_y=True))
    assert np.allclose(found[:, 1], ys, rtol=0.02)
    plain = line_chart([Line("loss", [0, 10, 20, 30], ys)], title="Loss", log_y=False)
    (line,) = named(plain, "path", "line")
    assert np.allclose(np.array(read_back(plain, line["d"]))[:, 1], ys, atol=3)


def test_a_line_is_broken_where_it_is_not_finite():
    ys = [1.0, 2.0, math.nan, 3.0, None, 2.0, 1.0, math.inf]
    svg = line_chart([Line("loss", range(8), ys)], title="Loss")
    (line,) = named(svg, "path", "line")
    assert line["d"].count("M") == 2
    assert line["d"].count("L") == 2
    assert len(named(svg, "path", "f1")) == 1  # the point that stands alone
    assert "3 values not finite" in tree(svg)[1].text


def test_thinning_keeps_ends_and_extremes():
    draw = random.Random(0)
    ys = [draw.gauss(0, 1) for _ in range(10_000)]
    ys[1234], ys[7777], ys[5000] = 50.0, -50.0, math.nan
    kept = thin(ys)
    assert len(kept) <= 400
    assert kept == sorted(set(kept))
    assert {0, 1234, 7777, 5000, 9999} <= set(kept)
    assert thin([1.0] * 400) == list(range(400))


def test_bands_marks_dates_and_names():
    days = [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 4)]
    svg = line_chart(
        [Line("sold", days, [1, 2, 3])],
        bands=[Band(days, [0, 1, 2], [2, 3, 4], "80 %")],
        marks=[Mark(days[1], "today")],
        title="Sold",
    )
    (line,) = named(svg, "path", ["line", "s1"][0])[-1:]
    (a, _), (b, _), (c, _) = corners(line["d"])
    assert (c - b) / (b - a) == pytest.approx(2, abs=0.01)  # two days are twice as long as one
    (band,) = named(svg, "polygon")
    assert len(corners(band["points"])) == 6
    assert f"M{b:.1f} " in named(svg, "path", "mark")[0]["d"]
    assert "01 Jan 2024" in svg
    names = line_chart([Line("score", ["small", "large"], [1, 2])], title="Size")
    assert {"small", "large"} <= {node.text for node in tree(names).iter()}


@pytest.mark.parametrize(
    ("xs", "even"), [([1, 10, 100], True), ([1, 2, 3], True), ([1, 2, 9], False)]
)
def test_values_far_apart_are_placed_by_powers_of_ten_where_asked(xs, even):
    svg = line_chart([Line("a", xs, [1, 2, 3])], title="t", log_x=None)
    (a, _), (b, _), (c, _) = corners(named(svg, "path", "line")[0]["d"])
    assert (b - a == pytest.approx(c - b, abs=0.11)) is even


def test_a_spread_is_a_bar_of_both_lengths():
    svg = line_chart([Line("a", [1, 2], [1.0, 3.0], spread=[0.5, 0.0])], title="t")
    _, bar = (path["d"] for path in named(svg, "path", "line"))
    (zero, base), (top, high) = axis(svg, across=False)
    low, up = (float(y) for y in re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)", bar).groups())
    ends = [zero + (y - base) / (high - base) * (top - zero) for y in (low, up)]
    assert ends == pytest.approx([0.5, 1.5], abs=0.01)


def test_a_unit_square_is_square():
    svg = line_chart([Line("a", [0, 1], [0, 1])], title="ROC", unit_square=True, diagonal=True)
    (start, end) = corners(named(svg, "path", "line")[0]["d"])
    assert end[0] - start[0] == pytest.approx(start[1] - end[1])
    assert corners(named(svg, "path", "guide")[0]["d"]) == [start, end]


def test_bars_are_as_long_as_their_numbers():
    svg = bar_chart([Bar("a", 4.0), Bar("b", 1.0), Bar("c", -2.0, -3.0, -1.0)], title="Bars")
    widths = [float(bar["width"]) for bar in named(svg, "rect")]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(2, rel=0.01)
    assert [bar["class"] for bar in named(svg, "rect")] == ["over", "over", "under"]
    zero = float(named(svg, "rect")[0]["x"])
    assert float(named(svg, "rect")[2]["x"]) + widths[2] == pytest.approx(zero, abs=0.02)
    whisker = corners(named(svg, "path", "s0")[0]["d"])
    assert whisker[0][0] == pytest.approx(zero - 3 * widths[1], abs=0.1)
    assert "c: −2" in tree(svg)[1].text


def test_bins_hold_every_number():
    draw = random.Random(0)
    values = [draw.gauss(3, 2) for _ in range(500)]
    edges = bin_edges(values)
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == 500
    assert 8 <= len(edges) - 1 <= 40
    svg = histogram({"x": values}, title="x")
    tops = [float(y) for y in re.findall(r"V([\d.]+)H", named(svg, "path", "line")[0]["d"])]
    (zero, base), (most, top) = axis(svg, across=False)
    found = [zero + (y - base) / (top - base) * (most - zero) for y in tops]
    assert np.allclose(found, counts, atol=0.5)
    assert bin_edges([5.0, 5.0]) == [4.5, 5.5]


def test_categories_are_counted():
    svg = histogram({"sex": ["f", "m", "f", None]}, title="Sex")
    assert len(named(svg, "rect")) == 3
    assert "f 2, m 1, missing 1" in tree(svg)[1].text
    many = histogram({"n": {str(n): n for n in range(1, 31)}}, title="n", most=3)
    assert f"27 others {sum(range(1, 28))}" in tree(many)[1].text


def test_points_stand_where_they_are():
    svg = scatter_chart([0, 1, math.nan], [0, 10, 3], ["a", "b", "a"], title="t", x_title="x")
    places = [node["transform"] for node in named(svg, "path") if "transform" in node]
    (left, low), (right, high) = (corners(place)[0] for place in places[-2:])
    (_, start), (_, end) = axis(svg, across=True)
    assert (left, right) == pytest.approx((start, end), abs=0.11)
    assert low > high
    assert "1 without a number" in tree(svg)[1].text
    crowd = scatter_chart(range(5000), range(5000), title="t")
    assert len(named(crowd, "path", "f1")) == 1000
    assert "correlation is 1.00" in tree(crowd)[1].text


def test_shades_follow_numbers():
    svg = heat_map([[1.0, 3.0], [5.0, math.nan]], x_labels="ab", y_labels="cd", title="t")
    cells = named(svg, "rect", "heat")[:3]
    assert [float(cell["fill-opacity"]) for cell in cells] == [0.0, 0.25, 0.5]  # numbers on them
    assert len(named(svg, "path", "edge")) == 1
    assert "The highest is 5 (d, a), the lowest 1 (c, a)" in tree(svg)[1].text
    signs = heat_map(
        [[-4.0, 2.0]], x_labels="ab", y_labels="c", title="t", scale="diverging", show_numbers=False
    )
    pair = [(cell["class"], cell["fill-opacity"]) for cell in named(signs, "rect")[:2]]
    assert pair == [("under", "1"), ("over", "0.5")]
    powers = heat_map(
        [[1.0, 10.0, 1e4]], x_labels="abc", y_labels="d", title="t", scale="log", show_numbers=False
    )
    assert [cell["fill-opacity"] for cell in named(powers, "rect")[:3]] == ["0", "0.25", "1"]


def test_large_tables_are_merged():
    table = np.arange(130.0 * 230).reshape(130, 230)
    svg = heat_map(table, x_labels=range(230), y_labels=range(130), title="t")
    shades = named(svg, "path", "heat")
    assert sum(shade["d"].count("z") for shade in shades) == 44 * 77  # three by three become one
    strengths = [float(shade["fill-opacity"]) for shade in shades]
    assert strengths == sorted(strengths)  # as the numbers are
    assert (strengths[0], strengths[-1]) == (0, 1)
    assert len(svg) < 150_000
    assert "nothing" in heat_map(
        [[math.nan] * 200] * 50, x_labels=[], y_labels=[], title="t", scale="log"
    )
    assert "mean of its neighbours" in svg


def test_confusions_are_shares_of_rows():
    svg = confusion_chart(["cat", "dog"], [[6, 2], [0, 4]])
    shades = [(cell["class"].split()[0], cell.get("fill-opacity")) for cell in named(svg, "rect")]
    assert shades == [("good", "0.38"), ("bad", "0.12"), ("bad", "0"), ("good", "0.5")]
    assert "10 of 12 are right" in tree(svg)[1].text
    assert "cat taken for dog 2 times" in tree(svg)[1].text
    large = np.eye(50) * 10 + 1
    merged = confusion_chart(range(50), large)
    assert len(named(merged, "rect")) == 400
    counts = re.findall(r"taken for [^:]*: ([\d,]+)", merged)
    assert sum(float(count.replace(",", "")) for count in counts) == large.sum()


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([[1e-6] * 4, [1e-3] * 4, [1.0] * 4], "vanishing"),
        ([[1e4] * 4, [10.0] * 4, [1.0] * 4], "exploding"),
        ([[0.5] * 4, [1.0] * 4, [0.2] * 4], "healthy"),
        ([[0.5, 1.0, None], [1.0, 1.0, 1.0]], "healthy"),
        ([[0.5, math.nan], [1.0, 1.0]], "broken"),
        ([[0.0, 0.0], [1.0, 1.0]], "vanishing"),
        ([[0.0, 0.0], [0.0, 0.0]], "silent"),
        ([[1.0]], "unknown"),
    ],
)
def test_verdicts_on_gradient_flow(values, verdict):
    assert judge_flow(values)[0] == verdict
    names = [f"layer{n}" for n in range(len(values))]
    svg = gradient_flow(names, range(len(values[0])), values)
    assert verdict in svg.lower() or verdict == "unknown"


EVERY = {
    "lines": lambda text, v: line_chart(
        [Line(text, range(len(v)), v), Line(text, range(len(v)), v, points=True)],
        title=text,
        x_title=text,
        y_title=text,
        marks=[Mark(0, text)],
        bands=[Band(range(len(v)), v, v, text)],
    ),
    "named lines": lambda text, v: line_chart([Line(text, [text] * len(v), v)], title=text),
    "bars": lambda text, v: bar_chart([Bar(text, one, note=text) for one in v], title=text),
    "histogram": lambda text, v: histogram({text: v, text * 2: v}, title=text, x_title=text),
    "categories": lambda text, v: histogram({text: [text] * len(v)}, title=text),
    "points": lambda text, v: scatter_chart(v, v, [text] * len(v), title=text, diagonal=True),
    "heat": lambda text, v: heat_map([v, v], x_labels=[text], y_labels=[text, text], title=text),
    "log heat": lambda text, v: heat_map([v], x_labels=[], y_labels=[], title=text, scale="log"),
    "confusion": lambda text, v: confusion_chart([text] * 2, [[1, 0], [0, 0]], title=text),
    "flow": lambda text, v: gradient_flow([text], range(len(v)), [v]),
    "spark": lambda text, v: sparkline(v, title=text),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "values",
    [[], [1.0], [0.0, 0.0], [math.nan, math.inf], [1e300, -1e300], [5e-324, 1.0], [-3, 2, 1e-9]],
    ids=str,
)
@pytest.mark.parametrize("text", ["", HOSTILE, "a very long name " * 40])
def test_nothing_breaks_a_chart_and_nothing_in_it_runs(name, values, text):
    for svg in (found := EVERY[name](text, values)), standalone(found):
        root = tree(svg)
        assert root[0].text
        assert root[1].text
        tags = {node.tag.rsplit("}")[-1] for node in root.iter()}
        assert tags <= {
            "svg",
            "title",
            "desc",
            "g",
            "path",
            "rect",
            "text",
            "circle",
            "polygon",
            "style",
        }
        attributes = {key for node in root.iter() for key in node.attrib}
        assert not {key for key in attributes if key.startswith("on") or "href" in key}
        places = [
            node.get(key, "")
            for node in root.iter()
            for key in ("d", "x", "y", "points", "width", "height", "cx", "transform")
        ]
        assert not any("nan" in place or "inf" in place for place in places)

"""Charts as a browser draws them: light and dark, wide and narrow, for who cannot see them too."""

from __future__ import annotations

import math
from datetime import date, timedelta
from importlib import resources

import numpy as np
import pytest
import torch
from tests.browser.conftest import DESKTOP, PHONE

from glial import charts, models
from glial.charts import Band, Bar, Line, Mark
from glial.nn.diagram import network_diagrams

LOOK = """main { display: grid; gap: 1.5rem; padding: 1rem; max-width: 76rem; margin: auto;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 23rem), 1fr)); }
h1 { grid-column: 1 / -1; margin: 0; } figure { margin: 0; }"""


def curves():
    epochs = range(1, 31)
    train = [1.1 / n + 0.02 for n in epochs]
    held = [1.1 / n + 0.05 + 0.005 * n for n in epochs]
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(200)]
    sold = [10 + 3 * math.sin(n / 9) for n in range(200)]
    ahead = [value + 0.3 for value in sold[160:]]
    share = [n / 50 for n in range(51)]
    yield charts.line_chart(
        [Line("train", epochs, train), Line("validation", epochs, held)],
        title="Loss",
        x_title="epoch",
        y_title="cross-entropy",
        marks=[Mark(14, "best epoch")],
    )
    yield charts.line_chart(
        [Line("actual", days, sold), Line("forecast", days[160:], ahead, dashed=True)],
        bands=[Band(days[160:], [v - 1 for v in ahead], [v + 1 for v in ahead], "80 % interval")],
        title="Bicycles rented a day",
    )
    yield charts.line_chart(
        [Line(f"class {n}", share, [x ** (0.2 + 0.2 * n) for x in share]) for n in range(4)],
        title="ROC",
        x_title="false positive rate",
        y_title="true positive rate",
        unit_square=True,
        diagonal=True,
    )


def tables(draw):
    bars = [Bar("sex", 0.21, 0.17, 0.25), Bar("fare", 0.06), Bar("a long name of a column", -0.04)]
    yield charts.bar_chart(bars, title="What a column adds", x_title="accuracy")
    ages = {"women": draw.normal(28, 9, 400), "men": draw.normal(34, 10, 600)}
    yield charts.histogram(ages, title="Age", x_title="years")
    ports = {"lived": {"Cherbourg": 93, "Dover": 3}, "died": {"Cherbourg": 75, "Dover": 40}}
    yield charts.histogram(ports, title="Port")
    true = draw.uniform(0, 50, 60)
    yield charts.scatter_chart(
        true, true + draw.normal(0, 4, 60), title="Predicted against true", x_title="true",
        y_title="predicted", diagonal=True,
    )  # fmt: skip
    names = [f"x{n}" for n in range(7)]
    related = np.corrcoef(draw.normal(size=(7, 12)))
    yield charts.heat_map(
        related, x_labels=names, y_labels=names, title="Correlations", scale="diverging"
    )
    yield charts.confusion_chart(["cat", "dog", "bird"], [[80, 12, 3], [5, 90, 1], [0, 2, 44]])
    layers = [f"layer {n}" for n in range(1, 13)]
    fading = 10.0 ** (np.arange(12)[:, None] / 2 - 6) * draw.uniform(0.5, 2, (12, 20))
    yield charts.gradient_flow(layers, range(0, 1000, 50), fading)
    yield charts.sparkline(np.sin(np.arange(60) / 6), title="a small curve")


def planes(draw):
    points = draw.normal(size=(60, 2))
    inside = ["inside" if x * x + y * y < 1 else "outside" for x, y in points]
    yield charts.boundary_chart(
        lambda places: [1 / (1 + math.exp(-4 * (x * x + y * y - 1))) for x, y in places],
        points,
        inside,
        title="Decision boundary",
        x_title="first feature",
        y_title="second feature",
    )
    at = np.linspace(-1, 1, 21)
    valley = at[None] ** 2 + 9 * (at[:, None] - at[None] ** 2) ** 2 + 0.02
    way = [(-0.8, 0.8), (-0.6, 0.5), (-0.3, 0.15), (0.0, 0.0)]
    yield charts.surface_chart(valley, way)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    draw = np.random.default_rng(0)
    torch.manual_seed(0)
    network = models.build("resnet18", num_classes=10)
    drawn = [*curves(), *tables(draw), *planes(draw)]
    drawn += network_diagrams(network, (torch.zeros(1, 3, 32, 32),), title="ResNet-18")
    tokens = resources.files("glial.reports") / "pages" / "tokens.css"
    style = tokens.read_text(encoding="utf-8") + charts.stylesheet() + LOOK
    path = tmp_path_factory.mktemp("gallery") / "charts.html"
    path.write_text(
        "<!doctype html><html lang=en><meta name=viewport content='width=device-width'>"
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Charts</title><style>{style}</style><main><h1>Charts</h1>"
        + "".join(f"<figure>{one}</figure>" for one in drawn)
        + "</main></html>",
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_chart_can_be_seen_and_heard(open_page, gallery, size, dark):
    opened = open_page(gallery, size=size, dark=dark)
    if (size is PHONE) is dark:  # looking at some thousand shapes takes seconds
        opened.check_accessible()
    opened.check_fits()
    assert opened.errors == []
    assert opened.requests == []
    page = opened.page
    assert page.get_by_role("img").count() == page.locator("figure svg").count() >= 16
    # Words are inside of their charts and large enough to be read.
    beyond = page.evaluate(
        """[...document.querySelectorAll('svg text')].filter(t => {
        const own = t.getBoundingClientRect(), all = t.closest('svg').getBoundingClientRect();
        return own.left < all.left - 1 || own.right > all.right + 1 || own.bottom > all.bottom + 1;
        }).map(t => t.textContent)"""
    )
    assert beyond == []
    smallest = page.evaluate(
        """Math.min(...[...document.querySelectorAll('svg text')].map(t =>
        parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a || 99))"""
    )
    assert smallest > 8
    ink = page.locator("svg .chart-title").first.evaluate("t => getComputedStyle(t).fill")
    assert ink == ("rgb(230, 234, 241)" if dark else "rgb(27, 34, 48)")
    name = f"charts{'-phone' if size is PHONE else ''}{'-dark' if dark else ''}"
    opened.shot(name)


def test_boxes_of_a_network(open_page, gallery):
    opened = open_page(gallery)
    inside = opened.page.get_by_role("img", name="Inside BasicBlock")
    assert inside.count() == 2  # with and without a layer on the way past
    told = opened.page.get_by_role("img", name="ResNet-18").locator("desc").text_content()
    assert "BasicBlock" in told
    opened.page.get_by_role("img", name="ResNet-18").evaluate("svg => svg.scrollIntoView()")
    opened.shot("charts-network")

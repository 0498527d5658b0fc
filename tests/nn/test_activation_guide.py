"""The guide says what the functions do."""

import math
from xml.etree import ElementTree

import pytest
import torch

from glial.core.errors import InputError
from glial.nn import ACTIVATIONS, activation, activation_guide, draw_activation

GRID = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
NUMERIC = {name: facts for name, facts in activation_guide().items() if name != "softmax"}


def test_every_activation_is_in_the_guide():
    assert set(activation_guide()) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", NUMERIC)
def test_ranges_are_kept_and_reached(name):
    facts = NUMERIC[name]
    values = activation(name).double()(GRID).detach()
    for bound, reached in ((facts.low, values.min().item()), (facts.high, values.max().item())):
        if math.isinf(bound):
            assert abs(reached) > 0.5
            continue
        assert reached == pytest.approx(bound, abs=1e-4)
    assert values.min() >= facts.low - 1e-4


FORMULAS = {
    "1 / (1 + exp(-x))": lambda x: 1 / (1 + math.exp(-x)),
    "2 sigmoid(2x) - 1": lambda x: 2 / (1 + math.exp(-2 * x)) - 1,
    "max(0, x)": lambda x: max(0, x),
    "max(0.01x, x)": lambda x: max(0.01 * x, x),
    "x if x > 0 else exp(x) - 1": lambda x: x if x > 0 else math.exp(x) - 1,
    "1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))": lambda x: (
        1.0507 * (x if x > 0 else 1.6733 * (math.exp(x) - 1))
    ),
    "x sigmoid(x)": lambda x: x / (1 + math.exp(-x)),
    "x tanh(log(1 + exp(x)))": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "x P(N(0, 1) <= x)": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
}


@pytest.mark.parametrize("name", [n for n, f in NUMERIC.items() if f.expression in FORMULAS])
def test_formulas_are_the_functions(name):
    formula = FORMULAS[NUMERIC[name].expression]
    for x in (-2.0, -0.3, 0.0, 0.4, 3.0):
        value = activation(name)(torch.tensor([x])).item()
        assert formula(x) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_curves_are_drawn_where_the_values_are(name):
    root = ElementTree.fromstring(draw_activation(name))
    curve, slope = (line.attrib["points"].split() for line in root.findall("{*}polyline"))
    assert len(curve) == len(slope) == 161
    heights = [float(point.split(",")[1]) for point in curve]
    assert all(20 <= height <= 200 for height in heights)
    if name not in ("swish", "silu", "mish", "gelu"):
        assert heights == sorted(heights, reverse=True)


def test_an_unknown_curve_is_refused():
    with pytest.raises(InputError, match="relu"):
        draw_activation("rleu")

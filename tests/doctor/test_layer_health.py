"""Numbers of layers over steps, by hand."""

from __future__ import annotations

import math

import pytest

from glial.doctor.evidence import (
    Evidence,
    LayerSeen,
    ModelSeen,
    ParameterSeen,
    Series,
    layer_health,
)


def linear(name="fc", order=0):
    weight = ParameterSeen(f"{name}.weight", name, [3, 4])
    bias = ParameterSeen(f"{name}.bias", name, [3])
    weight.gradient, bias.gradient = Series([1, 2], [3.0, 6.0]), Series([1, 2], [4.0, 8.0])
    weight.weight, bias.weight = Series([1, 2], [5.0, 5.0]), Series([1, 2], [12.0, 12.0])
    weight.update, bias.update = Series([1, 2], [0.13, 0.26]), Series([1, 2], [0.0, 0.0])
    layer = LayerSeen(name, "Linear", order=order, mean=Series([1, 2], [0.5, 0.25]))
    return layer, [weight, bias]


def test_parameters_of_a_layer_count_together():
    layer, parameters = linear()
    (found,) = layer_health(
        Evidence(models=[ModelSeen("net", "Net", layers=[layer], parameters=parameters)])
    )
    assert (found.name, found.kind, found.size) == ("fc", "Linear", 15)
    root = math.sqrt(15)  # norms 5 and 10 of the gradient, 13 of the weights
    assert found.quantities["gradient_rms"].values == pytest.approx([5 / root, 10 / root])
    assert found.quantities["weight_rms"].values == pytest.approx([13 / root, 13 / root])
    assert found.quantities["update_share"].values == pytest.approx([0.01, 0.02])
    assert found.quantities["activation_mean"].values == [0.5, 0.25]


def test_steps_that_not_all_parameters_have_are_left_out():
    layer, parameters = linear()
    parameters[1].gradient = Series([2], [8.0])
    model = ModelSeen("net", "Net", layers=[layer], parameters=parameters)
    (found,) = layer_health(Evidence(models=[model]))
    assert found.quantities["gradient_rms"].steps == [2]


def test_layers_stand_in_the_order_of_calls_and_under_their_network():
    layers = [linear("b", order=1), linear("a", order=0)]
    both = [*layers[0][1], *layers[1][1]]
    models = [
        ModelSeen(name, "Net", layers=[one for one, _ in layers], parameters=both)
        for name in ("left", "right")
    ]
    names = [one.name for one in layer_health(Evidence(models=models))]
    assert names == ["left.a", "left.b", "right.a", "right.b"]


def test_long_series_keep_their_ends():
    layer, _ = linear()
    layer.dead = Series(list(range(1, 201)), [n / 200 for n in range(1, 201)])
    (found,) = layer_health(Evidence(models=[ModelSeen("net", "Net", layers=[layer])]), most=10)
    dead = found.quantities["dead_share"]
    assert len(dead) == 10
    assert (dead.steps[0], dead.steps[-1]) == (1, 200)
    assert dead.values[-1] == 1.0


def test_of_many_layers_some_are_left():
    layers = [LayerSeen(f"{n}", "Linear", order=n, mean=Series([1], [0.5])) for n in range(1000)]
    found = layer_health(Evidence(models=[ModelSeen("net", "Net", layers=layers)]))
    assert len(found) == 150
    assert (found[0].name, found[-1].name) == ("0", "999")

"""How each layer fares, as a few numbers over the steps: what pages draw of the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from glial.doctor.evidence.networks import LayerSeen, ParameterSeen
from glial.doctor.evidence.numbers import Series
from glial.doctor.evidence.training import Evidence

MOST_LAYERS, MOST_VALUES = 150, 60


@dataclass(frozen=True)
class LayerHealth:
    """One layer.

    Attributes:
        name: Its path in the network; of several networks after the network's name.
        kind: Its class, or the function's name.
        size: Number of values of its parameters.
        quantities: What was followed, of those that were: ``gradient_rms`` and ``weight_rms`` (root
            of the mean square over its parameters), ``update_share`` (the norm of what a step
            changed, divided by that of what it changed), ``activation_mean`` and
            ``activation_std`` of its outputs, ``dead_share`` of its units that give the same for
            all rows, ``saturated_share`` of its outputs in a flat part.

    Example:
        >>> LayerHealth("0", "Linear", 6).quantities
        {}
    """

    name: str
    kind: str
    size: int
    quantities: dict[str, Series] = field(default_factory=dict)


def layer_health(evidence: Evidence, *, most: int = MOST_VALUES) -> list[LayerHealth]:
    """How the layers fare, in the order of calls.

    Args:
        evidence: What was seen of a training.
        most: Values of each series, at most; the last one is always among them.

    Returns:
        Layers of which something was seen, at most 150: of larger networks those with weights,
        spread evenly.

    Example:
        >>> layer_health(Evidence())
        []
    """
    several = len(evidence.models) > 1
    found = []
    for model in evidence.models:
        held: dict[str, list[ParameterSeen]] = {}
        for parameter in model.parameters:
            held.setdefault(parameter.layer, []).append(parameter)
        for layer in sorted(model.layers, key=lambda layer: layer.order):
            name = f"{model.name}.{layer.name}" if several else layer.name
            found.append(_health(name, layer, held.pop(layer.name, []), most))
    told = [one for one in found if one.quantities]
    if len(told) > MOST_LAYERS:
        told = [one for one in told if one.size] or told
    if len(told) > MOST_LAYERS:
        last = len(told) - 1
        told = [told[round(n * last / (MOST_LAYERS - 1))] for n in range(MOST_LAYERS)]
    return told


def _health(name: str, layer: LayerSeen, parameters: list[ParameterSeen], most: int) -> LayerHealth:
    size = sum(math.prod(parameter.shape) for parameter in parameters)
    gradients = _norm(parameter.gradient for parameter in parameters)
    weights = _norm(parameter.weight for parameter in parameters)
    updates = _norm(parameter.update for parameter in parameters)
    root = math.sqrt(max(1, size))
    before = dict(weights)
    series = {
        "gradient_rms": _scaled(gradients, 1 / root),
        "weight_rms": _scaled(weights, 1 / root),
        "update_share": Series(
            [step for step, _ in updates if before.get(step)],
            [value / before[step] for step, value in updates if before.get(step)],
        ),
        "activation_mean": layer.mean,
        "activation_std": layer.std,
        "dead_share": layer.dead,
        "saturated_share": layer.saturated,
    }
    shown = {key: _thinned(one, most) for key, one in series.items() if len(one)}
    return LayerHealth(name, layer.kind, size, shown)


def _norm(parts: Iterable[Series]) -> Series:
    """The norm of several parts together, at the steps at which all were seen."""
    tables = [dict(part) for part in parts if len(part)]
    if not tables:
        return Series()
    steps = [step for step in tables[0] if all(step in table for table in tables)]
    return Series(steps, [math.hypot(*(table[step] for table in tables)) for step in steps])


def _scaled(series: Series, factor: float) -> Series:
    return Series(series.steps, [value * factor for value in series.values])


def _thinned(series: Series, most: int) -> Series:
    """Evenly spread values of a series, its last among them."""
    if len(series) <= most:
        return series
    last = len(series) - 1
    places = sorted({last - round(n * last / (most - 1)) for n in range(most)})
    return Series([series.steps[n] for n in places], [series.values[n] for n in places])

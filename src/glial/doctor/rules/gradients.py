"""Gradients: how they shrink or grow on their way from the loss to the first layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, ParameterSeen
from glial.doctor.measures import (
    ENOUGH,
    NORMS,
    inner_layers,
    outcome,
    path_in,
    suffers,
    trained_models,
    weights_of,
)
from glial.doctor.rules.through_time import explosive_weights

_GLOROT = "Glorot, Bengio (2010), Understanding the difficulty of training deep networks"


def vanishing_gradient(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients that shrink towards the input, in a network that does not learn, or to nothing."""
    bad = suffers(evidence)
    for model in trained_models(evidence):
        weights = [w for w in weights_of(model) if len(w.gradient) >= ENOUGH and w.trainable]
        if len(weights) < 4:
            continue
        sizes = [_size_of_gradient(w) for w in weights]
        if not sizes[-1] > 0 or not math.isfinite(sizes[-1]):
            continue
        # One small gradient among the first, as of an attention's queries, lets others through.
        first = max(sizes[: max(1, len(sizes) // 4)])
        ratio = first / sizes[-1]
        # Where signals are normalised and steps scaled, a small gradient moves a weight as well.
        normed = any(layer.kind in NORMS for layer in model.layers)
        if bad and not normed:
            is_lost = ratio < 1e-3 * sensitivity and first < 1e-4
        else:
            is_lost = ratio < 1e-5 * sensitivity and first < 1e-6
        if is_lost:
            yield Finding(
                "vanishing-gradient",
                "error" if bad and ratio < 1e-5 else "warning",
                path_in(evidence, model, weights[0].layer),
                {"first_layer": first, "last_layer": sizes[-1], "ratio": ratio},
                f"the gradient shrinks by a factor of {1 / max(ratio, 1e-30):.0e} from the last "
                "layer to the first",
                "use ReLU with He initialisation, normalisation or residual connections",
                at=weights[0].at,
                since_step=1,
                source=f"Hochreiter (1991); {_GLOROT}",
            )


def squashed_gradient(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Hidden sigmoids that pass little of the gradient on: a note where nothing seems to lack."""
    found = outcome(evidence)
    if found is not None and not found.finite:
        return
    lags = found is not None and found.lags
    for model in trained_models(evidence):
        weights = [w for w in weights_of(model) if len(w.gradient) >= ENOUGH and w.trainable]
        sigmoids = [one for one in inner_layers(model) if one.kind.lower() == "sigmoid"]
        if len(weights) < 3 or len(sigmoids) < 2:
            continue
        first, last = _size_of_gradient(weights[0]), _size_of_gradient(weights[-1])
        if 1e-3 * last <= first < 0.2 * sensitivity * last:
            yield Finding(
                "vanishing-gradient",
                "warning" if lags else "note",
                path_in(evidence, model, weights[0].layer),
                {"first_layer": first, "last_layer": last, "sigmoids": len(sigmoids)},
                f"{len(sigmoids)} sigmoids, whose slope is at most a quarter, leave the first "
                f"layer {first / last:.1%} of the last one's gradient",
                "use ReLU or tanh between layers",
                at=weights[0].at,
                since_step=1,
                source=_GLOROT,
            )


def _size_of_gradient(weight: ParameterSeen) -> float:
    """The usual root mean square of its gradient in the first half of the training."""
    half = sorted(weight.gradient.values[: max(1, len(weight.gradient) // 2)])
    return half[len(half) // 2] / math.sqrt(math.prod(weight.shape))


def exploding_gradient(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients so large, layer by layer or step by step, that updates destroy the weights."""
    found = outcome(evidence)
    if found is None or not (suffers(evidence) or not found.finite):
        return
    for model in trained_models(evidence):
        weights = [w for w in weights_of(model) if len(w.gradient)]
        if not weights or (not found.finite and explosive_weights(model)):
            continue
        first = math.sqrt(sum(w.gradient.first**2 for w in weights))
        norms = [w for w in weights if len(w.update) and w.weight.first > 0]
        ratio = max((w.update.first / w.weight.first for w in norms), default=0.0)
        deep = len(weights) >= 5 and max(layer.largest.first for layer in model.layers) > 1e3
        if first > 1e3 / sensitivity or (deep and first > 100):
            yield Finding(
                "exploding-gradient",
                "error" if not found.finite or found.fails else "warning",
                path_in(evidence, model, weights[0].layer),
                {"gradient_norm": first, "update_to_weight": ratio},
                f"the gradient has a norm of {first:.3g} at the first step",
                "scale inputs and targets, use He initialisation, and clip gradients to norm 1",
                at=weights[0].at,
                since_step=1,
                source="Pascanu, Mikolov, Bengio (2013), On the difficulty of training RNNs",
            )

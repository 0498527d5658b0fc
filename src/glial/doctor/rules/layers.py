"""Layers: how weights begin, how signals and gradients pass, units that do nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LayerSeen, ModelSeen, ParameterSeen
from glial.doctor.measures import (
    BATCH_NORMS,
    CONVOLUTIONS,
    ENOUGH,
    LINEAR,
    NORMS,
    RECTIFIERS,
    inner_layers,
    main_loss,
    outcome,
    path_in,
    suffers,
    trained_models,
)

FEWEST_UNITS = 4

_HE = "He et al. (2015), Delving deep into rectifiers"
_GLOROT = "Glorot, Bengio (2010), Understanding the difficulty of training deep networks"


def _weights(model: ModelSeen) -> list[ParameterSeen]:
    """Weights of linear and convolution layers, in their order."""
    kinds = {layer.name: layer.kind for layer in model.layers}
    return [
        p
        for p in model.parameters
        if len(p.shape) >= 2 and kinds.get(p.layer) in (*LINEAR, *CONVOLUTIONS)
    ]


def _fan_in(parameter: ParameterSeen) -> int:
    return max(1, math.prod(parameter.shape[1:]))


def symmetric_units(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Units of a hidden layer that begin equal, and stay so."""
    for model in trained_models(evidence):
        for weight in _weights(model)[:-1]:
            begun, left = weight.equal_units, weight.equal_units_last
            if begun < 0.5 or weight.shape[0] < 2:
                continue
            lasts = left >= 0.5 * begun
            yield Finding(
                "symmetric-units",
                ("error" if suffers(evidence) else "warning") if lasts else "note",
                path_in(evidence, model, weight.layer),
                {"equal_at_first": begun, "equal_at_last": left, "std": weight.std},
                f"units of {weight.layer or model.name} begin with equal weights and get equal "
                "gradients: they work as one",
                "initialise weights at random (He for ReLU, Glorot for tanh), biases with 0",
                at=weight.at,
                since_step=1,
                source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.4",
            )
            return


def bad_initial_scale(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Weights far larger or smaller than their number of inputs asks for."""
    if not suffers(evidence):
        return
    for model in trained_models(evidence):
        normed = any(layer.kind in NORMS for layer in model.layers)
        for weight in _weights(model):
            if weight.equal_units >= 0.5 or normed:
                continue
            ratio = weight.std * math.sqrt(_fan_in(weight))
            is_last = weight is _weights(model)[-1]
            if ratio > 4 / sensitivity or (ratio < 0.02 * sensitivity and not is_last):
                size = "large" if ratio > 1 else "small"
                yield Finding(
                    "bad-initial-scale",
                    "warning",
                    path_in(evidence, model, weight.layer),
                    {"std": weight.std, "std_for_this_width": math.sqrt(2 / _fan_in(weight))},
                    f"the weights of {weight.layer or model.name} begin {size}: signals grow by "
                    f"about {ratio:.2g} in this layer",
                    "use He initialisation for ReLU, Glorot for tanh and sigmoid",
                    at=weight.at,
                    since_step=1,
                    source=_HE,
                )
                break


def vanishing_gradient(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients that shrink towards the input, in a network that does not learn."""
    if not suffers(evidence):
        return
    for model in trained_models(evidence):
        weights = [w for w in _weights(model) if len(w.gradient) >= ENOUGH and w.trainable]
        if len(weights) < 4:
            continue
        sizes = [_size_of_gradient(w) for w in weights]
        if not sizes[-1] > 0 or not math.isfinite(sizes[-1]):
            continue
        ratio = sizes[0] / sizes[-1]
        if ratio < 1e-3 * sensitivity and sizes[0] < 1e-4:
            yield Finding(
                "vanishing-gradient",
                "error" if ratio < 1e-5 else "warning",
                path_in(evidence, model, weights[0].layer),
                {"first_layer": sizes[0], "last_layer": sizes[-1], "ratio": ratio},
                f"the gradient shrinks by a factor of {1 / max(ratio, 1e-30):.0e} from the last "
                "layer to the first",
                "use ReLU with He initialisation, normalisation or residual connections",
                at=weights[0].at,
                since_step=1,
                source=f"Hochreiter (1991); {_GLOROT}",
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
        weights = [w for w in _weights(model) if len(w.gradient)]
        if not weights:
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


def dead_units(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Rectified units that give the same for every row."""
    for model in trained_models(evidence):
        for layer in model.layers:
            if layer.kind.lower() not in RECTIFIERS or not len(layer.dead):
                continue
            units = layer.output_shape[1 if len(layer.output_shape) > 3 else -1]
            if units < FEWEST_UNITS or _is_given_constants(model, layer):
                continue
            share = layer.dead.mean(0.2)
            bad = suffers(evidence)
            if share >= (0.5 if bad else 0.9) / sensitivity or share >= 0.99:
                yield Finding(
                    "dead-units",
                    "error" if share >= 0.9 and bad else "warning" if bad else "note",
                    path_in(evidence, model, layer.name),
                    {"dead_share": share, "dead_share_at_first": layer.dead.first},
                    f"{share:.0%} of the units of {layer.name or model.name} give the same for "
                    "every row and get no gradient",
                    "lower the rate, scale the inputs, initialise by He or take leaky ReLU",
                    at=layer.at,
                    since_step=_since(layer, 0.5),
                    source="Lu et al. (2020), Dying ReLU and initialization",
                )
                break


def _is_given_constants(model: ModelSeen, layer: LayerSeen) -> bool:
    """Whether what a layer is given hardly varies over rows: then its units are not to blame."""
    before = next((other for other in model.layers if other.name == layer.after), None)
    if before is None or not len(before.spread):
        return False
    return before.spread.last < 1e-4 * (abs(before.mean.last) + before.std.last + 1e-3)


def _since(layer: LayerSeen, share: float) -> int | None:
    return next((step for step, value in layer.dead if value >= share), None)


def saturated_units(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Sigmoid and tanh units in the flat parts of their curves, in a network that falls short."""
    if not suffers(evidence):
        return
    for model in trained_models(evidence):
        for layer in inner_layers(model):
            if layer.kind.lower() not in ("sigmoid", "tanh") or not len(layer.saturated):
                continue
            share = layer.saturated.mean(0.5, end=False)
            if share > 0.7 / sensitivity:
                yield Finding(
                    "saturated-units",
                    "warning",
                    path_in(evidence, model, layer.name),
                    {"saturated_share": share, "input_std": layer.input_std.first},
                    f"{share:.0%} of what {layer.name} gives lies in the flat parts of its curve, "
                    "where the gradient is almost 0",
                    "scale the inputs, begin with smaller weights (Glorot), or use ReLU",
                    at=layer.at,
                    since_step=layer.saturated.steps[0],
                    source=_GLOROT,
                )
                break


def activation_collapse(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Outputs that hardly depend on the input any more."""
    found = outcome(evidence)
    if found is None or not found.fails:
        return
    for model in trained_models(evidence):
        if not model.layers:
            continue
        last = model.layers[-1]
        first = model.layers[0]
        if not len(last.spread) or not len(first.spread):
            continue
        size = last.spread.last / (abs(last.mean.last) + last.std.last + 1e-12)
        if size < 1e-3 * sensitivity and last.std.last > 0:
            yield Finding(
                "activation-collapse",
                "warning",
                path_in(evidence, model, last.name),
                {"spread": last.spread.last, "std": last.std.last},
                "the network gives nearly the same output for every row",
                "look at the first layer whose units no longer vary",
                at=last.at,
                since_step=last.spread.steps[-1],
                source="Schoenholz et al. (2017), Deep information propagation",
            )


def missing_nonlinearity(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Linear layers that follow each other directly are one linear layer."""
    for model in trained_models(evidence):
        places = {parameter.layer: parameter.at for parameter in model.parameters}
        for before, after in zip(model.layers, model.layers[1:], strict=False):
            linear = (*LINEAR, *CONVOLUTIONS)
            if before.kind not in linear or after.kind not in linear:
                continue
            followers = [layer for layer in model.layers if layer.after == before.name]
            if after.after != before.name or len(followers) > 1:
                continue
            narrow = min(before.output_shape[-1], after.output_shape[-1])
            factored = before.output_shape[-1] < 0.5 * min(
                before.input_shape[-1], after.output_shape[-1]
            )
            bad = suffers(evidence)
            yield Finding(
                "missing-nonlinearity",
                "warning" if bad else "note",
                path_in(evidence, model, before.name),
                {"layers": 2, "width": narrow, "factored": int(factored)},
                f"nothing stands between {before.name} and {after.name}: together they are one "
                "linear layer",
                "put an activation such as ReLU between them",
                at=places.get(before.name),
                since_step=1,
                source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.1",
            )
            return


def misplaced_activation(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Dropout on the outputs, softmax inside the network."""
    for model in trained_models(evidence):
        if not model.layers:
            continue
        last = model.layers[-1]
        if last.kind.lower().startswith("dropout") and last.settings.get("p", 0.0) > 0:
            yield Finding(
                "misplaced-activation",
                "warning" if suffers(evidence) else "note",
                path_in(evidence, model, last.name),
                {"p": last.settings["p"]},
                "dropout stands on the network's outputs, so right answers are thrown away",
                "take it off, or put it before the last layer",
                at=last.at,
                since_step=1,
                source="Srivastava et al. (2014), Dropout",
            )
        for layer, following in zip(model.layers, model.layers[1:], strict=False):
            inside = layer.kind.lower() == "softmax" and following.kind in LINEAR
            if inside and following.after == layer.name:
                yield Finding(
                    "misplaced-activation",
                    "warning" if suffers(evidence) else "note",
                    path_in(evidence, model, layer.name),
                    {"units": layer.output_shape[-1]},
                    "softmax inside the network makes the units of a layer share one total",
                    "use ReLU or tanh between layers",
                    at=layer.at,
                    since_step=1,
                    source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.2.2",
                )


def redundant_layer(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A bias before a normalisation that takes it away; two equal activations in a row."""
    for model in trained_models(evidence):
        for layer, following in zip(model.layers, model.layers[1:], strict=False):
            linear = layer.kind in (*LINEAR, *CONVOLUTIONS) and layer.settings.get("bias") == 1.0
            twice = (
                layer.kind.lower() in RECTIFIERS and following.kind.lower() == layer.kind.lower()
            )
            cancelled = linear and following.kind in BATCH_NORMS
            same = following.after == layer.name
            if same and twice:
                yield Finding(
                    "redundant-layer",
                    "note",
                    path_in(evidence, model, following.name),
                    {"layers": 2},
                    f"{following.name} repeats {layer.name}: the second changes nothing",
                    "take one of them out",
                    at=following.at,
                    source="Nikanjam et al. (2022), Automatic fault detection (NeuraLint), TOSEM",
                )
                return
            if same and cancelled and sensitivity > 1:
                yield Finding(
                    "redundant-layer",
                    "note",
                    path_in(evidence, model, layer.name),
                    {"values": layer.output_shape[1] if len(layer.output_shape) > 1 else 1},
                    f"the bias of {layer.name} is taken away again by {following.name}",
                    "make the layer with bias=False",
                    at=layer.at,
                    source="Ioffe, Szegedy (2015), Batch normalization, section 3.2",
                )
                return


def underfitting(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A network too narrow for its task, where a simple reference does much better."""
    found, loss = outcome(evidence), main_loss(evidence)
    if found is None or loss is None or not found.finite or not found.suffers:
        return
    outputs = loss.outputs.shape[-1] if loss.outputs.shape else 1
    for model in trained_models(evidence):
        inner = [
            layer
            for layer in inner_layers(model)
            if layer.kind in (*LINEAR, *CONVOLUTIONS) and len(layer.output_shape) >= 2
        ]
        widths = [
            (layer.output_shape[1 if len(layer.output_shape) > 3 else -1], layer) for layer in inner
        ]
        if not widths:
            continue
        width, layer = min(widths, key=lambda pair: pair[0])
        if width < max(2, min(outputs - 1, 4)):
            yield Finding(
                "underfitting",
                "warning",
                path_in(evidence, model, layer.name),
                {"width": width, "outputs": outputs, "skill": found.skill},
                f"everything must pass through the {width} units of {layer.name}, and the training "
                "data are not fitted",
                "make this layer wider",
                at=layer.at,
                since_step=1,
                source="Goodfellow, Bengio, Courville (2016), Deep Learning, section 5.2",
            )
            return

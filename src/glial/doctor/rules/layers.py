"""Layers: how weights begin, how signals and gradients pass, units that do nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LayerSeen, ModelSeen, ParameterSeen
from glial.doctor.measures import (
    BATCH_NORMS,
    CONVOLUTIONS,
    LINEAR,
    NORMS,
    RECTIFIERS,
    inner_layers,
    main_loss,
    outcome,
    path_in,
    suffers,
    trained_models,
    weights_of,
)

FEWEST_UNITS = 4
FEWEST_WEIGHTS = 8  # whose deviation says how they were drawn
ABSURD = 10.0  # times the loss of a constant answer that a first loss is, and what signals grow by
_IS_BIAS = re.compile(r"(^|\.)bias(_[ih]h_l\d+(_reverse)?)?$")
_IS_RECURRENT = re.compile(r"(^|\.)weight_ih_l0$")  # weights of inputs, of the first layer
FAR_BIAS = 5.0  # where tanh and sigmoid are flat, and inputs of scale 1 rarely reach
FEWEST_PLACES = 3  # between which attention chooses
VANISHING = 1e-3  # signals that shrink by so much in one layer are as good as lost
LOST = 0.05  # the share of the first layer's variation over rows that a layer is still given

_HE = "He et al. (2015), Delving deep into rectifiers"
_GLOROT = "Glorot, Bengio (2010), Understanding the difficulty of training deep networks"


def _fan_in(parameter: ParameterSeen) -> int:
    return max(1, math.prod(parameter.shape[1:]))


def symmetric_units(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Units of a hidden layer that begin equal, and stay so."""
    for model in trained_models(evidence):
        of_inputs = [p for p in model.parameters if _IS_RECURRENT.search(p.name)]
        for weight in [*of_inputs, *weights_of(model)[:-1]]:
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
    found = outcome(evidence)
    absurd = found is not None and found.start > ABSURD * found.constant > 0
    lags = found is not None and found.lags
    badly = suffers(evidence) or lags
    yield from _far_biases(evidence, sensitivity * (1.0 if badly else 0.5))
    if not (badly or absurd):
        return
    for model in trained_models(evidence):
        normed = any(layer.kind in NORMS for layer in model.layers)
        for weight in weights_of(model):
            if weight.equal_units >= 0.5 or normed or math.prod(weight.shape) < FEWEST_WEIGHTS:
                continue
            ratio = weight.std * math.sqrt(_fan_in(weight))
            is_last = weight is weights_of(model)[-1]
            if not suffers(evidence) and not (
                (absurd and ratio >= ABSURD / sensitivity)
                or (lags and ratio < VANISHING * sensitivity)
            ):
                continue
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


def _far_biases(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Biases of hidden layers that begin so far from nought that units cannot answer to rows."""
    for model in trained_models(evidence):
        biases = [p for p in model.parameters if len(p.shape) == 1 and _IS_BIAS.search(p.name)]
        for bias in biases[:-1]:
            size = bias.weight.first / math.sqrt(max(1, bias.shape[0]))
            if size > FAR_BIAS / sensitivity:
                yield Finding(
                    "bad-initial-scale",
                    "warning",
                    path_in(evidence, model, bias.layer),
                    {"bias": size},
                    f"the biases of {bias.layer or model.name} begin about {size:.3g} from 0, "
                    "where activations are flat",
                    "initialise biases with 0",
                    at=bias.at,
                    since_step=1,
                    source=_GLOROT,
                )
                break


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
    """Whether the signal was lost before a layer, from the start: then its units are no cause."""
    before = next((other for other in model.layers if other.name == layer.after), None)
    if before is None or not len(before.spread) or not len(model.layers[0].spread):
        return False
    return before.spread.first < LOST * model.layers[0].spread.first


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


def saturated_attention(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Attention that looks at one place only from the first step, so that it cannot learn where."""
    found = outcome(evidence)
    if found is not None and not found.finite:
        return
    for model in trained_models(evidence):
        for layer in inner_layers(model):
            looks = layer.kind.lower() == "softmax" and len(layer.output_shape) > 2
            if not looks or layer.output_shape[-1] < FEWEST_PLACES or not len(layer.saturated):
                continue
            share = layer.saturated.mean(0.1, end=False)
            if share > 0.5 / sensitivity:
                yield Finding(
                    "saturated-units",
                    "warning" if found is not None and found.lags else "note",
                    path_in(evidence, model, layer.name),
                    {"saturated_share": share},
                    f"from the start {share:.0%} of the rows of {layer.name} give all their weight "
                    "to one place: no gradient is left to move it elsewhere",
                    "divide what is compared by the root of its number of features",
                    at=layer.at,
                    since_step=layer.saturated.steps[0],
                    source="Vaswani et al. (2017), Attention is all you need, section 3.2.1",
                )
                return


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


def _feeds_weights(model: ModelSeen, layer: LayerSeen) -> bool:
    """Whether the next layer with weights takes as many values as this one gives."""
    weighted = (*LINEAR, *CONVOLUTIONS)
    later = [one for one in model.layers if one.order > layer.order and one.kind in weighted]
    axis = -1 if layer.kind in LINEAR else 1
    if not later or len(later[0].input_shape) <= 1:
        return False
    return later[0].input_shape[axis] == layer.output_shape[axis]


def underfitting(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A network too narrow for its task, where a simple reference does much better."""
    found, loss = outcome(evidence), main_loss(evidence)
    if found is None or loss is None or not found.finite:
        return
    outputs = loss.outputs.shape[-1] if loss.outputs.shape else 1
    for model in trained_models(evidence):
        inner = [
            layer
            for layer in inner_layers(model)
            if layer.kind in (*LINEAR, *CONVOLUTIONS)
            and len(layer.output_shape) >= 2
            and _feeds_weights(model, layer)
        ]
        widths = [
            (layer.output_shape[1 if len(layer.output_shape) > 3 else -1], layer) for layer in inner
        ]
        if not widths:
            continue
        width, layer = min(widths, key=lambda pair: pair[0])
        alone = width == 1 and layer.input_shape[-1] > 1 and found.skill < 0.9
        if width < max(2, min(outputs - 1, 4)) and (found.suffers or alone):
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

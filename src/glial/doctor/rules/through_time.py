"""Recurrent networks: gradients that shrink to nothing, or grow, on their way back in time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from glial.core.findings import Finding, Place
from glial.doctor.evidence import Evidence, LossSeen, ModelSeen, ParameterSeen, Probe
from glial.doctor.measures import (
    main_loss,
    model_of,
    optimizers_of,
    outcome,
    path_in,
    trained_models,
)

_PASCANU = "Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent networks"
_CLIP = (
    "clip the norm of all gradients together (torch.nn.utils.clip_grad_norm_ with 1, "
    "train.clip_norm in a plan), and begin with orthogonal recurrent weights"
)
_LOST, _STEEP = 1e-3, 10.0
_STALLS, _FLAT = 0.1, 0.97
_FEWEST_UPDATES, _FEWEST_GATED = 50, 400
_LONGER = 1.05  # orthogonal weights have 1, torch's own 0.58
_APART = 30.0  # between the largest norm of a gradient and the usual one


def vanishing_through_time(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients that do not come back to the first steps, where the loss stays where it began."""
    loss = main_loss(evidence)
    if loss is None or not _stalls(evidence, loss):
        return
    for model, layer, probes in _layers(evidence):
        late = probes[len(probes) // 2 :]
        seen = max(late, key=lambda probe: probe.numbers["arrives"]).numbers
        # Gates may have to learn first for how long to keep something.
        fewest = _FEWEST_GATED if seen["gated"] else _FEWEST_UPDATES
        if seen["arrives"] > _LOST * sensitivity or loss.value.steps[-1] < fewest:
            continue
        remedy = (
            "let gates keep more at first (a forget bias of 1 or more, or by the length: "
            "chrono initialisation)"
            if seen["gated"]
            else "use an LSTM or a GRU (torch.nn.LSTM, torch.nn.GRU), or begin with orthogonal "
            "recurrent weights"
        )
        yield Finding(
            "vanishing-gradient",
            "warning",
            path_in(evidence, model, layer),
            {name: seen[name] for name in ("steps", "arrives", "gain")},
            f"{seen['arrives']:.0e} of the gradient comes back over {seen['steps']:g} steps "
            f"({seen['gain']:.2g} of it a step), and the loss stays where it began: what came "
            "long ago is not learnt from",
            f"{remedy}; add attention, or cut the sequences shorter",
            at=_made_at(model, layer),
            since_step=probes[0].step,
            source="Hochreiter (1991); Bengio, Simard, Frasconi (1994); Tallec, Ollivier (2018), "
            "Can recurrent neural networks warp time?",
        )


def exploding_through_time(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Gradients that grow with each step back, in a training that they throw off its way."""
    found = outcome(evidence)
    if found is None or (found.finite and not found.suffers):
        return
    named = set()
    for model in trained_models(evidence) if not found.finite else ():
        for weight in explosive_weights(model):
            named.add((model.name, weight.layer))
            yield Finding(
                "exploding-gradient",
                "error",
                path_in(evidence, model, weight.layer),
                {"gain": _gain(weight)},
                f"the recurrent weights multiply states, and gradients on their way back, by "
                f"{_gain(weight):.3g} a step",
                _CLIP,
                at=weight.at,
                since_step=1,
                source=_PASCANU,
            )
    for model, layer, probes in _layers(evidence):
        if (model.name, layer) in named:
            continue
        steep = [one for one in probes if grows(one, sensitivity)]
        largest, usual, followed = _norms(evidence)
        calm = largest < _APART * usual / sensitivity or followed < 0.1 * largest  # or clipped
        if not steep or (found.finite and calm):
            continue
        seen = max(steep, key=lambda probe: probe.numbers["gain"])
        yield Finding(
            "exploding-gradient",
            "error" if found.fails else "warning",
            path_in(evidence, model, layer),
            {
                **{name: seen.numbers[name] for name in ("steps", "gain")},
                "largest_norm": largest,
                "usual_norm": usual,
            },
            f"the gradient grows by a factor of {seen.numbers['gain']:.3g} with each of "
            f"{seen.numbers['steps']:g} steps back",
            _CLIP,
            at=_made_at(model, layer),
            since_step=seen.step,
            source=_PASCANU,
        )


def explosive_weights(model: ModelSeen) -> list[ParameterSeen]:
    """Weights of plain recurrent units that at first made most vectors longer.

    Args:
        model: What was seen of a network.

    Example:
        >>> explosive_weights(ModelSeen("net", "RNN"))
        []
    """
    return [
        weight
        for weight in model.parameters
        if "weight_hh" in weight.name and weight.shape[0] == weight.shape[1]
        if _gain(weight) > _LONGER
    ]


def _gain(weight: ParameterSeen) -> float:
    """The root mean square of a square matrix's singular values, at first."""
    return weight.weight.first / math.sqrt(weight.shape[1])


def grows(probe: Probe, sensitivity: float) -> bool:
    """Whether a gradient was seen to grow much on its way back through a layer's steps.

    Args:
        probe: Of the name ``through_time``.
        sensitivity: How little is enough.

    Example:
        >>> numbers = {"steps": 40.0, "gain": 1.1, "arrives": 1.0, "gated": 0.0}
        >>> grows(Probe("through_time", "net", 1, numbers, layer="rnn"), 1.0)
        True
    """
    gain, steps = probe.numbers["gain"], probe.numbers["steps"]
    return gain > 1 and gain**steps > _STEEP / sensitivity


def _layers(evidence: Evidence) -> Iterator[tuple[ModelSeen, str, Sequence[Probe]]]:
    """The recurrent layers whose gradients were followed, in the order of the probes."""
    of_layers: dict[tuple[str, str], list[Probe]] = {}
    for probe in evidence.probes:
        if probe.name == "through_time" and probe.model is not None and probe.layer is not None:
            of_layers.setdefault((probe.model, probe.layer), []).append(probe)
    for (name, layer), probes in of_layers.items():
        model = model_of(evidence, name)
        if model is not None:
            yield model, layer, probes


def _stalls(evidence: Evidence, loss: LossSeen) -> bool:
    """Whether a loss is at its end where it was, or where constant outputs would be."""
    found = outcome(evidence, loss)
    if found is None or not found.finite:
        return False
    if loss.constant > 0:
        return loss.value.mean(0.25) > (1 - _STALLS) * loss.constant
    values = loss.value.values
    early = values[len(values) // 10 : max(2, 3 * len(values) // 10)]
    return len(early) > 0 and found.end > _FLAT * sum(early) / len(early)


def _norms(evidence: Evidence) -> tuple[float, float, float]:
    """The largest and the usual norm of a gradient, and the largest that a step went by."""
    found = (0.0, 0.0, 0.0)
    for one in optimizers_of(evidence):
        before = sorted((one.norm_before if len(one.norm_before) else one.norm).values)
        if before and before[-1] > found[0]:
            found = before[-1], before[len(before) // 2], max(one.norm.values, default=before[-1])
    return found


def _made_at(model: ModelSeen, layer: str) -> Place | None:
    return next((seen.at for seen in model.parameters if seen.layer == layer), model.at)

"""Whether one batch can be fitted, and how the loss lies along a step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glial.doctor.evidence import LineProbe
from glial.doctor.probes.replay import Replay
from glial.doctor.watching.rounds import Round

STEPS = 40
RATES = (1e-2, 1e-3)
FITTED = 0.5  # of the first loss, where a batch is as good as fitted
STEPS_IN_ALL = STEPS * len(RATES)
MULTIPLES = (0.0, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0)


def probe_one_batch(replay: Replay) -> dict[str, float]:
    """How far Adam brings the loss of one batch in 40 steps, at the better of two rates.

    It stops where half of the loss is gone: that it can be fitted is known then.

    Source:
        Karpathy (2019), "A recipe for training neural networks" (overfit one batch); Braiek,
        Khomh (2023), "Testing feedforward neural networks training programs", TOSEM.
    """
    root = replay.root
    found = {"start": float(root.detach().sum()), "end": math.inf}
    for rate in RATES:
        replay.reset()
        parameters = replay.parameters()
        if not parameters:
            return {}
        moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
        for number in range(1, STEPS + 1):
            loss = replay.loss(root)
            if float(loss.detach().sum()) < FITTED * found["start"]:
                return {**found, "end": float(loss.detach().sum()), "rate": rate}
            gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
            for parameter, gradient, kept in zip(parameters, gradients, moments, strict=True):
                if gradient is not None:
                    _step(parameter, gradient, *kept, rate, number)
        with torch.no_grad():
            end = float(replay.loss(root).sum())
        if end < found["end"]:
            found["end"], found["rate"] = end, rate
    return found


def probe_line(
    replay: Replay, changes: list[tuple[Tensor, Tensor]], previous: Round | None, step: int
) -> LineProbe | None:
    """The loss at multiples of a round's last step, on its batch and on the one before."""
    twins = [replay.twin_of(new) for new, _ in changes]
    pairs = [
        (*change, twin) for change, twin in zip(changes, twins, strict=True) if twin is not None
    ]
    if not pairs or len(pairs) < len(changes):
        return None
    own: dict[float, float] = {}
    losses = []
    for multiple in MULTIPLES:
        replay.reset()
        with torch.no_grad():
            for new, old, twin in pairs:
                twin.copy_(old + multiple * (new.detach() - old))
            if previous is None or previous.tested is None:
                own[multiple] = float(replay.loss(replay.root))
                losses.append(own[multiple])
            else:
                losses.append(float(replay.loss(previous.tested, kept=previous)))
                if multiple in (0.0, 1.0):
                    own[multiple] = float(replay.loss(replay.root))
    return LineProbe(step, own[0.0], own[1.0], list(MULTIPLES), losses)


@torch.no_grad()
def _step(
    parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: float, number: int
) -> None:
    """One step of Adam; torch's own would be heard, and takes seconds to import."""
    mean.lerp_(gradient, 0.1)
    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    scale = (square / (1 - 0.999**number)).sqrt_().add_(1e-8)
    parameter.addcdiv_(mean / (1 - 0.9**number), scale, value=-rate)

"""Influence of training rows: whose steps made a prediction better, and whose made it worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.reading import untouched

State = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
NUMBERS_AT_ONCE = 1 << 25  # of gradients of single rows that are held together


def influence(
    network: nn.Module,
    loss: Loss,
    train: tuple[Inputs, Tensor],
    test: tuple[Inputs, Tensor],
    *,
    checkpoints: Sequence[tuple[State, float]] = (),
    layers: Sequence[str] | None = None,
    tell: Callable[[float], None] | None = None,
) -> Tensor:
    """TracIn: the inner products of the losses' gradients, summed over checkpoints.

    Above zero, a step on the training row made the test row's loss smaller (a proponent); below
    zero, larger (an opponent). A training row whose own influence is large is often mislabelled.

    Args:
        network: The network; it is left as it was.
        loss: ``loss(outputs, target)`` of some rows, their mean.
        train: Inputs and targets of training rows.
        test: Inputs and targets of the rows that are asked about.
        checkpoints: Weights at some moments of training and the learning rate there; none takes
            the network as it is, with a rate of 1.
        layers: Names of parameters that count, such as the head's; None is all.
        tell: Is told the share of the work that is done.

    Returns:
        [test row, training row].

    Source:
        Pruthi, Liu, Sundararajan, Kale (2020), "Estimating training data influence by tracing
        gradient descent", arXiv 2002.08484, section 3.3 (TracInCP).

    Example:
        >>> from torch.nn.functional import mse_loss
        >>> rows, target = torch.eye(2), torch.ones(2, 1)
        >>> found = influence(nn.Linear(2, 1), mse_loss, (rows, target), (rows, target))
        >>> bool((found.diagonal() >= 0).all())
        True
    """
    moments = list(checkpoints) or [(dict(network.state_dict()), 1.0)]
    own, target = as_inputs(train[0]), train[1]
    asked, wanted = as_inputs(test[0]), test[1]
    found = torch.zeros(len(wanted), len(target))
    names = [name for name, _ in network.named_parameters()]
    kept = names if layers is None else [n for n in names if n in set(layers)]
    with untouched(network):
        for number, (state, rate) in enumerate(moments):
            whole = {**dict(network.named_buffers()), **state}
            size = sum(whole[name].numel() for name in kept)
            together = max(1, NUMBERS_AT_ONCE // max(1, size))
            of_test = _gradients(network, loss, whole, kept, asked, wanted)
            for begin in range(0, len(target), together):
                rows = slice(begin, begin + together)
                some = tuple(x[rows] for x in own)
                of_train = _gradients(network, loss, whole, kept, some, target[rows])
                found[:, rows] += rate * (of_test @ of_train.T).cpu()
                if tell is not None:
                    tell((number + min(1, (begin + together) / len(target))) / len(moments))
    return found


def _gradients(
    network: nn.Module,
    loss: Loss,
    state: State,
    kept: Sequence[str],
    inputs: tuple[Tensor, ...],
    target: Tensor,
) -> Tensor:
    """The gradient of each row's loss by the weights that count, [row, number]."""
    weights = {name: state[name].detach() for name in kept}
    rest = {name: value.detach() for name, value in state.items() if name not in weights}

    def row_loss(by: State, wanted: Tensor, *row: Tensor) -> Tensor:
        outputs = functional_call(network, {**rest, **by}, tuple(x[None] for x in row))
        return loss(outputs, wanted[None])

    by_row = grad(row_loss)
    try:
        found = vmap(by_row, in_dims=(None, 0, *[0] * len(inputs)))(weights, target, *inputs)
    except RuntimeError:  # an operation that cannot be done for many rows at once
        each = [by_row(weights, target[i], *(x[i] for x in inputs)) for i in range(len(target))]
        found = {name: torch.stack([row[name] for row in each]) for name in kept}
    return torch.cat([found[name].flatten(1) for name in kept], dim=1)

"""Layer-wise relevance propagation through any network, by watching its operations.

Relevance is the gradient times the input of a network made linear where it stands (`Tracing`).
Rules say how a layer's relevance is shared among what it sums: as it is, with a share left out for
small sums (epsilon), or more to what speaks for it (gamma).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from glial.explanation.networks.attribution import Attribution, gathered
from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.reading import Choice, Opened, chosen, untouched
from glial.explanation.networks.tracing import Rule, Tracing


def relevance(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    rule: Rule = "epsilon",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
) -> Attribution:
    """How much of an output came from each input, traced back through every layer.

    Args:
        network: The network, of any make: dense, convolutional, recurrent, attention; its weights
            and modes are left as they were.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        rule: How dense and convolutional layers share out: ``zero`` as the sum was made,
            ``epsilon`` likewise but with less where a sum is near zero, ``gamma`` more to
            what has the sum's sign, which makes cleaner pictures of deep networks.
        epsilon: What sums are made larger by under the rule ``epsilon``.
        gamma: How much more what has the sum's sign counts under the rule ``gamma``.

    Returns:
        The relevance of each input; ``rest`` is that of biases and other constants. The sum of all
        is the output's, but for what ``epsilon`` takes and for rounding.

    Source:
        Bach et al. (2015), doi:10.1371/journal.pone.0130140; gamma: Montavon et al. (2019),
        "Layer-wise relevance propagation: an overview", doi:10.1007/978-3-030-28954-6_10; gates:
        Arras et al. (2017), arXiv 1706.07206; attention and layer norm: Ali et al. (2022), "XAI for
        transformers", arXiv 2202.07304; products: Achtibat et al. (2024), arXiv 2402.05602.

    Example:
        >>> network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> found = relevance(network, torch.ones(1, 3), rule="zero")
        >>> abs(float(found.total + found.rest - found.output)) < 1e-5
        True
    """
    opened = Opened(network, as_inputs(inputs))
    with untouched(network), torch.enable_grad():
        entries = [entry.detach().requires_grad_() for entry in opened.entries()]
        tracing = Tracing(rule, epsilon, gamma, entries[0])
        output = chosen(opened.run(tracing, entries), choice)
        leaves = [*entries, tracing.one]
        found = (
            torch.autograd.grad(output.sum(), leaves, materialize_grads=True)
            if output.requires_grad
            else [torch.zeros_like(leaf) for leaf in leaves]
        )
        parts = [e.detach() * g for e, g in zip(entries, found[:-1], strict=True)]
    told = Attribution(gathered(opened, parts), output.detach())
    # Vectors that belong to no input, such as those of positions, are constants too.
    unowned = sum(float(part.sum()) for part in parts) - float(told.total.sum())
    return replace(told, rest=float(found[-1]) + unowned)

r"""Restricted Boltzmann machines: energies, the gradients of these, and steps of chains.

A machine gives a pair of visible and hidden units the energy

.. math:: E(v, h) = -b'v - c'h - h'Wv \quad\text{or}\quad
    E(v, h) = \sum_i \frac{(v_i - b_i)^2}{2 \sigma_i^2} - c'h - h'W(v / \sigma^2),

the first where visible units are 0 or 1, the second where they are numbers; hidden units are 0 or
1. No unit is tied to one of its own layer.

Source:
    Smolensky (1986), "Information processing in dynamical systems: foundations of harmony theory";
    Hinton (2002), doi:10.1162/089976602760128018; numbers with learnt variances: Cho, Ilin, Raiko
    (2011), "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines",
    doi:10.1007/978-3-642-21735-7_2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Visible = Float[Tensor, "row visible"]
Hidden = Float[Tensor, "row hidden"]
PerRow = Float[Tensor, " row"]


class RBMWeights(NamedTuple):
    """What a restricted Boltzmann machine consists of.

    Attributes:
        weight: W, [hidden, visible].
        visible_bias: b, [visible].
        hidden_bias: c, [hidden].
        variance: Of visible units that are numbers, [visible]; None where they are 0 or 1.

    Example:
        >>> machine = RBMWeights(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
        >>> rbm_free_energy(machine, torch.zeros(1, 3))
        tensor([-1.3863])
    """

    weight: Float[Tensor, "hidden visible"]
    visible_bias: Float[Tensor, " visible"]
    hidden_bias: Float[Tensor, " hidden"]
    variance: Float[Tensor, " visible"] | None = None


def rbm_hidden_sums(machine: RBMWeights, visible: Visible) -> Hidden:
    """What the hidden units' logistic functions are taken of: their log odds of being on.

    Args:
        machine: The machine.
        visible: States of its visible units.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_hidden_sums(machine, torch.tensor([[1.0, 2.0]]))
        tensor([[3.]])
    """
    if machine.variance is not None:
        visible = visible / machine.variance
    return torch.addmm(machine.hidden_bias, visible, machine.weight.t())


def rbm_visible_sums(machine: RBMWeights, hidden: Hidden) -> Visible:
    """The visible units' log odds of being on, or their means where they are numbers.

    Args:
        machine: The machine.
        hidden: States of its hidden units, or their probabilities.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_visible_sums(machine, torch.tensor([[0.5]]))
        tensor([[0.5000, 0.5000]])
    """
    return torch.addmm(machine.visible_bias, hidden, machine.weight)


def rbm_free_energy(machine: RBMWeights, visible: Visible) -> PerRow:
    r"""Minus the logarithm of the sum of :math:`e^{-E(v, h)}` over all hidden states.

    The logarithm of a row's probability (of numbers: of its density) is minus that, less the
    logarithm of the partition function.

    Args:
        machine: The machine.
        visible: States of its visible units.

    Example:
        >>> machine = RBMWeights(torch.ones(1, 1), torch.zeros(1), torch.zeros(1))
        >>> rbm_free_energy(machine, torch.ones(1, 1))  # -log(1 + e)
        tensor([-1.3133])
    """
    hidden = functional.softplus(rbm_hidden_sums(machine, visible)).sum(dim=1)
    if machine.variance is None:
        return -(visible @ machine.visible_bias) - hidden
    squares = (visible - machine.visible_bias).square() / machine.variance
    return 0.5 * squares.sum(dim=1) - hidden


def rbm_statistics(
    machine: RBMWeights, visible: Visible, hidden: Hidden | None = None
) -> RBMWeights:
    r"""The mean derivative of rows' free energy by each of a machine's numbers, in closed form.

    The gradient of the mean negative log likelihood is this of the data less this of the machine's
    own rows; contrastive divergence takes rows of short chains for these. That of the variance is
    by its logarithm.

    Args:
        machine: The machine.
        visible: Rows.
        hidden: Probabilities of their hidden units, where they are at hand.

    Source:
        Hinton (2002), doi:10.1162/089976602760128018; the variance: Cho et al. (2011).

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_statistics(machine, torch.tensor([[1.0, 2.0]])).weight
        tensor([[-0.5000, -1.0000]])
    """
    if hidden is None:
        hidden = rbm_hidden_sums(machine, visible).sigmoid_()
    shares = hidden / -len(visible)
    if machine.variance is None:
        return RBMWeights(shares.t() @ visible, -visible.mean(dim=0), shares.sum(dim=0))
    scaled = visible / machine.variance
    away = visible - machine.visible_bias
    by_spread = -0.5 * away.square() / machine.variance + (hidden @ machine.weight) * scaled
    return RBMWeights(
        shares.t() @ scaled,
        -(away / machine.variance).mean(dim=0),
        shares.sum(dim=0),
        by_spread.mean(dim=0),
    )


def rbm_contrast(
    machine: RBMWeights, rows: Visible, hidden: Hidden, others: Visible, others_hidden: Hidden
) -> RBMWeights:
    """The statistics of rows less those of as many others.

    Args:
        machine: The machine.
        rows: Rows.
        hidden: Probabilities of their hidden units.
        others: What the machine takes for rows.
        others_hidden: Likewise.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rows, half = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5]])
        >>> rbm_contrast(machine, rows, half, torch.zeros(1, 2), half).weight
        tensor([[-0.5000, -1.0000]])
    """
    if machine.variance is not None:
        own = rbm_statistics(machine, rows, hidden)
        other = rbm_statistics(machine, others, others_hidden)
        return RBMWeights(*(a - b for a, b in zip(own, other, strict=True)))  # type: ignore[operator]
    share = 1 / len(rows)
    weight = others_hidden.t() @ others
    weight.addmm_(hidden.t(), rows, beta=share, alpha=-share)
    bias = (others.sum(dim=0) - rows.sum(dim=0)) * share
    return RBMWeights(weight, bias, (others_hidden.sum(dim=0) - hidden.sum(dim=0)) * share)


def rbm_visible_step(machine: RBMWeights, hidden: Hidden, noise: Visible) -> Visible:
    """Visible states drawn given hidden ones.

    Args:
        machine: The machine.
        hidden: States of its hidden units.
        noise: Even numbers in [0, 1), or standard normal ones where visible units are numbers.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> rbm_visible_step(machine, torch.zeros(1, 1), torch.tensor([[0.4, 0.6]]))
        tensor([[1., 0.]])
    """
    sums = rbm_visible_sums(machine, hidden)
    if machine.variance is None:
        return below(noise, sums.sigmoid_())
    return sums + machine.variance.sqrt() * noise


def rbm_gibbs_step(
    machine: RBMWeights, visible: Visible, hidden_noise: Hidden, visible_noise: Visible
) -> Visible:
    """Other visible states: hidden ones drawn given the visible, visible ones given these.

    Args:
        machine: The machine.
        visible: States of its visible units.
        hidden_noise: Even numbers in [0, 1).
        visible_noise: As for `rbm_visible_step`.

    Example:
        >>> machine = RBMWeights(torch.zeros(1, 2), torch.zeros(2), torch.zeros(1))
        >>> noise = torch.tensor([[0.4, 0.6]])
        >>> rbm_gibbs_step(machine, torch.zeros(1, 2), torch.zeros(1, 1), noise)
        tensor([[1., 0.]])
    """
    chances = rbm_hidden_sums(machine, visible).sigmoid_()
    return rbm_visible_step(machine, below(hidden_noise, chances), visible_noise)


def drawn(like: Tensor, generator: torch.Generator) -> Tensor:
    """Even numbers in [0, 1) in the shape of others, drawn on the processor.

    Args:
        like: Has the shape, type and device.
        generator: Draws.

    Example:
        >>> drawn(torch.zeros(2, 3), torch.Generator()).shape
        torch.Size([2, 3])
    """
    numbers = torch.rand(like.shape, generator=generator, dtype=like.dtype)
    return numbers.to(like.device)


def below(noise: Tensor, chances: Tensor) -> Tensor:
    """1 where numbers are below chances, else 0, in the type of these.

    Args:
        noise: Even numbers in [0, 1).
        chances: Of being 1, in the same shape.

    Example:
        >>> below(torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.5]))
        tensor([1., 0.])
    """
    return torch.lt(noise, chances, out=torch.empty_like(chances))

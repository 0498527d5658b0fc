"""Measures of a network while it learns: how sharp its minimum is, how far its units drift."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def largest_curvature(
    loss: Float[Tensor, ""],
    parameters: Sequence[Tensor],
    *,
    max_steps: int = 100,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> float:
    """The eigenvalue of largest size of a loss's Hessian: how sharp the minimum is.

    Found by power iteration on Hessian-vector products; the Hessian itself is never made.
    Gradient descent of rate ``lr`` is stable around a minimum only where this is below
    ``2 / lr``. It depends on how the network is written down (a ReLU layer may be scaled up
    and the next one down), so compare only networks of one architecture.

    Args:
        loss: One number that was computed from the parameters, its graph kept.
        parameters: What to differentiate by.
        max_steps: Most Hessian-vector products.
        tolerance: Relative change of the estimate at which to stop.
        seed: Of the first direction.

    Returns:
        The eigenvalue, with its sign; 0 for a loss that is flat or linear.

    Source:
        Keskar et al. (2017), "On large-batch training for deep learning: generalization gap
        and sharp minima", arXiv 1609.04836; Pearlmutter (1994), "Fast exact multiplication
        by the Hessian", doi:10.1162/neco.1994.6.1.147.

    Example:
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> round(largest_curvature(3 * w[0] ** 2 + w[1] ** 2, [w]), 3)
        6.0
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    gradient = torch.cat([part.reshape(-1) for part in gradients])
    if not gradient.requires_grad:
        return 0.0
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(gradient.numel(), generator=generator).to(gradient)
    eigenvalue = 0.0
    for _ in range(max_steps):
        direction = direction / direction.norm()
        product = torch.autograd.grad(
            gradient, parameters, direction, retain_graph=True, materialize_grads=True
        )
        turned = torch.cat([part.reshape(-1) for part in product])
        before, eigenvalue = eigenvalue, float(direction @ turned)
        if not turned.any() or abs(eigenvalue - before) <= tolerance * abs(eigenvalue):
            break
        direction = turned
    return eigenvalue


def activation_shift(
    before: Float[Tensor, "row unit"], after: Float[Tensor, "another unit"]
) -> Float[Tensor, " unit"]:
    """How far the distribution of each unit's activation has moved between two moments.

    The 2-Wasserstein distance between normal distributions with the units' means and
    standard deviations, in units of the standard deviation before. Measured on the inputs of
    a layer before and after an update of the layers below it, it is their internal covariate
    shift. Batch normalisation was made to lower it; whether that is why it helps is disputed.

    Args:
        before: Activations of some rows.
        after: Activations later, of the same rows or of others.

    Returns:
        One distance a unit, 0 where mean and deviation stayed, infinite where a unit that
        was constant has moved.

    Source:
        Ioffe, Szegedy (2015), arXiv 1502.03167, section 2; against it Santurkar et al.
        (2018), "How does batch normalization help optimization?", arXiv 1805.11604.

    Example:
        >>> rows = torch.tensor([[-1.0], [1.0]])
        >>> activation_shift(rows, rows + 2)
        tensor([2.])
    """
    means = after.mean(dim=0) - before.mean(dim=0)
    scale = before.std(dim=0, correction=0)
    distance = torch.hypot(means, after.std(dim=0, correction=0) - scale)
    return torch.where(distance == 0, 0.0, distance / scale)

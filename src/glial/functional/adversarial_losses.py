"""What two players want: losses of a discriminator and a generator, and penalties on slopes.

Judgements are numbers without bounds, one a row or one a place of a row, the larger the more
real. ``real`` are those of rows of the data, ``made`` those of rows that a generator made.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

AdversarialLoss = Literal[
    "non_saturating",
    "minimax",
    "least_squares",
    "wasserstein",
    "hinge",
    "relativistic",
    "relativistic_average",
]
ADVERSARIAL_LOSSES: tuple[str, ...] = get_args(AdversarialLoss)
Judgements = Float[Tensor, "row *place"]


def discriminator_loss(
    real: Judgements, made: Judgements, kind: AdversarialLoss = "non_saturating"
) -> Float[Tensor, ""]:
    r"""What a discriminator makes small, with the judgements :math:`r` and :math:`f`.

    - ``non_saturating``, ``minimax``: :math:`-\log\sigma(r) - \log(1-\sigma(f))`; least for
      :math:`r = \log(p/q)`, the logarithm of the two densities' ratio, where it is
      :math:`\log 4 - 2\,\mathrm{JSD}(p, q)`.
    - ``least_squares``: :math:`\frac12 (r-1)^2 + \frac12 f^2`.
    - ``wasserstein``: :math:`f - r`, for discriminators of slope 1 (see `slope_penalty`).
    - ``hinge``: :math:`\max(0, 1-r) + \max(0, 1+f)`.
    - ``relativistic``: :math:`-\log\sigma(r-f)` of pairs, the first real row with the first made.
    - ``relativistic_average``: the first, of :math:`r - \bar f` and :math:`f - \bar r`.

    Args:
        real: Judgements of real rows.
        made: Judgements of made rows.
        kind: Which.

    Returns:
        The mean.

    Raises:
        ValueError: If there is no such kind.

    Source:
        Goodfellow et al. (2014), arXiv 1406.2661, eq. (1); Mao et al. (2017), arXiv 1611.04076,
        eq. (9); Arjovsky et al. (2017), arXiv 1701.07875, eq. (2); Lim and Ye (2017), arXiv
        1705.02894; Jolicoeur-Martineau (2019), arXiv 1807.00734, sections 3.2 and 3.3.

    Example:
        >>> discriminator_loss(torch.tensor([0.5, 3.0]), torch.tensor([-2.0, -2.0]), "hinge")
        tensor(0.2500)
    """
    if kind in ("non_saturating", "minimax"):
        return softplus(-real).mean() + softplus(made).mean()
    if kind == "least_squares":
        return ((real - 1).square().mean() + made.square().mean()) / 2
    if kind == "wasserstein":
        return made.mean() - real.mean()
    if kind == "hinge":
        return (1 - real).relu().mean() + (1 + made).relu().mean()
    if kind == "relativistic":
        return softplus(made - real).mean()
    if kind == "relativistic_average":
        return softplus(made.mean() - real).mean() + softplus(made - real.mean()).mean()
    raise ValueError(f"no adversarial loss {kind!r}")


def generator_loss(
    real: Judgements, made: Judgements, kind: AdversarialLoss = "non_saturating"
) -> Float[Tensor, ""]:
    r"""What a generator makes small.

    - ``non_saturating``: :math:`-\log\sigma(f)`, steep where the discriminator is sure.
    - ``minimax``: :math:`\log(1-\sigma(f))`, flat there: the discriminator's loss with its sign
      turned.
    - ``least_squares``: :math:`\frac12 (f-1)^2`.
    - ``wasserstein``, ``hinge``: :math:`-f`.
    - ``relativistic``, ``relativistic_average``: the discriminator's with the two changed about.

    Args:
        real: Judgements of real rows; only the relativistic ones look at them.
        made: Judgements of made rows.
        kind: Which.

    Returns:
        The mean.

    Source:
        As for `discriminator_loss`.

    Example:
        >>> generator_loss(torch.zeros(2), torch.tensor([1.0, 3.0]), "wasserstein")
        tensor(-2.)
    """
    if kind == "non_saturating":
        return softplus(-made).mean()
    if kind == "minimax":
        return -softplus(made).mean()
    if kind == "least_squares":
        return (made - 1).square().mean() / 2
    if kind in ("wasserstein", "hinge"):
        return -made.mean()
    return discriminator_loss(made, real, kind)


def squared_slope(
    judgements: Float[Tensor, "*judgement"], rows: Float[Tensor, "row ..."]
) -> Float[Tensor, " row"]:
    r"""How steep a discriminator is at rows, :math:`\lVert\nabla_x D(x)\rVert^2`.

    Half its mean over real rows is the penalty R1, over made rows R2.

    Args:
        judgements: What was computed of the rows; each of one row alone.
        rows: The rows, of which the gradient is asked.

    Returns:
        Of each row; its own gradient can be taken.

    Source:
        Mescheder, Geiger, Nowozin (2018), arXiv 1801.04406, eq. (9) and (10).

    Example:
        >>> rows = torch.tensor([[1.0], [2.0]], requires_grad=True)
        >>> squared_slope(rows.square(), rows).tolist()
        [4.0, 16.0]
    """
    (gradient,) = torch.autograd.grad(judgements.sum(), rows, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1)


def slope_penalty(
    judgements: Float[Tensor, "*judgement"], rows: Float[Tensor, "row ..."]
) -> Float[Tensor, ""]:
    r"""How far a discriminator's slope is from 1, :math:`(\lVert\nabla_x D(x)\rVert - 1)^2`.

    Args:
        judgements: As for `squared_slope`.
        rows: Rows between real and made ones (see `between`).

    Returns:
        The mean over rows.

    Source:
        Gulrajani et al. (2017), "Improved training of Wasserstein GANs", arXiv 1704.00028, eq. (3).

    Example:
        >>> rows = torch.tensor([[1.0], [2.0]], requires_grad=True)
        >>> slope_penalty(rows.square(), rows).item()
        5.0
    """
    # The root's own slope is without end at 0.
    squared = squared_slope(judgements, rows).clamp_min(torch.finfo(rows.dtype).tiny)
    return (squared.sqrt() - 1).square().mean()


def between(
    real: Float[Tensor, "row ..."],
    made: Float[Tensor, "row ..."],
    share: Float[Tensor, " row"],
) -> Float[Tensor, "row ..."]:
    """Points on the lines from made rows to real ones, of which a gradient can be asked.

    Args:
        real: Real rows.
        made: Made rows.
        share: How much of each point is the real row's, from 0 to 1.

    Example:
        >>> between(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([0.25]))
        tensor([[0.2500, 0.2500]], requires_grad=True)
    """
    share = share.reshape(-1, *[1] * (real.ndim - 1))
    return torch.lerp(made.detach(), real.detach(), share).requires_grad_()

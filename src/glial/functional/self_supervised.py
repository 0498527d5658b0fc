"""Losses that need no labels: views of one row are drawn together, and what is hidden is found.

All take embeddings [row, feature]; the first and the second view of a row stand in the same row of
two tensors. Vectors of a batch are compared with each other, so a loss of a batch is not the mean
of those of its halves.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from glial.functional.losses import cross_entropy, reduce

# Added to a variance before its root, whose slope at 0 is infinite.
VARIANCE_FLOOR = 1e-4


def view_similarities(
    first: Float[Tensor, "row feature"],
    second: Float[Tensor, "row feature"],
    *,
    temperature: float = 0.5,
) -> Float[Tensor, "view view"]:
    """The cosine of every view to every other, over a temperature; minus infinity to itself.

    Args:
        first: Of each row's first view.
        second: Of each row's second view.
        temperature: What cosines are divided by; positive.

    Returns:
        Logits [2 row, 2 row], the first views before the second ones: the partner of view ``i`` is
        ``(i + row) % (2 row)``.

    Example:
        >>> first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
        >>> view_similarities(first, second, temperature=1.0)
        tensor([[-inf, 1.],
                [1., -inf]])
    """
    views = functional.normalize(torch.cat([first, second]), dim=1)
    logits = views @ views.T / temperature
    own = torch.eye(len(views), dtype=torch.bool, device=views.device)
    return logits.masked_fill(own, -torch.inf)


def nt_xent(
    first: Float[Tensor, "row feature"],
    second: Float[Tensor, "row feature"],
    *,
    temperature: float = 0.5,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    r"""Each view is to find its partner among all other views of the batch, in nats.

    :math:`\ell_{ij} = -\ln \frac{e^{s_{ij}/\tau}}{\sum_{k \ne i} e^{s_{ik}/\tau}}` of the cosines
    :math:`s`, over both directions of each pair. Vectors that are all alike have the loss
    :math:`\ln(2n - 1)` of n rows.

    Args:
        first: Of each row's first view, of any length.
        second: Of each row's second view.
        temperature: :math:`\tau`; small ones look at the nearest others alone.
        weight: Weight of each row.

    Returns:
        The mean over views.

    Source:
        Chen, Kornblith, Norouzi, Hinton (2020), "A simple framework for contrastive learning of
        visual representations", arXiv 2002.05709, eq. (1).

    Example:
        >>> one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> nt_xent(one, one, temperature=1.0)  # -ln(e / (e + 2))
        tensor(0.5514)
    """
    logits = view_similarities(first, second, temperature=temperature)
    rows = torch.arange(len(first), device=first.device)
    partners = torch.cat([rows + len(first), rows])
    both = None if weight is None else torch.cat([weight, weight])
    return cross_entropy(logits, partners, weight=both)


def variance_hinge(
    embeddings: Float[Tensor, "row feature"], *, target: float = 1.0
) -> Float[Tensor, ""]:
    r"""How far the features' standard deviations over rows fall short of a target.

    The mean over features of :math:`\max(0, \gamma - \sqrt{\mathrm{Var} + 10^{-4}})`.

    Args:
        embeddings: At least two.
        target: :math:`\gamma`.

    Returns:
        From 0, where every feature varies enough, to nearly ``target``, where none varies.

    Source:
        Bardes, Ponce, LeCun (2022), "VICReg", arXiv 2105.04906, eq. (1) and (2).

    Example:
        >>> round(float(variance_hinge(torch.ones(3, 2))), 4)  # 1 - 0.01
        0.99
        >>> float(variance_hinge(torch.tensor([[-1.0], [1.0]])))  # the variance is 2
        0.0
    """
    std = (embeddings.var(dim=0) + VARIANCE_FLOOR).sqrt()
    return (target - std).relu().mean()


def covariance_penalty(embeddings: Float[Tensor, "row feature"]) -> Float[Tensor, ""]:
    r"""How much features tell the same: :math:`\frac1d \sum_{i \ne j} C_{ij}^2`.

    Args:
        embeddings: At least two.

    Returns:
        0 where no two of the d features are correlated.

    Source:
        Bardes, Ponce, LeCun (2022), arXiv 2105.04906, eq. (3) and (4).

    Example:
        >>> covariance_penalty(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))  # each covariance is 2
        tensor(4.)
    """
    rows, features = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (rows - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / features


def vicreg(
    first: Float[Tensor, "row feature"],
    second: Float[Tensor, "row feature"],
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    """Views of a row are to be alike, while every feature varies and none repeats another.

    The mean squared distance of partners, and of each view the `variance_hinge` and the
    `covariance_penalty`. Nothing is compared with other rows; without the variance all vectors
    become one.

    Args:
        first: Of each row's first view; at least two rows.
        second: Of each row's second view.
        invariance: Weight of the distance, the mean over rows and features.
        variance: Weight of the mean hinge of the two views.
        covariance: Weight of the sum of the penalties of the two views.
        weight: Weight of each row in the distance.

    Source:
        Bardes, Ponce, LeCun (2022), arXiv 2105.04906, eq. (6), with the means over features and
        views of the authors' program.

    Example:
        >>> one = torch.tensor([[1.0], [-1.0]])
        >>> vicreg(one, -one, invariance=1.0)  # each pair is 2 apart, and nothing else is wrong
        tensor(4.)
    """
    apart = reduce((first - second).square().mean(dim=1), weight)
    hinge = (variance_hinge(first) + variance_hinge(second)) / 2
    repeated = covariance_penalty(first) + covariance_penalty(second)
    return invariance * apart + variance * hinge + covariance * repeated


def hidden_error(
    outputs: Float[Tensor, "row ..."],
    target: Float[Tensor, "row ..."],
    hidden: Float[Tensor, "row ..."],
) -> Float[Tensor, " row"]:
    """The mean squared error of each row's hidden numbers; 0 where none is hidden.

    Args:
        outputs: What they are taken for.
        target: What they are.
        hidden: 1 where a number is hidden and 0 elsewhere; of the others' shape, or one that is
            repeated along an axis of length 1.

    Example:
        >>> told, true = torch.tensor([[1.0, 5.0, 2.0]]), torch.tensor([[0.0, 0.0, 0.0]])
        >>> hidden_error(told, true, torch.tensor([[1.0, 0.0, 1.0]]))  # (1 + 4) / 2
        tensor([2.5000])
    """
    counted = hidden.expand_as(target)
    errors = (outputs - target).square() * counted
    return errors.flatten(1).sum(dim=1) / counted.flatten(1).sum(dim=1).clamp_min(1)

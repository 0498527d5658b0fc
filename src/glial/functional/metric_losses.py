"""Losses that put rows of one class near each other, and those of different classes apart.

All take embeddings [row, feature], or their similarities to a proxy of each class [row, class], and
the class of each row. Rows without a partner in the batch count nothing; where no row has one the
loss is 0. Shapes never depend on the classes, so the passes of a step can be captured.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from glial.functional.losses import cross_entropy, reduce

Mining = Literal["hard", "semi_hard"]


def pairwise_distances(
    embeddings: Float[Tensor, "row feature"], others: Float[Tensor, "other feature"]
) -> Float[Tensor, "row other"]:
    """Euclidean distances; exactly 0, with a gradient of 0, between equal vectors.

    Args:
        embeddings: Vectors.
        others: Vectors to measure them against.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
        >>> pairwise_distances(points, points)
        tensor([[0., 5.],
                [5., 0.]])
    """
    return torch.cdist(embeddings, others, compute_mode="donot_use_mm_for_euclid_dist")


def cosine_similarities(
    embeddings: Float[Tensor, "row feature"], others: Float[Tensor, "other feature"]
) -> Float[Tensor, "row other"]:
    """Cosines of the angles between vectors, in [-1, 1]; 0 where a vector is zero.

    Args:
        embeddings: Vectors of any length.
        others: Vectors to compare them with, such as a proxy of each class.

    Example:
        >>> cosine_similarities(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]]))
        tensor([[0., 1.]])
    """
    return functional.normalize(embeddings, dim=1) @ functional.normalize(others, dim=1).T


def contrastive(
    embeddings: Float[Tensor, "row feature"],
    labels: Int[Tensor, " row"],
    *,
    margin: float = 1.0,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    r"""Pairs of one class are drawn together, others pushed apart up to the margin.

    :math:`\frac12 d^2` of a pair of one class and :math:`\frac12 \max(0, m - d)^2` of another.

    Args:
        embeddings: A vector a row.
        labels: Class of each row.
        margin: The distance beyond which rows of different classes are left alone; positive.
        weight: Weight of each row; a pair has the product of its two.

    Returns:
        The mean over pairs of one class plus the mean over the others, so that neither is lost
        among the other; at least 0.

    Source:
        Hadsell, Chopra, LeCun (2006), "Dimensionality reduction by learning an invariant mapping",
        doi:10.1109/CVPR.2006.100, eq. (4), which sums over a set of pairs.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [1.5]])
        >>> contrastive(points, torch.tensor([0, 0, 1]))  # 1/2 + (0 + 1/8) / 2
        tensor(0.5625)
    """
    distances = pairwise_distances(embeddings, embeddings)
    same, other = _pairs(labels)
    pairs = torch.ones_like(distances) if weight is None else weight[:, None] * weight
    near = distances.square() / 2
    far = (margin - distances).relu().square() / 2
    return _mean_over(near, pairs, same) + _mean_over(far, pairs, other)


def triplet(
    embeddings: Float[Tensor, "row feature"],
    labels: Int[Tensor, " row"],
    *,
    margin: float | None = 0.2,
    mining: Mining = "hard",
    squared: bool = False,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    r"""A row is to be nearer to its class than to others, by a margin: :math:`[d_p - d_n + m]_+`.

    ``hard`` takes for each row its farthest row of the same class and its nearest of another.
    ``semi_hard`` takes for each pair of one class the nearest row of another class that is farther
    away than the two from each other, and where there is none the farthest of other classes.

    Args:
        embeddings: A vector a row.
        labels: Class of each row.
        margin: How much nearer; None is a soft margin, :math:`\ln(1 + e^{d_p - d_n})`.
        mining: Which triplets of the batch are learnt from.
        squared: Whether distances are squared, as in Schroff et al.
        weight: Weight of each row, as the anchor of its triplets.

    Returns:
        The mean over triplets; at least 0.

    Source:
        Schroff, Kalenichenko, Philbin (2015), "FaceNet", arXiv 1503.03832, section 3;
        Hermans, Beyer, Leibe (2017), "In defense of the triplet loss for person
        re-identification", arXiv 1703.07737, eq. (5), and section 2 for the soft margin.

    Example:
        >>> points, labels = torch.tensor([[0.0], [1.0], [1.5], [4.0]]), torch.tensor([0, 0, 1, 1])
        >>> triplet(points, labels, margin=0.5)  # (0 + 1 + 2.5 + 0) / 4
        tensor(0.8750)
    """
    distances = pairwise_distances(embeddings, embeddings)
    distances = distances.square() if squared else distances
    same, other = _pairs(labels)
    if mining == "hard":
        farthest = distances.masked_fill(~same, -torch.inf).amax(dim=1)
        nearest = distances.masked_fill(~other, torch.inf).amin(dim=1)
        told = same.any(dim=1) & other.any(dim=1)
        weights = torch.ones_like(nearest) if weight is None else weight
        return _mean_over(_beyond(farthest - nearest, margin, told), weights, told)
    negatives = _semi_hard(distances, other)
    told = same & other.any(dim=1, keepdim=True)
    weights = torch.ones_like(distances)
    weights = weights if weight is None else weights * weight[:, None]
    return _mean_over(_beyond(distances - negatives, margin, told), weights, told)


def _semi_hard(distances: Tensor, other: Tensor) -> Tensor:
    """For each pair the least distance to another class that is larger, else the largest."""
    ordered = distances.masked_fill(~other, torch.inf).sort(dim=1).values
    with torch.no_grad():
        beyond = torch.searchsorted(ordered, distances.contiguous(), right=True)
        last = other.sum(dim=1, keepdim=True).sub(1).clamp_min(0)
    return ordered.gather(1, torch.minimum(beyond, last))


def _beyond(excess: Tensor, margin: float | None, told: Tensor) -> Tensor:
    """The loss of triplets, by how much the wrong row is nearer; 0 of those that are none."""
    excess = excess.where(told, 0.0)
    return functional.softplus(excess) if margin is None else (excess + margin).relu()


def _pairs(
    labels: Int[Tensor, " row"],
) -> tuple[Bool[Tensor, "row row"], Bool[Tensor, "row row"]]:
    """Which pairs of two rows are of one class, and which of different ones."""
    same = labels[:, None] == labels
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same


def _mean_over(values: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
    """The weighted mean of chosen values; 0 of none."""
    found: Tensor = reduce(values, weights * chosen)
    return found


def proxy_nca(
    similarities: Float[Tensor, "row class"],
    labels: Int[Tensor, " row"],
    *,
    temperature: float = 0.1,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    """A softmax over the similarities of a row to the proxies of all classes.

    Args:
        similarities: Of each row to the proxy of each class: `cosine_similarities`.
        labels: Class of each row; a row of a class without a proxy counts nothing.
        temperature: What similarities are divided by before the softmax; positive. Half of it is
            the temperature of squared distances between unit vectors.
        margin: What is taken off the similarity to a row's own proxy, in [0, 2].
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1).
        weight: Weight of each row.

    Returns:
        The mean over rows; at least 0.

    Source:
        Movshovitz-Attias et al. (2017), "No fuss distance metric learning using proxies", arXiv
        1703.07464, with the row's own proxy in the sum and a temperature as in "ProxyNCA++"
        (2020), arXiv 2004.01113; the margin: Wang et al. (2018), "CosFace", arXiv 1801.09414.

    Example:
        >>> proxies = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> similarities = cosine_similarities(torch.tensor([[5.0, 0.0]]), proxies)
        >>> proxy_nca(similarities, torch.tensor([0]), temperature=0.5)  # ln(1 + exp(-2))
        tensor(0.1269)
    """
    num_classes = similarities.shape[1]
    known = (labels >= 0) & (labels < num_classes)
    target = labels.long().clamp(0, num_classes - 1)
    own = target[:, None] == torch.arange(num_classes, device=target.device)
    logits = (similarities - margin * own) / temperature
    weights = known.to(similarities) if weight is None else weight * known
    found: Tensor = cross_entropy(logits, target, weight=weights, label_smoothing=label_smoothing)
    return found


def proxy_anchor(
    similarities: Float[Tensor, "row class"],
    labels: Int[Tensor, " row"],
    *,
    margin: float = 0.1,
    scale: float = 32.0,
) -> Float[Tensor, ""]:
    r"""Each proxy draws the rows of its class and pushes the others, the hardest ones most.

    Args:
        similarities: Of each row to the proxy of each class: `cosine_similarities`.
        labels: Class of each row; a row of a class without a proxy is pushed by all.
        margin: What similarities are to leave between them on either side of 0.
        scale: How strongly hard rows outweigh easy ones; positive.

    Returns:
        The mean over proxies that have a row in the batch plus the mean over all proxies.

    Source:
        Kim, Kim, Cho, Kwak (2020), "Proxy anchor loss for deep metric learning", arXiv 2003.13991,
        eq. (4).

    Example:
        >>> similarities = torch.tensor([[0.1, -0.1]])
        >>> proxy_anchor(similarities, torch.tensor([0]))  # ln 2, and (0 + ln 2) / 2
        tensor(1.0397)
    """
    own = labels[:, None] == torch.arange(similarities.shape[1], device=labels.device)
    drawn = _log_of_one_and(-scale * (similarities - margin), own)
    pushed = _log_of_one_and(scale * (similarities + margin), ~own)
    return _mean_over(drawn, torch.ones_like(drawn), own.any(dim=0)) + pushed.mean()


def _log_of_one_and(values: Tensor, chosen: Tensor) -> Tensor:
    """The logarithm of 1 plus the exponentials of chosen values, of each column."""
    exponents = values.masked_fill(~chosen, -torch.inf)
    return torch.cat([torch.zeros_like(exponents[:1]), exponents]).logsumexp(dim=0)

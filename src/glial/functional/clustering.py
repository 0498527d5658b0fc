"""Clusters of rows: one step of k-means, soft assignments, trees of merges, and how many there are.

Source:
    k-means: Lloyd (1982), "Least squares quantization in PCM", doi:10.1109/TIT.1982.1056489; soft
    assignments: Xie, Girshick, Farhadi (2016), "Unsupervised deep embedding for clustering
    analysis", arXiv 1511.06335, equations 1 and 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glial.functional.metric_losses import pairwise_distances

# Numbers of rows that are gone through at once.
ELEMENTS_AT_ONCE = 1 << 18
Rows = Float[Tensor, "row number"]
Centres = Float[Tensor, "cluster number"]
Shares = Float[Tensor, "row cluster"]


class Lloyd(NamedTuple):
    """One step of k-means.

    Attributes:
        centres: The means of the rows of each cluster, [cluster, number].
        inertia: The squared distance of each row to the nearest centre before the step, [row].
        codes: Which centre that was, [row].

    Example:
        >>> Lloyd(torch.zeros(2, 3), torch.zeros(4), torch.zeros(4, dtype=torch.int64)).codes.shape
        torch.Size([4])
    """

    centres: Tensor
    inertia: Tensor
    codes: Tensor


def nearest_centres(
    rows: Rows, centres: Centres
) -> tuple[Float[Tensor, " row"], Int[Tensor, " row"]]:
    """The squared distance of each row to the nearest centre, and which that is.

    Args:
        rows: Rows.
        centres: Centres; of equally near ones the first is taken.

    Example:
        >>> squared, codes = nearest_centres(torch.tensor([[3.0]]), torch.tensor([[0.0], [2.0]]))
        >>> squared.item(), codes.item()
        (1.0, 1)
    """
    found = [_nearest(part, centres) for part in torch.split(rows, _part_size(rows, centres))]
    return torch.cat([squared for squared, _ in found]), torch.cat([codes for _, codes in found])


def _nearest(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    half = centres.square().sum(dim=1) / 2
    codes = torch.addmm(half, rows, centres.T, alpha=-1).argmin(dim=1)
    gaps = functional.mse_loss(rows, centres.index_select(0, codes), reduction="none")
    return gaps.sum(dim=1), codes


def _part_size(rows: Tensor, centres: Tensor) -> int:
    """So many rows at once that they, and their distances, stay near the processor."""
    return max(1, ELEMENTS_AT_ONCE // max(1, rows.shape[1], len(centres)))


def lloyd_step(rows: Rows, centres: Centres, weight: Float[Tensor, " row"] | None = None) -> Lloyd:
    """Give every row to the nearest centre, and move each centre to the mean of its rows.

    A centre without a row moves to one of the rows that are farthest from theirs, so that no
    cluster stays empty. But for that, the inertia never rises.

    Args:
        rows: Rows.
        centres: Where the centres stand.
        weight: Weight of each row.

    Example:
        >>> rows = torch.tensor([[0.0], [2.0], [9.0]])
        >>> lloyd_step(rows, torch.tensor([[0.0], [10.0]])).centres.flatten().tolist()
        [1.0, 9.0]
    """
    size, device = _part_size(rows, centres), rows.device
    sums = torch.zeros(centres.shape, dtype=torch.float64, device=device)
    mass = torch.zeros(len(centres), dtype=torch.float64, device=device)
    found = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        squared, codes = _nearest(part, centres)
        found.append((squared, codes))
        if weight is None:
            mass += codes.bincount(minlength=len(centres))
        else:
            held = weight[start : start + size]
            mass.index_add_(0, codes, held.double())
            part = part * held[:, None]
        sums += torch.zeros_like(centres).index_add_(0, codes, part)
    squared = torch.cat([distances for distances, _ in found])
    codes = torch.cat([names for _, names in found])
    moved = (sums / mass.clamp_min(torch.finfo(mass.dtype).tiny)[:, None]).to(centres)
    empty = (mass == 0).nonzero().flatten()
    if len(empty):
        counted = squared if weight is None else squared * (weight > 0)
        far = counted.topk(min(len(empty), len(rows))).indices
        moved[empty[: len(far)]] = rows[far].to(moved)
    return Lloyd(moved, squared, codes)


def soft_assignment(
    codes: Float[Tensor, "row number"], centres: Centres
) -> Float[Tensor, "row cluster"]:
    r"""How much each row belongs to each cluster: Student's t of one degree of freedom.

    .. math:: q_{ij} \propto (1 + \lVert z_i - \mu_j \rVert^2)^{-1}

    Args:
        codes: Where rows are.
        centres: Where the centres are.

    Returns:
        Shares that add up to 1 in every row.

    Source:
        Xie et al. (2016), equation 1.

    Example:
        >>> soft_assignment(torch.tensor([[0.0]]), torch.tensor([[0.0], [1.0]]))
        tensor([[0.6667, 0.3333]])
    """
    return log_soft_assignment(codes, centres).exp()


def log_soft_assignment(
    codes: Float[Tensor, "row number"], centres: Centres
) -> Float[Tensor, "row cluster"]:
    """The logarithms of `soft_assignment`.

    Args:
        codes: Where rows are.
        centres: Where the centres are.

    Example:
        >>> log_soft_assignment(torch.tensor([[0.0]]), torch.tensor([[0.0], [0.0]])).exp()
        tensor([[0.5000, 0.5000]])
    """
    apart = pairwise_distances(codes, centres).square()
    return torch.log_softmax(-torch.log1p(apart), dim=1)


def sharpened(
    shares: Shares, frequencies: Float[Tensor, " cluster"] | None = None
) -> Float[Tensor, "row cluster"]:
    r"""Shares that are surer than those given, and that let no cluster swallow the others.

    .. math:: p_{ij} \propto q_{ij}^2 / f_j

    Args:
        shares: How much each row belongs to each cluster.
        frequencies: The sum of the shares of each cluster, f; None takes those of these rows.

    Source:
        Xie et al. (2016), equation 3.

    Example:
        >>> sharpened(torch.tensor([[0.8, 0.2], [0.2, 0.8]])).round(decimals=3)
        tensor([[0.9410, 0.0590],
                [0.0590, 0.9410]])
    """
    counts = shares.sum(dim=0) if frequencies is None else frequencies
    squared = shares.square() / counts.clamp_min(torch.finfo(shares.dtype).tiny)
    return squared / squared.sum(dim=1, keepdim=True)


def cut_tree(merges: Int[Tensor, "merge 2"], num_clusters: int) -> Int[Tensor, " row"]:
    """The clusters of rows where a tree of merges is cut.

    Args:
        merges: Which two were joined, the first merge first: rows have the numbers from 0 on, what
            a merge made the next numbers in their order, as scikit-learn and SciPy write it.
        num_clusters: How many are left, from 1 to the number of rows.

    Returns:
        The cluster of each row, numbered by their first rows.

    Raises:
        ValueError: If there cannot be so many.

    Example:
        >>> cut_tree(torch.tensor([[0, 2], [1, 3]]), 2)
        tensor([0, 1, 0])
    """
    count = len(merges) + 1
    if not 1 <= num_clusters <= count:
        raise ValueError(f"a tree of {count} rows has from 1 to {count} clusters")
    names = list(range(2 * count - 1))
    done = merges[: count - num_clusters].tolist()
    for number, (first, second) in reversed(list(enumerate(done))):
        name = names[count + number]
        names[first] = names[second] = name
    order: dict[int, int] = {}
    return torch.tensor([order.setdefault(name, len(order)) for name in names[:count]])


def knee(values: Float[Tensor, " value"]) -> int:
    """The place at which a rising curve bends: where it lies farthest below its chord.

    Args:
        values: In ascending order, at least one.

    Source:
        Satopää, Albrecht, Irwin, Raghavan (2011), "Finding a 'kneedle' in a haystack",
        doi:10.1109/ICDCSW.2011.20, section 3, without its smoothing.

    Example:
        >>> knee(torch.tensor([1.0, 1.1, 1.2, 1.3, 5.0, 9.0]))
        3
    """
    chord = torch.linspace(float(values[0]), float(values[-1]), len(values), dtype=values.dtype)
    return int((chord.to(values.device) - values).argmax())


def silhouettes(
    rows: NDArray[Any], label: Callable[[int], NDArray[Any]], counts: Iterable[int]
) -> dict[int, float]:
    """How well rows fall into each of several numbers of clusters.

    Args:
        rows: [row, number].
        label: The cluster of each row, given their number.
        counts: The numbers to try.

    Returns:
        For each number the mean silhouette, from -1 to 1; NaN where fewer than two clusters, or as
        many as rows, came out.

    Source:
        Rousseeuw (1987), doi:10.1016/0377-0427(87)90125-7, by scikit-learn's
        ``silhouette_score``.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1]])
        >>> found = silhouettes(rows, lambda count: np.arange(4) * count // 4, [2])
        >>> round(found[2], 2)
        0.98
    """
    return {count: silhouette(rows, label(count)) for count in counts}


def silhouette(rows: NDArray[Any], codes: NDArray[Any]) -> float:
    """The mean silhouette of some clusters; NaN where there are not two, or as many as rows.

    Args:
        rows: [row, number].
        codes: The cluster of each row.

    Example:
        >>> silhouette(np.array([[0.0], [1.0]]), np.array([0, 0]))
        nan
    """
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(codes)) < len(rows):
        return float("nan")
    return float(silhouette_score(rows, codes))


def matched_accuracy(truth: Int[Tensor, " row"], codes: Int[Tensor, " row"]) -> float:
    """The share of rows in the right class if each cluster is named after one class, best so.

    Args:
        truth: Class of each row.
        codes: Cluster of each row; below 0 of none, which counts as wrong.

    Source:
        Xie et al. (2016), equation 10; the matching is Kuhn's, by SciPy.

    Example:
        >>> matched_accuracy(torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 1]))
        0.75
    """
    from scipy.optimize import linear_sum_assignment

    kept = codes >= 0
    if not kept.any():
        return 0.0
    names, found = torch.unique(codes[kept], return_inverse=True)
    classes, wanted = torch.unique(truth[kept], return_inverse=True)
    counts = torch.zeros(len(names), len(classes), dtype=torch.int64)
    counts.index_put_((found, wanted), torch.ones_like(found), accumulate=True)
    chosen = linear_sum_assignment(counts.numpy(), maximize=True)
    return float(counts.numpy()[chosen].sum()) / len(codes)


def neighbour_divergence(
    rows: Rows,
    codes: Float[Tensor, "row latent"],
    num_neighbours: int = 5,
    weight: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    r"""How far codes are from keeping near what is near among rows; 0 is best.

    Rows of which one is among the nearest of the other share the probability p evenly (twice as
    much where both are), and codes have Student's t of one degree of freedom:

    .. math:: \sum_{i \ne j} p_{ij} \log \frac{p_{ij}}{q_{ij}}, \quad
        q_{ij} \propto (1 + \lVert z_i - z_j \rVert^2)^{-1}

    Args:
        rows: Rows, at least two.
        codes: Their codes.
        num_neighbours: How many of each row count as near, at most all others.
        weight: Weight of each row; that of a pair is their product.

    Source:
        van der Maaten (2009), "Learning a parametric embedding by preserving local structure",
        AISTATS, equations 1 to 3, with neighbours that all count alike in place of Gaussians.

    Example:
        >>> rows = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
        >>> kept = neighbour_divergence(rows, rows, 1)
        >>> bool(kept < neighbour_divergence(rows, rows[[0, 2, 1, 3]], 1))
        True
    """
    count = min(num_neighbours, len(rows) - 1)
    apart = torch.cdist(rows.detach(), rows.detach()).fill_diagonal_(torch.inf)
    near = apart.topk(count, largest=False).indices
    wanted = torch.zeros_like(apart).scatter_(1, near, 1.0)
    wanted = wanted + wanted.T
    kernel = -torch.log1p(pairwise_distances(codes, codes).square())
    masses = torch.zeros_like(kernel)
    if weight is not None:
        pairs = torch.outer(weight, weight)
        wanted, masses = wanted * pairs, pairs.log()
    wanted = wanted / wanted.sum().clamp_min(torch.finfo(codes.dtype).tiny)
    whole = (kernel + masses).fill_diagonal_(-torch.inf).flatten().logsumexp(dim=0)
    given = kernel + masses.clamp_min(torch.finfo(codes.dtype).min) - whole
    return (torch.xlogy(wanted, wanted) - wanted * given).sum()

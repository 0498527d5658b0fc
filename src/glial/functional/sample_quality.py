"""How good made-up rows are beside real ones, by where both lie in a space of features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from glial.core.errors import InputError
from glial.functional.neighbours import nearest

ROWS_AT_ONCE = 1 << 13
DISTANCES_AT_ONCE = 1 << 22


def frechet_distance(
    real: Float[Tensor, "row feature"], samples: Float[Tensor, "sample _"]
) -> float:
    """The Fréchet distance between normal distributions with the means and covariances of two sets.

    It is the squared 2-Wasserstein distance of these, in squared units of the features; in those
    of an Inception network on ImageNet it is called the FID. It sees means and covariances only.
    Of few rows it is too large, even for two draws of one distribution, and it depends on the
    number of rows: compare only figures of as many rows in the same features, and hold them
    against that of real rows that were kept back.

    The trace of the root of the product of the covariances ``A'A`` and ``B'B`` is the sum of the
    singular values of ``AB'``, which takes no root of a nearly singular matrix; all in float64.

    Args:
        real: A vector of features for each real row.
        samples: Likewise, of made-up rows.

    Raises:
        InputError: If a set has fewer than two rows, the features differ in number, or one is not
            finite.

    Source:
        Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local
        Nash equilibrium", equation 6, arXiv 1706.08500; Dowson, Landau (1982), "The Fréchet
        distance between multivariate normal distributions".

    Example:
        >>> real = torch.tensor([[-1.0], [1.0]])
        >>> round(frechet_distance(real, real + 3), 6), round(frechet_distance(real, real * 2), 6)
        (9.0, 2.0)
    """
    _check(real, samples, least=2)
    mean, root = _moments(real)
    other_mean, other_root = _moments(samples)
    shared = torch.linalg.svdvals(root @ other_root.T).sum()
    spreads = root.square().sum() + other_root.square().sum()
    return float(((mean - other_mean).square().sum() + spreads - 2 * shared).clamp_min(0))


def precision_and_recall(
    real: Float[Tensor, "row feature"],
    samples: Float[Tensor, "sample _"],
    num_neighbours: int = 3,
) -> tuple[float, float]:
    """How many samples look real, and how much of what is real the samples can be.

    A set reaches as far as the balls around its members, each as wide as the way to the member's
    k-th nearest other member. Precision is the share of samples within reach of the real rows,
    recall the share of real rows within reach of the samples. A generator that is sure of a few
    kinds has high precision and low recall; one that blurs, the other way round. One outlier with
    a wide ball can raise either: `density_and_coverage` is harder to fool.

    Args:
        real: A vector of features for each real row.
        samples: Likewise, of made-up rows.
        num_neighbours: k; 3 is usual.

    Returns:
        Precision and recall, each from 0 to 1.

    Raises:
        InputError: If a set has no more rows than k, the features differ in number, or one is not
            finite.

    Source:
        Kynkäänniemi et al. (2019), "Improved precision and recall metric for assessing generative
        models", equations 1 and 2, arXiv 1904.06991.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> precision_and_recall(real, torch.tensor([[0.4], [0.6]]), 1)
        (1.0, 0.0)
    """
    _check(real, samples, least=num_neighbours + 1)
    reach, sample_reach = _reach(real, num_neighbours), _reach(samples, num_neighbours)
    inside = torch.zeros(len(samples), dtype=torch.bool, device=samples.device)
    reached = []
    for part, distances in _distances(real, samples):
        inside |= (distances <= reach[part, None]).any(dim=0)
        reached.append((distances <= sample_reach).any(dim=1))
    return _share(inside), _share(torch.cat(reached))


def density_and_coverage(
    real: Float[Tensor, "row feature"],
    samples: Float[Tensor, "sample _"],
    num_neighbours: int = 5,
) -> tuple[float, float]:
    """How thickly real rows lie around the samples, and how many real rows have a sample near.

    Around each real row lies a ball as wide as the way to its k-th nearest other real row. Density
    counts how many of these hold a sample, coverage which of them hold any sample at all. Neither
    draws balls around samples, so samples far out gain nothing.

    Args:
        real: A vector of features for each real row.
        samples: Likewise, of made-up rows.
        num_neighbours: k; 5 is usual.

    Returns:
        Density, from 0, about 1 for samples of the real distribution and above 1 for samples that
        crowd where real rows are thickest; and coverage, from 0 to 1, about ``1 - 2 ** -k`` for
        as many samples of the real distribution as there are real rows.

    Raises:
        InputError: If there are no more real rows than k, the features differ in number, or one
            is not finite.

    Source:
        Naeem et al. (2020), "Reliable fidelity and diversity metrics for generative models",
        equations 3 and 4 and section 4.1, arXiv 2002.09797.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> density_and_coverage(real, torch.tensor([[0.4], [0.6]]), 1)
        (2.0, 0.5)
    """
    _check(real, samples, least=1)
    reach = _reach(real, num_neighbours)
    held, covered = 0, []
    for part, distances in _distances(real, samples):
        within = distances <= reach[part, None]
        held += int(within.sum())
        covered.append(within.any(dim=1))
    return held / (num_neighbours * len(samples)), _share(torch.cat(covered))


def _check(real: Tensor, samples: Tensor, least: int) -> None:
    for rows, whose in ((real, "real rows"), (samples, "samples")):
        if len(rows) < least:
            raise InputError(
                f"too few {whose} to judge samples by",
                expected=f"at least {least}",
                got=str(len(rows)),
                do="give more rows",
            )
        if not bool(rows.isfinite().all()):
            raise InputError(
                f"the features of {whose} are not all finite",
                expected="numbers",
                got="NaN or infinity",
                do="look at where they come from",
            )
    if real.shape[1] != samples.shape[1]:
        raise InputError(
            "real rows and samples have different features",
            expected=f"{real.shape[1]} numbers a sample, as a real row has",
            got=str(samples.shape[1]),
            do="compute the same features of both",
        )


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, and a matrix whose product with itself, transposed first, is the covariance."""
    mean = torch.stack([part.double().cpu().sum(dim=0) for part in torch.split(rows, ROWS_AT_ONCE)])
    centre = mean.sum(dim=0) / len(rows)
    root = centre.new_zeros(0, rows.shape[1])
    for part in torch.split(rows, ROWS_AT_ONCE):
        stacked = torch.cat([root, part.double().cpu() - centre])
        root = torch.linalg.qr(stacked, mode="r").R
    return centre, root / (len(rows) - 1) ** 0.5


def _reach(rows: Tensor, num_neighbours: int) -> Tensor:
    """How far each row is from its k-th nearest other row."""
    return nearest(rows, num_neighbours, metric="euclidean")[0][:, -1]


def _distances(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Distances of some rows at a time to all others, and which rows these are."""
    size = max(1, DISTANCES_AT_ONCE // len(others))
    exact = "donot_use_mm_for_euclid_dist"
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield part, torch.cdist(rows[part], others, compute_mode=exact)


def _share(true: Tensor) -> float:
    return float(true.double().mean())

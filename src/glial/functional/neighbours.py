"""Nearest neighbours, retrieval scores and near copies of vectors: exact, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from glial.core.errors import InputError

Metric = Literal["cosine", "euclidean"]
# Similarities that are held at once.
ELEMENTS_AT_ONCE = 1 << 22
MOST_PAIRS = 1_000_000


def nearest(
    vectors: Float[Tensor, "row feature"],
    num_neighbours: int,
    others: Float[Tensor, "other feature"] | None = None,
    *,
    metric: Metric = "cosine",
) -> tuple[Float[Tensor, "row neighbour"], Int[Tensor, "row neighbour"]]:
    """The nearest rows of each row, by comparing it with all.

    Args:
        vectors: Rows to find neighbours for.
        num_neighbours: How many each.
        others: Rows to search; None searches the other rows of ``vectors``, never a row itself.
        metric: ``cosine`` is 1 minus the cosine of the angle, from 0 to 2 (and 1 to a vector of
            zeros); ``euclidean`` the length of the difference.

    Returns:
        Distances, ascending and exactly 0 between equal rows, and the numbers of the rows found,
        counted from 0; of equally distant rows the first stands first.

    Raises:
        InputError: If there are fewer rows to find than neighbours wanted.

    Example:
        >>> distances, rows = nearest(torch.tensor([[0.0], [1.0], [3.0]]), 1, metric="euclidean")
        >>> distances[:, 0].tolist(), rows[:, 0].tolist()
        ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    searched = vectors if others is None else others
    there = len(searched) - (others is None)
    if not 1 <= num_neighbours <= there:
        raise InputError(
            f"{num_neighbours} neighbours of each row cannot be found",
            expected=f"from 1 to {there}" if there > 0 else "at least two rows",
            got=str(num_neighbours),
            do="ask for fewer, or give more rows to search",
        )
    if metric == "cosine":
        vectors, searched = _unit(vectors), _unit(searched)
    lengths = searched.square().sum(dim=1)
    distances, rows = [], []
    for start, part in _stretches(vectors, max(len(searched), num_neighbours * vectors.shape[1])):
        # Half the squared distance, but for what all rows of the part have in common.
        rough = lengths / 2 - part @ searched.T
        if others is None:
            _leave_out_itself(rough, start)
        found = rough.topk(num_neighbours, largest=False).indices.sort(dim=1).values
        exact = (part[:, None] - searched[found]).square().sum(dim=2)
        if metric == "cosine":
            zeros = (lengths[found] == 0).to(exact) + (part == 0).all(dim=1)[:, None]
            exact = exact / 2 + zeros / 2
        ordered, order = exact.sort(dim=1, stable=True)
        distances.append(ordered if metric == "cosine" else ordered.sqrt())
        rows.append(found.gather(1, order))
    shape = (0, num_neighbours)
    if not rows:
        return vectors.new_zeros(shape), torch.zeros(shape, dtype=torch.int64)
    return torch.cat(distances), torch.cat(rows)


def recall_at(
    vectors: Float[Tensor, "row feature"],
    labels: Int[Tensor, " row"],
    num_neighbours: int,
    *,
    metric: Metric = "cosine",
) -> float:
    """The share of rows with a row of their class among their nearest neighbours.

    Rows whose class has no other row are left out.

    Args:
        vectors: A vector a row.
        labels: Class of each row.
        num_neighbours: Among how many of the nearest.
        metric: As of `nearest`.

    Returns:
        From 0 to 1; NaN where no class has two rows.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [1.5], [4.0]])
        >>> recall_at(points, torch.tensor([0, 0, 1, 1]), 1, metric="euclidean")
        0.5
    """
    scores = retrieval_scores(vectors, labels, (num_neighbours,), metric=metric)
    return scores[f"recall_at_{num_neighbours}"]


def retrieval_scores(
    vectors: Float[Tensor, "row feature"],
    labels: Int[Tensor, " row"],
    recalls: Sequence[int] = (1, 5),
    *,
    metric: Metric = "cosine",
    weight: Float[Tensor, " row"] | None = None,
) -> dict[str, float]:
    """How well the rows near a row are of its class; each row is searched among all others.

    Rows whose class has no other row are left out. Of equally distant rows those in front come
    first, so rows should not stand in the order of their classes.

    Args:
        vectors: A vector a row.
        labels: Class of each row.
        recalls: Numbers of neighbours among which one of the class is looked for.
        metric: As of `nearest`.
        weight: Weight of each row, as the one that is searched for.

    Returns:
        ``recall_at_<k>`` for each, and ``mean_average_precision_at_r``: the mean of the precision
        at each right one of the first R neighbours, where R other rows are of the class, divided
        by R. From 0 to 1; NaN where no class has two rows.

    Source:
        Musgrave, Belongie, Lim (2020), "A metric learning reality check", arXiv 2003.08505.

    Example:
        >>> points, labels = torch.tensor([[0.0], [1.0], [1.5], [4.0]]), torch.tensor([0, 0, 1, 1])
        >>> retrieval_scores(points, labels, (1, 2), metric="euclidean")
        {'recall_at_1': 0.5, 'recall_at_2': 0.75, 'mean_average_precision_at_r': 0.5}
    """
    values = retrieval_values(vectors, labels, recalls, metric=metric)
    weights = torch.ones(len(labels)) if weight is None else weight.cpu()
    found = {}
    for name, each in values.items():
        known = ~each.isnan()
        held = weights[known].double()
        found[name] = float((each[known] * held).sum() / held.sum()) if len(held) else math.nan
    return found


def retrieval_values(
    vectors: Float[Tensor, "row feature"],
    labels: Int[Tensor, " row"],
    recalls: Sequence[int] = (1, 5),
    *,
    metric: Metric = "cosine",
) -> dict[str, Tensor]:
    """What each row adds to `retrieval_scores`, [row]; NaN where its class has no other row.

    Args:
        vectors: A vector a row.
        labels: Class of each row.
        recalls: As there.
        metric: As of `nearest`.

    Example:
        >>> points, labels = torch.tensor([[0.0], [1.0], [1.5], [4.0]]), torch.tensor([0, 0, 1, 1])
        >>> retrieval_values(points, labels, (1,), metric="euclidean")["recall_at_1"].tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    codes = torch.unique(labels, return_inverse=True)[1]
    partners = codes.bincount()[codes] - 1
    alone = (partners == 0).cpu()
    names = [*(f"recall_at_{k}" for k in recalls), "mean_average_precision_at_r"]
    if alone.all():
        nothing = torch.full((len(labels),), math.nan, dtype=torch.float64)
        return dict.fromkeys(names, nothing)
    vectors = _unit(vectors) if metric == "cosine" else vectors
    most = min(len(vectors) - 1, max(int(partners.max()), *recalls))
    half = vectors.square().sum(dim=1) / 2
    found: list[Tensor] = []
    for start, part in _stretches(vectors, len(vectors)):
        rough = half - part @ vectors.T
        _leave_out_itself(rough, start)
        near = _first(rough, most)
        right = (codes[near] == codes[start : start + len(part), None]).double()
        found.append(_scores_of(right, partners[start : start + len(part)], recalls))
    values = torch.cat(found).masked_fill(alone[:, None], math.nan)
    return dict(zip(names, values.unbind(dim=1), strict=True))


def _first(distances: Tensor, count: int) -> Tensor:
    """The places of the least distances of each row, in order; of equal ones the first."""
    if 4 * count > distances.shape[1]:
        return distances.sort(dim=1, stable=True).indices[:, :count]
    least = distances.topk(count, largest=False).indices.sort(dim=1).values
    return least.gather(1, distances.gather(1, least).sort(dim=1, stable=True).indices)


def _scores_of(right: Tensor, partners: Tensor, recalls: Sequence[int]) -> Tensor:
    """Recalls and average precision of each row, by which of its neighbours are of its class."""
    ranks = torch.arange(1, right.shape[1] + 1, device=right.device)
    precision = right.cumsum(dim=1) / ranks
    within = ranks <= partners[:, None]
    average = (precision * right * within).sum(dim=1) / partners.clamp_min(1)
    recalled = [right[:, :k].amax(dim=1) for k in recalls]
    return torch.stack([*recalled, average], dim=1).cpu()


def near_copies(
    vectors: Float[Tensor, "row feature"],
    threshold: float,
    others: Float[Tensor, "other feature"] | None = None,
    *,
    most: int = MOST_PAIRS,
) -> tuple[Int[Tensor, "pair 2"], Float[Tensor, " pair"]]:
    """Pairs of rows whose cosine similarity is at least a threshold, the most similar first.

    Args:
        vectors: A vector a row.
        threshold: The least similarity, in (0, 1].
        others: Rows to compare with; None compares the rows of ``vectors`` with each other, each
            pair once.
        most: So many pairs are told; more are an error.

    Returns:
        The numbers of the two rows of each pair, counted from 0, and their similarities.

    Raises:
        InputError: If the threshold is out of its range, or there are too many pairs.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
        >>> pairs, similarities = near_copies(rows, 0.9)
        >>> pairs.tolist(), similarities.tolist()
        ([[0, 2]], [1.0])
    """
    if not 0 < threshold <= 1:
        raise InputError(
            "the threshold of copies is out of range",
            expected="a cosine similarity above 0 and at most 1",
            got=f"{threshold:g}",
            do="choose one such as 0.98",
        )
    vectors, searched = _unit(vectors), _unit(vectors if others is None else others)
    pairs, similarities = [torch.zeros(0, 2, dtype=torch.int64)], [vectors.new_zeros(0)]
    count = 0
    for start, part in _stretches(vectors, len(searched)):
        # Products of equal unit vectors are 1 but for their last bits.
        close = part @ searched.T >= threshold - 1e-5
        if others is None:
            close = close.triu(start + 1)
        for places in torch.split(close.nonzero(), max(1, ELEMENTS_AT_ONCE // vectors.shape[1])):
            gaps = (part[places[:, 0]] - searched[places[:, 1]]).square().sum(dim=1)
            kept = 1 - gaps / 2 >= threshold
            pairs.append((places + torch.tensor([start, 0], device=places.device))[kept].cpu())
            similarities.append((1 - gaps / 2)[kept].cpu())
            count += len(pairs[-1])
            if count > most:
                raise InputError(
                    "too many pairs of rows are that similar",
                    expected=f"at most {most:,}",
                    got="more",
                    do=f"raise the threshold, which is {threshold:g}",
                )
    found = torch.cat(similarities)
    order = found.argsort(descending=True, stable=True)
    return torch.cat(pairs)[order], found[order]


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=1)


def _stretches(vectors: Tensor, width: int) -> Iterator[tuple[int, Tensor]]:
    """Some rows at a time, few enough for so many others, and the number of the first."""
    size = max(1, ELEMENTS_AT_ONCE // max(1, width))
    for start in range(0, len(vectors), size):
        yield start, vectors[start : start + size]


def _leave_out_itself(distances: Tensor, start: int) -> None:
    """Make each row infinitely far from itself, in a stretch of rows from a number on."""
    distances[torch.arange(len(distances)), torch.arange(start, start + len(distances))] = torch.inf

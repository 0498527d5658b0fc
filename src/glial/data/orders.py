"""Orders of rows that look at their classes: classes drawn alike, batches with every class."""

from __future__ import annotations

import torch
from torch import Tensor


def drawn_alike(codes: Tensor, generator: torch.Generator) -> Tensor:
    """As many row numbers as there are rows, drawn so that every class is equally likely.

    Rows are drawn with replacement: first a class, then one of its rows, so a row's chance is
    the reciprocal of its class's size.

    Args:
        codes: Class of each row, [row].
        generator: What is drawn with.

    Returns:
        Row numbers, [row].

    Example:
        >>> drawn = drawn_alike(torch.tensor([0] * 990 + [1] * 10), torch.Generator())
        >>> 0.4 < float((drawn >= 990).float().mean()) < 0.6
        True
    """
    counts = codes.bincount()
    starts = counts.cumsum(0) - counts
    present = counts.nonzero()[:, 0]
    drawn = present[torch.randint(len(present), codes.shape, generator=generator)]
    shares = torch.rand(codes.shape, generator=generator, dtype=torch.float64)
    within = (shares * counts[drawn]).long()
    return codes.argsort(stable=True)[starts[drawn] + within]


def stratified_order(
    codes: Tensor, batch_size: int, num_batches: int, generator: torch.Generator
) -> Tensor:
    """A random order of rows whose batches have every class in its share, to within one row.

    The rows of each class are dealt to the batches in turn, after those of the last batch, which
    may be of another size, were set aside. What a batch gets of a class is its share of the
    class rounded down or up: the controlled rounding of a table whose margins are kept.

    Args:
        codes: Class of each row, [row].
        batch_size: Rows of every batch but the last, which has the rest.
        num_batches: Number of batches.
        generator: What is drawn with.

    Returns:
        Row numbers, [row]: the first batch's, then the second's, and so on.

    Source:
        Cox (1987), "A constructive procedure for unbiased controlled rounding",
        doi:10.1080/01621459.1987.10478456, for the rounding's existence.

    Example:
        >>> codes = torch.tensor([0] * 8 + [1] * 4)
        >>> order = stratified_order(codes, 3, 4, torch.Generator())
        >>> codes[order].reshape(4, 3).sum(dim=1).tolist()
        [1, 1, 1, 1]
    """
    shuffled = torch.randperm(len(codes), generator=generator)
    classes, counts = codes[shuffled], codes.bincount()
    by_class = classes.argsort(stable=True)
    taken = _counts_of_last(counts, batch_size, num_batches, generator)
    rank = torch.arange(len(codes)) - (counts.cumsum(0) - counts)[classes[by_class]]
    in_last = rank < taken[classes[by_class]]
    dealt = shuffled[by_class[~in_last]].reshape(batch_size, num_batches - 1)
    full = dealt[:, torch.randperm(num_batches - 1, generator=generator)].T
    mixed = torch.rand(full.shape, generator=generator).argsort(dim=1)
    return torch.cat([full.gather(1, mixed).flatten(), shuffled[by_class[in_last]]])


def grouped_order(codes: Tensor, rows_per_class: int, generator: torch.Generator) -> Tensor:
    """A random order of rows in which some of one class follow each other.

    Batches that are cut from it have several rows of each of their classes. The rows of a class
    are shuffled and cut into groups, the last of which may be smaller, and all groups shuffled.

    Args:
        codes: Class of each row, [row].
        rows_per_class: Rows of a group.
        generator: What is drawn with.

    Returns:
        Row numbers, [row], each once.

    Source:
        Hermans, Beyer, Leibe (2017), arXiv 1703.07737, section 2: batches of P classes with K rows
        each, which here hold for every row once in an epoch.

    Example:
        >>> codes = torch.tensor([0, 1, 0, 1, 2, 2])
        >>> codes[grouped_order(codes, 2, torch.Generator())].reshape(3, 2).diff(dim=1).tolist()
        [[0], [0], [0]]
    """
    shuffled = torch.randperm(len(codes), generator=generator)
    by_class = shuffled[codes[shuffled].argsort(stable=True)]
    counts = codes.bincount()
    rank = torch.arange(len(codes)) - (counts.cumsum(0) - counts)[codes[by_class]]
    group = (rank % rows_per_class == 0).cumsum(0) - 1
    places = torch.randperm(int(group[-1]) + 1, generator=generator)
    return by_class[places[group].argsort(stable=True)]


def _counts_of_last(
    counts: Tensor, batch_size: int, num_batches: int, generator: torch.Generator
) -> Tensor:
    """Rows of each class in the last batch, such that the other batches come out right too."""
    rows, others = int(counts.sum()), num_batches - 1
    size = rows - others * batch_size
    least, most = counts * size // rows, -(-counts * size // rows)
    least = torch.maximum(least, counts + others * (-counts * batch_size // rows))
    most = torch.minimum(most, counts - others * (counts * batch_size // rows))
    open_ = (most > least).nonzero()[:, 0]
    chosen = open_[torch.randperm(len(open_), generator=generator)[: size - int(least.sum())]]
    least[chosen] += 1
    return least

"""Rows mixed with others of their batch: their inputs, and what is to be said of them."""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch
from torch import Tensor

from glial.data.augmentation.images import as_floats
from glial.data.augmentation.settings import AugmentSettings
from glial.data.batches import Batch


def mixed(batch: Batch, settings: AugmentSettings, seed: int) -> Batch:
    """A batch whose rows are each mixed with another one, all in the same share.

    Every row is the partner of exactly one, so the classes keep their proportions exactly.

    Args:
        batch: Rows whose inputs are numbers and images; for ``cutmix`` images alone.
        settings: ``mixup``, ``cutmix`` and ``probability``.
        seed: Decides whether and how the batch is mixed.

    Returns:
        The batch with ``other`` and ``other_weight``, or as it was.

    Source:
        Mixup: Zhang et al. (2018), arXiv 1710.09412. Cutmix: Yun et al. (2019), arXiv
        1905.04899.

    Example:
        >>> batch = Batch((torch.tensor([[0.0], [8.0]]),), torch.tensor([0, 1]))
        >>> both = mixed(batch, AugmentSettings(mixup=1.0), seed=2)
        >>> both.weight + both.other_weight
        tensor([1., 1.])
    """
    generator = np.random.default_rng(seed)
    if generator.random() >= settings.probability:
        return batch
    pastes = settings.cutmix > 0 and (not settings.mixup or generator.random() < 0.5)
    alpha = settings.cutmix if pastes else settings.mixup
    share = float(generator.beta(alpha, alpha))
    partner = torch.from_numpy(generator.permutation(len(batch.target)))
    partner = partner.to(batch.target.device)
    if pastes:
        middle = (generator.random(), generator.random())
        inputs, share = _pasted(batch.inputs, partner, share, middle)
    else:
        inputs = tuple(_added(part, partner, share) for part in batch.inputs)
    weight = batch.weight
    if weight is None:
        weight = torch.ones(len(batch.target), device=batch.target.device)
    return Batch(
        inputs,
        batch.target,
        share * weight,
        batch.target[partner],
        (1 - share) * weight[partner],
    )


def _added(part: Tensor, partner: Tensor, share: float) -> Tensor:
    part = as_floats(part)
    return share * part + (1 - share) * part[partner]


def _pasted(
    images: tuple[Tensor, ...], partner: Tensor, share: float, middle: tuple[float, float]
) -> tuple[tuple[Tensor, ...], float]:
    """Images with a rectangle of their partner's, and the share of pixels that stayed."""
    pasted, num_cut, num_pixels = [], 0, 0
    for part in images:
        height, width = part.shape[-2:]
        rows = _cut(height, middle[0], sqrt(1 - share))
        columns = _cut(width, middle[1], sqrt(1 - share))
        part = part.clone()
        part[..., rows, columns] = part[partner][..., rows, columns]
        pasted.append(part)
        num_cut += (rows.stop - rows.start) * (columns.stop - columns.start)
        num_pixels += height * width
    return tuple(pasted), 1 - num_cut / num_pixels


def _cut(size: int, middle: float, share: float) -> slice:
    """A stretch of pixels about a middle, cut off at the borders."""
    first, last = (round(size * (middle + side * share / 2)) for side in (-1, 1))
    return slice(max(0, first), min(size, last))

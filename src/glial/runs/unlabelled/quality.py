"""How good made-up rows are: beside rows that were kept back, and beside two yardsticks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from glial.core.seeds import torch_generator
from glial.functional import density_and_coverage, frechet_distance, precision_and_recall

MOST_ROWS = 2000
COMPONENTS = 64
FIGURES = ("frechet_distance", "precision", "recall", "density", "coverage")
LEAST_ROWS = 6  # one more than the neighbours that coverage asks for

Features = Callable[[Tensor], Tensor]


class SampleQuality(NamedTuple):
    """How good made-up rows are, by `FIGURES`; NaN where rows are too few or not finite.

    Attributes:
        samples: Of the samples.
        baseline: Of rows whose every number is drawn by itself from training rows: they know each
            number's distribution, and nothing of how numbers go together.
        reference: Of training rows, the best samples that there could be.
        num_rows: How many rows each set has; figures compare only with those of as many.

    Example:
        >>> SampleQuality({"recall": 0.9}, {"recall": 0.2}, {"recall": 1.0}, 500).samples
        {'recall': 0.9}
    """

    samples: dict[str, float]
    baseline: dict[str, float]
    reference: dict[str, float]
    num_rows: int


def sample_quality(
    train: Tensor,
    held_out: Tensor,
    samples: Tensor,
    features: Features | None = None,
    *,
    seed: int = 0,
) -> SampleQuality:
    """How good samples are beside held-out rows, in a space of features.

    All sets are cut to one size, of at most 2,000 rows.

    Args:
        train: Training rows, scaled, [row, ...].
        held_out: Rows that were kept back, likewise.
        samples: Made-up rows, likewise.
        features: Makes vectors [row, feature] of rows, as a classifier's ``embed`` does; None
            takes tables as they are, and of images, or whatever has more axes, the first 64
            principal components of the training rows.
        seed: Of the rows that are taken.

    Example:
        >>> rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> found = sample_quality(rows[:100], rows[100:200], rows[200:])
        >>> found.samples["precision"] > 0.9, found.num_rows
        (True, 100)
    """
    num_rows = min(MOST_ROWS, len(train), len(held_out), len(samples))
    generator = torch_generator(seed, "sample_quality")
    known = _drawn(train, min(MOST_ROWS, len(train)), generator)
    given = {
        "samples": _drawn(samples, num_rows, generator),
        "baseline": _shuffled(known, generator)[:num_rows],
        "reference": known[:num_rows],
    }
    real = _drawn(held_out, num_rows, generator)
    if num_rows < LEAST_ROWS:
        nothing = dict.fromkeys(FIGURES, math.nan)
        return SampleQuality(nothing, nothing, nothing, num_rows)
    features = features or _features_of(known)
    beside = features(real)
    found = {name: _figures(beside, features(rows)) for name, rows in given.items()}
    return SampleQuality(**found, num_rows=num_rows)


def _figures(real: Tensor, samples: Tensor) -> dict[str, float]:
    if not (bool(real.isfinite().all()) and bool(samples.isfinite().all())):
        return dict.fromkeys(FIGURES, math.nan)
    values = (
        frechet_distance(real, samples),
        *precision_and_recall(real, samples),
        *density_and_coverage(real, samples),
    )
    return dict(zip(FIGURES, values, strict=True))


def _features_of(train: Tensor) -> Features:
    """The numbers themselves, or the projection on the main components of training rows."""
    if train.ndim <= 2:
        return lambda rows: rows.flatten(1)
    from sklearn.decomposition import PCA

    flat = train.flatten(1).double().cpu()
    analysis = PCA(min(COMPONENTS, *flat.shape), random_state=0).fit(flat.numpy())
    centre, axes = torch.from_numpy(analysis.mean_), torch.from_numpy(analysis.components_)
    return lambda rows: (rows.flatten(1).double().cpu() - centre) @ axes.T


def _drawn(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:count].to(rows.device)]


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of which each number is that of another row, drawn for each number by itself."""
    flat = rows.flatten(1)
    order = torch.rand(flat.shape, generator=generator).argsort(dim=0).to(rows.device)
    return flat.gather(0, order).reshape(rows.shape)

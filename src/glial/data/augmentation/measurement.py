"""Which changes of images help, measured on the training images themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from glial.core.seeds import torch_generator
from glial.data.augmentation.images import Images, as_floats, changed_images
from glial.data.augmentation.settings import AugmentSettings

MAX_ROWS = 2000
MIN_ROWS = 100
SIDE = 32  # larger images are made smaller first, so many at once
AT_ONCE = 64
CELLS, DIRECTIONS, PIXELS = 7, 8, 8
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 4
SURE = 3.0  # so many standard errors are no accident

# Every image is mirrored in the copies, since a flip keeps half of the images as they are. Of
# each group the change that helps most is taken.
TRIALS: dict[str, list[dict[str, Any]]] = {
    "horizontal": [{"flip": "horizontal"}],
    "vertical": [{"flip": "vertical"}],
    "rotate": [{"rotate": 10.0}, {"rotate": 20.0}],
    "translate": [{"translate": 0.05}, {"translate": 0.1}],
    "scale": [{"scale": [0.9, 1.1]}, {"scale": [0.8, 1.25]}],
}
# A linear model knows places and gains nothing by moves, where a network of convolutions does: it
# only has to say that images which are moved might have been among the data.
MOVE: dict[str, Any] = {"crop": 0.125}
HARM = 0.01

Features = Float[Tensor, "row feature"]


@dataclass(frozen=True)
class Trial:
    """What a change of images was worth.

    Attributes:
        change: The keys of :class:`AugmentSettings` that were tried.
        gain: By what share of the error of images that were held out it fell.
        uncertainty: The standard error of that share.

    Example:
        >>> Trial({"flip": "horizontal"}, gain=0.04, uncertainty=0.01).helps
        True
    """

    change: Mapping[str, Any]
    gain: float
    uncertainty: float

    @property
    def helps(self) -> bool:
        """Whether the gain is no accident."""
        return self.gain > SURE * self.uncertainty

    @property
    def is_harmless(self) -> bool:
        """Whether the error surely rose by less than a hundredth.

        Example:
            >>> Trial({"crop": 0.125}, 0.001, 0.002).is_harmless
            True
        """
        return self.gain - 2 * self.uncertainty > -HARM


def measure(images: Sequence[Tensor], target: Tensor, *, seed: int) -> list[Trial]:
    """Try changes of the training images, and see which help to tell unchanged ones apart.

    A ridge regression on histograms of edges and coarse pixels learns the targets from some of
    the images, once as they are and once with a changed copy of each; both are judged by the same
    images that were held out, unchanged. A flip of digits then shows as a loss and one of
    photographs as a gain: a change helps if it makes images that might have been among the data,
    of the same class. A move by whole pixels need only do no harm. Each class counts alike, and
    each of the two has its own best penalty, so that more rows alone are no gain.

    Source:
        Histograms of edges: Dalal and Triggs (2005), doi:10.1109/CVPR.2005.177. The trial of
        changes on held-out images is Glial's own.

    Args:
        images: Each column of images, [row, channel, height, width].
        target: Class of each row, [row], or numbers, [row, output].
        seed: The experiment's seed.

    Returns:
        What each change was worth; none where the images are too few or say nothing about
        the target in this way.

    Example:
        >>> measure([torch.rand(9, 1, 8, 8)], torch.arange(9), seed=0)
        []
    """
    rows = torch.randperm(len(target), generator=torch_generator(seed, "augment rows"))[:MAX_ROWS]
    wanted = _standardized(target[rows])
    if len(rows) < MIN_ROWS or wanted.shape[1] == 0:
        return []
    small = [
        torch.cat([_small(as_floats(column[some])) for some in torch.split(rows, AT_ONCE)])
        for column in images
    ]
    ridge = _Ridge(torch.cat([_features(column) for column in small], dim=1), wanted)
    plain = ridge.errors()
    if not _is_below(plain, wanted.square().mean(dim=1)):
        return []
    trials = []
    for change in [MOVE, *(change for group in TRIALS.values() for change in group)]:
        generator = torch_generator(seed, "augment trial", str(change))
        copies = [_features(_changed(column, change, generator)) for column in small]
        fall = plain - ridge.errors(torch.cat(copies, dim=1))
        uncertainty = fall.std() / len(fall) ** 0.5 / plain.mean()
        trials.append(Trial(change, float(fall.mean() / plain.mean()), float(uncertainty)))
    return trials


def chosen(trials: Sequence[Trial]) -> AugmentSettings:
    """The settings with the best change of each group, where one helps; moves if they do no harm.

    Example:
        >>> trials = [Trial({"flip": "horizontal"}, 0.04, 0.01), Trial({"rotate": 10.0}, 0.0, 0.01)]
        >>> chosen(trials).flip, chosen(trials).rotate
        ('horizontal', 0.0)
    """
    values: dict[str, Any] = {}
    for changes in TRIALS.values():
        group = [trial for trial in trials if trial.change in changes and trial.helps]
        if group:
            best = max(group, key=lambda trial: trial.gain).change
            both = "flip" in best and "flip" in values
            values |= {"flip": "both"} if both else best
    if any(trial.change == MOVE and trial.is_harmless for trial in trials):
        values = {key: value for key, value in values.items() if key != "translate"} | MOVE
    return AugmentSettings(**values)


def _changed(images: Images, change: Mapping[str, Any], generator: torch.Generator) -> Images:
    if "flip" in change:
        return images.flip(-1 if change["flip"] == "horizontal" else -2)
    return changed_images(images, AugmentSettings(**change), generator)


def _is_below(errors: Tensor, others: Tensor) -> bool:
    """Whether paired errors are lower than others, by more than an accident."""
    fall = others - errors
    return bool(fall.mean() > SURE * fall.std() / len(fall) ** 0.5)


def _standardized(target: Tensor) -> Tensor:
    """Targets as numbers of mean 0 and variance 1, [row, output]; one of each class for classes."""
    numbers = target.float()
    if target.ndim == 1:
        numbers = functional.one_hot(torch.unique(target, return_inverse=True)[1]).float()
    spread = numbers.std(dim=0, correction=0)
    told = spread > 0
    return ((numbers - numbers.mean(dim=0)) / spread)[:, told]


def _small(images: Images) -> Tensor:
    sides = images.shape[-2:]
    if max(sides) <= SIDE:
        return images
    height, width = (max(1, round(side * SIDE / max(sides))) for side in sides)
    return functional.adaptive_avg_pool2d(images, (height, width))


def _features(images: Images) -> Features:
    """Square roots of histograms of the directions of edges in cells, and coarse pixels."""
    grey = functional.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    place = torch.atan2(down, across) / (2 * pi) * DIRECTIONS
    first = place.floor()
    size, late = torch.hypot(across, down), place - first
    edges = images.new_zeros(len(images), DIRECTIONS, *images.shape[-2:])
    first = first.long() % DIRECTIONS
    edges.scatter_add_(1, first, size * (1 - late))
    edges.scatter_add_(1, (first + 1) % DIRECTIONS, size * late)
    height, width = images.shape[-2:]
    cells = (max(1, min(CELLS, height // 2)), max(1, min(CELLS, width // 2)))
    histograms = functional.adaptive_avg_pool2d(edges, cells).sqrt()
    coarse = (min(PIXELS, height), min(PIXELS, width))
    pixels = functional.adaptive_avg_pool2d(images, coarse)
    return torch.cat([histograms.flatten(1), pixels.flatten(1)], dim=1)


class _Ridge:
    """Ridge regressions that each predict the rows of a fold from those of the others."""

    def __init__(self, features: Features, target: Tensor) -> None:
        self._middle = features.mean(dim=0)
        self._spread = features.std(dim=0).clamp_min(1e-3)
        self._target = target
        self._folds = torch.arange(len(target)) % FOLDS
        self._rows = self._scaled(features)
        self._sums = self._products(self._rows)

    def _scaled(self, features: Features) -> Tensor:
        scaled = (features - self._middle) / self._spread
        return torch.cat([scaled, torch.ones(len(scaled), 1)], dim=1)

    def _products(self, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The sums over each fold that least squares are made of."""
        folds = [self._folds == fold for fold in range(FOLDS)]
        return [(rows[f].T @ rows[f], rows[f].T @ self._target[f]) for f in folds]

    def errors(self, copies: Features | None = None) -> Tensor:
        """The squared error of each row, held out; changed copies are only learnt from."""
        parts = [self._sums]
        if copies is not None:
            parts.append(self._products(self._scaled(copies)))
        num_rows = len(self._rows) * len(parts)
        found = torch.empty(len(PENALTIES), *self._target.shape)
        for fold in range(FOLDS):
            rest = [sums[other] for sums in parts for other in range(FOLDS) if other != fold]
            squares = torch.stack([square for square, _ in rest]).sum(dim=0)
            products = torch.stack([product for _, product in rest]).sum(dim=0)
            held_out = self._folds == fold
            for number, penalty in enumerate(PENALTIES):
                ridged = squares + penalty * num_rows * torch.eye(len(squares))
                weights = torch.cholesky_solve(products, torch.linalg.cholesky(ridged))
                found[number, held_out] = self._rows[held_out] @ weights
        errors = (found - self._target).square().mean(dim=2)
        return errors[errors.mean(dim=1).argmin()]

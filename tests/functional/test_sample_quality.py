"""Fréchet distance, precision, recall, density and coverage against closed forms and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics import pairwise_distances

from glial.core.errors import InputError
from glial.functional import (
    density_and_coverage,
    frechet_distance,
    precision_and_recall,
    sample_quality,
)


def drawn(rows, features=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, features, generator=generator, dtype=dtype)


def modes(rows, count, seed=0):
    """Rows of some of eight normal distributions on a circle."""
    generator = torch.Generator().manual_seed(seed)
    angles = torch.arange(8) * math.pi / 4
    centres = 4 * torch.stack([angles.cos(), angles.sin()], dim=1)
    which = torch.randint(count, (rows,), generator=generator)
    return centres[which] + 0.2 * torch.randn(rows, 2, generator=generator)


@pytest.fixture(params=[1 << 22, 64])
def at_once(request, monkeypatch):
    """All rows in one stretch, or a few rows at a time."""
    monkeypatch.setattr(sample_quality, "DISTANCES_AT_ONCE", request.param)
    monkeypatch.setattr(sample_quality, "ROWS_AT_ONCE", request.param)


@pytest.mark.parametrize(("rows", "features"), [(200, 3), (10, 30)])
def test_frechet_distance_is_that_of_the_matrix_root(at_once, rows, features):
    mixing = drawn(features, features, seed=7)
    real, samples = drawn(rows, features) @ mixing, 1 + drawn(rows + 5, features, seed=1)
    first, second = np.cov(real.numpy().T), np.cov(samples.numpy().T)
    root = sqrtm(first @ second).real
    gap = (real.mean(dim=0) - samples.mean(dim=0)).square().sum().item()
    expected = gap + np.trace(first + second - 2 * root)
    # SciPy's root of a singular product is itself only so good.
    assert frechet_distance(real, samples) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_normal_distributions_with_one_axis_each():
    # Sets with mean 0 and these deviations exactly; they commute, so the distance is by hand.
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    real, samples = corners * torch.tensor([1.0, 2.0]), corners * torch.tensor([3.0, 0.0]) + 5
    expected = 50 + ((1 - 3) ** 2 + (2 - 0) ** 2) * 4 / 3
    assert frechet_distance(real, samples) == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_is_nought_of_equal_sets_and_turns_with_neither():
    real, samples = drawn(300, dtype=torch.float32), drawn(300, seed=1) + 1
    assert frechet_distance(real, real.flip(0)) == pytest.approx(0, abs=1e-9)
    found = frechet_distance(real.double(), samples)
    turned = torch.linalg.qr(drawn(3, seed=2)).Q
    assert frechet_distance(samples, real.double()) == pytest.approx(found)
    assert frechet_distance(real.double() @ turned, samples @ turned) == pytest.approx(found)
    # Far from nought, single precision would see nothing of the covariances.
    assert frechet_distance(real.double() + 1e6, samples + 1e6) == pytest.approx(found, rel=1e-6)


def test_frechet_distance_of_few_rows_is_too_large():
    few = [frechet_distance(drawn(20, 8, seed), drawn(20, 8, 50 + seed)) for seed in range(9)]
    many = [frechet_distance(drawn(500, 8, seed), drawn(500, 8, 50 + seed)) for seed in range(9)]
    assert min(few) > 3 * max(many) > 0


def test_precision_recall_density_and_coverage_are_their_definitions(at_once):
    real, samples, k = drawn(60, 2), drawn(40, 2, seed=1) * 1.5, 3
    across = pairwise_distances(real, samples)
    within, of_samples = pairwise_distances(real), pairwise_distances(samples)
    reach = np.sort(within, axis=1)[:, k]  # the first is the row itself
    sample_reach = np.sort(of_samples, axis=1)[:, k]
    inside = across <= reach[:, None]
    assert precision_and_recall(real, samples, k) == pytest.approx(
        (inside.any(axis=0).mean(), (across <= sample_reach).any(axis=1).mean())
    )
    assert density_and_coverage(real, samples, k) == pytest.approx(
        (inside.sum() / (k * len(samples)), inside.any(axis=1).mean())
    )


def test_equal_sets_are_perfect_and_distant_ones_worth_nothing():
    real = drawn(50, dtype=torch.float32)
    copies = torch.cat([real, real])
    for rows in (real, copies):
        assert precision_and_recall(rows, rows) == (1.0, 1.0)
        assert density_and_coverage(rows, rows)[1] == 1.0
        assert precision_and_recall(rows, rows + 100) == (0.0, 0.0)
        assert density_and_coverage(rows, rows + 100) == (0.0, 0.0)
    # Each row is in its own ball and in those of the k that it is one of the nearest of.
    assert density_and_coverage(real, real, 5)[0] == pytest.approx(6 / 5)


@pytest.mark.parametrize("k", [1, 5])
def test_density_and_coverage_of_the_same_distribution_are_as_expected(k):
    real, samples, seeds = 60, 40, 60
    found = [
        density_and_coverage(drawn(real, 2, seed), drawn(samples, 2, 1000 + seed), k)
        for seed in range(seeds)
    ]
    density, coverage = np.mean(found, axis=0)
    # Naeem et al. (2020), lemmas 1 and 2.
    missed = math.prod((real - 1 - i) / (real + samples - 1 - i) for i in range(k))
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - missed, abs=0.02)


def test_a_mode_that_is_left_out_lowers_recall_and_coverage_and_not_precision():
    real = modes(400, 8)
    whole, part = modes(400, 8, seed=1), modes(400, 4, seed=1)
    precision, recall = precision_and_recall(real, whole)
    lacking_precision, lacking_recall = precision_and_recall(real, part)
    assert min(precision, recall, lacking_precision) > 0.9
    assert lacking_recall == pytest.approx(0.5, abs=0.08)
    assert density_and_coverage(real, whole)[1] > 0.9
    assert density_and_coverage(real, part)[1] == pytest.approx(0.5, abs=0.08)


def test_blur_lowers_precision_and_density_and_not_recall():
    real = modes(400, 8)
    blurred = modes(400, 8, seed=1) + 0.8 * drawn(400, 2, seed=2).float()
    precision, recall = precision_and_recall(real, blurred)
    assert precision < 0.5
    assert recall > 0.9
    assert density_and_coverage(real, blurred)[0] < 0.4


@pytest.mark.parametrize(
    ("real", "samples"),
    [
        (torch.zeros(1, 2), torch.zeros(9, 2)),
        (torch.zeros(9, 2), torch.zeros(0, 2)),
        (torch.zeros(9, 2), torch.zeros(9, 3)),
        (torch.zeros(9, 2), torch.full((9, 2), torch.nan)),
    ],
)
@pytest.mark.parametrize("judge", [frechet_distance, precision_and_recall, density_and_coverage])
def test_what_cannot_be_judged_is_refused(judge, real, samples):
    with pytest.raises(InputError):
        judge(real, samples)


def test_no_neighbours_are_refused():
    with pytest.raises(InputError):
        density_and_coverage(torch.zeros(3, 1), torch.zeros(3, 1), 3)
    with pytest.raises(InputError):
        precision_and_recall(torch.zeros(3, 1), torch.zeros(3, 1), 0)

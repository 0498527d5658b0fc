"""Sample quality: what perfect, shuffled and one-sided samples get, and in which space."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from glial.functional import frechet_distance
from glial.runs.unlabelled.quality import FIGURES, sample_quality


@pytest.fixture(scope="module")
def digits():
    """Images in an order of their own, and their classes."""
    images, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    shown = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 8 - 1
    return shown[order], torch.from_numpy(classes)[order]


def test_real_images_are_as_good_as_the_reference_and_shuffled_pixels_are_not(digits):
    images, _ = digits
    found = sample_quality(images[:600], images[600:1200], images[1200:])
    assert found.num_rows == 597
    for name in FIGURES:
        assert list(found.samples) == list(FIGURES)
        scale = found.reference[name]
        assert found.samples[name] == pytest.approx(scale, rel=0.3), name
    assert found.baseline["precision"] < 0.1 < 0.9 * found.reference["precision"]
    assert found.baseline["frechet_distance"] > 10 * found.reference["frechet_distance"]


def test_images_of_two_classes_are_precise_and_cover_little(digits):
    images, classes = digits
    found = sample_quality(images[:600], images[600:1200], images[1200:][classes[1200:] < 2])
    assert found.samples["precision"] > 0.8
    assert found.reference["coverage"] > 0.8
    assert found.samples["coverage"] < 0.6 * found.reference["coverage"]


def test_images_are_seen_by_principal_components_of_training_rows(digits):
    images, _ = digits
    parts = images[:500], images[500:1000], images[1000:1500]
    flat = [part.flatten(1).numpy() for part in parts]
    analysis = PCA(64).fit(flat[0])
    expected = frechet_distance(*(torch.from_numpy(analysis.transform(f)) for f in flat[1:]))
    assert sample_quality(*parts).samples["frechet_distance"] == pytest.approx(expected, rel=1e-4)


def test_features_of_the_callers_are_taken(digits):
    images, _ = digits

    def mean(rows):
        return rows.mean(dim=(1, 2, 3))[:, None]

    found = sample_quality(images[:100], images[100:200], images[200:300], mean)
    expected = frechet_distance(mean(images[100:200]), mean(images[200:300]))
    assert found.samples["frechet_distance"] == pytest.approx(expected, rel=1e-6)


def test_numbers_of_a_table_are_shuffled_each_by_itself():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(900, 1, generator=generator)
    rows = torch.cat([one, one], dim=1)
    found = sample_quality(rows[:300], rows[300:600], rows[600:])
    # The shuffled rows' covariance is the unit matrix, that of the real ones all ones:
    # 2 + 2 - 2 * sqrt(2) is the distance between these.
    assert found.baseline["frechet_distance"] == pytest.approx(4 - 2 * math.sqrt(2), abs=0.2)
    assert found.samples["frechet_distance"] < 0.05
    again = sample_quality(rows[:300], rows[300:600], rows[600:])
    assert again == found


def test_what_is_too_little_or_not_finite_is_not_judged(digits):
    images, _ = digits
    assert all(math.isnan(v) for v in sample_quality(images, images[:5], images).samples.values())
    broken = torch.full_like(images[:50], math.nan)
    found = sample_quality(images[:50], images[50:100], broken)
    assert all(math.isnan(value) for value in found.samples.values())
    assert not any(math.isnan(value) for value in found.reference.values())

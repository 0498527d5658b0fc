"""Defaults that are measured: flips of digits are refused, those of photographs are not assumed."""

from __future__ import annotations

import io
import time
import zipfile

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from glial.data.augmentation import Trial, chosen, measure
from glial.data.augmentation.measurement import (
    FOLDS,
    PENALTIES,
    _features,
    _Ridge,
    _standardized,
)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = torch.from_numpy((data.images * 255 / 16).round().astype(np.uint8))[:, None]
    return images, torch.from_numpy(data.target)


def trial(trials, **change):
    return next(found for found in trials if found.change == change)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flips_of_digits_are_measured_to_be_wrong(digits, seed):
    trials = measure([digits[0]], digits[1], seed=seed)
    for direction in ("horizontal", "vertical"):
        flip = trial(trials, flip=direction)
        assert flip.gain < -5 * flip.uncertainty
    assert chosen(trials).flip == "none"


def mirrored(num_rows, axes, seed=0):
    """Noisy pictures of four classes that are told apart by bars, each mirrored at random."""
    draw = np.random.default_rng(seed)
    target = draw.integers(4, size=num_rows)
    images = draw.normal(0.3, 0.12, (num_rows, 1, 16, 16))
    for row, kind in enumerate(target):
        place = int(draw.integers(3))
        images[row, 0, 1 + place : 4 + kind + place, 3:6] += 0.5
        images[row, 0, 2 + place : 4 + place, 3 : 7 + kind] += 0.5
    for axis in axes:
        images = np.where(draw.random((num_rows, 1, 1, 1)) < 0.5, np.flip(images, axis), images)
    return torch.from_numpy(images.clip(0, 1)).float(), torch.from_numpy(target)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "wanted"), [([], "none"), ([3], "horizontal"), ([2], "vertical"), ([2, 3], "both")]
)
def test_flips_are_found_that_the_data_were_made_with(axes, wanted):
    images, target = mirrored(1200, axes)
    assert chosen(measure([images], target, seed=0)).flip == wanted


@pytest.mark.slow
def test_numbers_may_be_the_target():
    images, target = mirrored(600, [3])
    trials = measure([images], target[:, None].float(), seed=0)
    assert trial(trials, flip="horizontal").helps
    assert not trial(trials, flip="vertical").helps


@pytest.mark.slow
def test_the_same_seed_measures_the_same(digits):
    few = digits[0][:150], digits[1][:150]
    state = torch.get_rng_state()
    first = measure([few[0]], few[1], seed=4)
    torch.rand(3)
    assert first == measure([few[0]], few[1], seed=4)
    assert first != measure([few[0]], few[1], seed=5)
    torch.set_rng_state(state)


@pytest.mark.parametrize("target", [torch.arange(300) % 5, torch.zeros(300, dtype=torch.long)])
def test_images_that_say_nothing_of_the_target_are_not_measured(target):
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert measure([images], target, seed=0) == []
    assert chosen([]).changes_images is False


@pytest.mark.slow
def test_large_images_are_made_smaller_and_several_columns_are_changed_together(digits):
    images = digits[0][:150].repeat_interleave(12, 2).repeat_interleave(9, 3)
    assert images.shape[2:] == (96, 72)
    trials = measure([images, digits[0][:150]], digits[1][:150], seed=0)
    assert trial(trials, flip="vertical").gain < 0


def test_the_held_out_errors_are_those_of_scikit_learn(digits):
    features, target = _features(digits[0][:200].float() / 255), _standardized(digits[1][:200])
    copies = features.flip(1)
    ridge = _Ridge(features, target)
    scaler = StandardScaler().fit(features.numpy())
    scaler.scale_ = features.std(dim=0).clamp_min(1e-3).numpy()
    scaled, changed = scaler.transform(features.numpy()), scaler.transform(copies.numpy())
    fold = np.arange(200) % FOLDS

    def wanted(sets):
        best = None
        for penalty in PENALTIES:
            errors = np.zeros(200)
            for number in range(FOLDS):
                rest, held = fold != number, fold == number
                x = np.concatenate(
                    [np.hstack([part[rest], np.ones((rest.sum(), 1))]) for part in sets]
                )
                y = np.concatenate([target[rest].numpy() for _ in sets])
                model = Ridge(alpha=penalty * 200 * len(sets), fit_intercept=False).fit(x, y)
                found = model.predict(np.hstack([scaled[held], np.ones((held.sum(), 1))]))
                errors[held] = ((found - target[held].numpy()) ** 2).mean(axis=1)
            if best is None or errors.mean() < best.mean():
                best = errors
        return best

    np.testing.assert_allclose(ridge.errors().numpy(), wanted([scaled]), rtol=2e-2, atol=2e-3)
    found = ridge.errors(copies).numpy()
    np.testing.assert_allclose(found, wanted([scaled, changed]), rtol=2e-2, atol=2e-3)


def test_the_best_of_each_group_is_taken_where_it_is_no_accident():
    trials = [
        Trial({"flip": "horizontal"}, 0.04, 0.01),
        Trial({"flip": "vertical"}, 0.05, 0.01),
        Trial({"rotate": 10.0}, 0.04, 0.01),
        Trial({"rotate": 20.0}, 0.06, 0.01),
        Trial({"translate": 0.05}, 0.029, 0.01),
        Trial({"scale": [0.9, 1.1]}, -0.2, 0.01),
    ]
    settings = chosen(trials).model_dump(exclude_defaults=True)
    assert settings == {"flip": "both", "rotate": 20.0}


def cifar(path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra vision")
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("train/") and ".jpg" in n)
        classes = sorted({name.split("/")[1] for name in names})
        names = names[::5]
        pixels = [np.array(image.open(io.BytesIO(archive.read(name)))) for name in names]
    target = torch.tensor([classes.index(name.split("/")[1]) for name in names])
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), target


@pytest.mark.slow
@pytest.mark.shared_data
def test_photographs_may_be_mirrored_but_not_turned_upside_down(shared_data):
    images, target = cifar(shared_data / "cifar10-subset.zip")
    trials = measure([images], target, seed=0)
    assert chosen(trials).flip == "horizontal"
    assert trial(trials, flip="vertical").gain < 0


@pytest.mark.slow
@pytest.mark.shared_data
def test_handwritten_digits_may_not_be_mirrored(shared_data):
    with np.load(shared_data / "mnist.npz", allow_pickle=False) as data:
        images, target = data["train_x"][:5000, None], data["train_y"][:5000].astype(np.int64)
    begin = time.process_time()
    trials = measure([torch.from_numpy(images)], torch.from_numpy(target), seed=0)
    assert time.process_time() - begin < 30  # two to three seconds of one idle core
    assert chosen(trials).flip == "none"
    assert trial(trials, rotate=10.0).gain > 0
    assert trial(trials, flip="vertical").gain < -0.05

"""Changes of images: hand formulas, whole-pixel moves, quarter turns, and what must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data.augmentation.images import _blurred, _Draw, _warped, as_floats, changed_images
from glial.data.augmentation.settings import AugmentSettings


def pictures(rows=4, channels=1, height=9, width=9, seed=0):
    return torch.rand(rows, channels, height, width, generator=torch.Generator().manual_seed(seed))


def changed(images, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return changed_images(images, AugmentSettings(**settings), generator)


class Fixed(_Draw):
    """Draws the same number for all images, in place of uniform ones."""

    def __init__(self, value, rows):
        self.value, self.rows = value, rows

    def uniform(self, low, high):
        return torch.full((self.rows,), float(self.value))


def test_bytes_become_shares_of_255():
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    torch.testing.assert_close(as_floats(images), torch.tensor([[[[0.0, 0.2, 1.0]]]]))
    floats = pictures()
    assert as_floats(floats) is floats


def test_no_strength_changes_nothing():
    images = pictures(channels=3)
    assert torch.equal(changed(images), images)


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "both"])
def test_a_flip_mirrors_half_of_the_images_and_undoes_itself(direction):
    images = pictures(rows=400, height=3, width=4)
    once = changed(images, flip=direction)
    assert torch.equal(changed(once, flip=direction), images)
    axes = {"horizontal": [(3,)], "vertical": [(2,)], "both": [(2,), (3,), (2, 3)]}[direction]
    versions = [images, *(images.flip(axis) for axis in axes)]
    counts = [sum(torch.equal(a, b) for a, b in zip(once, v, strict=True)) for v in versions]
    assert sum(counts) == 400
    assert min(counts) > 400 / len(versions) - 4 * math.sqrt(400 / 4)


@pytest.mark.parametrize("turns", [-1, 1, 2])
def test_a_quarter_turn_is_that_of_torch(turns):
    images = pictures(rows=3, channels=2)
    matrix = _matrix(3, size=9, angle=90.0 * turns)
    found = _warped(images, matrix)
    # kornia's angles go clockwise, torch's counter-clockwise
    torch.testing.assert_close(found, images.rot90(-turns, (2, 3)), atol=1e-5, rtol=0)


def _matrix(rows, size, angle=0.0, shift=(0.0, 0.0), factor=1.0):
    from kornia.geometry.transform import get_affine_matrix2d

    middle = torch.full((rows, 2), (size - 1) / 2)
    scale, move = torch.full((rows, 2), factor), torch.tensor([shift] * rows)
    return get_affine_matrix2d(move, middle, scale, torch.full((rows,), angle))


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, -3), (1, 2)])
def test_a_move_by_whole_pixels_repeats_the_border(right, down):
    images = pictures(rows=2)
    found = _warped(images, _matrix(2, 9, shift=(float(right), float(down))))
    edges = np.pad(images.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    wanted = edges[:, :, 3 - down : 12 - down, 3 - right : 12 - right]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)
    # away from the border this is torch's roll
    rolled = images.roll((down, right), (2, 3))[:, :, 3:-3, 3:-3]
    torch.testing.assert_close(found[:, :, 3:-3, 3:-3], rolled, atol=1e-5, rtol=0)


def test_enlarging_by_three_shows_the_middle_third():
    images = torch.zeros(1, 1, 9, 9)
    images[..., 3:6, 3:6] = 1.0
    found = _warped(images, _matrix(1, 9, factor=3.0))
    wanted = scipy.ndimage.affine_transform(
        images[0, 0].numpy(), np.eye(2) / 3, offset=4 * (1 - 1 / 3), order=1, mode="nearest"
    )
    np.testing.assert_allclose(found[0, 0].numpy(), wanted, atol=1e-5)


def test_a_crop_moves_by_whole_pixels_alone():
    images = pictures(rows=60, height=10, width=10)
    found = changed(images, crop=0.2)
    edges = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    seen = set()
    for row in range(60):
        fits = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.allclose(
                edges[row, 0, top : top + 10, left : left + 10], found[row, 0].numpy(), atol=1e-5
            )
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15  # of 25 places


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"rotate": 20.0}, "angle"), ({"translate": 0.25}, "shift"), ({"scale": [0.5, 2.0]}, "size")],
)
def test_moves_stay_within_their_limits(settings, limit):
    """A blob off the middle says by where it goes how an image was turned, moved or scaled."""
    grid = torch.arange(41.0) - 20
    blob = torch.exp(-((grid[None] - 5) ** 2 + grid[:, None] ** 2) / 4)
    found = changed(blob.expand(300, 1, 41, 41), **settings)[:, 0]
    mass = found.sum(dim=(1, 2))
    x = (found.sum(dim=1) * grid).sum(dim=1) / mass
    y = (found.sum(dim=2) * grid).sum(dim=1) / mass
    values = {
        "angle": torch.rad2deg(torch.atan2(y, x)),
        "shift": y,
        "size": torch.log2(torch.hypot(x, y) / 5),
    }[limit]
    most = {"angle": 20.0, "shift": 0.25 * 41, "size": 1.0}[limit]
    assert values.abs().max() <= 1.02 * most
    assert values.max() > 0.8 * most
    assert values.min() < -0.8 * most
    assert abs(float(values.mean())) < 4 * most / math.sqrt(3 * 300)


def test_a_blur_is_that_of_scipy_and_keeps_constants():
    images = pictures(rows=2, height=21, width=21)
    found = _blurred(images, 1.5, Fixed(1.5, 2))
    wanted = scipy.ndimage.gaussian_filter(
        images.numpy(), (0, 0, 1.5, 1.5), mode="mirror", radius=(0, 0, 5, 5)
    )
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)
    flat = torch.full((2, 1, 9, 9), 0.3)
    torch.testing.assert_close(changed(flat, blur=2.0), flat)


def test_a_blur_keeps_the_mean_of_what_lies_off_the_border():
    images = torch.zeros(5, 1, 25, 25)
    images[..., 10:15, 9:16] = pictures(rows=5, height=5, width=7)
    found = changed(images, blur=1.5)
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)), images.sum(dim=(1, 2, 3)))
    assert not torch.allclose(found, images)


def grey(images):
    return (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("key", "middle"),
    [
        ("brightness", lambda images: torch.zeros_like(images)),
        ("contrast", lambda images: grey(images).mean((2, 3), keepdim=True)),
        ("saturation", grey),
    ],
)
def test_light_changes_by_the_formulas_of_pillow(key, middle):
    """Each is a blend of the image with black, with its mean grey, or with itself in grey."""
    images = pictures(rows=200, channels=3) * 0.5 + 0.25
    found = changed(images, **{key: 0.3})
    away, start = (found - middle(images)).flatten(1), (images - middle(images)).flatten(1)
    factor = (away * start).sum(1) / (start * start).sum(1)
    torch.testing.assert_close(away, factor[:, None] * start, atol=1e-5, rtol=0)
    assert 1.25 < factor.max() < 1.3001
    assert 0.6999 < factor.min() < 0.75
    assert abs(float(factor.mean()) - 1) < 4 * 0.3 / math.sqrt(3 * 200)


def test_grey_images_have_no_saturation():
    images = pictures(channels=1)
    assert torch.equal(changed(images, saturation=1.0), images)


def test_noise_has_its_standard_deviation_and_pixels_stay_between_0_and_1():
    images = torch.full((50, 1, 20, 20), 0.5)
    noise = changed(images, noise=0.05) - images
    assert float(noise.std()) == pytest.approx(0.05, rel=4 / math.sqrt(2 * noise.numel()))
    assert abs(float(noise.mean())) < 4 * 0.05 / math.sqrt(noise.numel())
    wild = changed(pictures(), noise=3.0)
    assert float(wild.min()) == 0.0
    assert float(wild.max()) == 1.0


def test_the_chance_of_a_change_is_kept():
    images = pictures(rows=2000, height=2, width=2)
    found = changed(images, noise=0.1, probability=0.3)
    share = float((found != images).flatten(1).any(dim=1).float().mean())
    assert share == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 2000))


ALL = {
    "rotate": 30.0,
    "flip": "both",
    "translate": 0.2,
    "scale": [0.7, 1.4],
    "crop": 0.1,
    "blur": 1.0,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "noise": 0.1,
    "probability": 0.8,
}


@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 9)
)
def test_images_of_any_shape_stay_finite_and_between_0_and_1(rows, channels, height, width, seed):
    images = pictures(rows, channels, height, width)
    before = images.clone()
    found = changed(images, seed, **ALL)
    assert found.shape == images.shape
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert torch.equal(images, before)


def test_without_kornia_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kornia.geometry.transform", None)
    with pytest.raises(InputError, match="kornia") as caught:
        changed(pictures(), rotate=3.0)
    assert "glial[vision]" in caught.value.do
    assert changed(pictures(), flip="horizontal", noise=0.1).shape == (4, 1, 9, 9)

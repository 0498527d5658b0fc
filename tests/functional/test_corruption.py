"""Noise by its moments, kernels by SciPy's, blur by SciPy's convolution."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage

from glial.functional import (
    blurred,
    gaussian_kernels,
    gaussian_noise,
    masking_noise,
    motion_kernels,
    random_angles,
    salt_and_pepper,
)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_row_has_noise_of_its_own_strength() -> None:
    values = torch.full((2, 1, 100, 100), 3.0)
    noise = gaussian_noise(values, torch.tensor([0.5, 2.0]), draws()) - values
    torch.testing.assert_close(
        noise.std(dim=(1, 2, 3)), torch.tensor([0.5, 2.0]), rtol=0.03, atol=0
    )
    assert noise.mean().abs() < 0.05


def test_gaps_have_the_share_of_their_row_and_leave_the_rest() -> None:
    values = torch.full((2, 10_000), 3.0)
    found = masking_noise(values, torch.tensor([0.1, 0.6]), draws(), fill=-1.0)
    assert set(found.unique().tolist()) == {-1.0, 3.0}
    shares = (found == -1).float().mean(dim=1)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.6]), rtol=0, atol=0.02)


def test_salt_is_as_likely_as_pepper() -> None:
    values = torch.zeros(1, 20_000)
    found = salt_and_pepper(values, torch.tensor([0.4]), draws(), low=-1.0, high=1.0)
    assert (found == -1).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (found == 1).float().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("std", [0.6, 1.5, 3.0])
def test_gaussian_blur_is_scipys(std: float) -> None:
    images = torch.rand(2, 3, 20, 15, generator=draws())
    kernels = gaussian_kernels(torch.full((2,), std))
    radius = kernels.shape[-1] // 2
    wanted = ndimage.gaussian_filter(
        images.numpy(), std, axes=(2, 3), radius=radius, mode="nearest"
    )
    torch.testing.assert_close(blurred(images, kernels), torch.tensor(wanted))


def test_any_blur_is_scipys_correlation() -> None:
    image, kernel = torch.rand(9, 8, generator=draws()), torch.rand(3, 3, generator=draws(1))
    wanted = ndimage.correlate(image.numpy(), kernel.numpy(), mode="nearest")
    torch.testing.assert_close(blurred(image[None, None], kernel[None])[0, 0], torch.tensor(wanted))


def test_each_picture_has_its_own_kernel() -> None:
    images = torch.rand(2, 1, 9, 9, generator=draws())
    kernels = torch.stack([torch.eye(3) / 3, torch.zeros(3, 3)])
    kernels[1, 1, 1] = 1
    found = blurred(images, kernels)
    torch.testing.assert_close(found[1], images[1])
    torch.testing.assert_close(found[:1], blurred(images[:1], kernels[:1]))


def test_motion_by_hand() -> None:
    along = motion_kernels(torch.tensor([3.0, 3.0, 1.0]), torch.tensor([0.0, math.pi / 2, 0.3]))
    third = torch.full((3,), 1 / 3)
    torch.testing.assert_close(along[0, 1], third)
    torch.testing.assert_close(along[1, :, 1], third)
    # A way of one pixel is no way.
    assert along[2, 1, 1] == 1
    torch.testing.assert_close(along.sum(dim=(1, 2)), torch.ones(3))


def test_motion_goes_where_its_angle_points() -> None:
    angles = torch.tensor([0.4, 1.2, 2.5])
    kernels = motion_kernels(torch.full((3,), 15.0), angles)
    grid = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2.0
    rows, columns = torch.meshgrid(grid, grid, indexing="ij")
    across = columns * -torch.sin(angles)[:, None, None] + rows * torch.cos(angles)[:, None, None]
    along = columns * torch.cos(angles)[:, None, None] + rows * torch.sin(angles)[:, None, None]
    assert ((kernels * across.square()).sum(dim=(1, 2)) < 0.2).all()
    # The variance of what is even over 15 pixels is 15^2 / 12.
    spread = (kernels * along.square()).sum(dim=(1, 2))
    torch.testing.assert_close(spread, torch.full((3,), 18.75), rtol=0.02, atol=0)


def test_directions_are_even() -> None:
    angles = random_angles(10_000, draws())
    assert angles.min() >= 0
    assert angles.max() < math.pi
    assert angles.mean().item() == pytest.approx(math.pi / 2, abs=0.03)


def test_the_same_seed_draws_the_same() -> None:
    values = torch.zeros(2, 5)
    first = gaussian_noise(values, torch.ones(2), draws(3))
    assert torch.equal(first, gaussian_noise(values, torch.ones(2), draws(3)))
    assert not torch.equal(first, gaussian_noise(values, torch.ones(2), draws(4)))

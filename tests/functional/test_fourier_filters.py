"""Filters by SciPy's, by what waves become, and the Wiener filter by what it makes least."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits

from glial.functional import (
    blurred,
    fourier_filtered,
    gaussian_kernels,
    low_pass,
    low_pass_gain,
    mean_power,
    motion_kernels,
    psnr,
    transfer_of,
    wiener,
)


def wave(down: float, along: float, size: int = 16) -> torch.Tensor:
    places = torch.arange(size) * 2 * math.pi
    return torch.cos(down * places[:, None] + along * places)[None, None]


def digits() -> torch.Tensor:
    return torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]


def test_a_wave_has_one_peak_at_its_frequency() -> None:
    power = mean_power(wave(2 / 16, 5 / 16))[0]
    peaks = (power > 1e-3).nonzero().tolist()
    assert peaks == [[2, 5]]
    # Half of the energy, the other half is at the negative frequency: 256 / 2 / 2.
    assert power[2, 5].item() == pytest.approx(64, rel=1e-4)


@pytest.mark.parametrize(("shape", "gain"), [("gaussian", math.exp(-0.5)), ("butterworth", 0.5)])
def test_a_wave_at_the_cutoff_has_the_gain_of_its_shape(shape: str, gain: float) -> None:
    picture = wave(3 / 16, 4 / 16)
    torch.testing.assert_close(low_pass(picture, 5 / 16, shape), gain * picture)


def test_what_is_ideal_keeps_slow_waves_and_removes_fast_ones() -> None:
    slow, fast = wave(1 / 16, 2 / 16), wave(0, 6 / 16)
    torch.testing.assert_close(low_pass(slow + fast, 0.2, "ideal"), slow)


def test_the_gaussian_is_scipys() -> None:
    """A Gaussian over frequencies of deviation f is one over pixels of 1 / (2 pi f)."""
    image = torch.rand(12, 9, generator=torch.Generator().manual_seed(0))
    std = 1.3
    spectrum = ndimage.fourier_gaussian(torch.fft.fft2(image).numpy(), std)
    wanted = torch.fft.ifft2(torch.tensor(spectrum)).real.float()
    found = low_pass(image[None, None], 1 / (2 * math.pi * std))[0, 0]
    torch.testing.assert_close(found, wanted)


def test_odd_sizes_and_the_mean_survive() -> None:
    pictures = torch.rand(2, 3, 7, 5)
    found = low_pass(pictures, 0.1)
    assert found.shape == pictures.shape
    torch.testing.assert_close(found.mean(dim=(2, 3)), pictures.mean(dim=(2, 3)))
    assert low_pass_gain(7, 5, 0.1).shape == (7, 3)


@pytest.mark.parametrize("size", [(16, 16), (9, 12), (4, 4)])
def test_a_kernel_is_a_product_of_spectra(size: tuple[int, int]) -> None:
    """Also one that is larger than the picture, and one that is not even."""
    picture = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    for kernel in (
        gaussian_kernels(torch.tensor([1.0]))[0],
        torch.rand(3, 3, generator=torch.Generator().manual_seed(1)),
    ):
        wanted = ndimage.correlate(picture[0, 0].numpy(), kernel.numpy(), mode="wrap")
        found = fourier_filtered(picture, transfer_of(kernel, *size))[0, 0]
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_no_other_gain_has_less_error_than_wieners() -> None:
    """With spectra that are known, over many draws of noise."""
    draws = torch.Generator().manual_seed(0)
    clean = digits()
    noisy = clean + 0.3 * torch.randn(clean.shape, generator=draws)
    signal = mean_power(clean)
    best = (wiener(noisy, signal, 0.09) - clean).square().mean()
    for factor in (0.25, 0.5, 2.0, 4.0):
        assert best < (wiener(noisy, signal, 0.09 * factor) - clean).square().mean()
    for cutoff in (0.05, 0.1, 0.15, 0.2, 0.3):
        assert best < (low_pass(noisy, cutoff) - clean).square().mean()


def test_noise_becomes_less_on_real_digits() -> None:
    draws = torch.Generator().manual_seed(0)
    clean = digits()
    noisy = clean + 0.4 * torch.randn(clean.shape, generator=draws)
    before = psnr(noisy, clean).mean()
    assert psnr(low_pass(noisy, 0.2), clean).mean() > before + 2
    assert psnr(wiener(noisy, mean_power(clean), 0.16), clean).mean() > before + 3


def test_a_known_blur_is_undone() -> None:
    clean = torch.nn.functional.pad(digits()[:50], (6, 6, 6, 6))
    kernel = motion_kernels(torch.tensor([4.0]), torch.tensor([0.5]))
    seen = blurred(clean, kernel) + 0.01 * torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(0)
    )
    before = psnr(seen, clean).mean()
    found = wiener(seen, mean_power(clean), 1e-4, kernel[0])
    assert psnr(found, clean).mean() > before + 3
    turned = wiener(seen, mean_power(clean), 1e-4, kernel[0].T)
    assert psnr(turned, clean).mean() < before


def test_without_noise_nothing_stays_of_a_blur() -> None:
    """A kernel whose transfer is nowhere 0 can be divided by."""
    picture = torch.rand(
        1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    kernel = gaussian_kernels(torch.tensor([0.6], dtype=torch.float64))[0]
    seen = fourier_filtered(picture, transfer_of(kernel, 8, 8))
    found = wiener(seen, mean_power(picture), 0.0, kernel)
    torch.testing.assert_close(found, picture)

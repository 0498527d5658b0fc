"""Picture quality beside kornia's, SciPy's filters, and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from glial.functional import psnr, ssim


def pictures(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    target = torch.rand(*shape, generator=draws)
    return (target + 0.2 * torch.randn(*shape, generator=draws)).clamp(0, 1), target


@pytest.mark.slow  # kornia is slow to import
def test_psnr_as_kornia_has_it() -> None:
    import kornia

    images, target = pictures(3, 2, 9, 9)
    for peak in (1.0, 255.0):
        found = psnr(images * peak, target * peak, peak=peak)
        wanted = [
            kornia.metrics.psnr(a * peak, b * peak, peak)
            for a, b in zip(images, target, strict=True)
        ]
        torch.testing.assert_close(found, torch.stack(wanted))


def test_psnr_by_hand() -> None:
    # An error of half the range: 10 log10(4).
    assert psnr(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), peak=2.0).item() == pytest.approx(
        6.0206, abs=1e-4
    )
    assert psnr(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).isinf().all()


@pytest.mark.slow
def test_ssim_as_kornia_has_it() -> None:
    import kornia

    images, target = pictures(3, 2, 20, 17)
    wanted = kornia.metrics.ssim(images, target, 11, padding="valid").mean(dim=(1, 2, 3))
    torch.testing.assert_close(ssim(images, target), wanted, rtol=1e-4, atol=1e-5)


def test_ssim_by_scipys_gaussian_filter() -> None:
    """Means under the window by another library, and the formula written out for one picture."""
    images, target = pictures(1, 1, 16, 16)
    x, y = images[0, 0].double().numpy(), target[0, 0].double().numpy()

    def mean(values):
        return gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    light = (2 * mean(x) * mean(y) + 1e-4) / (mean(x) ** 2 + mean(y) ** 2 + 1e-4)
    wanted = np.mean(light * (2 * covariance + 9e-4) / (variances + 9e-4))
    assert ssim(images, target).item() == pytest.approx(wanted, abs=1e-4)


def test_ssim_tells_what_psnr_does_not() -> None:
    """Of two pictures with the same error, the one with more light is more alike than noise."""
    _, target = pictures(1, 1, 32, 32)
    draws = torch.Generator().manual_seed(1)
    noisy = target + 0.1 * torch.randn(target.shape, generator=draws)
    lighter = target + (noisy - target).square().mean().sqrt()
    torch.testing.assert_close(psnr(noisy, target), psnr(lighter, target))
    assert ssim(lighter, target) > ssim(noisy, target) + 0.01


def test_small_pictures_have_a_smaller_window() -> None:
    images, target = pictures(2, 1, 8, 8)
    assert (ssim(images, target) < 1).all()
    torch.testing.assert_close(ssim(target, target), torch.ones(2))
    assert ssim(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item() == pytest.approx(1)

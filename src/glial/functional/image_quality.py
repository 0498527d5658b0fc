"""How near one picture is to another: peak signal-to-noise ratio, and structural similarity."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from glial.functional.corruption import gaussian_kernels

Images = Float[Tensor, "row channel height width"]

_WINDOW_RADIUS, _WINDOW_STD = 5, 1.5
_STEADY = (0.01, 0.03)  # K1 and K2


def psnr(images: Images, target: Images, *, peak: float = 1.0) -> Float[Tensor, " row"]:
    r"""The peak signal-to-noise ratio of each picture, in decibels.

    .. math:: 10 \log_{10} \frac{peak^2}{\text{mean squared error}}

    Args:
        images: Pictures.
        target: What they should be.
        peak: The range of a pixel: 1 from 0 to 1, 2 from -1 to 1, 255 of bytes.

    Returns:
        Higher is better; infinite for equal pictures. A tenth of the error is 10 more.

    Example:
        >>> psnr(torch.full((1, 1, 2, 2), 0.1), torch.zeros(1, 1, 2, 2))
        tensor([20.])
    """
    error = (images - target).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(peak**2 / error)


def ssim(images: Images, target: Images, *, peak: float = 1.0) -> Float[Tensor, " row"]:
    """The structural similarity of each picture with what it should be.

    Means, variances and the covariance of 11 x 11 pixels under a Gaussian of 1.5 pixels are
    compared wherever such a window lies within the picture, channel by channel. In pictures of
    fewer pixels the window is the largest of an odd side that they hold.

    Args:
        images: Pictures, black at 0: it compares means too, so that what is scaled to -1 to 1
            goes back first.
        target: What they should be.
        peak: The range of a pixel: 1 from 0 to 1, 255 of bytes.

    Returns:
        From -1 to 1, which equal pictures have. Differentiable.

    Source:
        Wang, Bovik, Sheikh, Simoncelli (2004), "Image quality assessment: from error visibility
        to structural similarity", doi:10.1109/TIP.2003.819861, equations 13 to 17.

    Example:
        >>> picture = torch.rand(1, 1, 16, 16)
        >>> ssim(picture, picture)
        tensor([1.])
    """
    radius = min(_WINDOW_RADIUS, (min(images.shape[2:]) - 1) // 2)
    window = gaussian_kernels(images.new_full((1,), _WINDOW_STD), radius)[:, None]

    def local_mean(values: Tensor) -> Tensor:
        return functional.conv2d(values.flatten(0, 1)[:, None], window)

    mean_x, mean_y = local_mean(images), local_mean(target)
    var_x = local_mean(images.square()) - mean_x.square()
    var_y = local_mean(target.square()) - mean_y.square()
    covariance = local_mean(images * target) - mean_x * mean_y
    c1, c2 = ((k * peak) ** 2 for k in _STEADY)
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2)
    return (above / below).reshape(len(images), -1).mean(dim=1)

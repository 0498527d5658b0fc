"""Pictures filtered by frequency: what is rough is noise, and blur is a product to divide by.

Frequencies are in cycles a pixel, from 0 to 0.5 along each axis; a picture goes on periodically, as
the discrete transform has it. Spectra are of ``torch.fft.rfft2`` with ``norm="ortho"``, so white
noise has its variance as power at each frequency.
"""

from __future__ import annotations

from math import pi
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

LowPassShape = Literal["gaussian", "butterworth", "ideal"]
Images = Float[Tensor, "row channel height width"]
Gain = Float[Tensor, "*parts high wide"] | Complex[Tensor, "*parts high wide"]
Power = Float[Tensor, "*parts high wide"]


def fourier_filtered(images: Images, gain: Gain) -> Images:
    """Pictures whose frequencies are each multiplied by a number.

    Args:
        images: Pictures.
        gain: For each frequency of ``torch.fft.rfft2``, [..., height, width // 2 + 1], the same
            for all pictures and channels or one each.

    Source:
        Gonzalez and Woods (2018), "Digital image processing", 4th edition, section 4.7.

    Example:
        >>> picture = torch.rand(1, 1, 4, 5)
        >>> torch.allclose(fourier_filtered(picture, torch.ones(4, 3)), picture, atol=1e-6)
        True
    """
    size = images.shape[-2:]
    spectrum = torch.fft.rfft2(images, norm="ortho")
    filtered: Tensor = torch.fft.irfft2(spectrum * gain, s=size, norm="ortho")
    return filtered


def low_pass_gain(
    height: int, width: int, cutoff: float, shape: LowPassShape = "gaussian", *, order: int = 2
) -> Float[Tensor, "{height} wide"]:
    """The gains of a filter that lets slow changes through and holds back fast ones.

    Args:
        height: Pixels of a picture.
        width: Likewise.
        cutoff: In cycles a pixel, positive. ``gaussian`` falls off as a normal density of this
            deviation, ``butterworth`` has gain 1/2 here, and ``ideal`` cuts off all above.
        shape: How it falls off. A sharp edge rings.
        order: How steeply ``butterworth`` falls off.

    Source:
        Gonzalez and Woods (2018), "Digital image processing", 4th edition, section 4.8.

    Example:
        >>> low_pass_gain(1, 4, 0.25, "butterworth", order=1)
        tensor([[1.0000, 0.5000, 0.2000]])
    """
    down = torch.fft.fftfreq(height)[:, None]
    along = torch.fft.rfftfreq(width)[None, :]
    ratio: Tensor = (down.square() + along.square()).sqrt() / cutoff
    if shape == "ideal":
        return (ratio <= 1).float()
    if shape == "butterworth":
        return 1 / (1 + ratio.pow(2 * order))
    return torch.exp(-0.5 * ratio.square())


def low_pass(
    images: Images, cutoff: float, shape: LowPassShape = "gaussian", *, order: int = 2
) -> Images:
    """Pictures without what changes fast: the simplest way to lessen noise, and it blurs.

    Args:
        images: Pictures.
        cutoff: See :func:`low_pass_gain`.
        shape: Likewise.
        order: Likewise.

    Example:
        >>> stripes = torch.tensor([0.0, 1.0]).repeat(2).expand(1, 1, 4, 4)  # 0.5 cycles a pixel
        >>> low_pass(stripes, 0.3, "ideal")[0, 0, 0]
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    gain = low_pass_gain(images.shape[-2], images.shape[-1], cutoff, shape, order=order)
    return fourier_filtered(images, gain.to(images))


def mean_power(images: Images) -> Float[Tensor, "channel high wide"]:
    """How much of each frequency pictures have on average: what :func:`wiener` takes as known.

    Args:
        images: Pictures without noise.

    Returns:
        Mean squared magnitudes, [channel, height, width // 2 + 1].

    Example:
        >>> mean_power(torch.ones(3, 1, 2, 2))  # (1 + 1 + 1 + 1)^2 / 4 at frequency 0
        tensor([[[4., 0.],
                 [0., 0.]]])
    """
    spectrum = torch.fft.rfft2(images, norm="ortho")
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power.mean(dim=0)


def wiener(
    images: Images,
    signal: Power,
    noise: Float[Tensor, ""] | float | Power,
    kernel: Float[Tensor, "side side"] | None = None,
) -> Images:
    r"""The linear filter with the least squared error, where all spectra are known.

    .. math:: G = \frac{\overline{H} S}{|H|^2 S + N}

    Args:
        images: Pictures with noise, blurred first where there is a kernel.
        signal: S, power of the sharp pictures without noise, such as :func:`mean_power`.
        noise: N, power of the noise; of white noise its variance.
        kernel: What blurred the pictures, of an odd side; None is nothing. Its transform is H.

    Source:
        Wiener (1949), "Extrapolation, interpolation, and smoothing of stationary time series";
        Gonzalez and Woods (2018), 4th edition, section 5.8, equation 5-85.

    Example:
        >>> picture = torch.rand(1, 1, 8, 8)
        >>> torch.allclose(wiener(picture, mean_power(picture), 0.0), picture, atol=1e-5)
        True
    """
    if kernel is None:
        return fourier_filtered(images, signal / (signal + noise))
    transfer = transfer_of(kernel.to(images), images.shape[-2], images.shape[-1])
    strength = transfer.real.square() + transfer.imag.square()
    tiny = torch.finfo(images.dtype).tiny
    return fourier_filtered(images, transfer.conj() * signal / (strength * signal + noise + tiny))


def transfer_of(
    kernel: Float[Tensor, "side side"], height: int, width: int
) -> Complex[Tensor, "{height} wide"]:
    """What a kernel does to each frequency of pictures of a size.

    Args:
        kernel: Weights around its middle, of an odd side, larger than the pictures or smaller.
        height: Pixels of a picture.
        width: Likewise.

    Returns:
        Complex gains, [height, width // 2 + 1]: 1 at frequency 0 where the kernel's sum is 1.

    Example:
        >>> transfer_of(torch.ones(1, 1), 2, 2).real
        tensor([[1., 1.],
                [1., 1.]])
    """
    reach = kernel.shape[-1] // 2
    places = torch.arange(-reach, reach + 1).to(kernel)
    down, along = torch.fft.fftfreq(height).to(kernel), torch.fft.rfftfreq(width).to(kernel)
    # Forwards: layers of torch correlate, so a weight beyond the middle meets a pixel further on.
    waves = [torch.exp(2j * pi * axis[:, None] * places) for axis in (down, along)]
    transfer: Tensor = torch.einsum("ur,rc,vc->uv", waves[0], kernel.to(waves[0]), waves[1])
    return transfer

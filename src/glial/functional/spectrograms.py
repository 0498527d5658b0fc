"""Sounds as spectrograms: power over frequency and time, mel bands, cepstra, and their slopes.

Axes: a sound is [..., sample]; a spectrogram is [..., frequency, frame], and with mel bands
[..., band, frame]. Frequencies are in hertz, times in samples.
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

MelScale = Literal["slaney", "htk"]

# Slaney's scale: 3 mel for 200 Hz up to 1000 Hz, then 27 mel for each factor of 6.4.
_HERTZ_A_MEL = 200 / 3
_CORNER = 1000.0
_CORNER_MEL = _CORNER / _HERTZ_A_MEL
_MEL_A_LOG = 27 / log(6.4)


def power_spectrogram(
    sounds: Float[Tensor, "*batch sample"], *, window: int, hop: int, fft: int | None = None
) -> Float[Tensor, "*batch frequency frame"]:
    """How much power each frequency has at each time.

    Frame number ``t`` is centred on sample ``t * hop``; beyond its ends a sound is silent.

    Args:
        sounds: Pressure, usually from -1 to 1.
        window: Samples under each Hann window.
        hop: Samples from one frame to the next.
        fft: Samples of each transform, zeros around the window included, at least ``window``;
            None is ``window``.

    Returns:
        Squared magnitudes, for the frequencies from 0 to half the rate, ``fft // 2 + 1`` of them,
        and ``1 + sample // hop`` frames. Differentiable.

    Source:
        Allen and Rabiner (1977), "A unified approach to short-time Fourier analysis and
        synthesis", doi:10.1109/PROC.1977.10770; the transform is ``torch.stft``.

    Example:
        >>> tone = torch.sin(2 * pi * 1000 * torch.arange(8000) / 8000)  # 1000 Hz
        >>> power = power_spectrogram(tone, window=200, hop=80)
        >>> power.shape, power[:, 50].argmax() * 8000 / 200  # bins are 40 Hz apart
        (torch.Size([101, 101]), tensor(1000.))
    """
    fft = window if fft is None else fft
    shape = torch.hann_window(window, dtype=sounds.dtype, device=sounds.device)
    flat = sounds.reshape(-1, sounds.shape[-1])
    spectrum = torch.stft(
        flat, fft, hop, window, shape, center=True, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return power.reshape(*sounds.shape[:-1], *power.shape[-2:])


def hertz_to_mel(hertz: Float[Tensor, "*shape"], scale: MelScale = "slaney") -> Tensor:
    """Frequencies on a scale on which equal steps sound alike.

    Args:
        hertz: At least 0.
        scale: ``slaney`` is linear up to 1000 Hz and logarithmic above; ``htk`` is
            ``2595 log10(1 + f / 700)``.

    Source:
        Slaney (1998), "Auditory toolbox, version 2", Interval technical report 1998-010;
        O'Shaughnessy (1987), "Speech communication", p. 150 (the formula of HTK).

    Example:
        >>> hertz_to_mel(torch.tensor([200.0, 1000.0]))
        tensor([ 3., 15.])
    """
    if scale == "htk":
        return 2595 / log(10) * torch.log1p(hertz / 700)
    above = _CORNER_MEL + _MEL_A_LOG * torch.log(hertz.clamp_min(_CORNER) / _CORNER)
    return torch.where(hertz < _CORNER, hertz / _HERTZ_A_MEL, above)


def mel_to_hertz(mel: Float[Tensor, "*shape"], scale: MelScale = "slaney") -> Tensor:
    """The inverse of :func:`hertz_to_mel`.

    Args:
        mel: At least 0.
        scale: As there.

    Example:
        >>> mel_to_hertz(torch.tensor([3.0, 15.0]))
        tensor([ 200., 1000.])
    """
    if scale == "htk":
        return 700 * torch.expm1(mel * log(10) / 2595)
    above = _CORNER * torch.exp((mel - _CORNER_MEL).clamp_min(0) / _MEL_A_LOG)
    return torch.where(mel < _CORNER_MEL, mel * _HERTZ_A_MEL, above)


def warped_frequencies(
    hertz: Float[Tensor, "*shape"], factor: Float[Tensor, "*factors"], *, bend: float, half: float
) -> Tensor:
    """Frequencies as though a vocal tract were shorter (factors above 1) or longer.

    Up to a bend they are multiplied by the factor, from there a line leads to the highest.

    Args:
        hertz: From 0 to ``half``.
        factor: Near 1, such as from 0.9 to 1.1; of a shape that goes with that of ``hertz``.
        bend: Frequency that all speech of interest lies below, such as 4800; below ``half``.
        half: Half the rate, the highest frequency.

    Source:
        Jaitly and Hinton (2013), "Vocal tract length perturbation (VTLP) improves speech
        recognition", section 3.

    Example:
        >>> hertz, factor = torch.tensor([1000.0, 4000.0]), torch.tensor(1.1)
        >>> warped_frequencies(hertz, factor, bend=3000.0, half=4000.0)
        tensor([1100., 4000.])
    """
    top = bend * factor.clamp_max(1)
    slope = (half - top) / (half - top / factor)
    return torch.where(hertz <= top / factor, hertz * factor, half - slope * (half - hertz))


def mel_filters(
    bands: int,
    frequencies: int,
    rate: int,
    *,
    low: float = 0.0,
    high: float | None = None,
    scale: MelScale = "slaney",
    equal_area: bool = True,
    factor: Float[Tensor, " row"] | None = None,
) -> Float[Tensor, "*row band frequency"]:
    """Triangles over frequencies, whose corners are equally far apart on the mel scale.

    Args:
        bands: Number of triangles.
        frequencies: Of a spectrogram, from 0 to half the rate.
        rate: Samples a second.
        low: Where the first triangle starts, in Hz.
        high: Where the last one ends; None is half the rate.
        scale: See :func:`hertz_to_mel`.
        equal_area: Whether triangles have the same area over hertz, else the same height, 1.
        factor: For each of several rows what :func:`warped_frequencies` warps its corners by,
            with a bend at four fifths of half the rate; None warps nothing.

    Returns:
        Weights, of at least 0. A band that is narrower than the frequencies lie apart may have
        none.

    Source:
        Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic
        word recognition", doi:10.1109/TASSP.1980.1163420, section II.

    Example:
        >>> filters = mel_filters(2, 5, 8, scale="htk", equal_area=False)
        >>> [[round(weight, 2) for weight in band] for band in filters.tolist()]
        [[0.0, 0.75, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.75, 0.0]]
    """
    half = rate / 2
    ends = torch.tensor([low, half if high is None else high], dtype=torch.float64)
    first, last = hertz_to_mel(ends, scale).tolist()
    corners = mel_to_hertz(torch.linspace(first, last, bands + 2, dtype=torch.float64), scale)
    if factor is not None:
        by_row = factor.double()[:, None]
        corners = warped_frequencies(corners.to(by_row.device), by_row, bend=0.8 * half, half=half)
    start, middle, end = corners[..., :-2], corners[..., 1:-1], corners[..., 2:]
    places = torch.linspace(0, half, frequencies, dtype=torch.float64, device=corners.device)
    rising = (places - start[..., None]) / (middle - start)[..., None]
    falling = (end[..., None] - places) / (end - middle)[..., None]
    weights = torch.minimum(rising, falling).clamp_min(0)
    if equal_area:
        weights = weights * (2 / (end - start))[..., None]
    return weights.float()


def log_mel(
    power: Float[Tensor, "*batch frequency frame"],
    filters: Float[Tensor, "*filters band frequency"],
    *,
    least: float = 1e-10,
) -> Float[Tensor, "*batch band frame"]:
    """Logarithm of the power in each band, in decibels: ten times the gain adds ten.

    Args:
        power: As :func:`power_spectrogram` gives it.
        filters: As :func:`mel_filters` gives them, for all sounds or for each.
        least: Power below which all is as silent.

    Returns:
        ``10 log10(power)``, at least ``10 log10(least)``. Differentiable.

    Example:
        >>> log_mel(torch.tensor([[1.0], [9.0]]), torch.tensor([[1.0, 1.0]]))
        tensor([[10.]])
    """
    return 10 * torch.log10((filters @ power).clamp_min(least))


def cosine_basis(size: int, count: int) -> Float[Tensor, "count {size}"]:
    """The first vectors of the orthonormal discrete cosine transform of the second type.

    Args:
        size: Numbers that are transformed.
        count: Vectors, at most ``size``.

    Source:
        Ahmed, Natarajan, Rao (1974), "Discrete cosine transform", doi:10.1109/T-C.1974.223784.

    Example:
        >>> cosine_basis(4, 1)
        tensor([[0.5000, 0.5000, 0.5000, 0.5000]])
    """
    places = torch.arange(size, dtype=torch.float64) + 0.5
    basis = torch.cos(pi / size * torch.arange(count, dtype=torch.float64)[:, None] * places)
    basis *= sqrt(2 / size)
    basis[0] /= sqrt(2)
    return basis.float()


def mfcc(bands: Float[Tensor, "*batch band frame"], count: int = 13) -> Tensor:
    """Mel-frequency cepstral coefficients: the cosine transform of logarithms over the bands.

    Args:
        bands: As :func:`log_mel` gives them.
        count: How many are kept, the mean over the bands (times the root of their number) first.

    Returns:
        [..., coefficient, frame]. Differentiable.

    Source:
        Davis and Mermelstein (1980), doi:10.1109/TASSP.1980.1163420, eq. (1), orthonormal and
        with the zeroth.

    Example:
        >>> mfcc(torch.ones(4, 1), count=2).flatten().round()
        tensor([2., 0.])
    """
    basis = cosine_basis(bands.shape[-2], count)
    return basis.to(bands) @ bands


def deltas(
    features: Float[Tensor, "*batch feature frame"], reach: int = 4
) -> Float[Tensor, "*batch feature frame"]:
    r"""How each feature changes from frame to frame: the slope of a line through its neighbours.

    .. math:: d_t = \frac{\sum_{n=1}^{N} n (c_{t+n} - c_{t-n})}{2 \sum_{n=1}^{N} n^2}

    Args:
        features: Over time; its ends go on as they are.
        reach: Frames to either side, N.

    Source:
        Furui (1986), "Speaker-independent isolated word recognition using dynamic features of
        speech spectrum", doi:10.1109/TASSP.1986.1164788, section II.

    Example:
        >>> deltas(2 * torch.arange(5.0)[None], reach=1)
        tensor([[1., 2., 2., 2., 1.]])
    """
    steps = torch.arange(-reach, reach + 1, dtype=features.dtype, device=features.device)
    kernel = steps / steps.square().sum()
    flat = features.reshape(-1, 1, features.shape[-1])
    padded = functional.pad(flat, (reach, reach), mode="replicate")
    return functional.conv1d(padded, kernel[None, None]).reshape(features.shape)


def standardized_frames(
    features: Float[Tensor, "*batch feature frame"],
    *,
    least: float = 1e-3,
) -> Float[Tensor, "*batch feature frame"]:
    """Each feature of each sound less its mean over time, in its own standard deviation.

    What a microphone or a voice adds to all frames alike falls out.

    Args:
        features: Of some sounds.
        least: Standard deviation below which a feature only loses its mean.

    Source:
        Viikki and Laurila (1998), "Cepstral domain segmental feature vector normalization for
        noise robust speech recognition", doi:10.1016/S0167-6393(98)00033-8 (over whole sounds).

    Example:
        >>> standardized_frames(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
        tensor([[-1.,  1.],
                [ 0.,  0.]])
    """
    centred = features - features.mean(dim=-1, keepdim=True)
    std = centred.square().mean(dim=-1, keepdim=True).sqrt()
    return centred / torch.where(std < least, 1.0, std)

"""Sounds changed at random, a whole batch at once: every sound by amounts of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from glial.data.augmentation.settings import AugmentSettings

Features = Float[Tensor, "row channel feature frame"]
Spectra = Callable[[Tensor, Tensor | None], Tensor]
FULL = 32767.0

# What suits speech and other sounds alike: nothing is mirrored, and nothing becomes another word.
SAFE: dict[str, Any] = {"tract": 0.1, "sound_noise": 0.1, "band_mask": 0.2, "frame_mask": 0.15}


def changed_sounds(
    held: Num[Tensor, "row sample"],
    settings: AugmentSettings,
    generator: torch.Generator,
    spectra: Spectra,
) -> Features:
    """Features of sounds that were moved, sped up or slowed down, made louder and noisy.

    Then the length of the vocal tract is changed, and stretches of bands and frames are masked.

    Args:
        held: Samples of 16 bits, or floats from -1 to 1.
        settings: What is done, and how strongly.
        generator: Decides the amounts; on the sounds' device.
        spectra: Makes features of floats, with the factor by which each sound's frequencies are
            warped, or None.

    Returns:
        Features as ``spectra`` gives them.

    Source:
        Speed: Ko, Peddinti, Povey, Khudanpur (2015), "Audio augmentation for speech recognition";
        vocal tracts: Jaitly and Hinton (2013); masks: Park et al. (2019), "SpecAugment", arXiv
        1904.08779, section 2, without its warping of time.

    Example:
        >>> sounds, settings = torch.rand(2, 64), AugmentSettings(gain=6.0)
        >>> drawn = torch.Generator().manual_seed(0)
        >>> changed_sounds(sounds, settings, drawn, lambda s, _: s[:, None, None]).shape
        torch.Size([2, 1, 1, 64])
    """
    sounds = held if held.is_floating_point() else held.float() / FULL
    draw = _Draw(generator, sounds)
    features = spectra(_changed(sounds, settings, draw), _factor(settings.tract, draw))
    for share, dim in ((settings.band_mask, 2), (settings.frame_mask, 3)):
        if share:
            features = _masked(features, dim, share, draw)
    if settings.probability < 1:
        chosen = draw.uniform(0.0, 1.0) < settings.probability
        features = torch.where(chosen[:, None, None, None], features, spectra(sounds, None))
    return features


class _Draw:
    """Random amounts, one for each sound."""

    def __init__(self, generator: torch.Generator, sounds: Tensor) -> None:
        self.generator = generator
        self._like = sounds

    def uniform(self, low: float, high: float) -> Tensor:
        like = self._like
        values = torch.rand(
            like.shape[0], generator=self.generator, device=like.device, dtype=like.dtype
        )
        return low + (high - low) * values

    def noise(self) -> Tensor:
        like = self._like
        return torch.randn(
            like.shape, generator=self.generator, device=like.device, dtype=like.dtype
        )


def _factor(reach: float, draw: _Draw) -> Tensor | None:
    return draw.uniform(1 - reach, 1 + reach) if reach else None


def _changed(sounds: Tensor, settings: AugmentSettings, draw: _Draw) -> Tensor:
    """Sounds moved, at another speed, at another volume, and noisy, in this order."""
    if settings.speed or settings.sound_shift:
        factor = draw.uniform(1 - settings.speed, 1 + settings.speed)
        shift = draw.uniform(-settings.sound_shift, settings.sound_shift) * sounds.shape[1]
        sounds = respeeded(sounds, factor, shift)
    if settings.gain:
        sounds = sounds * 10 ** (draw.uniform(-settings.gain, settings.gain) / 20)[:, None]
    if settings.sound_noise:
        share = settings.sound_noise * draw.uniform(0.0, 1.0).square()
        sounds = sounds + (share * sounds.abs().amax(dim=1))[:, None] * draw.noise()
    return sounds


def respeeded(
    sounds: Float[Tensor, "row sample"], factor: Float[Tensor, " row"], shift: Float[Tensor, " row"]
) -> Float[Tensor, "row sample"]:
    """Sounds played faster or slower about their middle, and so higher or lower, and moved.

    Args:
        sounds: Samples.
        factor: Above 1 is faster.
        shift: By how many samples each is moved; above 0 is later. What is moved in is silent.

    Example:
        >>> respeeded(torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(1), torch.ones(1))
        tensor([[0., 1., 2.]])
    """
    last = sounds.shape[1] - 1
    steps = torch.arange(last + 1, device=sounds.device, dtype=sounds.dtype) - last / 2
    places = (steps - shift[:, None]) * factor[:, None] + last / 2
    within: Bool[Tensor, "row sample"] = (places >= 0) & (places <= last)
    before = places.floor().clamp(0, max(0, last - 1))
    late = places - before
    first = before.long()
    second = (first + 1).clamp_max(last)
    between = sounds.gather(1, first) * (1 - late) + sounds.gather(1, second) * late
    return torch.where(within, between, 0.0)


def _masked(features: Tensor, dim: int, share: float, draw: _Draw) -> Tensor:
    """A stretch of one axis replaced by each sound's mean, of a width drawn for each."""
    size = features.shape[dim]
    width = draw.uniform(0.0, share) * size
    start = draw.uniform(0.0, 1.0) * (size - width)
    places = torch.arange(size, device=features.device)
    hidden = (places >= start[:, None].round()) & (places < (start + width)[:, None].round())
    shape = [len(features), 1, 1, 1]
    shape[dim] = size
    mean = features.mean(dim=(2, 3), keepdim=True)
    return torch.where(hidden.reshape(shape), mean, features)

"""Sounds as samples of 16 bits, turned into features over time batch by batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Num
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.media import name_unreadable
from glial.data.settings import DataSettings, HeldAs
from glial.data.sounds import SoundForm, choose_sound_form, decode_sounds, scan_sounds
from glial.data.sounds.settings import Normalization, SoundSettings
from glial.functional.spectrograms import (
    MelScale,
    deltas,
    log_mel,
    mel_filters,
    mfcc,
    power_spectrogram,
    standardized_frames,
)

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
CHUNK = 1 << 22  # samples whose features are computed at once
FULL = 32767.0
LEAST_POWER = 1e-10


@dataclass(frozen=True)
class SpectrumForm:
    """What is made of the samples of a sound.

    Attributes:
        features: Log-mel bands, or their cosine transform.
        bands: Number of bands.
        coefficients: Features that ``mfcc`` keeps.
        deltas: Whether slopes over time, and their slopes, are two more channels.
        window: Samples of a frame.
        hop: Samples from one frame to the next.
        fft: Samples of a transform.
        low: Where the first band starts, in Hz.
        high: Where the last one ends, in Hz.
        scale: The mel scale.
        range_db: Decibels below the loudest place that are as silent.
        normalization: What the features are measured by.

    Example:
        >>> SpectrumForm.chosen(SoundSettings(), 8000).window
        200
    """

    features: Literal["log_mel", "mfcc"]
    bands: int
    coefficients: int
    deltas: bool
    window: int
    hop: int
    fft: int
    low: float
    high: float
    scale: MelScale
    range_db: float
    normalization: Normalization

    @classmethod
    def chosen(cls, settings: SoundSettings, rate: int) -> SpectrumForm:
        """What a plan's ``data.sounds`` says, at a rate."""
        window = max(2, round(settings.window_ms * rate / 1000))
        return cls(
            settings.features,
            settings.bands,
            settings.coefficients if settings.features == "mfcc" else settings.bands,
            settings.deltas,
            window,
            max(1, round(settings.hop_ms * rate / 1000)),
            1 << (window - 1).bit_length(),
            settings.low_hz,
            rate / 2 if settings.high_hz is None else settings.high_hz,
            settings.scale,
            settings.range_db,
            settings.normalization,
        )


@dataclass(frozen=True)
class SoundEncoder:
    """A column of sounds of one rate and length, as an image: features over time.

    Attributes:
        form: What every sound is brought to.
        spectrum: What is made of its samples.
        mean: Mean of each band over the training sounds, in decibels, [band].
        std: Standard deviation of each, [band].

    Example:
        >>> column = pl.Series("x", (1000 * np.sin(np.arange(800.0)))[None].astype(np.int16))
        >>> encoder = SoundEncoder.of(SoundForm(8000, 800), SoundSettings())
        >>> encoder.finish(encoder.tensor(column)).shape, encoder.size
        (torch.Size([1, 1, 40, 11]), [1, 40, 11])
    """

    modality: ClassVar[HeldAs] = "image"

    form: SoundForm
    spectrum: SpectrumForm
    mean: Floats
    std: Floats

    def __post_init__(self) -> None:
        bands = (self.spectrum.bands,)
        if self.mean.shape != bands or self.std.shape != bands or not (self.std > 0).all():
            raise ValueError("the bands of a column of sounds and their moments do not fit")
        sizes = (self.form.rate, self.form.samples, self.spectrum.window, self.spectrum.hop)
        if min(sizes) < 1 or not 1 <= self.spectrum.coefficients <= self.spectrum.bands:
            raise ValueError("a column of sounds has no size")

    @classmethod
    def of(cls, form: SoundForm, settings: SoundSettings) -> SoundEncoder:
        """An encoder that is fitted to no sounds: every band has mean 0 and deviation 1."""
        ones = np.ones(settings.bands)
        return cls(form, SpectrumForm.chosen(settings, form.rate), 0 * ones, ones)

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> SoundEncoder:
        """The rate, length and moments of the training rows' sounds.

        Raises:
            InputError: If a sound cannot be read, or there is none.
        """
        asked = settings.sounds
        is_open = isinstance(column.dtype, pl.Array)
        if is_open and "auto" in (asked.rate, asked.seconds):
            raise InputError(
                f"nothing says how fast the samples of the column {column.name!r} are",
                expected="data.sounds.rate and data.sounds.seconds",
                got="samples",
                do="set both",
            )
        if is_open:
            form = SoundForm(int(asked.rate), round(float(asked.seconds) * int(asked.rate)))
        else:
            form = choose_sound_form(scan_sounds(column), asked)
        plain = cls.of(form, asked)
        _notice_empty_bands(plain)
        if asked.normalization != "training":
            return plain
        held = plain.tensor(column.filter(~missing(column)))
        step = max(1, CHUNK // form.samples)
        sums = torch.zeros(2, asked.bands, dtype=torch.float64)
        for part in torch.split(held, step):
            bands = plain.decibels(part).double()
            sums += torch.stack([bands.sum(dim=(0, 2)), bands.square().sum(dim=(0, 2))])
        mean, square = (sums / (len(held) * plain.size[2])).numpy()
        std = np.sqrt(np.maximum(0.0, square - mean**2))
        return cls(form, plain.spectrum, mean, np.where(std > 1e-6, std, 1.0))

    @property
    def labels(self) -> list[str]:
        """None: the samples stand in a tensor of their own."""
        return []

    @property
    def size(self) -> list[int]:
        """[channel, feature, frame]: what a network sees of a sound."""
        frames = 1 + self.form.samples // self.spectrum.hop
        return [3 if self.spectrum.deltas else 1, self.spectrum.coefficients, frames]

    def told(self) -> str:
        """What a network sees of a sound, in words."""
        _, features, frames = self.size
        return (
            f"{self.spectrum.features}, {features} x {frames}, of {self.form.seconds:.2f} s at "
            f"{self.form.rate:,} Hz"
        )

    def tensor(self, column: pl.Series) -> Tensor:
        """Samples of 16 bits, [row, sample]; a sound that is missing is silence.

        Raises:
            InputError: If a sound cannot be read; the message names the first of them.
        """
        gone = missing(column).to_numpy()
        if gone.any():
            logger.warning("column %r: %d rows have no sound", column.name, int(gone.sum()))
        heard = decode_sounds(column, self.form)
        if heard.unreadable:
            named = {str(column[row]): why for row, why in heard.unreadable.items()}
            raise InputError(
                f"{len(named)} sounds of the column {column.name!r} cannot be read",
                expected="whole sound files",
                got=name_unreadable(named),
                do="mend these files, or leave their rows out",
            )
        return torch.from_numpy(heard.samples)

    def decibels(
        self, held: Num[Tensor, "row sample"], factor: Float[Tensor, " row"] | None = None
    ) -> Float[Tensor, "row band frame"]:
        """Logarithms of the power in each band over time.

        Args:
            held: Samples of 16 bits as :meth:`tensor` gives them, or floats from -1 to 1.
            factor: By what each sound's frequencies are warped:
                see :func:`glial.functional.warped_frequencies`.

        Returns:
            Decibels, of which 0 is the loudest place of each sound where these are normalized
            by it.
        """
        form = self.spectrum
        sounds = held if held.is_floating_point() else held.float() / FULL
        power = power_spectrogram(sounds, window=form.window, hop=form.hop, fft=form.fft)
        filters = mel_filters(
            form.bands,
            power.shape[1],
            self.form.rate,
            low=form.low,
            high=form.high,
            scale=form.scale,
            factor=factor,
        )
        bands = log_mel(power, filters.to(power), least=LEAST_POWER)
        top = bands.amax(dim=(1, 2), keepdim=True)
        bands = torch.maximum(bands, top - form.range_db)
        return bands - top if form.normalization == "peak" else bands

    def features(
        self, held: Num[Tensor, "row sample"], factor: Float[Tensor, " row"] | None = None
    ) -> Float[Tensor, "row channel feature frame"]:
        """What a network sees of sounds: see :meth:`decibels`."""
        form = self.spectrum
        bands = self.decibels(held, factor)
        if form.normalization == "training":
            moments = torch.from_numpy(np.stack([self.mean, self.std])).to(bands)[..., None]
            bands = (bands - moments[0]) / moments[1]
        elif form.normalization == "sound":
            middle = bands.mean(dim=(1, 2), keepdim=True)
            bands = (bands - middle) / bands.std(dim=(1, 2), keepdim=True).clamp_min(1.0)
        elif form.normalization == "bands":
            bands = standardized_frames(bands)
        elif form.normalization == "peak":
            bands = 3 * bands / form.range_db + 1.5  # from -1.5 to 1.5
        else:
            bands = bands / 20
        if form.features == "mfcc":
            bands = mfcc(bands, form.coefficients)
        if not form.deltas:
            return bands[:, None]
        slopes = deltas(bands)
        return torch.stack([bands, slopes, deltas(slopes)], dim=1)

    def finish(self, held: Tensor) -> Tensor:
        """What a network is given of some rows.

        Args:
            held: Samples, [row, sample], or features that were made of them before.
        """
        return held if held.ndim > 2 else self.features(held)


def _notice_empty_bands(encoder: SoundEncoder) -> None:
    """Say which bands are so narrow that no frequency lies in them."""
    form = encoder.spectrum
    filters = mel_filters(
        form.bands,
        form.fft // 2 + 1,
        encoder.form.rate,
        low=form.low,
        high=form.high,
        scale=form.scale,
    )
    empty = int((filters.sum(dim=1) == 0).sum())
    if empty:
        logger.warning(
            "data.sounds: %d of %d bands are narrower than the frequencies lie apart, and always "
            "silent: fewer bands or longer windows mend it",
            empty,
            form.bands,
        )

"""The plan's ``data.sounds`` part: what sounds are brought to, and what a network sees of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from glial.core.settings import Settings
from glial.functional.spectrograms import MelScale

Hertz = Annotated[int, Field(ge=100, le=384_000)]
Normalization = Literal["peak", "sound", "bands", "training", "none"]


class SoundSettings(Settings):
    """What sounds are brought to, and what a network sees of them.

    Attributes:
        rate: Samples a second that all sounds are brought to; ``auto`` is the commonest, 16,000
            at most.
        seconds: Length of all: shorter ones stand between silence, of longer ones the middle is
            kept. ``auto`` is what 99 % of the training sounds keep within, at most 10 s.
        trim: How many decibels below its loudest moment a sound begins and ends: what is before
            and after is cut off. None cuts nothing.
        features: ``log_mel`` is decibels in bands of frequencies over time, ``mfcc`` their cosine
            transform.
        bands: Bands of frequencies, equally far apart on the mel scale.
        coefficients: How many are kept of ``mfcc``.
        deltas: Whether slopes of the features over time, and slopes of these, are two more
            channels.
        window_ms: Milliseconds under each Hann window.
        hop_ms: Milliseconds from one frame to the next.
        low_hz: Where the first band starts.
        high_hz: Where the last band ends; None is half the rate.
        scale: The mel scale: ``slaney`` or ``htk``.
        range_db: What lies so far below the loudest place of a sound is as silent.
        normalization: ``peak`` measures decibels from the loudest place of each sound, so that
            its volume does not matter; ``sound`` makes each sound's values 0 on average, with a
            standard deviation of 1; ``bands`` does so for each band of each sound; ``training``
            for each band over all training sounds; ``none`` leaves decibels divided by 20.
        max_unreadable: The largest share of rows that may be left out because their sounds
            cannot be read.

    Example:
        >>> SoundSettings(rate=8000, seconds=1.0).features
        'log_mel'
    """

    rate: Hertz | Literal["auto"] = "auto"
    seconds: Annotated[float, Field(gt=0, le=600)] | Literal["auto"] = "auto"
    trim: Annotated[float, Field(gt=0, le=120)] | None = None
    features: Literal["log_mel", "mfcc"] = "log_mel"
    bands: int = Field(default=40, ge=2, le=512)
    coefficients: int = Field(default=20, ge=2, le=512)
    deltas: bool = False
    window_ms: float = Field(default=25.0, gt=0, le=1000)
    hop_ms: float = Field(default=10.0, gt=0, le=1000)
    low_hz: float = Field(default=0.0, ge=0)
    high_hz: Annotated[float, Field(gt=0)] | None = None
    scale: MelScale = "slaney"
    range_db: float = Field(default=60.0, gt=0, le=200)
    normalization: Normalization = "peak"
    max_unreadable: float = Field(default=0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> SoundSettings:
        if self.features == "mfcc" and self.coefficients > self.bands:
            raise ValueError(f"at most as many coefficients as bands, {self.bands}")
        if self.high_hz is not None and self.high_hz <= self.low_hz:
            raise ValueError(f"bands that end above {self.low_hz:g} Hz, where they start")
        return self

"""A column of sounds: what rate and length suit it, and its samples."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.media import NUM_NAMED, UnreadableFileError, each_file
from glial.data.sounds.decoding import (
    Samples,
    SoundForm,
    SoundHeader,
    decode_sound,
    fitted,
    read_sound_header,
)
from glial.data.sounds.settings import SoundSettings

logger = logging.getLogger(__name__)

MAX_RATE = 16_000
MAX_SECONDS = 10.0
USUAL = 0.99


@dataclass(frozen=True)
class SoundScan:
    """What the sounds of a column are like, by their headers alone.

    Attributes:
        rates: Samples a second of each, [row]; 0 where there is none.
        seconds: Length of each, [row].
        unreadable: Row to why its sound cannot be read; missing cells are not among them.

    Example:
        >>> scan_sounds(pl.Series([None], dtype=pl.String)).rates.tolist()
        [0]
    """

    rates: NDArray[np.int64]
    seconds: NDArray[np.float64]
    unreadable: dict[int, str]


@dataclass(frozen=True)
class Heard:
    """The sounds of a column.

    Attributes:
        samples: [row, sample]; zeros where there is none.
        unreadable: Row to why its sound cannot be read; missing cells are not among them.

    Example:
        >>> decode_sounds(pl.Series([None], dtype=pl.String), SoundForm(8000, 2)).samples.tolist()
        [[0, 0]]
    """

    samples: Samples
    unreadable: dict[int, str]


def scan_sounds(column: pl.Series) -> SoundScan:
    """Read the headers of a column's sounds: quick, and nothing is decoded.

    Args:
        column: Paths.
    """
    rates = np.zeros(len(column), dtype=np.int64)
    seconds = np.zeros(len(column))
    unreadable: dict[int, str] = {}
    for row, header in each_file(column, read_sound_header, "sounds looked at"):
        if isinstance(header, SoundHeader):
            rates[row], seconds[row] = header.rate, header.samples / header.rate
        else:
            unreadable[row] = str(header)
    return SoundScan(rates, seconds, unreadable)


def choose_sound_form(scan: SoundScan, settings: SoundSettings) -> SoundForm:
    """What the sounds of a column are brought to.

    Args:
        scan: What they are like.
        settings: The plan's ``data.sounds``.

    Raises:
        InputError: If there is no sound to look at and the settings do not say, or the windows or
            bands do not fit the rate.

    Example:
        >>> scan = SoundScan(np.array([44_100, 44_100]), np.array([0.5, 1.0]), {})
        >>> choose_sound_form(scan, SoundSettings())
        SoundForm(rate=16000, samples=16000, trim=0.0)
    """
    there = scan.rates > 0
    if not there.any() and "auto" in (settings.rate, settings.seconds):
        raise InputError(
            "there is no sound that can be read",
            expected="at least one sound",
            got="; ".join(list(scan.unreadable.values())[:NUM_NAMED]) or "missing cells",
            do="check the paths",
        )
    lengths, asked = scan.seconds[there], settings.seconds
    rate = _usual_rate(scan.rates[there]) if settings.rate == "auto" else settings.rate
    seconds = _usual_seconds(lengths) if asked == "auto" else asked
    _check_rate(settings, rate)
    return SoundForm(rate, max(1, round(seconds * rate)), settings.trim or 0.0)


def _usual_rate(rates: NDArray[np.int64]) -> int:
    known, counts = np.unique(rates, return_counts=True)
    return min(MAX_RATE, int(known[counts.argmax()]))


def _usual_seconds(lengths: NDArray[np.float64]) -> float:
    return min(MAX_SECONDS, float(np.quantile(lengths, USUAL, method="higher")))


def _check_rate(settings: SoundSettings, rate: int) -> None:
    shortest = 1000 * min(settings.window_ms, settings.hop_ms) * rate / 1e6
    if shortest < 2:
        raise InputError(
            "data.sounds.window_ms or hop_ms is too short",
            expected=f"at least two samples, of which {rate:,} are a second",
            got=f"{min(settings.window_ms, settings.hop_ms):g} ms",
            do="make it longer",
        )
    highest = settings.low_hz if settings.high_hz is None else settings.high_hz
    if highest > rate / 2 or settings.low_hz >= rate / 2:
        raise InputError(
            f"sounds of {rate:,} samples a second have no frequencies of {highest:g} Hz",
            expected=f"data.sounds.low_hz and high_hz up to {rate / 2:g}",
            got=f"{highest:g}",
            do="lower them, or raise data.sounds.rate",
        )


def decode_sounds(column: pl.Series, form: SoundForm) -> Heard:
    """The samples of a column's sounds, decoded in threads.

    Args:
        column: Paths, or samples in each cell.
        form: What each sound is brought to.
    """
    samples = np.zeros((len(column), form.samples), dtype=np.int16)
    if isinstance(column.dtype, pl.Array):
        held = column.drop_nulls().to_numpy()
        if held.shape[-1:] != (form.samples,):
            held = np.stack([fitted(sound, form.samples) for sound in held])
        samples[(~missing(column)).to_numpy()] = held
        return Heard(samples, {})
    unreadable: dict[int, str] = {}
    num_longer = 0
    for row, sound in each_file(column, partial(decode_sound, form=form), "sounds decoded"):
        if isinstance(sound, UnreadableFileError):
            unreadable[row] = str(sound)
        else:
            samples[row], is_longer = sound
            num_longer += is_longer
    if num_longer:
        logger.warning(
            "column %r: %d of %d sounds are longer than %.2f s: their middle is kept",
            column.name,
            num_longer,
            len(column),
            form.seconds,
        )
    return Heard(samples, unreadable)

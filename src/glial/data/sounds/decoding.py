"""A sound file as samples of 16 bits: of one channel, one rate and one length.

Channels are averaged. Another rate is reached by a polyphase filter. A shorter sound stands in the
middle of silence, of a longer one the middle is kept.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.optional import require
from glial.data.archives import read_bytes
from glial.data.media import UnreadableFileError

Samples = NDArray[np.int16]
MAX_SAMPLES = 200_000_000  # over all channels: 38 minutes of stereo at 44,100 Hz
_FULL = 32767
_LOUDNESS_SECONDS = 0.01


@dataclass(frozen=True)
class SoundForm:
    """What every sound of a column is brought to.

    Attributes:
        rate: Samples a second.
        samples: Samples of each.
        trim: Decibels below its loudest moment at which a sound begins and ends; 0 cuts nothing.

    Example:
        >>> SoundForm(8000, 4000).seconds
        0.5
    """

    rate: int
    samples: int
    trim: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sound's samples."""
        return (self.samples,)

    @property
    def num_bytes(self) -> int:
        """What the samples of one sound take."""
        return 2 * self.samples

    @property
    def seconds(self) -> float:
        """How long a sound is."""
        return self.samples / self.rate


@dataclass(frozen=True)
class SoundHeader:
    """What a sound file says of itself before its samples.

    Attributes:
        rate: Samples a second.
        samples: Samples of each channel.
        channels: Number of channels.

    Example:
        >>> SoundHeader(8000, 4000, 1).samples
        4000
    """

    rate: int
    samples: int
    channels: int


class UnreadableSoundError(UnreadableFileError):
    """A sound that cannot be decoded; the message says why, in a few words.

    Example:
        >>> str(UnreadableSoundError("no samples"))
        'no samples'
    """


def read_sound_header(path: str) -> SoundHeader:
    """The rate and length of a sound file, without decoding it.

    Raises:
        UnreadableSoundError: If the file is missing, is no sound, is empty or too long.

    Example:
        >>> read_sound_header("no-such-file.wav")
        Traceback (most recent call last):
        ...
        glial.data.sounds.decoding.UnreadableSoundError: no such file
    """
    with _opened(path) as file:
        return SoundHeader(file.samplerate, file.frames, file.channels)


def decode_sound(path: str, form: SoundForm) -> tuple[Samples, bool]:
    """The samples of a sound file, and whether it is longer than what is kept of it.

    Args:
        path: The file; a zip archive in its path is read in place.
        form: What the sound is brought to.

    Returns:
        Samples, [sample], and whether ends of the sound are missing.

    Raises:
        UnreadableSoundError: If the file is missing, damaged, no sound, empty, too long, or holds
            what are no numbers.
    """
    with _opened(path) as file:
        heard = file.read(dtype="float32", always_2d=True)
        rate = file.samplerate
    if len(heard) == 0:
        raise UnreadableSoundError("no samples")
    mono = heard.mean(axis=1)
    if not np.isfinite(mono).all():
        raise UnreadableSoundError("samples that are no numbers")
    mono = resampled(mono, rate, form.rate)
    if form.trim:
        mono = trimmed(mono, form.rate, form.trim)
    return _to_samples(fitted(mono, form.samples)), len(mono) > form.samples


def resampled(sound: NDArray[Any], rate: int, wanted: int) -> NDArray[Any]:
    """A sound at another rate.

    Args:
        sound: [sample].
        rate: Its samples a second.
        wanted: Those of the result.

    Example:
        >>> resampled(np.ones(441), 44_100, 8_000).shape
        (80,)
    """
    if rate == wanted:
        return sound
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    found: NDArray[Any] = resample_poly(sound, wanted // common, rate // common)
    return found


def trimmed(sound: NDArray[Any], rate: int, below: float) -> NDArray[Any]:
    """A sound without what is quiet before and after it.

    Args:
        sound: [sample].
        rate: Samples a second; loudness is the mean power over a hundredth of a second.
        below: Decibels below its loudest moment that are still loud.

    Returns:
        Its loud part; a silent sound as it is.

    Example:
        >>> click = np.concatenate([np.zeros(800), np.ones(80), np.zeros(800)])
        >>> len(trimmed(click, 8000, 40.0)) < 250
        True
    """
    width = max(1, round(_LOUDNESS_SECONDS * rate))
    power = np.convolve(np.square(sound, dtype=np.float64), np.full(width, 1 / width), "same")
    power = power[: len(sound)]
    loud = np.flatnonzero(power > power.max() * 10 ** (-below / 10))
    return sound if len(loud) == 0 else sound[loud[0] : loud[-1] + 1]


def fitted(sound: NDArray[Any], samples: int) -> NDArray[Any]:
    """A sound with so many samples: its middle, or all of it between zeros.

    Example:
        >>> fitted(np.array([1, 2, 3]), 6).tolist(), fitted(np.array([1, 2, 3]), 1).tolist()
        ([0, 1, 2, 3, 0, 0], [2])
    """
    spare = samples - len(sound)
    if spare <= 0:
        return sound[-spare // 2 :][:samples]
    return np.pad(sound, (spare // 2, spare - spare // 2))


def _check_size(count: int) -> None:
    if count <= 0:
        raise UnreadableSoundError("no samples")
    if count > MAX_SAMPLES:
        raise UnreadableSoundError(f"{count:,} samples, where at most {MAX_SAMPLES:,} are read")


def _to_samples(sound: NDArray[Any]) -> Samples:
    found: Samples = np.round(np.clip(sound, -1, 1) * _FULL).astype(np.int16)
    return found


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """A sound file whose header was read; whatever damaged files raise becomes one error."""
    soundfile = require("soundfile", extra="audio", purpose="reading sounds")
    try:
        with soundfile.SoundFile(io.BytesIO(read_bytes(path))) as file:
            _check_size(file.frames * file.channels)
            yield file
    except UnreadableSoundError:
        raise
    except soundfile.LibsndfileError as error:
        raise UnreadableSoundError(f"no sound that can be read: {error.error_string}") from error
    except Exception as error:
        words = " ".join(str(error).split())
        raise UnreadableSoundError(words or type(error).__name__) from error

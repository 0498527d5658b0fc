"""Writes what librosa makes of a chirp, for tests to hold Glial's spectrograms to it.

Usage: python tools/librosa_spectrograms.py > tests/functional/librosa_spectrograms.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

import librosa
import numpy as np

RATE, SAMPLES = 8000, 400
WINDOW, HOP, FFT = 48, 32, 64
BANDS, COEFFICIENTS = 10, 5
CORNERS = {"low": 100.0, "high": 3500.0}


def chirp() -> np.ndarray[Any, Any]:
    """From 200 Hz upwards, ever louder: the same formula stands in the test."""
    time = np.arange(SAMPLES) / RATE
    sound: np.ndarray[Any, Any] = (0.1 + 10 * time) * np.sin(
        2 * np.pi * (200 * time + 20_000 * time**2)
    )
    return sound


def rounded(values: Any) -> Any:
    """Six significant digits of each number."""
    return [rounded(v) for v in values] if np.ndim(values) else float(f"{float(values):.6g}")


def main() -> None:
    """Print what librosa makes of the chirp at each stage."""
    power = np.abs(librosa.stft(chirp(), n_fft=FFT, hop_length=HOP, win_length=WINDOW)) ** 2
    corners = {"fmin": CORNERS["low"], "fmax": CORNERS["high"]}
    filters = {
        f"{scale} {'area' if norm else 'height'}": librosa.filters.mel(
            sr=RATE, n_fft=FFT, n_mels=BANDS, htk=scale == "htk", norm=norm, **corners
        )
        for scale in ("slaney", "htk")
        for norm in ("slaney", None)
    }
    decibels = librosa.power_to_db(filters["slaney area"] @ power, ref=1.0, top_db=None)
    cepstra = librosa.feature.mfcc(S=decibels, n_mfcc=COEFFICIENTS)
    found = {
        "power": power,
        "log_mel": decibels,
        "mfcc": cepstra,
        "deltas": librosa.feature.delta(cepstra, width=5, mode="nearest"),
        "hertz": [50.0, 999.0, 1000.0, 4000.0],
        "slaney": librosa.hz_to_mel([50.0, 999.0, 1000.0, 4000.0]),
        "htk": librosa.hz_to_mel([50.0, 999.0, 1000.0, 4000.0], htk=True),
    }
    found |= {f"filters {name}": values for name, values in filters.items()}
    json.dump({name: rounded(values) for name, values in found.items()}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

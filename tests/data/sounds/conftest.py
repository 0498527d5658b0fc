"""Sounds written with the standard library, as files of 16 bits."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def write_wav(path: Path, samples: Any, rate: int = 8000) -> Path:
    """A file of samples from -1 to 1, [sample] or [sample, channel]."""
    values = np.asarray(samples, dtype=np.float64)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if values.ndim == 1 else values.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(values * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sound, or bytes, below the test's folder."""

    def write(name: str, samples: Any, rate: int = 8000) -> Path:
        path = tmp_path / name
        if isinstance(samples, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(samples)
            return path
        return write_wav(path, samples, rate)

    return write

"""Sound files as samples: formats, channels, rates, lengths, silence, damage."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from math import pi
from pathlib import Path

import numpy as np
import pytest
import soundfile

from glial.core.errors import InputError
from glial.data.sounds import (
    SoundForm,
    SoundHeader,
    UnreadableSoundError,
    decode_sound,
    read_sound_header,
)
from glial.data.sounds.decoding import fitted, resampled, trimmed

Put = Callable[..., Path]
TONE = 0.5 * np.sin(2 * pi * 440 * np.arange(800) / 8000)


@pytest.mark.parametrize(("ending", "most"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.05)])
def test_formats_give_the_same_sound(tmp_path: Path, ending: str, most: float) -> None:
    path = str(tmp_path / f"a.{ending}")
    soundfile.write(path, TONE, 8000)
    assert read_sound_header(path) == SoundHeader(8000, 800, 1)
    samples, is_longer = decode_sound(path, SoundForm(8000, 800))
    assert samples.dtype == np.int16
    assert not is_longer
    assert np.abs(samples / 32767 - TONE).mean() < most


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
def test_depths_give_the_same_sound(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "a.wav")
    soundfile.write(path, TONE, 8000, subtype=kind)
    samples, _ = decode_sound(path, SoundForm(8000, 800))
    assert np.abs(samples / 32767 - TONE).max() < 0.02


def test_channels_are_averaged(put: Put) -> None:
    path = str(put("stereo.wav", np.stack([TONE, -TONE, 0.3 * TONE], axis=1)))
    assert read_sound_header(path).channels == 3
    samples, _ = decode_sound(path, SoundForm(8000, 800))
    assert np.abs(samples / 32767 - 0.1 * TONE).max() < 1e-4


@pytest.mark.slow
def test_another_rate_keeps_the_tone(put: Put) -> None:
    time = np.arange(4410) / 44_100
    path = str(put("tone.wav", 0.5 * np.sin(2 * pi * 440 * time), 44_100))
    samples, _ = decode_sound(path, SoundForm(8000, 800))
    inner = slice(100, 700)
    assert np.abs(samples / 32767 - TONE)[inner].max() < 0.01
    assert np.abs(resampled(TONE, 8000, 8000) - TONE).max() == 0


def test_shorter_sounds_stand_in_the_middle_and_of_longer_ones_the_middle_is_kept(put: Put) -> None:
    path = str(put("a.wav", np.linspace(0.1, 0.9, 9)))
    samples, is_longer = decode_sound(path, SoundForm(8000, 12))
    assert samples.nonzero()[0].tolist() == list(range(1, 10))
    assert not is_longer
    samples, is_longer = decode_sound(path, SoundForm(8000, 3))
    assert np.round(samples / 32767, 1).tolist() == [0.4, 0.5, 0.6]
    assert is_longer
    assert fitted(np.arange(5), 5).tolist() == [0, 1, 2, 3, 4]
    assert fitted(np.arange(4), 1).tolist() == [1]


def test_silence_before_and_after_is_cut_off(put: Put) -> None:
    quiet = np.zeros(1600)
    path = str(put("a.wav", np.concatenate([quiet, TONE, quiet + 0.001])))
    samples, _ = decode_sound(path, SoundForm(8000, 960, trim=30.0))
    assert np.abs(samples[120:840]).max() > 16_000
    _, is_longer = decode_sound(path, SoundForm(8000, 960))
    assert is_longer
    assert trimmed(quiet, 8000, 30.0).shape == (1600,)  # all of it is as loud as the loudest
    assert trimmed(np.ones(3), 8000, 30.0).shape == (3,)  # shorter than what loudness is taken over


def damaged(put: Put) -> dict[str, str]:
    whole = put("whole.wav", TONE).read_bytes()
    nan = put("nan.wav", TONE)
    soundfile.write(str(nan), np.array([0.0, np.nan, 0.1]), 8000, subtype="FLOAT")
    return {
        str(put("empty.wav", b"")): "no sound",
        str(put("text.wav", b"this is no sound at all" * 9)): "no sound",
        str(put("head.wav", whole[:30])): "no s",
        str(put("none.wav", np.zeros(0))): "no samples",
        str(nan): "no numbers",
        "nowhere.wav": "no such file",
    }


def test_what_cannot_be_read_says_why_in_a_few_words(put: Put) -> None:
    for path, why in damaged(put).items():
        with pytest.raises(UnreadableSoundError, match=why):
            decode_sound(path, SoundForm(8000, 100))


def test_sounds_that_are_too_long_are_not_decoded(put: Put, monkeypatch) -> None:
    monkeypatch.setattr("glial.data.sounds.decoding.MAX_SAMPLES", 500)
    with pytest.raises(UnreadableSoundError, match="800 samples"):
        read_sound_header(str(put("a.wav", TONE)))


def test_sounds_are_read_in_an_archive(put: Put, tmp_path: Path) -> None:
    path = put("a.wav", TONE)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.write(path, "in/a.wav")
    form = SoundForm(8000, 800)
    left, right = (decode_sound(str(p), form)[0] for p in (path, tmp_path / "b.zip/in/a.wav"))
    assert np.array_equal(left, right)


def test_without_the_package_the_extra_is_named(put: Put, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InputError, match="reading sounds needs the package 'soundfile'") as refused:
        read_sound_header(str(put("a.wav", TONE)))
    assert "glial[audio]" in str(refused.value.do)

"""Sounds as a network sees them: sizes, normalisations, warping, saved and read again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import pi
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding
from glial.data.encoders import SoundEncoder, TensorEncoder
from glial.data.sounds import SoundForm, SoundSettings
from glial.functional import deltas, log_mel, mel_filters, mfcc, power_spectrogram

Put = Callable[..., Path]
FORM = SoundForm(8000, 1600)


def tone(hertz: float, loud: float = 0.5) -> np.ndarray:
    return loud * np.sin(2 * pi * hertz * np.arange(1600) / 8000)


def held(*sounds: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.round(32767 * np.stack(sounds)).astype(np.int16))


def encoder_of(**settings: object) -> SoundEncoder:
    return SoundEncoder.of(FORM, SoundSettings(**settings))


def test_decibels_are_those_of_the_functions() -> None:
    encoder = encoder_of(normalization="none", range_db=200.0)
    sounds = held(tone(500), tone(1500))
    power = power_spectrogram(sounds / 32767.0, window=200, hop=80, fft=256)
    wanted = log_mel(power, mel_filters(40, 129, 8000))
    assert torch.allclose(encoder.decibels(sounds), wanted, atol=1e-4)
    assert torch.allclose(encoder.finish(sounds)[:, 0], wanted / 20, atol=1e-5)


@pytest.mark.parametrize("normalization", ["peak", "sound", "bands"])
def test_volume_does_not_matter_where_sounds_are_measured_by_themselves(normalization) -> None:
    encoder = encoder_of(normalization=normalization)
    loud, soft = encoder.finish(held(tone(700, 0.9), tone(700, 0.09)))
    assert torch.allclose(loud, soft, atol=0.1)
    assert (loud - soft).abs().mean() < 0.01
    plain = encoder_of(normalization="none")
    loud, soft = plain.finish(held(tone(700, 0.9), tone(700, 0.09)))
    assert float((loud - soft).amax()) == pytest.approx(1.0, abs=0.01)  # 20 decibels


def test_a_sound_s_own_moments() -> None:
    seen = encoder_of(normalization="sound").finish(held(tone(300), tone(900)))
    assert torch.allclose(seen.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(seen.std(dim=(1, 2, 3)), torch.ones(2), atol=1e-3)
    bands = encoder_of(normalization="bands").finish(held(tone(300), tone(900)))
    assert torch.allclose(bands.mean(dim=3), torch.zeros(2, 1, 40), atol=1e-4)
    peak = encoder_of(range_db=60.0).finish(held(tone(300), tone(900)))
    assert float(peak.max()) == pytest.approx(1.5)
    assert float(peak.min()) == pytest.approx(-1.5)


def test_the_training_sounds_moments_are_fitted_and_saved(put: Put, tmp_path: Path) -> None:
    frame = pl.DataFrame({"p": [str(put(f"{f}.wav", tone(f))) for f in (300, 600, 1200)]})
    settings = DataSettings(sounds={"normalization": "training", "bands": 12, "deltas": True})
    encoding = Encoding.fit(frame, {"p": "sound"}, settings)
    encoder = encoding.held[0]
    assert isinstance(encoder, SoundEncoder)
    assert isinstance(encoder, TensorEncoder)
    assert encoding.sizes("image") == [[3, 12, 21]]
    inputs = encoding.transform(frame)
    (seen,) = encoding.finish(encoding.arguments(inputs))
    assert seen.shape == (3, 3, 12, 21)
    assert torch.allclose(seen[:, 0].mean(dim=(0, 2)), torch.zeros(12), atol=1e-4)
    assert torch.allclose(seen[:, 0].std(dim=(0, 2), correction=0), torch.ones(12), atol=1e-3)
    assert torch.allclose(seen[:, 2], deltas(deltas(seen[:, 0])))
    encoding.save(tmp_path)
    loaded = Encoding.load(tmp_path)
    assert torch.equal(loaded.finish(loaded.arguments(loaded.transform(frame)))[0], seen)
    (tmp_path / "encoding.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        Encoding.load(tmp_path)


def test_cepstra_are_the_transform_of_what_bands_say() -> None:
    bands = encoder_of(bands=24)
    cepstra = encoder_of(bands=24, features="mfcc", coefficients=8)
    sounds = held(tone(440))
    assert cepstra.size == [1, 8, 21]
    assert torch.allclose(
        cepstra.finish(sounds)[:, 0], mfcc(bands.finish(sounds)[:, 0], 8), atol=1e-5
    )


def test_a_longer_vocal_tract_undone_by_warping() -> None:
    encoder = encoder_of()
    plain = encoder.features(held(tone(1000)))
    warped = encoder.features(held(tone(1100)), torch.tensor([1.1]))
    others = encoder.features(held(tone(1100)))
    assert (plain - warped).abs().mean() < (plain - others).abs().mean() / 2


def test_missing_sounds_are_silent_and_unreadable_ones_are_named(put: Put, caplog) -> None:
    good, bad = str(put("a.wav", tone(500))), str(put("b.wav", b"broken"))
    encoder = encoder_of()
    with caplog.at_level(logging.WARNING, "glial"):
        found = encoder.tensor(pl.Series("p", [good, None]))
    assert "1 rows have no sound" in caplog.text
    assert not found[1].any()
    assert torch.isfinite(encoder.finish(found)).all()
    with pytest.raises(InputError, match="1 sounds of the column 'p'") as refused:
        encoder.tensor(pl.Series("p", [good, bad]))
    assert "b.wav" in str(refused.value.got)


def test_bands_too_narrow_for_the_windows_are_told(put: Put, caplog) -> None:
    column = pl.Series("p", [str(put("a.wav", tone(500)))])
    with caplog.at_level(logging.WARNING, "glial"):
        SoundEncoder.fit(column, DataSettings(sounds={"bands": 200}))
    assert "bands are narrower than the frequencies" in caplog.text
    caplog.clear()
    SoundEncoder.fit(column, DataSettings())
    assert "narrower" not in caplog.text


def test_samples_without_a_rate_are_refused() -> None:
    column = pl.Series("p", held(tone(500)).numpy())
    with pytest.raises(InputError, match="how fast the samples"):
        SoundEncoder.fit(column, DataSettings())
    asked = DataSettings(sounds={"rate": 8000, "seconds": 0.2})
    assert SoundEncoder.fit(column, asked).form == FORM


def test_damaged_moments_are_refused() -> None:
    good = encoder_of(bands=4)
    for mean, std in ((np.zeros(3), np.ones(4)), (np.zeros(4), np.zeros(4))):
        with pytest.raises(ValueError, match="do not fit"):
            SoundEncoder(good.form, good.spectrum, mean, std)

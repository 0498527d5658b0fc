"""Spectrograms held to librosa, to formulas by hand, and to laws."""

from __future__ import annotations

import json
from math import log10, pi
from pathlib import Path

import pytest
import torch

from glial.functional import (
    cosine_basis,
    deltas,
    hertz_to_mel,
    log_mel,
    mel_filters,
    mel_to_hertz,
    mfcc,
    power_spectrogram,
    standardized_frames,
    warped_frequencies,
)

LIBROSA = {
    name: torch.tensor(values, dtype=torch.float64)
    for name, values in json.loads(
        Path(__file__).with_name("librosa_spectrograms.json").read_text()
    ).items()
}
SHORT = {"window": 48, "hop": 32, "fft": 64}


def chirp() -> torch.Tensor:
    time = torch.arange(400, dtype=torch.float64) / 8000
    return (0.1 + 10 * time) * torch.sin(2 * pi * (200 * time + 20_000 * time**2))


def tone(hertz: float, rate: int = 8000, samples: int = 1600) -> torch.Tensor:
    return torch.sin(2 * pi * hertz * torch.arange(samples, dtype=torch.float64) / rate)


def test_every_stage_is_what_librosa_makes() -> None:
    power = power_spectrogram(chirp(), **SHORT)
    assert torch.allclose(power, LIBROSA["power"], rtol=1e-4, atol=1e-6)
    limits = {"low": 100.0, "high": 3500.0}
    for scale in ("slaney", "htk"):
        for name, equal_area in (("area", True), ("height", False)):
            filters = mel_filters(10, 33, 8000, scale=scale, equal_area=equal_area, **limits)
            wanted = LIBROSA[f"filters {scale} {name}"].float()
            assert torch.allclose(filters, wanted, rtol=1e-4, atol=1e-7), (scale, name)
    filters = mel_filters(10, 33, 8000, **limits).double()
    bands = log_mel(power, filters)
    assert torch.allclose(bands, LIBROSA["log_mel"], atol=1e-3)
    cepstra = mfcc(bands, 5)
    assert torch.allclose(cepstra, LIBROSA["mfcc"], atol=1e-3)
    assert torch.allclose(deltas(cepstra, reach=2), LIBROSA["deltas"], atol=1e-3)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_the_mel_scale_is_librosas_and_is_inverted(scale: str) -> None:
    mel = hertz_to_mel(LIBROSA["hertz"], scale)
    assert torch.allclose(mel, LIBROSA[scale], rtol=1e-5)
    assert torch.allclose(mel_to_hertz(mel, scale), LIBROSA["hertz"], rtol=1e-9)


def test_power_obeys_parseval() -> None:
    sound = torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    power = power_spectrogram(sound, window=64, hop=32)[:, 1]  # the frame of all 64 samples
    windowed = sound * torch.hann_window(64, dtype=torch.float64)
    both = torch.cat([power, power[1:-1]])  # a real sound's negative frequencies mirror these
    assert float(both.sum() / 64) == pytest.approx(float(windowed.square().sum()))


@pytest.mark.parametrize("hertz", [440.0, 1000.0, 3000.0])
def test_a_pure_tone_peaks_in_its_bin_and_band(hertz: float) -> None:
    power = power_spectrogram(tone(hertz), window=200, hop=80)[:, 10]
    assert abs(int(power.argmax()) * 40 - hertz) <= 20
    bands = mel_filters(20, 101, 8000).double() @ power
    mel = torch.linspace(0, float(hertz_to_mel(torch.tensor(4000.0))), 22)
    middles = mel_to_hertz(mel)[1:-1]
    assert int(bands.argmax()) == int((middles - hertz).abs().argmin())


def test_gain_moves_decibels_by_a_constant() -> None:
    filters = mel_filters(8, 33, 8000).double()
    spectra = [power_spectrogram(gain * chirp(), **SHORT) for gain in (1.0, 3.0)]
    quiet, loud = (log_mel(power, filters, least=1e-30) for power in spectra)
    assert float((loud - quiet).min()) == pytest.approx(20 * log10(3.0))
    assert float((loud - quiet).max()) == pytest.approx(20 * log10(3.0))
    assert torch.allclose(mfcc(loud, 5)[1:], mfcc(quiet, 5)[1:], atol=1e-4)


def test_silence_is_the_least_power() -> None:
    bands = log_mel(power_spectrogram(torch.zeros(100), **SHORT), mel_filters(4, 33, 8000))
    assert bands.unique().tolist() == [-100.0]


def test_a_batch_is_its_rows_and_frames_are_moved_with_the_sound() -> None:
    sounds = torch.stack([chirp(), chirp().flip(0)]).reshape(2, 1, 400)
    power = power_spectrogram(sounds, **SHORT)
    assert power.shape == (2, 1, 33, 13)
    assert torch.allclose(power[1, 0], power_spectrogram(sounds[1, 0], **SHORT))
    later = torch.cat([torch.zeros(64, dtype=torch.float64), chirp()])
    moved = power_spectrogram(later, **SHORT)
    assert torch.allclose(moved[:, 4:14], power[0, 0, :, 2:12])


def test_bands_cover_every_frequency_between_the_first_and_last_corner() -> None:
    filters = mel_filters(12, 65, 8000, equal_area=False)
    middles = filters.argmax(dim=1)
    inside = slice(int(middles[0]), int(middles[-1]) + 1)
    assert torch.allclose(filters.sum(dim=0)[inside], torch.ones(1))
    areas = mel_filters(12, 6401, 8000).sum(dim=1) * 4000 / 6400
    assert torch.allclose(areas, torch.ones(12), atol=1e-2)


def test_warping_keeps_both_ends_and_is_the_identity_at_one() -> None:
    hertz = torch.linspace(0, 4000, 81, dtype=torch.float64)
    for factor in (0.8, 0.95, 1.0, 1.1, 1.3):
        warped = warped_frequencies(hertz, torch.tensor(factor), bend=3200.0, half=4000.0)
        assert warped[0] == 0
        assert float(warped[-1]) == pytest.approx(4000.0)
        assert (warped.diff() > 0).all()
        low = hertz <= 2000
        assert torch.allclose(warped[low], factor * hertz[low])
    assert torch.allclose(
        warped_frequencies(hertz, torch.ones(()), bend=3200.0, half=4000.0), hertz
    )


def test_filters_warped_by_a_factor_hear_a_tone_where_it_would_have_been() -> None:
    plain = mel_filters(40, 129, 8000)
    warped = mel_filters(40, 129, 8000, factor=torch.tensor([1.0, 1.1]))
    assert torch.allclose(warped[0], plain, atol=1e-7)
    lower, higher = (
        power_spectrogram(tone(f), window=256, hop=80)[:, 10] for f in (1000.0, 1100.0)
    )
    assert int((warped[1].double() @ higher).argmax()) == int((plain.double() @ lower).argmax())


def test_the_cosine_basis_is_orthonormal_and_standardized_frames_are_so() -> None:
    basis = cosine_basis(9, 9)
    assert torch.allclose(basis @ basis.T, torch.eye(9), atol=1e-6)
    frames = standardized_frames(3 + 5 * torch.randn(2, 4, 50))
    assert torch.allclose(frames.mean(dim=-1), torch.zeros(2, 4), atol=1e-5)
    assert torch.allclose(frames.square().mean(dim=-1), torch.ones(2, 4), atol=1e-4)
    assert standardized_frames(torch.ones(1, 5)).tolist() == [[0.0] * 5]


def test_slopes_of_a_line_and_of_few_frames() -> None:
    line = 3 * torch.arange(12.0)
    assert torch.allclose(deltas(line[None], reach=3)[0, 3:-3], torch.full((6,), 3.0))
    assert deltas(torch.tensor([[5.0]])).tolist() == [[0.0]]


def test_gradients_are_those_of_differences() -> None:
    filters = mel_filters(4, 9, 100).double()

    def decibels(sound: torch.Tensor) -> torch.Tensor:
        return mfcc(log_mel(power_spectrogram(sound, window=16, hop=8), filters), 3)

    sound = torch.randn(1, 32, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(decibels, sound, fast_mode=True)

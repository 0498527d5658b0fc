"""Sounds changed at random: by hand, by laws, from seeds alone."""

from __future__ import annotations

import pytest
import torch

from glial.core.errors import InputError
from glial.data.augmentation import Augmentation, AugmentSettings
from glial.data.augmentation.sounds import SAFE, changed_sounds, respeeded
from glial.data.batches import Batch
from glial.data.encoders import SoundEncoder
from glial.data.sounds import SoundForm, SoundSettings

SOUNDS = (0.3 * torch.randn(6, 400, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
ENCODER = SoundEncoder.of(SoundForm(8000, 400), SoundSettings(bands=10))


def plain(sounds: torch.Tensor, factor: torch.Tensor | None) -> torch.Tensor:
    return sounds[:, None, None]


def changed(**settings: object) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return changed_sounds(SOUNDS, AugmentSettings(**settings), generator, plain)[:, 0, 0]


def test_speed_and_shift_by_hand() -> None:
    ramp = torch.arange(5.0)[None]
    faster = respeeded(ramp, torch.tensor([2.0]), torch.zeros(1))
    assert faster.tolist() == [[0.0, 0.0, 2.0, 4.0, 0.0]]
    slower = respeeded(ramp, torch.tensor([0.5]), torch.zeros(1))
    assert slower.tolist() == [[1.0, 1.5, 2.0, 2.5, 3.0]]
    earlier = respeeded(ramp, torch.ones(1), torch.tensor([-1.5]))
    assert earlier.tolist() == [[1.5, 2.5, 3.5, 0.0, 0.0]]
    assert torch.equal(respeeded(ramp, torch.ones(1), torch.zeros(1)), ramp)
    one = respeeded(torch.ones(1, 1), torch.ones(1), torch.zeros(1))
    assert one.tolist() == [[1.0]]


def test_gain_is_a_factor_of_each_sound() -> None:
    ratio = changed(gain=6.0) / SOUNDS
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-3)
    assert len(ratio[:, 0].unique()) == 6
    assert (20 * ratio.log10()).abs().max() <= 6.01


def test_noise_is_measured_by_the_loudest_sample() -> None:
    quiet = changed(sound_noise=0.1) - SOUNDS
    assert (quiet.std(dim=1) < 0.11 * SOUNDS.abs().amax(dim=1)).all()
    assert quiet.std() > 0


def test_samples_of_16_bits_are_taken_as_floats() -> None:
    generator = [torch.Generator().manual_seed(1) for _ in range(2)]
    settings = AugmentSettings(gain=3.0)
    bits = (SOUNDS * 32767).round().to(torch.int16)
    left = changed_sounds(bits, settings, generator[0], plain)
    assert torch.allclose(left, changed_sounds(SOUNDS, settings, generator[1], plain), atol=1e-4)


def test_masks_hide_one_stretch_of_each_axis_behind_the_mean() -> None:
    before = ENCODER.features(SOUNDS)
    settings = AugmentSettings(band_mask=0.5, frame_mask=0.5)
    after = changed_sounds(SOUNDS, settings, torch.Generator().manual_seed(3), ENCODER.features)
    hidden = before != after
    bands, frames = hidden.all(dim=3)[:, 0], hidden.all(dim=2)[:, 0]
    assert bands.any()
    assert frames.any()
    for mask in (*bands, *frames):
        assert int(mask.int().diff().abs().sum()) <= 2
        assert float(mask.float().mean()) <= 0.6
    assert torch.equal(hidden[:, 0], bands[:, :, None] | frames[:, None, :])
    only = changed_sounds(
        SOUNDS, AugmentSettings(band_mask=0.5), torch.Generator().manual_seed(3), ENCODER.features
    )
    means = before.mean(dim=(2, 3), keepdim=True).expand_as(before)
    assert torch.allclose(only[only != before], means[only != before])


def test_probability_leaves_some_sounds_alone() -> None:
    same = (changed(gain=6.0, probability=0.5) == SOUNDS).all(dim=1)
    assert 0 < int(same.sum()) < 6


def batch() -> Batch:
    return Batch(((SOUNDS * 32767).to(torch.int16),), torch.arange(6))


def test_a_batch_is_changed_as_its_seed_says() -> None:
    augmentation = Augmentation(
        AugmentSettings(**SAFE, mixup=0.4), ["sound"], spectra=[ENCODER.features]
    )
    once, again, other = (augmentation(batch(), seed) for seed in (7, 7, 8))
    assert once.inputs[0].shape == (6, *ENCODER.size)
    assert torch.equal(once.inputs[0], again.inputs[0])
    assert not torch.equal(once.inputs[0], other.inputs[0])
    assert torch.allclose(once.weight + once.other_weight, torch.ones(6))


def test_mixing_alone_mixes_what_a_network_sees() -> None:
    augmentation = Augmentation(AugmentSettings(mixup=1.0), ["sound"], spectra=[ENCODER.features])
    mixed = augmentation(batch(), 1)
    seen = ENCODER.finish(batch().inputs[0])
    share = mixed.weight[0]
    partner = mixed.other.argsort().argsort()
    assert torch.allclose(mixed.inputs[0], share * seen + (1 - share) * seen[partner], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "modality", "word"),
    [
        ({"flip": "horizontal"}, "sound", "changes of images"),
        ({"cutmix": 1.0}, "sound", "images"),
        ({"speed": 0.1}, "image", "changes of sounds"),
        ({"band_mask": 0.1}, "number", "changes of sounds"),
    ],
)
def test_what_suits_no_input_is_refused(settings, modality, word) -> None:
    with pytest.raises(InputError, match=word):
        Augmentation(
            AugmentSettings(**settings),
            [modality],
            spectra=[ENCODER.features] if modality == "sound" else [],
        )

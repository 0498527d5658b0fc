"""Augmentation of batches: drawn from a seed alone, by what each tensor holds."""

from __future__ import annotations

import math
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.core.errors import InputError
from glial.data import Batch, TensorBatches
from glial.data.augmentation import Augmentation, AugmentSettings
from glial.data.augmentation.pipeline import without_tokens

ALL = AugmentSettings(
    rotate=20.0, flip="both", crop=0.2, blur=1.0, brightness=0.3, noise=0.1, mixup=0.5, cutmix=1.0
)


def image_rows(num_rows=23, held=torch.uint8):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num_rows, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Batch((images.to(held),), torch.arange(num_rows) % 3)


def same(one, two):
    return all(
        (a is None and b is None) or torch.equal(a, b)
        for a, b in zip((*one.inputs, *one[1:]), (*two.inputs, *two[1:]), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 8, 23])
def test_an_epoch_goes_on_to_the_same_batches_whatever_was_drawn_before(batch_size):
    def batches():
        return TensorBatches(image_rows(), batch_size, seed=3, augment=Augmentation(ALL, ["image"]))

    whole = list(batches().epoch(2))
    torch.manual_seed(12345)
    torch.rand(7)
    for start in range(len(whole) + 1):
        rest = list(batches().epoch(2, start))
        assert len(rest) == len(whole) - start
        assert all(same(a, b) for a, b in zip(whole[start:], rest, strict=True))
    assert not same(whole[0], next(batches().epoch(3)))


def test_no_global_draw_is_made():
    state = torch.get_rng_state()
    Augmentation(ALL, ["image"])(image_rows(), 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_held_rows_stay_as_they_are():
    rows = image_rows()
    before = rows.inputs[0].clone()
    batches = TensorBatches(rows, 23, seed=0, augment=Augmentation(ALL, ["image"]))
    assert batches.num_batches == 1
    first, second = next(batches.epoch(0)), next(batches.epoch(1))
    assert torch.equal(rows.inputs[0], before)
    assert not torch.equal(first.inputs[0], second.inputs[0])


def test_changes_come_before_what_the_network_is_called_with():
    seen = []

    def finish(inputs):
        seen.append(inputs[0].dtype)
        return (inputs[0] * 2 - 1,)

    augmentation = Augmentation(AugmentSettings(noise=0.1), ["image"])
    batch = next(TensorBatches(image_rows(), 8, 0, augment=augmentation, finish=finish).epoch(0))
    assert seen == [torch.float32]
    assert float(batch.inputs[0].min()) < 0


def test_every_class_is_changed_alike_and_keeps_its_rows():
    rows = image_rows(60)
    found = Augmentation(AugmentSettings(rotate=20.0, noise=0.1), ["image"])(rows, 0)
    assert torch.equal(found.target, rows.target)
    assert found.weight is None
    moved = (found.inputs[0] - rows.inputs[0].float() / 255).square().mean(dim=(1, 2, 3))
    by_class = torch.stack([moved[rows.target == code].mean() for code in range(3)])
    assert float(by_class.max() / by_class.min()) < 1.3


def test_repeated_rows_of_a_small_class_become_different_ones():
    """With drawing alike, copies of a small class's rows are each changed in their own way."""
    rows = image_rows(40)._replace(target=torch.tensor([0] * 38 + [1] * 2))
    augmentation = Augmentation(AugmentSettings(rotate=20.0), ["image"])
    batches = TensorBatches(rows, 40, seed=0, weighted=True, augment=augmentation)
    batch = next(batches.epoch(0))
    small = batch.inputs[0][batch.target == 1]
    assert len(small) > 10
    assert len(small.unique(dim=0)) == len(small)


def test_noise_on_numbers_is_a_share_of_each_column_s_spread():
    numbers = torch.randn(4000, 3, generator=torch.Generator().manual_seed(1))
    numbers = numbers * torch.tensor([1.0, 10.0, 0.1])
    flag = (numbers[:, :1] > 0).float()
    constant = torch.full((4000, 1), 2.0)
    rows = Batch((torch.cat([numbers, flag, constant], dim=1),), torch.zeros(4000))
    found = Augmentation(AugmentSettings(number_noise=0.2), ["number"], rows)(rows, 0)
    noise = found.inputs[0] - rows.inputs[0]
    spread = rows.inputs[0][:, :3].std(dim=0, correction=0)
    torch.testing.assert_close(noise[:, :3].std(dim=0), 0.2 * spread, rtol=0.06, atol=0)
    assert not noise[:, 3:].any()


@given(st.integers(0, 20), st.floats(0.05, 0.95))
def test_dropped_tokens_become_unknown_and_one_stays(seed, probability):
    draws = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, 50, (30, 6), generator=draws)
    lengths = torch.randint(0, 7, (30, 1), generator=draws)
    tokens = tokens.masked_fill(torch.arange(6) >= lengths, 0)
    found = without_tokens(tokens, probability, torch.Generator().manual_seed(seed))
    assert torch.equal(found == 0, tokens == 0)
    assert ((found == tokens) | (found == 1)).all()
    assert (((found > 1).any(dim=1)) | (lengths[:, 0] == 0)).all()


def test_tokens_are_dropped_at_their_rate():
    tokens = torch.full((2000, 10), 7)
    found = without_tokens(tokens, 0.2, torch.Generator().manual_seed(0))
    share = float((found == 1).float().mean())
    assert share == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / 20_000))


def test_each_tensor_is_changed_by_what_it_holds():
    rows = Batch(
        (
            torch.randn(8, 2),
            torch.randint(0, 5, (8, 1)),
            torch.rand(8, 1, 6, 6),
            torch.randint(2, 9, (8, 5)),
        ),
        torch.zeros(8),
    )
    settings = AugmentSettings(noise=0.1, token_dropout=0.5)
    found = Augmentation(settings, ["number", "category", "image", "text"], rows)(rows, 0)
    unchanged = [torch.equal(a, b) for a, b in zip(rows.inputs, found.inputs, strict=True)]
    assert unchanged == [True, True, False, False]


@pytest.mark.parametrize(
    ("settings", "modalities", "word"),
    [
        ({"rotate": 3.0}, ["number"], "images"),
        ({"cutmix": 1.0}, ["number"], "images"),
        ({"number_noise": 0.1}, ["image"], "numbers"),
        ({"token_dropout": 0.1}, ["number", "category"], "tokens"),
        ({"mixup": 0.2}, ["number", "category"], "one-hot"),
        ({"mixup": 0.2}, ["text"], "mixup"),
        ({"cutmix": 0.2}, ["number", "image"], "cutmix"),
    ],
)
def test_what_cannot_be_changed_is_refused(settings, modalities, word):
    with pytest.raises(InputError) as caught:
        Augmentation(AugmentSettings(**settings), modalities)
    assert word in str(caught.value)


@pytest.mark.slow
def test_moving_images_costs_a_small_part_of_a_step():
    """The quickest of many turns, in turns with the step; measured, it is some hundredths."""
    rows = Batch((torch.rand(128, 1, 28, 28),), torch.arange(128) % 10)
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.Flatten(), nn.Linear(18432, 10)
    )
    settings = AugmentSettings(flip="horizontal", rotate=10.0, scale=[0.9, 1.1], translate=0.1)
    augmentation = Augmentation(settings, ["image"])

    def seconds(work):
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    def step():
        nn.functional.cross_entropy(network(*rows.inputs), rows.target).backward()

    turns = [(seconds(step), seconds(lambda: augmentation(rows, 0))) for _ in range(12)]
    assert min(changed for _, changed in turns) < 0.3 * min(whole for whole, _ in turns)

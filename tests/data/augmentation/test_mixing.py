"""Mixup and cutmix: shares that add up, areas to the pixel, classes in their proportions."""

from __future__ import annotations

import pytest
import torch

from glial.data.augmentation.mixing import mixed
from glial.data.augmentation.settings import AugmentSettings
from glial.data.batches import Batch


def rows_of(num_rows, side=8, weight=False):
    """Images of one colour, which the row's number says; so mixing can be read off pixels."""
    index = torch.arange(num_rows)
    images = (index.float() / num_rows)[:, None, None, None].expand(-1, 1, side, side)
    weights = torch.rand(num_rows, generator=torch.Generator().manual_seed(0)) if weight else None
    return Batch((images,), index, weights)


@pytest.mark.parametrize("num_rows", [1, 2, 7, 16])
@pytest.mark.parametrize("key", ["mixup", "cutmix"])
@pytest.mark.parametrize("weight", [False, True])
def test_targets_and_weights_say_what_was_mixed(num_rows, key, weight):
    batch = rows_of(num_rows, weight=weight)
    before = batch.inputs[0].clone()
    own = torch.ones(num_rows) if batch.weight is None else batch.weight
    for seed in range(20):
        both = mixed(batch, AugmentSettings(**{key: 1.0}), seed)
        share = (both.weight / own)[0]
        torch.testing.assert_close(both.weight, share * own)
        torch.testing.assert_close(both.other_weight, (1 - share) * own[both.other])
        assert torch.equal(both.target, batch.target)
        assert both.other.sort().values.tolist() == list(range(num_rows))
        mean = both.inputs[0].mean(dim=(1, 2, 3))
        wanted = share * batch.target / num_rows + (1 - share) * both.other / num_rows
        torch.testing.assert_close(mean, wanted, atol=1e-5, rtol=0)
    assert torch.equal(batch.inputs[0], before)


def test_a_pasted_rectangle_is_cut_off_at_the_border_and_counted_to_the_pixel():
    batch = rows_of(6, side=10)
    shares = []
    for seed in range(300):
        both = mixed(batch, AugmentSettings(cutmix=1.0), seed)
        moved = both.inputs[0] != batch.inputs[0]
        changed = moved[both.other != batch.target]
        if not len(changed):
            continue
        assert (changed == changed[0]).all()
        area = int(changed[0].sum())
        places = changed[0, 0].nonzero()
        if area:
            sides = places.amax(dim=0) - places.amin(dim=0) + 1
            assert area == int(sides.prod())
        torch.testing.assert_close(both.weight, torch.full((6,), 1 - area / 100))
        shares.append(1 - area / 100)
    # The share before the cut at the border is uniform for alpha 1; what is cut off adds to it.
    assert 0.5 < sum(shares) / len(shares) < 0.75
    assert min(shares) < 0.25
    assert max(shares) > 0.95


def test_shares_of_mixup_follow_the_beta_distribution():
    import scipy.stats

    batch = rows_of(3)
    settings = AugmentSettings(mixup=0.4)
    shares = [float(mixed(batch, settings, seed).weight[0]) for seed in range(1000)]
    assert scipy.stats.kstest(shares, "beta", args=(0.4, 0.4)).pvalue > 0.001


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_classes_keep_their_proportions_exactly(key):
    target = torch.tensor([0] * 13 + [1] * 3 + [2])
    batch = Batch((torch.rand(17, 1, 6, 6),), target)
    for seed in range(20):
        both = mixed(batch, AugmentSettings(**{key: 1.0}), seed)
        mass = torch.zeros(3).index_add(0, both.target, both.weight)
        mass = mass.index_add(0, both.other, both.other_weight)
        torch.testing.assert_close(mass, torch.tensor([13.0, 3.0, 1.0]))


def test_numbers_are_mixed_and_so_are_images_of_bytes():
    numbers = torch.tensor([[0.0, 4.0], [8.0, 0.0]])
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    both = mixed(
        Batch((numbers, images), torch.tensor([[0.0], [1.0]])), AugmentSettings(mixup=1.0), 1
    )
    share, other = float(both.weight[0]), both.other[:, 0].long()
    torch.testing.assert_close(both.inputs[0], share * numbers + (1 - share) * numbers[other])
    plain = images.float() / 255
    torch.testing.assert_close(both.inputs[1], share * plain + (1 - share) * plain[other])


def test_with_both_a_coin_decides_and_the_chance_is_kept():
    batch = rows_of(4)
    settings = AugmentSettings(mixup=1.0, cutmix=1.0, probability=0.5)
    kinds = {"none": 0, "paste": 0, "add": 0}
    for seed in range(400):
        both = mixed(batch, settings, seed)
        if both.other is None:
            kinds["none"] += 1
        else:
            kinds["paste" if torch.isin(both.inputs[0], batch.inputs[0]).all() else "add"] += 1
    assert abs(kinds["none"] - 200) < 40
    assert abs(kinds["paste"] - 100) < 40

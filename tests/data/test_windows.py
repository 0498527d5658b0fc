"""Windows of a text: what an epoch shows, and what is judged."""

from __future__ import annotations

import itertools

import pytest
import torch

from glial.data.batches import Batches
from glial.data.windows import CarriedBatches, WindowBatches, judged_windows

SIZES = [(2, 1, 3), (3, 2, 1), (9, 8, 4), (17, 8, 4), (18, 8, 2), (100, 8, 3), (501, 16, 7)]


@pytest.mark.parametrize(("count", "length", "rows"), SIZES)
def test_an_epoch_shows_each_token_at_most_once_and_nearly_all(count, length, rows):
    tokens = torch.arange(count)
    batches = WindowBatches(tokens, length, rows, seed=0)
    assert isinstance(batches, Batches)
    starts = set()
    for epoch in range(6):
        found = list(batches.epoch(epoch))
        assert len(found) == batches.num_batches
        inputs = torch.cat([batch.inputs[0] for batch in found])
        targets = torch.cat([batch.target for batch in found])
        assert inputs.shape == (batches.num_rows, length)
        assert torch.equal(targets, inputs + 1)
        seen = inputs.flatten().tolist()
        assert len(set(seen)) == len(seen)
        assert len(seen) > count - 2 * length - 1 or len(seen) == length
        starts.add(min(seen))
    assert len(starts) > 1 or count < 3 * length


@pytest.mark.parametrize("kind", [WindowBatches, CarriedBatches])
@pytest.mark.parametrize(("count", "length", "rows"), SIZES)
def test_an_epoch_can_be_entered_at_any_batch(kind, count, length, rows):
    tokens = torch.arange(count, dtype=torch.int32)
    for epoch in (0, 3):
        whole = list(kind(tokens, length, rows, seed=5).epoch(epoch))
        for start in range(len(whole) + 1):
            rest = list(kind(tokens, length, rows, seed=5).epoch(epoch, start))
            assert len(rest) == len(whole) - start
            for one, other in zip(rest, whole[start:], strict=True):
                assert all(map(torch.equal, one.inputs, other.inputs))
                assert torch.equal(one.target, other.target)


def test_seeds_and_epochs_cut_otherwise():
    def first(seed, epoch):
        batches = WindowBatches(torch.arange(1000), 8, 16, seed)
        return next(iter(batches.epoch(epoch))).inputs[0]

    assert torch.equal(first(0, 0), first(0, 0))
    assert not torch.equal(first(0, 0), first(0, 1))
    assert not torch.equal(first(0, 0), first(1, 0))


@pytest.mark.parametrize(("count", "length", "rows"), SIZES)
def test_carried_rows_go_on_from_window_to_window(count, length, rows):
    batches = CarriedBatches(torch.arange(count), length, rows, seed=0)
    for epoch in range(3):
        found = list(batches.epoch(epoch))
        assert len(found) == batches.num_batches
        assert batches.num_rows == sum(len(batch.target) for batch in found)
        assert [bool(batch.inputs[1].any()) for batch in found] == [
            index == 0 for index in range(len(found))
        ]
        assert all(torch.equal(batch.target, batch.inputs[0] + 1) for batch in found)
        for before, after in itertools.pairwise(found):
            assert torch.equal(after.inputs[0][:, 0], before.target[:, -1])
        seen = torch.cat([batch.inputs[0] for batch in found], dim=1).flatten().tolist()
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("count", [2, 5, 8, 9, 10, 16, 17, 40, 41])
@pytest.mark.parametrize(("length", "stride"), [(8, 8), (8, 4), (8, 1), (8, 3)])
def test_every_token_but_the_first_is_judged_once_with_its_context(count, length, stride):
    length = min(length, count - 1)
    begins, firsts = judged_windows(count, length, min(stride, length))
    judged = []
    for begin, first in zip(begins, firsts, strict=True):
        assert begin + length < count
        for place in range(first, length):
            target = begin + place + 1
            judged.append(target)
            assert place + 1 >= min(target, length - stride + 1)
    assert judged == list(range(1, count))

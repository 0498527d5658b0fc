"""Orders by class: every batch has its shares, draws are even, epochs go on from any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.data import Batch, TensorBatches
from glial.data.orders import drawn_alike, grouped_order

counts_of_classes = st.lists(st.integers(1, 30), min_size=1, max_size=6)


def rows_of(counts: list[int]) -> Batch:
    codes = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    codes = codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))]
    return Batch((torch.arange(len(codes)).float()[:, None],), codes, torch.arange(len(codes)))


@pytest.mark.slow
@settings(max_examples=300)
@given(counts_of_classes, st.integers(1, 40), st.integers(0, 5))
def test_every_batch_has_each_classes_share_rounded_down_or_up(
    counts: list[int], batch_size: int, epoch: int
) -> None:
    rows = rows_of(counts)
    batches = TensorBatches(rows, batch_size, seed=0, stratified=True)
    found = list(batches.epoch(epoch))
    assert len(found) == batches.num_batches
    seen = torch.cat([batch.inputs[0][:, 0] for batch in found])
    assert sorted(seen.tolist()) == [*range(sum(counts))]
    plain = [len(batch.target) for batch in TensorBatches(rows, batch_size, seed=0).epoch(epoch)]
    assert [len(batch.target) for batch in found] == plain
    for batch in found:
        held = batch.target.bincount(minlength=len(counts)).numpy()
        share = np.array(counts) * len(batch.target) / sum(counts)
        assert (np.abs(held - share) < 1).all()


@given(counts_of_classes, st.integers(1, 9), st.booleans(), st.booleans(), st.data())
def test_an_epoch_goes_on_from_any_batch(
    counts: list[int], batch_size: int, weighted: bool, stratified: bool, data: st.DataObject
) -> None:
    def batches() -> TensorBatches:
        options = {"weighted": weighted, "stratified": stratified}
        return TensorBatches(rows_of(counts), batch_size, seed=1, **options)

    epoch = data.draw(st.integers(0, 3))
    start = data.draw(st.integers(0, batches().num_batches))
    whole = [batch.inputs[0].tolist() for batch in batches().epoch(epoch)]
    assert [batch.inputs[0].tolist() for batch in batches().epoch(epoch, start)] == whole[start:]


def test_stratified_batches_are_in_another_order_every_epoch_and_seed() -> None:
    rows = rows_of([40, 20])
    first, second = (TensorBatches(rows, 7, seed=seed, stratified=True) for seed in (0, 1))
    orders = [first.order(0).tolist(), first.order(1).tolist(), second.order(0).tolist()]
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.slow
def test_every_row_is_as_often_in_each_batch_as_its_size_says() -> None:
    batches = TensorBatches(rows_of([7, 3]), 4, seed=0, stratified=True)  # of 4, 4 and 2 rows
    orders = np.array([batches.order(epoch).numpy() for epoch in range(2000)])
    for part, share in ((slice(0, 4), 0.4), (slice(4, 8), 0.4), (slice(8, 10), 0.2)):
        often = np.bincount(orders[:, part].ravel(), minlength=10) / 2000
        assert often.tolist() == pytest.approx([share] * 10, abs=0.06)


def test_weighted_draws_have_classes_equally_often_and_carry_their_weights() -> None:
    rows = rows_of([970, 20, 10])
    (batch,) = TensorBatches(rows, 1000, seed=0, weighted=True).epoch(0)
    assert batch.weight is not None
    assert torch.equal(batch.weight, batch.inputs[0][:, 0].long())
    assert torch.equal(rows.target[batch.weight], batch.target)
    drawn = torch.cat(
        [drawn_alike(rows.target, torch.Generator().manual_seed(s)) for s in range(9)]
    )
    shares = rows.target[drawn].bincount() / len(drawn)
    error = 5 * float(np.sqrt(2 / 9 / len(drawn)))
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=error)
    rare = drawn[rows.target[drawn] == 2].bincount()
    assert (rare > 0).sum() == 10


def test_a_weighted_draw_can_be_stratified_too() -> None:
    batches = TensorBatches(rows_of([90, 10]), 10, seed=0, weighted=True, stratified=True)
    minority = [int(batch.target.sum()) for batch in batches.epoch(0)]
    assert max(minority) - min(minority) <= 1
    assert 30 <= sum(minority) <= 70


@given(counts_of_classes, st.integers(2, 6), st.integers(0, 5))
def test_groups_are_of_one_class_and_hold_every_row_once(
    counts: list[int], rows_per_class: int, seed: int
) -> None:
    codes = rows_of(counts).target
    order = grouped_order(codes, rows_per_class, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == [*range(sum(counts))]
    # Neighbours of one class stand in as few stretches as its groups allow, or in fewer that met.
    found = codes[order]
    starts = torch.cat([torch.tensor([True]), found[1:] != found[:-1]])
    for code, count in enumerate(counts):
        assert int((starts & (found == code)).sum()) <= -(-count // rows_per_class)


def test_batches_hold_several_rows_of_each_of_their_classes() -> None:
    rows = rows_of([12] * 20)
    by_chance = TensorBatches(rows, 24, seed=0)
    together = TensorBatches(rows, 24, seed=0, rows_per_class=4)
    for batch in together.epoch(0):
        held = batch.target.bincount()
        assert (held[held > 0] % 4 == 0).all()
    least = min(int(batch.target.bincount().amax()) for batch in by_chance.epoch(0))
    assert least < 4
    orders = {tuple(together.order(epoch).tolist()) for epoch in range(3)}
    assert len(orders) == 3
    whole = [batch.target.tolist() for batch in together.epoch(1)]
    assert [batch.target.tolist() for batch in together.epoch(1, 3)] == whole[3:]

"""Batches: every row once an epoch, the same order for the same seed, resumable."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.data import Batch, TensorBatches


def rows_of(num_rows: int) -> Batch:
    index = torch.arange(num_rows)
    return Batch((index.float()[:, None],), index, index.double())


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 3))
def test_each_epoch_holds_every_row_once(num_rows: int, batch_size: int, epoch: int) -> None:
    batches = TensorBatches(rows_of(num_rows), batch_size, seed=0)
    found = list(batches.epoch(epoch))
    assert len(found) == batches.num_batches
    assert torch.cat([batch.target for batch in found]).sort().values.tolist() == [*range(num_rows)]
    for batch in found:
        assert torch.equal(batch.inputs[0][:, 0].long(), batch.target)
        assert batch.weight is not None
        assert torch.equal(batch.weight.long(), batch.target)
        if num_rows > 1 and batches.batch_size > 1:
            assert len(batch.target) > 1


@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 3), st.data())
def test_an_epoch_goes_on_from_any_batch(
    num_rows: int, batch_size: int, epoch: int, data: st.DataObject
) -> None:
    batches = TensorBatches(rows_of(num_rows), batch_size, seed=1)
    start = data.draw(st.integers(0, batches.num_batches))
    whole = [batch.target.tolist() for batch in batches.epoch(epoch)]
    again = TensorBatches(rows_of(num_rows), batch_size, seed=1).epoch(epoch, start)
    assert [batch.target.tolist() for batch in again] == whole[start:]


def test_orders_differ_by_epoch_and_seed() -> None:
    first, second = (TensorBatches(rows_of(30), 5, seed=seed) for seed in (0, 1))
    assert first.order(0).tolist() != first.order(1).tolist()
    assert first.order(0).tolist() != second.order(0).tolist()
    plain = TensorBatches(rows_of(30), 5, seed=0, shuffle=False)
    assert plain.order(3).tolist() == [*range(30)]

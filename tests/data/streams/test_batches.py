"""Streamed batches: every row once, an order of seed and epoch alone, a bounded buffer."""

from __future__ import annotations

import threading
import time

import numpy as np
import polars as pl
import pytest
import torch

from glial.core.errors import InputError
from glial.data import Batch, Batches
from glial.data.streams import ChunkSupply, FrameChunks, RowSupply, StreamedBatches


def encode(frame):
    values = torch.from_numpy(frame["a"].to_numpy().copy())
    return Batch((values.float()[:, None],), values, values.double() + 0.5)


def streamed(rows=103, chunk=10, buffer=35, batch=8, seed=0, **options):
    chunks = FrameChunks(pl.DataFrame({"a": range(rows)}), chunk)
    supply = ChunkSupply(chunks, encode, buffer_rows=buffer, seed=seed)
    return StreamedBatches(supply, batch, seed, **options)


def rows_of(batches):
    return [row for batch in batches for row in batch.target.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 9, 16, 17, 100, 103])
@pytest.mark.parametrize("batch", [1, 2, 8, 50, 200])
@pytest.mark.parametrize("workers", [0, 3])
def test_every_row_comes_once_an_epoch_with_its_own_inputs_and_weight(rows, batch, workers):
    batches = streamed(rows=rows, batch=batch, workers=workers)
    assert isinstance(batches, Batches)
    found = list(batches.epoch(0))
    assert len(found) == batches.num_batches
    assert sorted(rows_of(found)) == list(range(rows))
    for part in found:
        assert part.inputs[0][:, 0].tolist() == part.target.tolist()
        assert part.weight.tolist() == [row + 0.5 for row in part.target.tolist()]
    sizes = [len(part.target) for part in found]
    assert all(size == batches.batch_size for size in sizes[:-1])
    assert sizes[-1] > 1 or batches.batch_size == 1 or rows == 1


@pytest.mark.slow
def test_batches_are_as_large_as_those_of_rows_in_memory():
    from glial.data import TensorBatches

    for rows in range(1, 40):
        for size in range(1, 12):
            held = TensorBatches(encode(pl.DataFrame({"a": range(rows)})), size, 0)
            read = streamed(rows=rows, chunk=5, buffer=10, batch=size, workers=0)
            expected = [len(batch.target) for batch in held.epoch(0)]
            assert [len(batch.target) for batch in read.epoch(0)] == expected


def test_order_depends_on_seed_and_epoch_and_not_on_workers():
    orders = [rows_of(streamed(workers=workers).epoch(2)) for workers in (0, 1, 2, 7)]
    assert orders[1:] == orders[:-1]
    assert rows_of(streamed().epoch(3)) != orders[0]
    assert rows_of(streamed(seed=1).epoch(2)) != orders[0]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_from_any_batch(workers):
    batches = streamed(workers=workers)
    whole = list(batches.epoch(1))
    for start in range(batches.num_batches + 1):
        rest = list(batches.epoch(1, start))
        assert rows_of(rest) == rows_of(whole[start:])
        assert len(rest) == len(whole) - start


def test_going_on_loads_only_what_is_left():
    loaded = []

    class Counted(ChunkSupply):
        def load(self, piece, generator):
            loaded.append(piece.content)
            return super().load(piece, generator)

    chunks = FrameChunks(pl.DataFrame({"a": range(100)}), 10)
    supply = Counted(chunks, encode, buffer_rows=20, seed=0)
    batches = StreamedBatches(supply, 10, 0, workers=0)
    list(batches.epoch(0, 9))
    assert loaded == [piece.content for piece in supply.pools(0)[-1]]


def test_rows_meet_those_of_their_pool_only():
    supply = ChunkSupply(
        FrameChunks(pl.DataFrame({"a": range(100)}), 10), encode, buffer_rows=25, seed=0
    )
    found = rows_of(StreamedBatches(supply, 10, 0).epoch(0))
    for number, pool in enumerate(supply.pools(0)):
        wanted = [
            row for piece in pool for row in range(piece.content * 10, piece.content * 10 + 10)
        ]
        rows = found[number * 20 : number * 20 + 20]
        assert sorted(rows) == sorted(wanted)
        assert rows != wanted  # and they are shuffled


def test_what_is_held_is_bounded():
    held, most, lock = set(), [0], threading.Lock()

    class Watched(ChunkSupply):
        def load(self, piece, generator):
            with lock:
                held.add(piece.content)
                most[0] = max(most[0], len(held))
            return super().load(piece, generator)

    chunks = FrameChunks(pl.DataFrame({"a": range(1000)}), 10)
    batches = StreamedBatches(Watched(chunks, encode, buffer_rows=40, seed=0), 10, 0, workers=3)
    for batch in batches.epoch(0):
        time.sleep(0.001)
        with lock:
            # A chunk is given up once a row of each of its pool's has been used up; that its
            # rows appear in a batch means that it was put into the pool at least.
            held.difference_update(row // 10 for row in batch.target.tolist())
    # A pool of 4 chunks in use, as many loaded ahead, and one in each worker's hands.
    assert most[0] <= 4 + 4 + 3 + 1


def test_random_changes_have_a_stream_for_each_epoch_and_chunk():
    def change(frame, generator):
        return frame.with_columns(a=pl.Series(generator.integers(10**9, size=frame.height)))

    def values(epoch, workers, seed=0):
        chunks = FrameChunks(pl.DataFrame({"a": range(60)}), 10)
        supply = ChunkSupply(chunks, encode, buffer_rows=20, seed=seed, change=change)
        return rows_of(StreamedBatches(supply, 10, seed, workers=workers).epoch(epoch))

    assert values(0, 0) == values(0, 1) == values(0, 4)
    assert len(set(values(0, 2))) == 60  # no two chunks share a stream
    assert not set(values(0, 2)) & set(values(1, 2))
    assert not set(values(0, 2)) & set(values(0, 2, seed=1))


def test_rows_of_a_table_in_memory_are_fully_shuffled():
    supply = RowSupply(pl.DataFrame({"a": range(100)}), encode, piece_rows=7, seed=0)
    batches = StreamedBatches(supply, 10, 0, workers=3)
    first, second = rows_of(batches.epoch(0)), rows_of(batches.epoch(1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    # Of neighbours in the table hardly any stand in one batch: 100 rows in batches of 10.
    together = sum(abs(first.index(i) // 10 - first.index(i + 1) // 10) == 0 for i in range(99))
    assert together < 25


def test_rows_that_cannot_be_read_are_missing_from_their_batch_alone():
    def without_odd(frame):
        return encode(frame.filter(pl.col("a") % 20 != 1))

    supply = RowSupply(pl.DataFrame({"a": range(100)}), without_odd, piece_rows=10, seed=0)
    batches = StreamedBatches(supply, 10, 0, workers=2)
    found = list(batches.epoch(0))
    assert len(found) == batches.num_batches == 10
    assert sorted(rows_of(found)) == [row for row in range(100) if row % 20 != 1]
    assert [rows_of([batch]) for batch in batches.epoch(0, 4)] == [rows_of([b]) for b in found[4:]]


def test_a_batch_without_one_row_is_an_error():
    supply = RowSupply(
        pl.DataFrame({"a": range(10)}), lambda f: encode(f.clear()), piece_rows=5, seed=0
    )
    with pytest.raises(InputError, match="not one row"):
        list(StreamedBatches(supply, 5, 0).epoch(0))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_loading_reaches_the_training(workers):
    def broken(frame):
        if 55 in frame["a"].to_list():
            raise InputError("a chunk cannot be read")
        return encode(frame)

    chunks = FrameChunks(pl.DataFrame({"a": range(100)}), 10)
    supply = ChunkSupply(chunks, broken, buffer_rows=20, seed=0)
    with pytest.raises(InputError, match="a chunk cannot be read"):
        list(StreamedBatches(supply, 10, 0, workers=workers).epoch(0))


def test_threads_end_with_the_epoch_however_it_ends():
    def alive():
        return sum(t.name.startswith("glial-stream") for t in threading.enumerate())

    batches = streamed(rows=1000, workers=3)
    iterator = batches.epoch(0)
    next(iterator)
    assert alive() > 0
    iterator.close()
    assert alive() == 0
    list(batches.epoch(0))
    assert alive() == 0


def test_finish_makes_what_the_network_is_called_with():
    doubled = streamed(rows=10, finish=lambda inputs: tuple(2 * part for part in inputs))
    for batch in doubled.epoch(0):
        assert torch.equal(batch.inputs[0][:, 0], 2.0 * batch.target)


@pytest.mark.slow
def test_shuffling_spreads_rows_over_the_whole_pool():
    # The place of a row in its pool is uniform: the mean rank over many epochs is the middle.
    batches = streamed(rows=40, chunk=10, buffer=40, batch=40, workers=0)
    ranks = np.array([np.argsort(rows_of(batches.epoch(epoch))) for epoch in range(300)])
    spread = 40 / np.sqrt(12 * 300)
    assert np.abs(ranks.mean(axis=0) - 19.5).max() < 4.5 * spread

"""Rows that need not fit in memory: looked through once, sampled, and read again while training."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from glial.core.errors import InputError
from glial.core.memory import available_memory
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.data import check_target, infer_columns, infer_task
from glial.data.archives import list_files
from glial.data.batches import Augment, Batch, Finish
from glial.data.columns import check_target_names
from glial.data.images import ImageSettings
from glial.data.images.columns import MANY_IMAGES, MANY_SIDE, MAX_SIDE
from glial.data.media import IMAGES
from glial.data.sources import files_of, is_image_source
from glial.data.splits import Splits
from glial.data.streams import (
    Chunks,
    ChunkSupply,
    Division,
    SplitRows,
    StreamedBatches,
    Survey,
    bytes_in_memory,
    can_stream,
    divide,
    open_chunks,
    survey,
)
from glial.data.streams.surveys import ALL
from glial.runs.plan import Plan
from glial.runs.rows import Rows, Tables, columns_aside, targets_of

logger = logging.getLogger(__name__)

# A source that may take more than this share of the free memory is streamed.
SHARE_OF_MEMORY = 0.5
CHUNK_ROWS = 1 << 17
# A pool of the shuffle buffer has at least so many chunks, from as many places of the file.
CHUNKS_OF_BUFFER = 4
BUFFER_ROWS = 1 << 19
BUFFER_BYTES = 1 << 27
# What is fitted sees so many training rows, an epoch is validated by so many others.
FITTED_ROWS, FITTED_CELLS = 100_000, 1 << 24
VALIDATED_ROWS, VALIDATED_CELLS = 50_000, 1 << 23
JUDGED_ROWS = 500_000
TARGET_ROWS = 200_000
SPLITS = ("train", "val", "test")


@dataclass
class StreamedTables(Tables):
    """The rows of an experiment that are not held: ``train`` and ``val`` are samples of them.

    Attributes:
        rows: All rows of each split, in chunks.
        values: Values of the single target, and how often they occur in training.
    """

    rows: dict[str, SplitRows]
    values: pl.DataFrame | None
    target_names: list[str]
    seed: int

    @property
    def targets(self) -> pl.DataFrame:
        """Targets with every class in its share, or those of the sample."""
        if self.values is None:
            return self.train.select(self.target_names)
        counts = self.values["count"].to_numpy().astype(np.int64)
        if counts.sum() > TARGET_ROWS:
            counts = np.maximum(1, np.round(counts * (TARGET_ROWS / counts.sum()))).astype(np.int64)
        rows = np.repeat(np.arange(len(counts)), counts)
        return pl.DataFrame([self.values["value"][rows].alias(self.target_names[0])])

    def num_rows(self, split: str) -> int:
        """Rows of a split, in memory or not."""
        return self.rows[split].num_rows if split in self.rows else 0

    def stretches(self, split: str) -> Iterator[pl.DataFrame]:
        """The rows of a split, or where there are very many, some of each chunk."""
        if split not in self.rows:
            return
        rows = self.rows[split]
        share = min(1.0, JUDGED_ROWS / max(1, rows.num_rows))
        if share < 1:
            logger.info("%s is judged by %d of its %d rows", split, JUDGED_ROWS, rows.num_rows)
        tell = share_logger(logger, f"judging {split}")
        for number, count in enumerate(rows.counts):
            tell(number / len(rows.counts))
            if count == 0:
                continue
            frame = rows.read(number)
            if share < 1:
                generator = numpy_generator(self.seed, "judged", split, number)
                wanted = round(share * count)
                frame = frame[np.sort(generator.choice(count, wanted, replace=False))]
            yield frame

    def batches(
        self,
        plan: Plan,
        encode: Callable[[pl.DataFrame], Batch],
        augment: Augment | None,
        finish: Finish,
        device: torch.device,
    ) -> StreamedBatches:
        """The batches that a plan makes of the training rows.

        Args:
            plan: The plan, its batch size decided.
            encode: Makes tensors of rows.
            augment: Changes a batch at random.
            finish: What a network is called with.
            device: Where batches are wanted.
        """
        asked, workers = plan.data.buffer_rows, plan.data.workers
        buffer_rows = _buffer_rows(encode(self.train.head(1))) if asked == "auto" else asked
        num_workers = min(4, os.cpu_count() or 1) if workers == "auto" else workers
        supply = ChunkSupply(
            self.rows["train"], encode, buffer_rows=buffer_rows, seed=plan.train.seed
        )
        logger.info(
            "streaming: %d chunks, %d rows shuffled together, %d workers",
            len(self.rows["train"].counts),
            buffer_rows,
            num_workers,
        )
        return StreamedBatches(
            supply,
            int(plan.train.batch_size),
            plan.train.seed,
            workers=num_workers,
            augment=augment,
            finish=finish,
            device=device,
        )


def _buffer_rows(row: Batch) -> int:
    parts = [*row.inputs, row.target, *([] if row.weight is None else [row.weight])]
    size = sum(part[0].numel() * part.element_size() for part in parts)
    return max(2, min(BUFFER_ROWS, BUFFER_BYTES // max(1, size)))


def is_streamed(plan: Plan, source: Any) -> bool:
    """Whether the rows of a plan are streamed, because it says so or they may not fit in memory.

    Args:
        plan: What was asked for.
        source: A source in memory; None reads the one that the plan names.

    Example:
        >>> is_streamed(Plan.from_values({"data": {"source": "iris"}}), None)
        False
    """
    if plan.data.stream != "auto" or isinstance(source, Rows):
        return plan.data.stream == "always" and not isinstance(source, Rows)
    source = plan.data.source if source is None else source
    files, free = files_of(source), available_memory()
    of_images = is_image_source(source) and Path(source).suffix.lower() != ".npz"
    needed = image_bytes(source, plan.data.images) if of_images else bytes_in_memory(files)
    if needed <= SHARE_OF_MEMORY * free:
        return False
    text = "the source may take %.1f GB in memory, where %.1f GB are free"
    if not (of_images or can_stream(files)):
        logger.warning(
            f"{text}: it is read whole, since its format cannot be streamed",
            *(needed / 1e9, free / 1e9),
        )
        return False
    logger.info(
        f"{text}: it is streamed (data.stream=never reads it whole)", *(needed / 1e9, free / 1e9)
    )
    return True


def image_bytes(source: Any, settings: ImageSettings) -> int:
    """The most memory that training on a folder or archive of images takes if all are decoded.

    Example:
        >>> import tempfile
        >>> image_bytes(tempfile.mkdtemp(), ImageSettings())
        0
    """
    count = sum(map(IMAGES.named, list_files(Path(source))))
    side = MAX_SIDE if count <= MANY_IMAGES else MANY_SIDE
    if settings.size == "varied" and settings.max_side != "auto":
        side = settings.max_side
    height, width = (side, side) if isinstance(settings.size, str) else settings.size
    return 2 * 3 * count * height * width  # as cells and as tensors, of three channels


def check_not_streamed(plan: Plan, source: Any) -> None:
    """Refuse a table that would be streamed, where several networks share its rows.

    Raises:
        InputError: If it would.
    """
    if is_streamed(plan, source):
        raise _not_with_streams("data.split.folds and data.imputations", "one network")


def _not_with_streams(key: str, expected: str) -> InputError:
    return InputError(
        f"{key} cannot be used on a table that is streamed",
        expected=expected,
        got="data.stream: the rows are never all in memory",
        do=f"take {key} out of the plan, or set data.stream=never",
    )


def check_settings(plan: Plan) -> None:
    """Refuse what needs all rows at once.

    Raises:
        InputError: If the plan asks for it.
    """
    data = plan.data
    by_target = [data.categories, *(column.categories for column in data.columns.values())]
    needs_all = {
        "data.duplicates=drop": data.duplicates == "drop",
        f"data.sampling={data.sampling}": data.sampling != "none",
        "data.stratified_batches": data.stratified_batches,
        "categories: target": "target" in by_target,
        "train.batch_size=full": plan.train.batch_size == "full",
        "data.split.folds": data.split.folds is not None,
        "data.imputations": data.imputations > 1,
        "data.images.size=varied": data.images.size == "varied",
    }
    for key, used in needs_all.items():
        if used:
            raise _not_with_streams(key, "settings that look at one row at a time")


def read_streamed(plan: Plan, source: Any) -> tuple[Plan, StreamedTables, list[str]]:
    """The rows of each split in chunks, samples of them, and the plan with task and kinds decided.

    Args:
        plan: What was asked for.
        source: A source in memory; None reads the one that the plan names.

    Returns:
        The plan, the tables, and the names of the columns that are not inputs.

    Raises:
        InputError: If the source cannot be used, or the plan asks for what needs all rows.
    """
    check_settings(plan)
    targets, seed, data = targets_of(plan), plan.split_seed, plan.data
    buffered = CHUNK_ROWS if data.buffer_rows == "auto" else data.buffer_rows // CHUNKS_OF_BUFFER
    chunk_rows = max(1, min(CHUNK_ROWS, buffered))
    chunks = open_chunks(data.source if source is None else source, chunk_rows)
    check_target_names(list(chunks.schema), targets)
    aside = [*targets, *columns_aside(plan, list(chunks.schema))]
    known = None if plan.task.name == "auto" else plan.task.name
    own = {
        split: open_chunks(path, chunk_rows)
        for split, path in (("val", data.val), ("test", data.test))
        if path is not None
    }
    division = divide(chunks, data.split, ["val" in own, "test" in own], seed)
    width = len(chunks.schema)
    sampled = [
        min(FITTED_ROWS, FITTED_CELLS // width),
        min(VALIDATED_ROWS, VALIDATED_CELLS // width),
    ]

    def looked_through(table: Chunks, by: Division) -> Survey:
        check_target_names(list(table.schema), targets)
        return survey(table, targets, by, sampled, weight=data.weight, task=known, seed=seed)

    found = looked_through(chunks, division)
    rows = {
        split: SplitRows(chunks, division, part, targets, found.counts[part])
        for part, split in enumerate(SPLITS)
        if any(found.counts[part])
    }
    val, marks = found.samples[1], [found.mark]
    for split, table in own.items():
        seen = looked_through(table, ALL)
        rows[split] = SplitRows(table, ALL, 0, targets, seen.counts[0])
        marks.append(seen.mark)
        val = seen.samples[0].head(sampled[1]) if split == "val" else val
    train = found.samples[0]
    tables = StreamedTables(
        train, val, val.clear(), "-".join(marks), _no_splits(), rows, found.values, targets, seed
    )
    task = known or infer_task(tables.targets, targets)
    check_target(tables.targets, targets, task)
    if train.height < rows["train"].num_rows:
        logger.info(
            "kinds of columns, scales, vocabularies and other things to be fitted are read off "
            "%d training rows, drawn at random",
            train.height,
        )
    kinds = infer_columns(train.drop(aside), data.types)
    for name, kind in kinds.items():
        if kind == "sequence":
            raise _not_with_streams(f"the sequences of {name!r}", "columns of single values")
    decided = data.model_copy(update={"types": kinds, "stream": "always"})
    named = plan.task.model_copy(update={"name": task})
    return plan.model_copy(update={"task": named, "data": decided}), tables, aside


def _no_splits() -> Splits:
    none = np.zeros(0, dtype=np.int64)
    return Splits(none, none, none)

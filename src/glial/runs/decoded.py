"""Images and sounds that need not fit in memory: decoded from their paths when they are used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch

from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.data import Source, is_image_source, read_source
from glial.data.batches import Augment, Batch, Finish
from glial.data.media import medium_named, name_unreadable
from glial.data.opening import Form, with_content
from glial.data.sources import files_of
from glial.data.streams import RowSupply, StreamedBatches
from glial.runs.plan import Plan
from glial.runs.rows import Tables, read_rows, read_tables
from glial.runs.streams import FITTED_ROWS, VALIDATED_ROWS, check_settings

logger = logging.getLogger(__name__)

# Tables of paths are small: a larger one is taken as one of numbers and words.
PATHS_BYTES = 1 << 25
# What is fitted, and what validates an epoch, sees so many bytes of pixels at most.
SAMPLE_BYTES = 1 << 26
# Rows that are decoded at once hold so many bytes of pixels.
PIECE_BYTES = 1 << 23


@dataclass
class DecodedTables(Tables):
    """Tables of paths; ``train`` and ``val`` are samples of them with pixels.

    Attributes:
        paths: All rows of each split, with paths.
        forms: What the images or sounds of each column are brought to.
        needed: Whether a row without a file is left out.
        named: Files that cannot be read and have been named.
    """

    paths: dict[str, pl.DataFrame]
    forms: dict[str, Form]
    needed: bool
    named: set[str] = field(default_factory=set)

    @property
    def targets(self) -> pl.DataFrame:
        """All training rows, whose targets are known."""
        return self.paths["train"]

    def num_rows(self, split: str) -> int:
        """Rows of a split; those of images that turn out to be damaged are among them."""
        return self.paths[split].height

    def stretches(self, split: str) -> Iterator[pl.DataFrame]:
        """The rows of a split with pixels, some at a time."""
        frame, size = self.paths[split], self._rows_at_once
        tell = share_logger(logger, f"judging {split}")
        for start in range(0, frame.height, size):
            tell(start / frame.height)
            rows = self.opened(frame.slice(start, size))
            if rows.height:
                yield rows

    @property
    def _rows_at_once(self) -> int:
        return max(1, PIECE_BYTES // _row_bytes(self.forms))

    def opened(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with the pixels of their images; files that cannot be read are named once."""
        rows, failed = with_content(frame, self.forms, needed=self.needed)
        new = {path: why for path, why in failed.items() if path not in self.named}
        if new:
            self.named |= set(new)
            logger.warning(
                "%d files cannot be read, and their rows are left out: %s",
                len(new),
                name_unreadable(new),
            )
        return rows

    def batches(
        self,
        plan: Plan,
        encode: Callable[[pl.DataFrame], Batch],
        augment: Augment | None,
        finish: Finish,
        device: torch.device,
    ) -> StreamedBatches:
        """The batches that a plan makes of the training rows, in a new order of all every epoch.

        Args:
            plan: The plan, its batch size decided.
            encode: Makes tensors of rows with pixels.
            augment: Changes a batch at random.
            finish: What a network is called with.
            device: Where batches are wanted.
        """
        batch_size = int(plan.train.batch_size)
        rows = max(batch_size, self._rows_at_once // batch_size * batch_size)
        supply = RowSupply(
            self.paths["train"],
            lambda frame: encode(self.opened(frame)),
            piece_rows=rows,
            seed=plan.train.seed,
        )
        logger.info("streaming: %d rows are decoded at once, while others are learnt from", rows)
        # One thread loads ahead: images are decoded by as many as there are processors.
        return StreamedBatches(
            supply,
            batch_size,
            plan.train.seed,
            workers=0 if plan.data.workers == 0 else 1,
            augment=augment,
            finish=finish,
            device=device,
        )


def _row_bytes(forms: dict[str, Form]) -> int:
    return sum(form.num_bytes for form in forms.values())


def find_paths(plan: Plan, source: Any) -> Source | None:
    """The table of paths that a source is; None where it names no images or sounds.

    Args:
        plan: The plan, which may name the source.
        source: A source in memory, or None.

    Example:
        >>> find_paths(Plan(), {"a": [1, 2]}) is None
        True
    """
    source = plan.data.source if source is None else source
    if is_image_source(source):
        return read_source(source, plan.data.names)
    files = files_of(source)
    if sum(path.stat().st_size for path in files if path.is_file()) > PATHS_BYTES:
        return None
    if any(path.suffix.lower() not in (".csv", ".tsv", ".parquet", ".jsonl") for path in files):
        return None
    found = read_source(source, plan.data.names)
    return found if any(map(medium_named, found.frame.iter_columns())) else None


def read_decoded(plan: Plan, source: Source) -> tuple[Plan, DecodedTables, list[str]]:
    """The rows of each split as paths, samples of them with pixels, and the plan decided.

    Args:
        plan: What was asked for.
        source: The table of paths.

    Returns:
        The plan, the tables, and the names of the columns that are not inputs.

    Raises:
        InputError: If the source cannot be used, or the plan asks for what needs all rows.
    """
    check_settings(plan)
    rows = read_rows(plan, source, decode=False)
    plan, tables, aside = read_tables(plan, rows)
    data = plan.data.model_copy(update={"stream": "always"})
    plan = plan.model_copy(update={"data": data})
    splits = {"train": tables.train, "val": tables.val, "test": tables.test}
    made = DecodedTables(
        **{**vars(tables), "test": tables.test.clear()},
        paths=splits,
        forms=rows.forms,
        needed=rows.needed,
    )
    most = SAMPLE_BYTES // _row_bytes(rows.forms)
    for split, wanted in (("train", FITTED_ROWS), ("val", VALIDATED_ROWS)):
        frame = splits[split]
        count = min(frame.height, wanted, most)
        generator = numpy_generator(plan.train.seed, "sample", split)
        drawn = np.sort(generator.choice(frame.height, count, replace=False))
        setattr(made, split, made.opened(frame[drawn]))
    if len(made.train) < len(splits["train"]):
        logger.info(
            "scales and other things to be fitted are read off %d training rows, epochs are "
            "validated by %d rows, drawn at random",
            len(made.train),
            len(made.val),
        )
    return plan, made, aside

"""Whether what a run says of new rows differs from what it said of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.data.settings import Kind
from glial.evaluation.drifting.tables import COMPARED, LEVEL, Drift, compare_tables
from glial.runs import Run, load
from glial.runs.embedding import embed_rows
from glial.runs.prediction import predictions, read_for


@dataclass(frozen=True)
class RunDrift:
    """How rows differ from others as a run sees them.

    Attributes:
        inputs: The columns that the network takes; None of images, sounds and texts alone.
        outputs: What it predicts, probabilities included.
        embeddings: What it makes of rows before its head; None where it has no such thing.

    Example:
        >>> same = Drift((9, 9), [])
        >>> RunDrift(same, same, None).matters
        False
    """

    inputs: Drift | None
    outputs: Drift
    embeddings: Drift | None

    @property
    def matters(self) -> bool:
        """Whether what the run says has moved, or what it makes of rows before it."""
        return self.outputs.matters or (self.embeddings is not None and self.embeddings.matters)

    def says(self) -> list[str]:
        """What was found, for people."""
        parts = {"inputs": self.inputs, "outputs": self.outputs, "embeddings": self.embeddings}
        there = {name: part for name, part in parts.items() if part is not None}
        return [f"{name}: {line}" for name, part in there.items() for line in part.says()]

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON."""
        return {
            "matters": self.matters,
            "inputs": None if self.inputs is None else self.inputs.to_dict(),
            "outputs": self.outputs.to_dict(),
            "embeddings": None if self.embeddings is None else self.embeddings.to_dict(),
            "says": self.says(),
        }


def drift(
    run: Run | str | Path, old: Any, new: Any, *, level: float = LEVEL, seed: int = 0
) -> RunDrift:
    """How new rows differ from old ones in what a run takes, says, and makes of them before.

    Args:
        run: The run, or its folder.
        old: Rows that all is held against, such as those of training; targets are not needed.
        new: The rows of now.
        level: As for :func:`glial.evaluation.compare_tables`.
        seed: Likewise.

    Raises:
        InputError: If the run takes no rows of a table, or these cannot be read.

    Source:
        Rabanser, Guennemann and Lipton 2019, Failing loudly, arXiv 1810.11953.

    Example:
        >>> import glial
        >>> from glial.data import read
        >>> run = glial.train("iris", model="mlp", epochs=2, out=False)
        >>> iris = read("iris")
        >>> found = drift(run, iris[::2], iris[1::2])
        >>> found.matters
        False
    """
    run = run if isinstance(run, Run) else load(run)
    if run.takes_batches or run.task not in ("classification", "multilabel", "regression"):
        raise InputError(
            f"the drift of a run of the task {run.task} is not measured",
            expected="a run of classes or numbers that takes the rows of a table",
            got=run.task,
            do="compare the sources: glial inspect SOURCE --against OTHER",
        )
    frames = [read_for(run, source)[0] for source in (new, old)]
    types = {name: kind for name, kind in run.plan.data.types.items() if _is_compared(run, name)}
    inputs = [frame.select(name for name in types if name in frame.columns) for frame in frames]
    said = [predictions(run, frame) for frame in frames]
    vectors = None if run.members else [_vectors(run, frame) for frame in frames]
    options: dict[str, Any] = {"level": level, "seed": seed}
    kinds: dict[str, Kind] = {
        name: "number" if column.dtype.is_float() else "category"
        for name, column in zip(said[0].columns, said[0], strict=True)
    }
    return RunDrift(
        compare_tables(*inputs, types=types, **options) if types else None,
        compare_tables(*said, types=kinds, **options),
        None if vectors is None else compare_tables(*vectors, **options),
    )


def _is_compared(run: Run, name: str) -> bool:
    return name in run.encoding.columns and run.plan.data.types[name] in COMPARED


def _vectors(run: Run, frame: pl.DataFrame) -> pl.DataFrame:
    return embed_rows(run, frame).frame()

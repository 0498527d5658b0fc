"""The examples nearest to a row: by what a network makes of rows, and by their raw columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data import read
from glial.explanation.functions.counterfactuals import column_gaps
from glial.explanation.functions.games import Floats
from glial.explanation.predictors import rows_of
from glial.runs.embedding import embed_rows
from glial.runs.run import Run

Space = Literal["embedding", "columns"]


@dataclass(frozen=True)
class NearExamples:
    """The examples nearest to each row.

    Attributes:
        space: ``embedding``, what the network's head sees, by 1 minus the cosine of the angle; or
            ``columns``, raw columns, by the mean distance (see `column_gaps`).
        places: Numbers of the examples, counted from 0, the nearest first, [row, neighbour].
        distances: How far each is, [row, neighbour].
        examples: The examples that were found, targets included, a row for each place.
        targets: The columns that hold what is true of them.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="mlp", epochs=5, out=False)
        >>> found = near_examples(run, read("iris").head(1), "iris", count=3)
        >>> found.places[0, 0].item(), found.labels("species").shape
        (0, (1, 3))
    """

    space: Space
    places: NDArray[np.int64]
    distances: Floats
    examples: pl.DataFrame
    targets: list[str]

    def labels(self, target: str) -> NDArray[Any]:
        """What is true of each neighbour, [row, neighbour]."""
        return self.examples[target].to_numpy().reshape(self.places.shape)

    def table(self) -> pl.DataFrame:
        """A row for each neighbour: its row, rank, number and distance, then all its columns."""
        num_rows, count = self.places.shape
        return pl.DataFrame(
            {
                "row": np.repeat(np.arange(num_rows), count),
                "rank": np.tile(np.arange(1, count + 1), num_rows),
                "example": self.places.ravel(),
                "distance": self.distances.ravel(),
            }
        ).hstack(self.examples.get_columns())

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        return {
            "space": self.space,
            "places": self.places.tolist(),
            "distances": self.distances.tolist(),
            "labels": {name: self.labels(name).tolist() for name in self.targets},
        }


def near_examples(
    run: Run, source: Any, examples: Any, *, count: int = 5, space: Space = "embedding"
) -> NearExamples:
    """The examples that are most like each row, such as those that the run was trained on.

    Args:
        run: The run.
        source: Rows to explain: a file, data set or table in memory.
        examples: Rows to search, with or without targets.
        count: Examples for each row.
        space: See `NearExamples`.

    Raises:
        InputError: If a column is missing, or there are fewer examples than are asked for.

    Source:
        Caruana et al. (1999), "Case-based explanation of non-case-based learning methods" (rows
        near by what a network's hidden layer makes of them).

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="mlp", epochs=5, out=False)
        >>> found = near_examples(run, read("iris").head(2), "iris", space="columns")
        >>> found.distances[:, 0].tolist()
        [0.0, 0.0]
    """
    asked, held = read(source), read(examples)
    if not 1 <= count <= held.height:
        raise InputError(
            f"there are not {count} examples for each row",
            expected=f"from 1 to {held.height}",
            got=str(count),
        )
    if space == "embedding":
        found = embed_rows(run, asked).near(count, embed_rows(run, held))
        ranks = range(1, count + 1)
        places = np.stack([found[f"near_{k}"].to_numpy() for k in ranks], axis=1)
        distances = np.stack([found[f"distance_{k}"].to_numpy() for k in ranks], axis=1)
    else:
        rows, others = rows_of(run, asked), rows_of(run, held)
        gaps = np.stack([column_gaps(row, others).mean(axis=1) for row in rows.iter_slices(1)])
        places = np.argsort(gaps, axis=1, kind="stable")[:, :count]
        distances = np.take_along_axis(gaps, places, axis=1)
    targets = [name for name in run.decoder.targets if name in held.columns]
    return NearExamples(
        space,
        places.astype(np.int64),
        distances.astype(np.float64),
        held[places.ravel()],
        targets,
    )

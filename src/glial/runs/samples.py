"""A few rows and what a network says of them while it learns."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.optional import require
from glial.data.batches import Batch, take
from glial.runs.run import Run
from glial.training.inference import outputs_of

ROWS, CELLS, LETTERS, PIXELS = 8, 6, 200, 96


@dataclass(frozen=True)
class Sample:
    """One row, or one thing that was made up.

    Attributes:
        prediction: What the network says, or made.
        truth: What is true of the row; None where nothing is known.
        input: The row, or the text, in short; None of images.
        image: The image as the network sees it, a PNG as a ``data:`` address; None without one.
        right: Whether prediction and truth are the same; None where they are no classes.

    Example:
        >>> Sample("setosa", truth="setosa", right=True).to_dict()["right"]
        True
    """

    prediction: str
    truth: str | None = None
    input: str | None = None
    image: str | None = None
    right: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The sample as JSON."""
        return asdict(self)


def sampled_rows(run: Run, batch: Batch, frame: pl.DataFrame) -> list[Sample]:
    """What a network says of a few rows, the same ones each time.

    Args:
        run: The run, trained or on its way.
        batch: Rows as tensors.
        frame: The same rows as a table.

    Returns:
        At most eight samples, spread evenly over the rows.
    """
    height = len(batch.target)
    if not height or height != frame.height:
        return []
    places = torch.linspace(0, height - 1, min(ROWS, height)).round().long()
    few, rows = take(batch, places.to(batch.target.device)), frame[places.tolist()]
    groups = run.encoding.groups(few.inputs)
    outputs = outputs_of(run.model, few.inputs, run.encoding.finish, groups).cpu()
    said = run.decoder.decode(outputs, rows).frame()
    named = [name for name in said.columns if name.startswith("prediction")]
    targets = [name for name in run.decoder.targets if name in rows.columns]
    if not named:
        return []
    inputs = [name for name in run.encoding.encoders if name in rows.columns]
    pictures = _pictures(few.inputs)
    is_class = run.task in ("classification", "multilabel", "tagging")
    found = []
    for number, (row, cells) in enumerate(
        zip(said.iter_rows(named=True), rows.iter_rows(named=True), strict=True)
    ):
        prediction = ", ".join(_short(row[name]) for name in named)
        truth = ", ".join(_short(cells[name]) for name in targets) or None
        found.append(
            Sample(
                prediction,
                truth,
                input=None if pictures else row_in_short(cells, inputs),
                image=pictures[number] if pictures else None,
                right=prediction == truth if is_class and truth is not None else None,
            )
        )
    return found


def row_in_short(row: dict[str, Any], columns: list[str]) -> str | None:
    """The first cells of a row with their columns' names; None of no columns.

    Args:
        row: The cells by column.
        columns: Which are shown.

    Example:
        >>> row_in_short({"a": 1.25, "b": "x"}, ["a", "b"])
        'a: 1.25; b: x'
    """
    if len(columns) == 1:
        return _short(row[columns[0]])
    told = [f"{name}: {_short(row[name], 40)}" for name in columns[:CELLS]]
    more = len(columns) - len(told)
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])]) or None


def _short(value: Any, most: int = LETTERS) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _pictures(inputs: tuple[Tensor, ...]) -> list[str]:
    """Images among a network's inputs, as addresses; none where there are none."""
    images = [part for part in inputs if part.ndim == 4 and part.shape[1] in (1, 3)]
    return [small_png(_unit(image.detach().float().cpu())) for one in images[:1] for image in one]


def _unit(image: Tensor) -> Tensor:
    """An image that was scaled somehow, in [0, 1]."""
    low, high = image.aminmax()
    return (image - low) / (high - low).clamp(min=1e-8)


def small_png(image: Tensor) -> str:
    """An image as the address of a small PNG.

    Args:
        image: Numbers in [0, 1], [channel, height, width], of one channel or three.

    Example:
        >>> small_png(torch.zeros(1, 2, 2))[:22]
        'data:image/png;base64,'
    """
    pillow = require("PIL.Image", extra="vision", purpose="showing an image")
    bytes_of = (image.clamp(0, 1) * 255).round().byte().movedim(0, 2).contiguous().numpy()
    drawn = pillow.fromarray(bytes_of[:, :, 0] if bytes_of.shape[2] == 1 else bytes_of)
    drawn.thumbnail((PIXELS, PIXELS))
    file = io.BytesIO()
    drawn.save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"

"""Explaining a run's predictions by methods that look into its network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.explanation.explained import ExplainedRow, Explanation, Part, cells_of
from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.checks import Method, check_method
from glial.explanation.scores import Place, RunScores, run_scores
from glial.runs.run import Run

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 16
CHECKED_ROWS = 8
BACKGROUND_ROWS = 20


@dataclass(frozen=True)
class ByNetwork:
    """An explainer of predictions that looks into the network.

    Attributes:
        name: Its name in the table.
        method: From a network, inputs and a choice to an `Attribution`.
        description: One line.
        complete: Whether its parts add up to the output, or to its difference from a reference.
        needs: Kinds of inputs, one of which the network must have; empty is any.
        takes_background: Whether the method compares with rows that stand for what may come.

    Example:
        >>> from glial.explanation.networks import saliency
        >>> ByNetwork("saliency", saliency, "sizes of gradients").about
        'prediction'
    """

    name: str
    method: Method
    description: str
    complete: bool = False
    needs: tuple[str, ...] = ()
    takes_background: bool = False
    about: str = "prediction"

    def explain(self, asked: Asked) -> Explanation:
        """Explain the rows that are asked about."""
        scores = run_scores(asked.run)
        if self.needs and not scores.kinds() & set(self.needs):
            raise InputError(
                f"the method {self.name} does not suit this run",
                expected=f"a network of {' or '.join(self.needs)}s",
                got=", ".join(sorted(scores.kinds())),
                do="choose another: glial explain --methods",
            )
        notes = []
        if asked.run.members:
            notes.append("the first of several networks is explained")
        tell = share_logger(logger, f"explaining by {self.name}")
        choice = scores.answer(asked.target)
        rows: list[ExplainedRow] = []
        for start in range(0, asked.frame.height, self._rows_at_once(scores)):
            frame = asked.frame.slice(start, self._rows_at_once(scores))
            rows += self._explained(scores, frame, choice, asked, start)
            tell(min(1.0, (start + frame.height) / asked.frame.height))
        checks = self._checked(scores, asked, choice) if asked.check else None
        return Explanation(self.name, scores.unit, rows, notes=notes, checks=checks)

    def _method(self, scores: RunScores, asked: Asked) -> Method:
        if not self.takes_background:
            return self.method
        background = scores.inputs(asked.background.head(BACKGROUND_ROWS))
        return partial(self.method, background=background)

    def _rows_at_once(self, scores: RunScores) -> int:
        """Rows whose inputs are of one size; those that keep their own go one by one."""
        held = scores.run.encoding
        return 1 if held.image_sizes else ROWS_AT_ONCE

    def _explained(
        self,
        scores: RunScores,
        frame: pl.DataFrame,
        choice: int | None,
        asked: Asked,
        start: int,
    ) -> list[ExplainedRow]:
        inputs = scores.inputs(frame)
        with torch.no_grad():
            scored = scores.network.eval()(*inputs)
        picked = scored.argmax(dim=1) if choice is None else torch.full((frame.height,), choice)
        picked = picked.to(scored.device)
        found = self._method(scores, asked)(scores.network, inputs, picked)
        predictions = asked.predictions(frame)
        told = []
        for row in range(frame.height):
            told.append(
                ExplainedRow(
                    row=int(asked.numbers[start + row]),
                    prediction=predictions[row],
                    answer=scores.answers[int(picked[row])],
                    output=float(found.output[row]),
                    reference=None if found.reference is None else float(found.reference[row]),
                    rest=found.rest if found.rest and frame.height == 1 else None,
                    parts=parts_of_row(scores, found, inputs, frame, row),
                    path=None if asked.paths is None else asked.paths[start + row],
                )
            )
        return told

    def _checked(self, scores: RunScores, asked: Asked, choice: int | None) -> dict[str, Any]:
        frame = asked.frame.head(1 if scores.run.encoding.image_sizes else CHECKED_ROWS)
        inputs = scores.inputs(frame)
        with torch.no_grad():
            scored = scores.network.eval()(*inputs)
        picked = scored.argmax(dim=1) if choice is None else torch.full((frame.height,), choice)
        found = check_method(
            self._method(scores, asked),
            scores.network,
            inputs,
            picked,
            complete=self.complete,
            seed=asked.seed,
        )
        return found.to_dict()


@dataclass(frozen=True)
class Asked:
    """What is to be explained.

    Attributes:
        run: The run.
        frame: The rows, as the run reads them.
        numbers: Their numbers in the source, counted from 0.
        paths: Their files, where they came from such.
        background: Rows that stand for what may come.
        target: The class or target that is explained; None is each row's likeliest class.
        check: Whether the method is to be checked too.
        seed: Of what is drawn.
        options: Of the method.

    Example:
        >>> Asked.__name__
        'Asked'
    """

    run: Run
    frame: pl.DataFrame
    numbers: Sequence[int]
    paths: Sequence[str] | None
    background: pl.DataFrame
    target: str | None = None
    check: bool = False
    seed: int = 0
    options: dict[str, Any] | None = None

    def predictions(self, frame: pl.DataFrame) -> list[Any]:
        """What the run says of rows."""
        decoded = self.run.decoder.decode(self.run.outputs(frame, notice=False)).predictions
        table = pl.DataFrame(decoded)
        return table.to_series().to_list() if table.width == 1 else table.to_dicts()


def parts_of_row(
    scores: RunScores, found: Attribution, inputs: Sequence[Tensor], frame: pl.DataFrame, row: int
) -> list[Part]:
    """What an attribution says of one row, in the terms of the table.

    Args:
        scores: The network and its inputs.
        found: The attribution for some rows.
        inputs: What the network was called with.
        frame: These rows.
        row: Which of them.
    """
    cells: dict[str, float] = {}
    parts: list[Part] = []
    held = zip(scores.places, found.values, inputs, strict=True)
    for number, (place, value, given) in enumerate(held):
        if value is None or place.kind == "fixed":
            continue
        values = value[row].detach().double().cpu().numpy()
        if place.kind in ("numbers", "categories"):
            for name, part in zip(place.columns, values, strict=True):
                cells[name] = cells.get(name, 0.0) + float(part)
        else:
            shown = given[row].detach().cpu()
            if place.kind == "sequence":  # behind it stand the lengths
                length = int(inputs[number + 1][row])
                values, shown = values[:length], shown[:length]
            parts.append(_PARTS[place.kind](place, values, shown))
    if cells:
        names = list(cells)
        numbers = np.array([cells[name] for name in names])
        parts.insert(0, Part("", "cells", names, numbers, cells_of(frame, row, names)))
    return parts


def _text(place: Place, values: NDArray[np.float64], shown: Tensor) -> Part:
    encoder: Any = place.encoder
    real = (shown != 0).numpy()
    tokens = [token or "?" for token in encoder.spell(shown[real].tolist())]
    return Part(place.columns[0], "text", tokens, values[real])


def _image(place: Place, values: NDArray[np.float64], shown: Tensor) -> Part:
    encoder: Any = place.encoder
    shift, scale = (torch.from_numpy(np.atleast_1d(v)) for v in (encoder.shift, encoder.scale))
    colours = shown.double() / scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    return Part(
        place.columns[0], "image", [], values.sum(axis=0), colours.clamp(0, 1).float().numpy()
    )


def _sound(place: Place, values: NDArray[np.float64], shown: Tensor) -> Part:
    return Part(place.columns[0], "sound", [], values.sum(axis=0), shown.mean(dim=0).numpy())


def _sequence(place: Place, values: NDArray[np.float64], shown: Tensor) -> Part:
    return Part(place.columns[0], "sequence", place.columns, values, shown.numpy())


_PARTS: dict[str, Callable[[Place, NDArray[np.float64], Tensor], Part]] = {
    "text": _text,
    "image": _image,
    "sound": _sound,
    "sequence": _sequence,
}

"""The explainers of predictions that ask a run about changed rows, as the table names them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.explanation.asked_runs import run_counterfactuals
from glial.explanation.explained import ExplainedRow, Explanation, Part, cells_of
from glial.explanation.functions.contributions import Contributions
from glial.explanation.functions.games import Floats, Game, TableGame
from glial.explanation.functions.kernel import kernel_shap, kernel_values
from glial.explanation.functions.local import lime, lime_values
from glial.explanation.functions.partition import partition_shap
from glial.explanation.functions.pieces import SegmentGame, WordGame, colour_segments
from glial.explanation.functions.shapley import (
    exact_shap,
    exact_values,
    permutation_shap,
    permutation_values,
)
from glial.explanation.neighbours import near_examples
from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.checks import PARTS, Checked, rank_correlation, shuffled
from glial.explanation.predictions import Asked, parts_of_row
from glial.explanation.predictors import RunPredictor, run_predictor
from glial.explanation.scores import RunScores, run_scores
from glial.runs.run import Run

logger = logging.getLogger(__name__)

EXACT_COLUMNS = 8
CHECKED_ROWS = 8


@dataclass(frozen=True)
class ByFunction:
    """An explainer of predictions that asks the run about changed rows of the table.

    Of a run of one column of texts the words are taken away, of one of images or sounds parts of
    about one colour are covered.

    Attributes:
        name: Its name in the table.
        method: From a function of a table, rows and a background to `Contributions`.
        description: One line.
        by_pieces: From words or parts of images, a `Game`, to `Contributions`; None for methods
            of tables alone.

    Example:
        >>> SHAP.about
        'prediction'
    """

    name: str
    method: Callable[..., Contributions]
    description: str
    by_pieces: Callable[..., Contributions] | None = None
    about: str = "prediction"

    def explain(self, asked: Asked) -> Explanation:
        """Explain the rows that are asked about."""
        predictor = run_predictor(asked.run)
        kind = _kind_of_one(asked.run)
        if kind is not None and self.by_pieces is not None:
            return self._by_pieces(asked, predictor, kind)
        frame = asked.frame.select(predictor.columns)
        background = asked.background.select(predictor.columns)
        picked = predictor.of_interest(frame, asked.target)
        predictions = asked.predictions(asked.frame)
        rows: dict[int, ExplainedRow] = {}
        for place in np.unique(picked):
            some = np.flatnonzero(picked == place)
            answer = predictor.outputs[place]
            found = self.method(predictor.output(answer), frame[some], background, seed=asked.seed)
            for number, row in enumerate(some.tolist()):
                part = Part(
                    "",
                    "cells",
                    found.names,
                    found.values[number],
                    cells_of(frame, row, found.names),
                )
                rows[row] = _row(asked, row, predictions[row], answer, found, number, [part])
        checks = self._checked(asked, frame, background, picked) if asked.check else None
        told = [rows[row] for row in sorted(rows)]
        return Explanation(self.name, _unit(asked.run), told, checks=checks)

    def _by_pieces(self, asked: Asked, predictor: RunPredictor, kind: str) -> Explanation:
        """Words of texts, or parts of images, one row after another."""
        column = predictor.columns[0]
        picked = predictor.of_interest(asked.frame, asked.target)
        predictions = asked.predictions(asked.frame)
        tell = share_logger(logger, f"explaining by {self.name}")
        scores = run_scores(asked.run) if kind != "text" else None
        rows = []
        for row, place in enumerate(picked.tolist()):
            answer = predictor.outputs[place]
            if scores is None:
                game: Game = _words(predictor, answer, column, str(asked.frame[column][row]))
                found = self.by_pieces(game, seed=asked.seed)  # type: ignore[misc]
                part = Part(column, "text", found.names, found.values[0])
            else:
                game, segments, shown = _segments(scores, asked.frame[row], place)
                found = self.by_pieces(game, seed=asked.seed)  # type: ignore[misc]
                sizes = np.bincount(segments.ravel())
                part = replace(shown, values=(found.values[0] / sizes)[segments])
            rows.append(_row(asked, row, predictions[row], answer, found, 0, [part]))
            tell((row + 1) / asked.frame.height)
        unit = _unit(asked.run) if scores is None else scores.unit
        return Explanation(self.name, unit, rows)

    def _checked(
        self, asked: Asked, frame: pl.DataFrame, background: pl.DataFrame, picked: Any
    ) -> dict[str, Any]:
        """Completeness, shuffled weights, and deletion and insertion, on the first rows."""
        predictor = run_predictor(asked.run)
        others = run_predictor(_with_shuffled_weights(asked.run, asked.seed))
        generator = numpy_generator(asked.seed, "checks")
        told: list[list[float]] = []
        for row in range(min(frame.height, CHECKED_ROWS)):
            one, answer = frame[row], predictor.outputs[picked[row]]
            predict = predictor.output(answer)
            found = self.method(predict, one, background, seed=asked.seed)
            other = self.method(others.output(answer), one, background, seed=asked.seed)
            game = TableGame(predict, one, background)
            size = max(1e-12, abs(float(found.prediction[0] - found.base[0])))
            curves = [_curves(game, v) for v in (found.values[0], generator.random(frame.width))]
            same = rank_correlation(np.abs(found.values[0]), np.abs(other.values[0]))
            told.append([found.gap / size, same, *curves[0], *curves[1]])
        complete, same, *shares = (
            float(np.nanmean(v)) if np.isfinite(v).any() else math.nan for v in np.array(told).T
        )
        return Checked(complete, math.nan, same, *shares).to_dict()


def _curves(game: Game, values: Floats) -> tuple[float, float]:
    """Means of the deletion and the insertion curve of one row, as shares of the prediction."""
    order = np.argsort(-values, kind="stable")
    count = len(order)
    cuts = sorted({round(count * step / PARTS) for step in range(PARTS + 1)})
    ranks = np.argsort(order)
    masks = np.stack([ranks >= cut for cut in cuts] + [ranks < cut for cut in cuts])
    worth = game(masks)[0]
    whole, nothing = worth[0], worth[len(cuts)]
    if whole - nothing <= 0:
        return math.nan, math.nan
    shares = ((worth - nothing) / (whole - nothing)).clip(0, 1)
    return float(shares[: len(cuts)].mean()), float(shares[len(cuts) :].mean())


def _with_shuffled_weights(run: Run, seed: int) -> Run:
    generator = torch.Generator().manual_seed(seed)
    if run.members:
        members = [_with_shuffled_weights(one, seed + n) for n, one in enumerate(run.members)]
        models = nn.ModuleList([one.model for one in members])
        return replace(run, members=members, model=models)
    return replace(run, model=shuffled(run.model, generator))


def _row(
    asked: Asked,
    row: int,
    prediction: Any,
    answer: str,
    found: Contributions,
    number: int,
    parts: list[Part],
) -> ExplainedRow:
    return ExplainedRow(
        row=int(asked.numbers[row]),
        prediction=prediction,
        answer=answer,
        output=float(found.prediction[number]),
        reference=float(found.base[number]),
        rest=None,
        parts=parts,
        path=None if asked.paths is None else asked.paths[row],
    )


def _unit(run: Run) -> str:
    return "target" if run.task == "regression" else "probability"


def _kind_of_one(run: Run) -> str | None:
    """``text``, ``image`` or ``sound`` where a run reads one such column and nothing else."""
    if len(run.encoding.columns) != 1:
        return None
    kinds = run_scores(run).kinds()
    one = next(iter(kinds))
    return one if one in ("text", "image", "sound") else None


def _words(predictor: RunPredictor, answer: str, column: str, text: str) -> WordGame:
    predict = predictor.output(answer)
    return WordGame(lambda texts: predict(pl.DataFrame({column: texts})), text)


def _segments(scores: RunScores, frame: pl.DataFrame, place: int) -> tuple[SegmentGame, Any, Part]:
    """Parts of an image as the network takes it, and what is shown of it."""
    inputs = scores.inputs(frame)
    spot = next(i for i, one in enumerate(scores.places) if one.kind in ("image", "sound"))
    image = inputs[spot][0].detach().cpu().numpy()

    def predict(images: Any) -> Any:
        given = torch.from_numpy(images).to(inputs[spot])
        rest = [x.expand(len(given), *x.shape[1:]) for x in inputs]
        rest[spot] = given
        with torch.no_grad():
            told = scores.network.eval()(*rest)[:, place]
        return told.double().cpu().numpy()

    values = tuple(x if i == spot else None for i, x in enumerate(inputs))
    shown = parts_of_row(scores, Attribution(values, inputs[spot].new_zeros(1)), inputs, frame, 0)[
        0
    ]
    segments = colour_segments(image)
    return SegmentGame(predict, image, segments), segments, shown


def _shap(
    predict: Any, rows: pl.DataFrame, background: pl.DataFrame, *, seed: int
) -> Contributions:
    """Exact where there are few columns, else by permutations."""
    if rows.width <= EXACT_COLUMNS:
        return exact_shap(predict, rows, background)
    return permutation_shap(predict, rows, background, seed=seed)


def _shap_pieces(game: Game, *, seed: int) -> Contributions:
    if len(game.names) <= EXACT_COLUMNS:
        return exact_values(game)
    return permutation_values(game, seed=seed)


SHAP = ByFunction(
    "shap",
    _shap,
    "Shapley values: exact for few columns, else by permutations",
    _shap_pieces,
)
KERNEL_SHAP = ByFunction(
    "kernel_shap", kernel_shap, "Shapley values by weighted regression", kernel_values
)
PARTITION_SHAP = ByFunction(
    "partition_shap",
    lambda predict, rows, background, seed: partition_shap(predict, rows, background),
    "Shapley values of columns that belong together",
)
LIME = ByFunction("lime", lime, "a linear model around each row", lime_values)


@dataclass(frozen=True)
class ByExample:
    """An explainer of predictions that answers with other rows.

    Attributes:
        name: Its name in the table.
        make: From what is asked to a table and what is to be known of it.
        description: One line.

    Example:
        >>> NEIGHBOURS.about
        'prediction'
    """

    name: str
    make: Callable[[Asked], tuple[pl.DataFrame, Sequence[str]]]
    description: str
    about: str = "prediction"

    def explain(self, asked: Asked) -> Explanation:
        """Find the rows."""
        table, notes = self.make(asked)
        return Explanation(self.name, "", tables={self.name: table}, notes=list(notes))


def _counterfactuals(asked: Asked) -> tuple[pl.DataFrame, Sequence[str]]:
    """For each row the nearest changes after which the run decides otherwise."""
    options = asked.options or {}
    rows: list[dict[str, Any]] = []
    for number, row in zip(asked.numbers, asked.frame.iter_slices(1), strict=True):
        found = run_counterfactuals(
            asked.run,
            row,
            asked.background,
            wanted=options.get("wanted"),
            fixed=options.get("fixed", ()),
            target=asked.target if len(asked.run.decoder.targets) > 1 else None,
            seed=asked.seed,
        )
        for change, said, cost in zip(found.changes(), found.answers, found.costs, strict=True):
            told = ", ".join(
                f"{n}: {_told(was)} -> {_told(now)}" for n, (was, now) in change.items()
            )
            rows.append(
                {
                    "row": int(number),
                    "answer": str(found.answer),
                    "would_be": str(said),
                    "if": told,
                    "cost": float(np.sum(cost)),
                }
            )
    notes = [] if rows else ["no change that was tried changes the answer"]
    schema = {"row": pl.Int64, "answer": pl.String, "would_be": pl.String, "if": pl.String}
    return pl.DataFrame(rows, schema={**schema, "cost": pl.Float64}), notes


def _told(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _neighbours(asked: Asked) -> tuple[pl.DataFrame, Sequence[str]]:
    """The examples that are most like each row, as the head sees them."""
    options = asked.options or {}
    examples = options.get("train")
    if examples is None:
        raise InputError(
            "neighbours are found among training rows, and none are given",
            expected="the rows that the run was trained on",
            got="none",
            do="name them: glial explain RUN SOURCE --method neighbours --train FILE",
        )
    found = near_examples(asked.run, asked.frame, examples).table()
    numbers = pl.Series("row", [int(n) for n in asked.numbers])
    return found.with_columns(numbers.gather(found["row"]).alias("row")), []


COUNTERFACTUALS = ByExample(
    "counterfactuals", _counterfactuals, "the least changes that change the answer"
)
NEIGHBOURS = ByExample("neighbours", _neighbours, "training rows most like each row")

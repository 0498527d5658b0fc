"""Explaining predictions by training rows: TracIn over a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator
from glial.explanation.explained import Explanation
from glial.explanation.networks.influence import influence
from glial.explanation.predictions import Asked
from glial.explanation.scores import run_scores
from glial.runs.prediction import answer
from glial.runs.uncertainty import snapshots_of

logger = logging.getLogger(__name__)

MOST_ROWS = 2000
TOLD = 5


@dataclass(frozen=True)
class ByTrainingRows:
    """Which training rows spoke for and against a prediction.

    Attributes:
        name: Its name in the table.
        description: One line.

    Example:
        >>> INFLUENCE.about
        'prediction'
    """

    name: str
    description: str
    about: str = "prediction"

    def explain(self, asked: Asked) -> Explanation:
        """The strongest training rows of each row; both need their targets.

        The option ``train`` is the source of the training rows, by default the background;
        ``layers`` names the parameters that count.

        Raises:
            InputError: If rows lack targets.
        """
        scores = run_scores(asked.run)
        options = asked.options or {}
        source = options.get("train")
        if source is None:
            raise InputError(
                "influence is that of training rows, and none are given",
                expected="the rows that the run was trained on, with their targets",
                got="none",
                do="name them: glial explain RUN SOURCE --method influence --train FILE",
            )
        run = scores.run
        train = answer(run, source).frame
        numbers = np.arange(train.height)
        if train.height > MOST_ROWS:
            generator = numpy_generator(asked.seed, "influence")
            numbers = np.sort(generator.choice(train.height, MOST_ROWS, replace=False))
            train = train[numbers]
        told = answer(run, asked.frame).frame

        moments = snapshots_of(run)

        def loss(outputs: Tensor, target: Tensor) -> Tensor:
            return run.decoder.loss(outputs, target)

        found = influence(
            run.model,
            loss,
            (scores.inputs(train), run.decoder.encode(train)),
            (scores.inputs(told), run.decoder.encode(told)),
            checkpoints=[(weights, 1 / len(moments)) for weights in moments],
            layers=options.get("layers"),
            tell=share_logger(logger, "tracing influence"),
        )
        return Explanation(
            self.name,
            "product of gradients",
            tables={"influence": _strongest(asked, found, numbers, train)},
            notes=[
                "above zero, a step on the training row makes this row's loss smaller; "
                + (
                    f"the mean over {len(moments)} moments of training"
                    if moments
                    else "the network is taken as it is after training (train.snapshots keeps more)"
                )
            ],
        )


def _strongest(
    asked: Asked, found: Tensor, numbers: np.typing.NDArray[np.int64], train: pl.DataFrame
) -> pl.DataFrame:
    targets = asked.run.decoder.targets
    rows = []
    for place, row in enumerate(asked.numbers):
        values = found[place]
        order = values.argsort(descending=True)
        for kind, some in (("for", order[:TOLD]), ("against", order.flip(0)[:TOLD])):
            for one in some.tolist():
                if torch.sign(values[one]) != (1 if kind == "for" else -1):
                    continue
                cells = {name: str(train[name][one]) for name in targets}
                rows.append(
                    {
                        "row": int(row),
                        "speaks": kind,
                        "training_row": int(numbers[one]),
                        "influence": float(values[one]),
                        **cells,
                    }
                )
    return pl.DataFrame(rows)


INFLUENCE = ByTrainingRows("influence", "training rows whose steps helped or harmed (TracIn)")

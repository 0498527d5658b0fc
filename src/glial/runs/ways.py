"""How each kind of data is prepared, judged and predicted: a way for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import polars as pl
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.tables import Table
from glial.data import Encoding
from glial.data.batches import Batch, Batches
from glial.data.streams import is_loader
from glial.models import MODELS
from glial.runs.plan import Plan
from glial.runs.preparation import weights_of
from glial.runs.request import Request
from glial.runs.run import LOADER, Run
from glial.tasks import Task, trivial_scores
from glial.tasks.task import Loss
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

TABLE = "table"
SERIES_ANOMALY = "series-anomaly"

WAYS = Table(
    "way",
    "ways",
    {
        TABLE: "glial.runs.prediction:TABLE_WAY",
        LOADER: "glial.runs.loaders:LOADER_WAY",
        "translation": "glial.runs.translation:TRANSLATION_WAY",
        "language-modelling": "glial.runs.language:LANGUAGE_WAY",
        "forecasting": "glial.runs.forecasting:FORECASTING_WAY",
        "generate": "glial.runs.unlabelled.way:UNLABELLED_WAY",
        "reduce": "glial.runs.unlabelled.way:UNLABELLED_WAY",
        "anomaly": "glial.runs.anomaly.way:ANOMALY_WAY",
        "cluster": "glial.runs.clustering:CLUSTERING_WAY",
        SERIES_ANOMALY: "glial.runs.anomaly.series:SERIES_ANOMALY_WAY",
        "pretrain": "glial.runs.pretraining:PRETRAINING_WAY",
        "pretext": "glial.runs.pretexts:PRETEXT_WAY",
        "word-vectors": "glial.runs.word_vectors:WORDS_WAY",
    },
)


@dataclass(frozen=True)
class Judged:
    """How good a network is on some rows.

    Attributes:
        metrics: Every metric of the task.
        baseline: The trivial predictor's.

    Example:
        >>> Judged({"mae": 1.0}, {"mae": 2.0}).metrics
        {'mae': 1.0}
    """

    metrics: dict[str, float]
    baseline: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Readied(Protocol):
    """Everything before the first step, made without touching the run's folder."""

    request: Request
    network: nn.Module
    sizes: dict[str, Any]

    @property
    def plan(self) -> Plan:
        """The plan, but for what is measured."""

    @property
    def encoding(self) -> Encoding:
        """How the source becomes tensors."""

    @property
    def task(self) -> Task:
        """What is learnt."""

    @property
    def fingerprint(self) -> str:
        """What tells the source's rows from others."""

    @property
    def loss(self) -> Loss:
        """What training makes small: ``loss(outputs, target, weight)``."""

    @property
    def mass(self) -> Mass:
        """What the loss divides its sum by: ``mass(target, weight)``."""

    def batches(self) -> Batches:
        """The batches to train on."""

    def example(self) -> Batch:
        """A batch as the network learns from it."""

    def sampled(self, split: str) -> Batch | None:
        """Some rows of ``train`` or ``val``, as the network takes them; None of none."""

    def objective(self, plan: Plan) -> Objective:
        """What changes the network."""

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of a validation pass, where rows are kept back for it."""

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on ``val`` or ``test``; None where that has no rows."""


@dataclass(frozen=True)
class Way:
    """What is done with one kind of data.

    Attributes:
        make_ready: Everything before the first step of a plan.
        predict: What a run says of a source.
        evaluate: ``metrics``, ``baseline`` and ``details`` of a run on a source.
        answer: What a run says of each row of a source with targets; None where rows do not
            stand by themselves.
    """

    make_ready: Callable[[Request, Plan], Readied]
    predict: Callable[[Run, Any], Any]
    evaluate: Callable[[Run, Any], dict[str, Any]]
    answer: Callable[[Run, Any], Answered] | None = None


@dataclass(frozen=True)
class Answered:
    """What a run says of rows whose targets are known.

    Attributes:
        run: The run.
        frame: The rows, targets included; of images and sounds with what was decoded.
        outputs: What the network gives for each, in the decoder's terms.
        weight: Weight of each row, where the plan names a column of weights.

    Example:
        >>> import glial
        >>> from glial.runs import answer
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> answer(run, "iris").outputs.shape
        torch.Size([150, 3])
    """

    run: Run
    frame: pl.DataFrame
    outputs: Tensor
    weight: NDArray[Any] | None = None

    def judged(self) -> dict[str, Any]:
        """``metrics``, ``baseline`` and ``details``, as ``glial.runs.evaluate`` gives them."""
        task = self.run.decoder
        return {
            "metrics": task.scores(self.outputs, self.frame, self.weight),
            "baseline": trivial_scores(task, self.frame, self.weight),
            "details": task.details(self.outputs, self.frame),
        }


def way_name(request: Request, plan: Plan) -> str:
    """The way of what was asked for: its source's, its model's or its task's, or that of tables.

    A way of its own has the task's name, and a run that was trained so says it in its sizes, under
    ``source``.

    Args:
        request: What was asked for.
        plan: The plan.

    Example:
        >>> way_name(Request(Plan()), Plan())
        'table'
    """
    if is_loader(request.source):
        return LOADER
    model = MODELS.resolve(plan.model["name"]) if plan.model["name"] in MODELS else None
    if model is not None and model.way is not None:
        return str(model.way)
    if plan.task.name == "anomaly" and (
        plan.data.split.time or getattr(model, "takes_series", False)
    ):
        return SERIES_ANOMALY
    return plan.task.name if plan.task.name in WAYS else TABLE


def way_of(run: Run) -> Way:
    """The way in which a run was trained.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> way_of(run).predict(run, "iris").height
        150
    """
    way: Way = WAYS.resolve(str(run.sizes.get("source", TABLE)))
    return way


def tune(decoder: Task, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None) -> None:
    """Fit on validation rows what the plan asks for; say what cannot be, and do without it.

    Args:
        decoder: What is fitted.
        outputs: A network's outputs, a row per row.
        frame: The rows.
        weight: Weight of each row.
    """
    try:
        decoder.tune(outputs, frame, weight)
    except InputError as error:
        logger.warning("this is left out: %s", error)


def judged_rows(run: Run, outputs: Tensor, frame: pl.DataFrame, split: str) -> Judged:
    """How good outputs are for rows; what decides between classes is fitted on ``val``.

    Args:
        run: The run.
        outputs: Its network's outputs, a row per row.
        frame: The rows, targets and weights included.
        split: ``val`` or ``test``; the trivial predictor is judged on ``test`` alone.
    """
    weight = weights_of(frame, run.plan.data.weight)
    if split == "val":
        tune(run.decoder, outputs, frame, weight)
    metrics = run.decoder.scores(outputs, frame, weight)
    judges = split == "test"
    return Judged(metrics, trivial_scores(run.decoder, frame, weight) if judges else {})

"""What is learnt: head, loss, metrics, decoding and a healthy start, for each task."""

from __future__ import annotations

from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.core.tables import Table
from glial.data.settings import DataSettings, ScalingName
from glial.tasks.settings import TaskSettings
from glial.tasks.task import (
    Decoded,
    Loss,
    Task,
    averaged_members,
    healthy_first_loss,
    trivial_scores,
)

TASKS = Table(
    "task",
    "tasks",
    {
        "classification": "glial.tasks.classification:Classification",
        "multilabel": "glial.tasks.multilabel:Multilabel",
        "regression": "glial.tasks.regression:Regression",
        "embedding": "glial.tasks.embedding:Embedding",
        "translation": "glial.tasks.translation:Translation",
        "language-modelling": "glial.tasks.language:LanguageModelling",
        "tagging": "glial.tasks.tagging:Tagging",
        "forecasting": "glial.tasks.forecasting:Forecasting",
        "generate": "glial.tasks.unlabelled:Generation",
        "reduce": "glial.tasks.unlabelled:Reduction",
        "cluster": "glial.tasks.clustering:Clustering",
        "pretrain": "glial.tasks.pretraining:Pretraining",
        "pretext": "glial.tasks.pretexts:PretextAnswering",
        "anomaly": "glial.tasks.anomaly:Anomaly",
        "series-anomaly": "glial.tasks.series_anomaly:SeriesAnomaly",
        "word-embedding": "glial.tasks.word_embedding:WordEmbedding",
    },
)

_LOSSES = {
    "classification": {
        "auto",
        "cross_entropy",
        "focal",
        "mean_squared_error",
        "half_squared_error",
        "custom",
    },
    "multilabel": {"auto", "cross_entropy", "focal", "custom"},
    "regression": {
        "auto",
        "mean_squared_error",
        "half_squared_error",
        "mean_absolute_error",
        "huber",
        "custom",
    },
    "embedding": {"auto", "contrastive", "triplet", "proxy", "custom"},
    "translation": {"auto", "cross_entropy", "custom"},
    "language-modelling": {"auto", "cross_entropy", "custom"},
    "tagging": {"auto", "custom"},
    "forecasting": {
        "auto",
        "quantile",
        "mean_squared_error",
        "half_squared_error",
        "mean_absolute_error",
        "huber",
        "custom",
    },
    "generate": {"auto"},
    "reduce": {"auto"},
    "anomaly": {"auto"},
    "cluster": {"auto"},
    "pretrain": {"auto", "cross_entropy", "custom"},
}
# What is learnt without a target; one that is named is a condition, or what is left aside.
WITHOUT_TARGET = ("generate", "reduce", "pretrain", "anomaly", "cluster")
# Of these, what is only judged by a target: nothing that is learnt may hang on it.
JUDGED_BY_TARGET = ("cluster",)


def fit_task(
    frame: pl.DataFrame,
    targets: list[str],
    settings: TaskSettings,
    *,
    scale_target: bool | ScalingName = True,
    loss: Loss | None = None,
    data: DataSettings | None = None,
) -> Task:
    """The task of a plan, fitted on the training rows.

    Args:
        frame: The training rows.
        targets: The target columns.
        settings: The plan's ``task`` part, with the task's name decided.
        scale_target: How a regression's targets are scaled while they are learnt.
        loss: The user's own loss, ``loss(outputs, target)``.
        data: The plan's ``data`` part, for targets that are texts, and for groups that are treated
            alike.

    Raises:
        InputError: If the loss does not fit the task, or the targets do not.

    Example:
        >>> frame = pl.DataFrame({"y": ["a", "b", "a"]})
        >>> fit_task(frame, ["y"], TaskSettings(name="classification")).num_outputs
        1
    """
    allowed = _LOSSES.get(settings.name, set())
    if allowed and settings.loss not in allowed:
        raise InputError(
            f"the loss {settings.loss!r} does not fit the task {settings.name!r}",
            expected=f"one of {', '.join(sorted(allowed))}",
            got=settings.loss,
            do="set task.loss to one of them, or to auto",
        )
    if settings.loss == "custom" and loss is None:
        raise InputError(
            "the plan names a loss of the user's own",
            expected="the function, given in Python: glial.train(..., loss=function)",
            got="no function",
            do="train from Python, or set task.loss to auto",
        )
    check_decisions(settings)
    options: dict[str, Any] = {"scale": scale_target} if settings.name == "regression" else {}
    if settings.name == "translation":
        options = {"data": data}
    if settings.name == "classification" and data is not None:
        options = {"fairness": data.fairness}
    task: Task = TASKS.resolve(settings.name).fit(frame, targets, settings, loss, **options)
    return task


def check_decisions(settings: TaskSettings) -> None:
    """Refuse costs, thresholds and the like where there is nothing to decide between.

    Args:
        settings: The plan's ``task`` part, with the task's name decided.

    Raises:
        InputError: If one of them does not fit the task.

    Example:
        >>> check_decisions(TaskSettings(name="regression", coverage=0.9))
    """
    classes = settings.name == "classification"
    several = classes or settings.name == "multilabel"
    deciding = {
        "costs": classes or settings.costs is None,
        "threshold": several or settings.threshold is None,
        "calibration": several or settings.calibration == "none",
        "refuse": classes or settings.refuse is None,
        "risk": classes or settings.risk is None,
        "coverage": classes or settings.name == "regression" or settings.coverage is None,
    }
    for key, fits in deciding.items():
        if not fits:
            wanted = "classes or numbers" if key == "coverage" else "classes"
            raise InputError(
                f"task.{key} does not fit the task {settings.name!r}",
                expected=f"a task of {wanted}",
                got=settings.name,
                do=f"take task.{key} out of the plan, or set task.name=classification",
            )


def check_validated(settings: TaskSettings, num_rows: int) -> None:
    """Refuse what is fitted on validation rows where there are none.

    Args:
        settings: The plan's ``task`` part.
        num_rows: Number of validation rows.

    Raises:
        InputError: If there are none, and something needs them.

    Example:
        >>> check_validated(TaskSettings(), 0)
    """
    if num_rows == 0 and settings.fitted_later:
        raise InputError(
            f"{settings.fitted_later[0]} is fitted on validation rows, and there are none",
            expected="rows that the network does not learn from",
            got="no validation rows",
            do="keep some back with data.split.val, or name a file with --val",
        )


def load_task(state: dict[str, Any], settings: TaskSettings) -> Task:
    """The task that a run saved in ``decoding.json``.

    Raises:
        InputError: If the state is damaged.

    Example:
        >>> scaling = {"how": "none", "shift": 0.0, "factor": 1.0, "power": 1.0, "knots": []}
        >>> state = {"targets": ["y"], "mean": [0.0], "scalings": [scaling]}
        >>> load_task({"task": "regression", **state}, TaskSettings()).num_outputs
        1
    """
    try:
        task: Task = TASKS.resolve(state["task"]).from_state(state, settings)
        _ = task.num_outputs, task.trivial_outputs(1)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(
            "decoding.json is damaged",
            expected="the fitted decoding of a run",
            got=f"{type(error).__name__}: {error}",
            do="the file was changed: restore it, or train again",
        ) from error
    return task


__all__ = [
    "JUDGED_BY_TARGET",
    "TASKS",
    "WITHOUT_TARGET",
    "Decoded",
    "Task",
    "TaskSettings",
    "averaged_members",
    "check_decisions",
    "check_validated",
    "fit_task",
    "healthy_first_loss",
    "load_task",
    "trivial_scores",
]

"""Groups that a plan wants treated alike: training rows weighed, or an adversary that looks on."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glial.core.errors import InputError
from glial.data.augmentation import AugmentSettings
from glial.data.batches import Batch
from glial.data.sensitive import Groups, reweighing
from glial.objectives import AdversarialDescent
from glial.objectives.adversarial import ONE_CLASS
from glial.runs.decoded import DecodedTables
from glial.runs.network import descends
from glial.runs.plan import Plan
from glial.runs.preparation import Prepared
from glial.runs.streams import StreamedTables
from glial.tasks import Task
from glial.training import Objective

logger = logging.getLogger(__name__)


def check_way(plan: Plan, way: str) -> None:
    """Refuse groups where rows are not those of a table.

    Args:
        plan: What was asked for.
        way: The name of its way.

    Raises:
        InputError: If the plan names groups, and its way is another than that of tables.

    Example:
        >>> check_way(Plan(), "translation")  # names none
    """
    if plan.data.fairness.columns and way != "table":
        raise InputError(
            "data.fairness needs rows of a table",
            expected="a task of single rows",
            got=way,
            do="leave data.fairness out",
        )


def with_last_epoch(plan: Plan, asked: Plan) -> Plan:
    """The plan without a choice of the best epoch, which an adversary is not to lose by.

    Validation looks at the loss alone, which is smallest before the adversary is heeded.

    Args:
        plan: The plan, with what suits its model.
        asked: What was asked for, which has the last word.

    Example:
        >>> fairness = {"group": "sex", "how": "adversarial"}
        >>> plan = Plan.from_values({"data": {"fairness": fairness}})
        >>> with_last_epoch(plan, plan).train.restore_best
        False
    """
    if plan.data.fairness.how != "adversarial":
        return plan
    given = asked.train.model_fields_set
    changes = {"restore_best": False, "patience": None}
    changes = {key: value for key, value in changes.items() if key not in given}
    return plan.model_copy(update={"train": plan.train.model_copy(update=changes)})


def fair_rows(prepared: Prepared, rows: Batch) -> Batch:
    """The training rows with what the plan does for groups: their weights, or their groups.

    Args:
        prepared: Data and task.
        rows: The encoded training rows.

    Raises:
        InputError: If a row is of no group, or the plan asks for what does not go with it.

    Example:
        >>> import polars as pl
        >>> from glial.runs.preparation import prepare
        >>> frame = pl.DataFrame({"x": range(40), "sex": ["f", "m"] * 20, "y": ["n", "y"] * 20})
        >>> fairness = {"group": "sex", "how": "reweighing"}
        >>> plan = Plan.from_values({"data": {"target": "y", "fairness": fairness}})
        >>> prepared = prepare(plan, frame)
        >>> fair_rows(prepared, prepared.training_batch()).weight.unique()
        tensor([0.5000])
    """
    plan, settings = prepared.plan, prepared.plan.data.fairness
    if not settings.columns:
        return rows
    if {*settings.columns} & {*prepared.task.targets}:
        raise InputError(
            "data.fairness.group names the target",
            expected="a column beside the target",
            got=", ".join(settings.columns),
            do="name the column of groups",
        )
    told = ", ".join(settings.columns)
    logger.info("data.fairness: groups by %s, %s", told, _use(plan))
    if settings.how == "none":
        return rows
    _check(prepared)
    if settings.how == "thresholds":
        return rows
    frame = prepared.tables.train
    groups = Groups.fit(frame, settings.columns, bins=settings.bins)
    codes = groups.codes(frame)
    if settings.how == "adversarial":
        return rows._replace(group=torch.from_numpy(codes))
    before = None if rows.weight is None else rows.weight.double().numpy()
    weight = reweighing(codes, rows.target.numpy(), before)
    _notice_missing(groups, codes, rows.target.numpy())
    return rows._replace(weight=torch.from_numpy(weight).float())


def _use(plan: Plan) -> str:
    settings = plan.data.fairness
    inputs = "also inputs" if settings.as_input else "which are no inputs"
    if settings.how == "none":
        return f"{inputs}; nothing is done to treat them alike"
    return f"{inputs}; {settings.how} for {settings.criterion.replace('_', ' ')}"


def _notice_missing(groups: Groups, codes: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    """Say where a group has no row of a class: weights cannot make up for those."""
    for code, name in enumerate(groups.names):
        if len(np.unique(labels[codes == code])) < labels.max() + 1:
            told = ", ".join(f"{column}={value}" for column, value in name.items())
            logger.warning(
                "data.fairness: no training row of the group %s is of some class, so that labels "
                "hang on groups whatever rows weigh",
                told,
            )


def _check(prepared: Prepared) -> None:
    """Refuse what would undo what is done for groups, or has no place for it."""
    plan, data, task = prepared.plan, prepared.plan.data, prepared.plan.task
    how, augment = data.fairness.how, data.augment
    at_training, decides = how != "thresholds", how == "thresholds"
    mixes = isinstance(augment, AugmentSettings) and augment.mixes
    streamed = isinstance(prepared.tables, (StreamedTables, DecodedTables))
    two = decides or data.fairness.criterion in ONE_CLASS
    costs = task.costs is not None and task.cost_use == "decision"
    unfit = {
        f"the task {task.name}": task.name != "classification",
        "rows that are read while training goes on (data.stream)": streamed,
        f"data.sampling={data.sampling}": at_training and data.sampling != "none",
        "rows that are mixed (data.augment)": at_training and mixes,
        "a loss of your own, which weighs no rows": how == "reweighing" and task.loss == "custom",
        f"the model {plan.model['name']}": at_training and not descends(plan),
        "more than two classes": two and prepared.task.num_outputs > 1,
        "task.threshold, which decides too": decides and task.threshold is not None,
        "task.costs, which decide too": decides and costs,
        "no validation rows": decides and not len(prepared.tables.val),
    }
    for what, asked in unfit.items():
        if asked:
            raise InputError(
                f"data.fairness.how={how} does not go with {what}",
                expected="a classification of rows that fit in memory, and nothing else about them",
                got=what,
                do="leave one of them out",
            )


def adversarial_objective(network: nn.Module, task: Task, plan: Plan, rows: Batch) -> Objective:
    """What trains a network against an adversary that tells groups apart by its outputs.

    Args:
        network: The network.
        task: What is learnt.
        plan: The plan, its learning rate decided.
        rows: The training rows, with their groups.
    """
    assert rows.group is not None  # noqa: S101 - narrows the type
    settings = plan.data.fairness
    return AdversarialDescent(
        network,
        task.loss,
        plan.train,
        float(plan.train.lr),
        criterion=settings.criterion,
        strength=settings.strength,
        num_groups=int(rows.group.max()) + 1,
        num_classes=int(rows.target.max()) + 1,
        mass=task.mass,
    )

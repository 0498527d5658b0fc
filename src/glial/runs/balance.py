"""Classes of unequal size: what a plan does about them, and what it might do."""

from __future__ import annotations

import logging

import torch

from glial.core.errors import InputError
from glial.data.batches import Batch, Batches, TensorBatches
from glial.data.grouped import GroupedBatches
from glial.data.sampling import resample
from glial.runs.augmentation import augmentation_of
from glial.runs.decoded import DecodedTables
from glial.runs.preparation import Prepared
from glial.runs.streams import StreamedTables

logger = logging.getLogger(__name__)

# Where the largest class has more than this many times the smallest one's rows, it is said.
UNEQUAL = 10


def balanced_rows(prepared: Prepared, rows: Batch) -> Batch:
    """The training rows, resampled where the plan says so; no other rows ever are.

    Args:
        prepared: Data and task.
        rows: The encoded training rows.

    Raises:
        InputError: If the plan asks for what needs classes or validation rows without them, or
            if the rows cannot be resampled.

    Example:
        >>> from glial.runs import Plan
        >>> from glial.runs.preparation import prepare
        >>> data = {"source": "breast-cancer", "target": "diagnosis", "sampling": "over"}
        >>> prepared = prepare(Plan.from_values({"data": data}))
        >>> rows = prepared.batch(prepared.tables.train)
        >>> rows.target.bincount().tolist()
        [250, 148]
        >>> balanced_rows(prepared, rows).target.bincount().tolist()
        [250, 250]
    """
    _check(prepared)
    data = prepared.plan.data
    balanced = resample(rows, data.sampling, seed=prepared.plan.train.seed)
    if balanced is not rows:
        logger.info(
            "data.sampling=%s: training rows of the classes %s, before %s",
            data.sampling,
            balanced.target.bincount().tolist(),
            rows.target.bincount().tolist(),
        )
    return balanced


def _check(prepared: Prepared) -> None:
    plan, data = prepared.plan, prepared.plan.data
    uses = {
        "data.sampling": data.sampling != "none",
        "data.stratified_batches": data.stratified_batches,
    }
    for key, used in uses.items():
        if used and plan.task.name not in ("classification", "embedding"):
            raise InputError(
                f"{key} needs one class in each row",
                expected="the task classification or embedding",
                got=plan.task.name,
                do=f"take {key} out of the plan",
            )
    if isinstance(plan.task.threshold, str) and not len(prepared.tables.val):
        raise InputError(
            f"task.threshold={plan.task.threshold} is tuned on validation rows",
            expected="validation rows",
            got="none",
            do="keep some back with data.split.val, give a file with --val, or set a number",
        )


def batches_of(prepared: Prepared, rows: Batch) -> Batches:
    """The batches that the plan makes of the training rows.

    A batch that held all rows before they were resampled still does.

    Args:
        prepared: Data and task.
        rows: The encoded training rows; of a streamed table a sample of them.

    Example:
        >>> from glial.runs import Plan
        >>> from glial.runs.preparation import prepare
        >>> prepared = prepare(Plan.from_values({"data": {"source": "iris", "target": "species"}}))
        >>> batches_of(prepared, prepared.batch(prepared.tables.train)).batch_size
        105
    """
    plan, tables = prepared.plan, prepared.tables
    if isinstance(tables, (StreamedTables, DecodedTables)):
        device = rows.target.device
        augment = augmentation_of(prepared, rows)
        return tables.batches(plan, prepared.stretch, augment, prepared.encoding.finish, device)
    size = int(plan.train.batch_size)
    groups = prepared.encoding.groups(rows.inputs) if plan.data.images.grouped else None
    if groups is not None and len(torch.unique(groups)) > 1:
        return GroupedBatches(
            rows,
            groups,
            size,
            plan.train.seed,
            augment=augmentation_of(prepared, rows),
            finish=prepared.encoding.finish,
        )
    return TensorBatches(
        rows,
        len(rows.target) if size >= len(prepared.tables.train) else size,
        plan.train.seed,
        weighted=plan.data.sampling == "weighted",
        stratified=plan.data.stratified_batches,
        rows_per_class=getattr(prepared.task, "rows_per_class", 1),
        augment=augmentation_of(prepared, rows),
        finish=prepared.encoding.finish,
    )


def say_balance(prepared: Prepared) -> None:
    """Say where classes are very unequal, what is done about it, and what might be.

    Example:
        >>> from glial.runs import Plan
        >>> from glial.runs.preparation import prepare
        >>> plan = Plan.from_values({"data": {"source": "iris", "target": "species"}})
        >>> say_balance(prepare(plan))  # its classes are of one size
    """
    plan = prepared.plan
    if plan.task.name != "classification":
        return
    fitted = prepared.task.state()
    names, num_rows = fitted["classes"], prepared.tables.num_rows("train")
    counts = [round(share * num_rows) for share in fitted["shares"]]
    if max(counts) <= UNEQUAL * min(counts):
        return
    most, least = names[counts.index(max(counts))], names[counts.index(min(counts))]
    logger.warning(
        "%d training rows are of class %r and %d of %r: accuracy misleads, look at "
        "balanced_accuracy and average_precision. %s",
        max(counts),
        most,
        min(counts),
        least,
        _measures(prepared),
    )


def _measures(prepared: Prepared) -> str:
    """What a plan does about unequal classes, in words."""
    data, task = prepared.plan.data, prepared.plan.task
    used = {
        f"data.sampling={data.sampling}": data.sampling != "none",
        f"task.class_weights={task.class_weights}": task.class_weights != "none",
        f"task.costs, used in {task.cost_use}": task.costs is not None,
        f"task.threshold={task.threshold}": task.threshold is not None,
        "task.loss=focal": task.loss == "focal",
    }
    named = [name for name, is_used in used.items() if is_used]
    if named:
        return f"In use: {', '.join(named)}"
    return (
        "Nothing is done about it, which suits probabilities; to find the smaller class, set "
        "task.threshold=balanced_accuracy or f1, task.costs, task.class_weights=balanced or "
        "data.sampling"
    )

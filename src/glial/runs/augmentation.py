"""How a plan's training rows are changed at random: what was asked for, or what was measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.seeds import seeded
from glial.data.augmentation import (
    Augmentation,
    AugmentSettings,
    Modality,
    Preview,
    chosen,
    measure,
)
from glial.data.augmentation.measurement import MAX_ROWS, SIDE
from glial.data.augmentation.sounds import SAFE
from glial.data.batches import Batch, take
from glial.data.encoders import SoundEncoder
from glial.runs.members import member_plans
from glial.runs.network import descends
from glial.runs.plan import Plan
from glial.runs.preparation import Prepared, prepare
from glial.runs.request import make_request

logger = logging.getLogger(__name__)


def with_measured_augment(prepared: Prepared, rows: Batch) -> Plan:
    """The plan with its augmentation; where it was left open, images say what helps.

    Sounds are then changed in ways that suit them all.

    Args:
        prepared: Data and task.
        rows: The training rows, each once.

    Raises:
        InputError: If what was asked for does not suit the rows, the model or the loss.

    Example:
        >>> from glial.runs.preparation import prepare
        >>> prepared = prepare(Plan.from_values({"data": {"source": "iris", "target": "species"}}))
        >>> with_measured_augment(prepared, prepared.training_batch()).data.augment
        'none'
    """
    plan = prepared.plan
    if isinstance(plan.data.augment, AugmentSettings):
        _check_mixing(plan, plan.data.augment)
        augmentation_of(prepared, rows)  # refuses what does not suit the rows
    if plan.data.augment != "auto":
        return plan
    kinds = modalities_of(prepared, rows)
    if prepared.encoding.image_sizes:
        with seeded(plan.train.seed, "augment sizes"):
            some = torch.randperm(len(rows.target))[:MAX_ROWS]
        rows = take(rows, some)
        rows = rows._replace(inputs=prepared.encoding.opened(rows.inputs, square=SIDE))
    images = [part for part, kind in zip(rows.inputs, kinds, strict=True) if kind == "image"]
    settings = _measured(images, rows.target, plan.train.seed) if images else AugmentSettings()
    if "sound" in kinds:
        settings = settings.model_copy(update=SAFE)
        logger.info("data.augment: %s, which suits sounds", told_settings(settings))
    changes = settings.changes_images or settings.changes_sounds
    augment = settings if changes else "none"
    return plan.model_copy(update={"data": plan.data.model_copy(update={"augment": augment})})


def _measured(images: Sequence[Tensor], target: Tensor, seed: int) -> AugmentSettings:
    """What helps to tell these images apart, and why, in a note."""
    if find_spec("kornia") is None:
        logger.warning("data.augment: none, for want of kornia: pip install 'glial[vision]'")
        return AugmentSettings()
    logger.info("data.augment: trying which changes of the training images help")
    trials = measure(images, target, seed=seed)
    settings = chosen(trials)
    why = "a linear model tells too little from these images to measure it"
    if trials:
        tried = [f"{_words(t.change)} {t.gain:+.1%} ± {t.uncertainty:.1%}" for t in trials]
        why = (
            "less error on images held out, of a linear model that also learnt from changed "
            f"copies: {', '.join(tried)}"
        )
    logger.info("data.augment: %s (%s)", told_settings(settings), why)
    return settings


def augmentation_of(prepared: Prepared, rows: Batch) -> Augmentation | None:
    """What changes the training rows of a plan whose augmentation is decided.

    Example:
        >>> from glial.runs.preparation import prepare
        >>> data = {"source": "iris", "target": "species", "augment": {"number_noise": 0.1}}
        >>> prepared = prepare(Plan.from_values({"data": data}))
        >>> augmentation_of(prepared, prepared.training_batch()).settings.number_noise
        0.1
    """
    settings = prepared.plan.data.augment
    if not isinstance(settings, AugmentSettings):
        return None
    encoding = prepared.encoding
    opened = encoding.opened if encoding.image_sizes else None
    spectra = [held.features for held in encoding.held if isinstance(held, SoundEncoder)]
    return Augmentation(settings, modalities_of(prepared, rows), rows, opened, spectra)


def preview_augmentation(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    set: Mapping[str, Any] | None = None,
    num_rows: int = 8,
    num_versions: int = 7,
) -> tuple[Plan, Preview]:
    """What training on a source would make of a few of its training rows.

    Args:
        source: As for :func:`glial.train`.
        target: The column or columns to predict; named data sets know theirs.
        set: Dotted keys of the plan and their values, such as ``{"data.augment.rotate": 10}``.
        num_rows: How many rows are shown, from all classes in turn.
        num_versions: How many changed versions of each.

    Returns:
        The plan with the augmentation decided, and the rows with their changed versions.

    Raises:
        InputError: If training would refuse the source, the target or a key.

    Example:
        >>> plan, preview = preview_augmentation("iris", set={"data.augment.number_noise": 0.1})
        >>> plan.data.augment.number_noise, preview.labels[:3]
        (0.1, ['setosa', 'versicolor', 'virginica'])
    """
    changes = dict(set or {})
    if target is not None:
        changes["data.target"] = target if isinstance(target, str) else list(target)
    request = make_request(source, changes)
    asked = [*member_plans(request.plan), request.plan][0]
    prepared = prepare(asked, request.source)
    rows = prepared.training_batch()
    prepared.plan = with_measured_augment(prepared, rows)
    columns = prepared.tables.train.select(prepared.task.targets)
    words = pl.concat_str(pl.all().cast(pl.String).fill_null("missing"), separator=", ")
    labels = columns.select(words.alias("label"))["label"]
    turn = pl.int_range(pl.len()).over("label").alias("turn")
    order = labels.to_frame().with_row_index().with_columns(turn).sort("turn", "index")
    first = order["index"].head(num_rows).to_list()
    shown = take(rows, torch.tensor(first))
    shown = shown._replace(inputs=prepared.encoding.opened(shown.inputs))
    preview = Preview.of(
        shown,
        labels[first].to_list(),
        modalities_of(prepared, rows),
        augmentation_of(prepared, rows),
        versions=num_versions,
    )
    return prepared.plan, preview


def modalities_of(prepared: Prepared, rows: Batch) -> list[Modality]:
    """What each tensor of the inputs holds, in their order.

    Example:
        >>> from glial.runs.preparation import prepare
        >>> prepared = prepare(Plan.from_values({"data": {"source": "iris", "target": "species"}}))
        >>> modalities_of(prepared, prepared.training_batch())
        ['number']
    """
    encoding = prepared.encoding
    tables: list[Modality] = ["number", "category"]
    own: list[Modality] = [
        "sound" if isinstance(held, SoundEncoder) else held.modality for held in encoding.held
    ]
    return [*tables[: len(rows.inputs) - len(own)], *own]


def _check_mixing(plan: Plan, settings: AugmentSettings) -> None:
    """Refuse to mix rows where what learns from them knows one target a row."""
    if settings.mixes and not descends(plan):
        raise InputError(
            f"the model {plan.model['name']!r} cannot learn from mixed rows",
            expected="a model that descends the gradient of a loss",
            got="data.augment.mixup or cutmix",
            do="take it out of data.augment, or choose another model",
        )
    if settings.mixes and plan.task.loss in ("contrastive", "triplet"):
        raise InputError(
            f"the loss {plan.task.loss!r} compares rows of one class each, not mixed rows",
            expected="the loss proxy, which weighs both classes of a mixed row",
            got="data.augment.mixup or cutmix",
            do="take it out of data.augment, or set task.loss=proxy",
        )
    if settings.mixes and plan.task.loss == "custom":
        raise InputError(
            "a loss of your own takes no weights, which mixed rows need",
            expected="one of Glial's losses",
            got="data.augment.mixup or cutmix",
            do="take it out of data.augment, or set task.loss",
        )


def told_settings(settings: AugmentSettings | str) -> str:
    """What an augmentation does, in a line.

    Example:
        >>> told_settings(AugmentSettings(rotate=10.0, flip="both"))
        'rotate 10.0, flip both'
    """
    if isinstance(settings, str):
        return settings
    return _words(settings.model_dump(exclude_defaults=True)) or "none"


def _words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in changes.items())

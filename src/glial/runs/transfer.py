"""What a network that starts from other weights needs of the data."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl
import torch

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.data import Encoding, Inputs, Kind
from glial.data.encoders.images import ImageEncoder
from glial.data.encoders.subwords import SubwordEncoder
from glial.data.settings import DataSettings
from glial.models import MODELS, ModelSettings
from glial.models.image import ImageModelSettings
from glial.models.weights import PUBLISHED, read_state
from glial.runs.plan import Plan
from glial.tasks import Task

logger = logging.getLogger(__name__)

SHIPPED = "efficientnet_lite0"  # whose published weights a package carries


def with_model_of_weights(plan: Plan) -> Plan:
    """The plan with the model that its weights are of, where none is named; a run's with its sizes.

    Example:
        >>> plan = Plan.from_values({"model": {"weights": "imagenet"}})
        >>> with_model_of_weights(plan).model["name"]
        'efficientnet_lite0'
    """
    weights, asked = plan.model.get("weights"), plan.model["name"]
    if not isinstance(weights, str):
        return plan
    name: str = SHIPPED
    sizes: dict[str, Any] = {}
    if weights != PUBLISHED:
        name, sizes = _model_of_run(Path(weights))
        told = getattr(MODELS.resolve(asked), "sizes_of", None) if asked in MODELS else None
        if told is not None and name not in MODELS:
            name, sizes = asked, told(read_state(Path(weights)))
    if name not in MODELS or asked not in ("auto", name):
        return plan
    return plan.model_copy(update={"model": {**sizes, **plan.model, "name": name}})


def _model_of_run(folder: Path) -> tuple[str, dict[str, Any]]:
    """The name of a run's model and its sizes; nothing where the folder holds no run."""
    file = folder / "model.json"
    held = read_json(file) if file.exists() else None
    held = held if isinstance(held, dict) else {}
    settings = held.get("settings")
    sizes = dict(settings) if isinstance(settings, dict) else {}
    sizes.pop("weights", None)
    return str(held.get("name")), sizes


def with_model_data(data: DataSettings, settings: ModelSettings) -> DataSettings:
    """The plan's ``data`` part as the model needs it, where the plan does not say.

    Args:
        data: The part, as it was asked for.
        settings: The model's settings. Where their weights are a run's, images are brought to the
            size and scaled by the colours that this run saw.

    Raises:
        InputError: If the weights are those of a run of another model.

    Example:
        >>> from glial.models import MODELS
        >>> lenet = MODELS.resolve("inception_v3")()
        >>> with_model_data(DataSettings(), lenet).images.min_side
        75
    """
    wanted = dict(settings.data_defaults())
    if settings.weights is not None and settings.weights != PUBLISHED:
        path = Path(settings.weights)
        is_run = (path / "model.json").exists()
        wanted |= _of_run(path, settings) if is_run else _of_file(path, settings)
    given = data.images.model_fields_set
    own = {
        key: value
        for key, value in wanted.items()
        if not key.startswith("images.") and key not in data.model_fields_set
    }
    changes: dict[str, Any] = {
        key.removeprefix("images."): value
        for key, value in wanted.items()
        if key.startswith("images.") and key.removeprefix("images.") not in given
    }
    if {"mean", "std", "scaling"} & given:
        changes = {key: changes[key] for key in changes if key not in ("mean", "std", "scaling")}
    return data.model_copy(update={**own, "images": data.images.model_copy(update=changes)})


def encoded_rows(
    plan: Plan, frame: pl.DataFrame, kinds: dict[str, Kind], task: Task
) -> tuple[Encoding, Inputs]:
    """The training rows as tensors, and how they became these: as the run did that lends weights.

    Args:
        plan: The plan, its model named.
        frame: The rows.
        kinds: Kind of each input column.
        task: What is learnt, which some encodings look at.

    Raises:
        InputError: If no column is left, or one is missing that the run had.
    """
    lent = lent_encoding(plan)
    if lent is not None:
        logger.info("columns: encoded as in %s, whose weights are used", plan.model["weights"])
        return lent, lent.transform(frame)
    target = task.encode(frame).numpy()
    return Encoding.fit_transform(frame, kinds, plan.data, target=target, seed=plan.train.seed)


def lent_encoding(plan: Plan) -> Encoding | None:
    """How the run whose weights a network starts from brought a table's cells to it.

    Scaled and coded otherwise, numbers and categories would mean other things to the weights. None
    where the weights are no run's, or its rows were images, texts or the like, whose form
    `with_model_data` passes on.

    Args:
        plan: The plan, its model named.

    Raises:
        InputError: If the run is damaged.

    Example:
        >>> lent_encoding(Plan()) is None
        True
    """
    weights = plan.model.get("weights")
    folder = Path(weights) if isinstance(weights, str) else None
    if folder is None or not (folder / "model.json").exists():
        return None
    encoding = Encoding.load(folder)
    return encoding if encoding.encoders and not encoding.held else None


def _of_file(path: Path, settings: ModelSettings) -> dict[str, Any]:
    """The colours that the first convolution of a file of weights reads, or its vocabulary."""
    if settings.takes_texts and not settings.takes_numbers:
        return {"vocabulary": str(path if path.is_dir() else path.parent)}
    if not isinstance(settings, ImageModelSettings):
        return {}
    with torch.device("meta"):
        network = settings.build()
    first = next(name for name, value in network.named_parameters() if value.ndim == 4)
    weight = settings.converted(read_state(path), network).get(first)
    grey = weight is not None and weight.ndim == 4 and weight.shape[1] == 1
    return {"images.channels": "grey" if grey else "rgb"}


def _of_run(folder: Path, settings: ModelSettings) -> dict[str, Any]:
    """How a run brought its images or texts to its network."""
    name, _ = _model_of_run(folder)
    if name != getattr(settings, "name", None):
        raise InputError(
            f"{folder} is a run of another model",
            expected=str(getattr(settings, "name", None)),
            got=name,
            do="choose the model that the run trained",
        )
    encoders = Encoding.load(folder).encoders.values()
    if any(isinstance(encoder, SubwordEncoder) for encoder in encoders):
        return {"vocabulary": str(folder)}
    images = [encoder for encoder in encoders if isinstance(encoder, ImageEncoder)]
    if len(images) != 1:
        return {}
    form = images[0].form
    one = {"images.size": [form.height, form.width], "images.fit": form.fit}
    varied = {"images.size": "varied", "images.max_side": max(form.height, form.width)}
    return {
        **(varied if form.fit == "varied" else one),
        "images.channels": "grey" if form.channels == 1 else "rgb",
        "images.mean": images[0].shift.tolist(),
        "images.std": (1 / images[0].scale).tolist(),
    }

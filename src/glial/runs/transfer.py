"""What a network that starts from other weights needs of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glial.core.errors import InputError
from glial.core.files import read_json
from glial.data import Encoding
from glial.data.encoders.images import ImageEncoder
from glial.data.settings import DataSettings
from glial.models import MODELS, ModelSettings
from glial.models.image import ImageModelSettings
from glial.models.weights import PUBLISHED, read_state
from glial.runs.plan import Plan

SHIPPED = "efficientnet_lite0"  # whose published weights a package carries


def with_model_of_weights(plan: Plan) -> Plan:
    """The plan with the model that its weights are of, where none is named.

    Example:
        >>> plan = Plan.from_values({"model": {"weights": "imagenet"}})
        >>> with_model_of_weights(plan).model["name"]
        'efficientnet_lite0'
    """
    weights = plan.model.get("weights")
    if plan.model["name"] != "auto" or not isinstance(weights, str):
        return plan
    name: Any = SHIPPED
    if weights != PUBLISHED:
        file = Path(weights) / "model.json"
        held = read_json(file) if file.exists() else {}
        name = held.get("name") if isinstance(held, dict) else None
    if name not in MODELS:
        return plan
    return plan.model_copy(update={"model": {**plan.model, "name": name}})


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
    changes: dict[str, Any] = {
        key.removeprefix("images."): value
        for key, value in wanted.items()
        if key.removeprefix("images.") not in given
    }
    if {"mean", "std", "scaling"} & given:
        changes = {key: changes[key] for key in changes if key not in ("mean", "std", "scaling")}
    return data.model_copy(update={"images": data.images.model_copy(update=changes)})


def _of_file(path: Path, settings: ModelSettings) -> dict[str, Any]:
    """The colours that the first convolution of a file of weights reads."""
    if not isinstance(settings, ImageModelSettings):
        return {}
    with torch.device("meta"):
        network = settings.build()
    first = next(name for name, value in network.named_parameters() if value.ndim == 4)
    weight = settings.converted(read_state(path), network).get(first)
    grey = weight is not None and weight.ndim == 4 and weight.shape[1] == 1
    return {"images.channels": "grey" if grey else "rgb"}


def _of_run(folder: Path, settings: ModelSettings) -> dict[str, Any]:
    """How a run brought its images to its network."""
    name = getattr(settings, "name", None)
    held = read_json(folder / "model.json")
    if not isinstance(held, dict) or held.get("name") != name:
        raise InputError(
            f"{folder} is a run of another model",
            expected=str(name),
            got=str(held.get("name") if isinstance(held, dict) else held),
            do="choose the model that the run trained",
        )
    encoders = Encoding.load(folder).encoders.values()
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

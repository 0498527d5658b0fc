"""Networks, one file per family, and the table of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from glial.core.tables import Table
from glial.models.settings import ModelSettings

MODELS = Table(
    "model",
    "models",
    {
        "tabular": "glial.models.tabular:TabularSettings",
        "residual_cnn": "glial.models.residual_cnn:ResidualCNNSettings",
        "mlp": "glial.models.mlp:MLPSettings",
        "linear": "glial.models.linear:LinearSettings",
        "neuron": "glial.models.neuron:NeuronSettings",
        "perceptron": "glial.models.perceptron:PerceptronSettings",
        "adaline": "glial.models.adaline:AdalineSettings",
    },
)


def build(
    name: str,
    *,
    num_inputs: int,
    num_outputs: int,
    cardinalities: Sequence[int] = (),
    images: Sequence[Sequence[int]] = (),
    **settings: Any,
) -> nn.Module:
    """A network by name: a plain module.

    Args:
        name: A name in `MODELS`.
        num_inputs: Numbers in a row.
        num_outputs: Numbers that the head gives for a row.
        cardinalities: Number of codes of each category, the unknown bucket included.
        images: Channels, height and width of each image, for a model that takes images.
        settings: The model's own settings, such as ``hidden_sizes=[64]``.

    Returns:
        The network, called with numbers (and codes of categories, if it has them).

    Raises:
        InputError: If the name, a setting or a size is wrong.

    Example:
        >>> import torch
        >>> build("mlp", num_inputs=4, num_outputs=3, hidden_sizes=[8])(torch.zeros(1, 4)).shape
        torch.Size([1, 3])
    """
    kind: type[ModelSettings] = MODELS.resolve(name)
    others: dict[str, Any] = {"images": images} if images else {}
    chosen = kind.read(settings, where="model")
    return chosen.build(num_inputs, num_outputs, cardinalities, **others)


__all__ = ["MODELS", "ModelSettings", "build"]

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
        "bag_of_words": "glial.models.bag_of_words:BagOfWordsSettings",
        "text_cnn": "glial.models.text_cnn:TextCNNSettings",
        "text_gru": "glial.models.text_gru:TextGRUSettings",
        "mixed": "glial.models.mixed:MixedSettings",
        "linear": "glial.models.linear:LinearSettings",
        "neuron": "glial.models.neuron:NeuronSettings",
        "perceptron": "glial.models.perceptron:PerceptronSettings",
        "adaline": "glial.models.adaline:AdalineSettings",
    },
)


def build(
    name: str,
    *,
    num_inputs: int = 0,
    num_outputs: int,
    cardinalities: Sequence[int] = (),
    images: Sequence[Sequence[int]] = (),
    vocabularies: Sequence[int] = (),
    **settings: Any,
) -> nn.Module:
    """A network by name: a plain module.

    Args:
        name: A name in `MODELS`.
        num_inputs: Numbers in a row.
        num_outputs: Numbers that the head gives for a row.
        cardinalities: Number of codes of each category, the unknown bucket included.
        images: [channel, height, width] of each image.
        vocabularies: Number of tokens of each text, padding and unknown ones included.
        settings: The model's own settings, such as ``hidden_sizes=[64]``.

    Returns:
        The network, called with numbers, codes of categories, images and texts: those it has.

    Raises:
        InputError: If the name, a setting or a size is wrong.

    Example:
        >>> import torch
        >>> build("mlp", num_inputs=4, num_outputs=3, hidden_sizes=[8])(torch.zeros(1, 4)).shape
        torch.Size([1, 3])
    """
    kind: type[ModelSettings] = MODELS.resolve(name)
    others = {"images": images, "vocabularies": vocabularies}
    sizes = {key: value for key, value in others.items() if value}
    return kind.read(settings, where="model").build(num_inputs, num_outputs, cardinalities, **sizes)


__all__ = ["MODELS", "ModelSettings", "build"]

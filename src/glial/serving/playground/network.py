"""A plan's parts by the playground's knobs: network, loss, and the settings of training."""

from __future__ import annotations

import torch
from torch import Tensor

from glial.core.seeds import seeded
from glial.functional import huber, mean_absolute_error, mean_squared_error
from glial.functional.losses import half_squared_error
from glial.models.mlp import MLP, MLPSettings
from glial.nn.dense import Dense, DenseBlock
from glial.serving.playground.knobs import Knobs
from glial.tasks.class_loss import class_loss
from glial.tasks.settings import TaskSettings
from glial.training import TrainSettings
from glial.training.objective import LossFunction

_NUMBER_LOSSES = {
    "mean_squared_error": mean_squared_error,
    "half_squared_error": half_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "huber": huber,
}
_SHARED = (
    *("hidden_sizes", "activation", "output_activation", "norm", "skip", "bias"),
    *("initialization", "bias_initialization", "dropout", "input_dropout"),
)
_TRAINING = (
    *("optimizer", "momentum", "lr", "schedule", "warmup", "schedule_every", "schedule_gamma"),
    *("epochs", "l1", "l2", "weight_decay", "seed"),
)


def build_network(knobs: Knobs) -> MLP:
    """The network of the knobs, with the weights that it starts from.

    Example:
        >>> build_network(Knobs(hidden_sizes=[3]))(torch.zeros(1, 2)).shape
        torch.Size([1, 1])
    """
    settings = MLPSettings(**{name: getattr(knobs, name) for name in _SHARED})
    with seeded(knobs.seed, "playground network"):
        network = MLP(settings, len(knobs.features), knobs.num_outputs)
    with torch.no_grad():
        for layer in dense_layers(network):
            layer.weight.mul_(knobs.init_scale)
    return network


def dense_layers(network: MLP) -> list[Dense]:
    """The layers with weights that signals pass, from the input to the head.

    Example:
        >>> len(dense_layers(build_network(Knobs(hidden_sizes=[3, 3]))))
        3
    """
    blocks = [block for block in network.blocks if isinstance(block, DenseBlock)]
    return [*(block.linear for block in blocks), network.head]


def loss_of(knobs: Knobs) -> LossFunction:
    """The loss of the knobs: the same function as a plan's.

    Example:
        >>> loss_of(Knobs())(torch.zeros(2, 1), torch.tensor([0, 1]), None)
        tensor(0.6931)
    """
    if knobs.task == "classification":
        settings = TaskSettings(loss=knobs.class_loss)
        return lambda outputs, target, weight: class_loss(outputs, target, weight, settings)
    function = _NUMBER_LOSSES[knobs.number_loss]
    return lambda outputs, target, weight: function(outputs[:, 0], target, weight=weight)


def train_settings(knobs: Knobs) -> TrainSettings:
    """The plan's ``train`` part that the knobs stand for.

    Example:
        >>> train_settings(Knobs(clip_norm=0.5, lr=0.1)).clip_norm
        0.5
    """
    same = {name: getattr(knobs, name) for name in _TRAINING}
    return TrainSettings(
        **same,
        clip_norm=knobs.clip_norm or None,
        clip_value=knobs.clip_value or None,
        patience=knobs.patience or None,
        step="eager",
    )


def probabilities(outputs: Tensor, knobs: Knobs) -> Tensor:
    """How likely each class is by the network's outputs, [row, class].

    Squared errors are of scores against -1 and +1, which are taken for 0 and 1.

    Example:
        >>> probabilities(torch.zeros(1, 1), Knobs())
        tensor([[0.5000, 0.5000]])
    """
    squared = knobs.class_loss in ("mean_squared_error", "half_squared_error")
    if outputs.shape[1] == 1:
        last = ((outputs[:, 0] + 1) / 2).clamp(0, 1) if squared else outputs[:, 0].sigmoid()
        return torch.stack([1 - last, last], dim=1)
    if not squared:
        return outputs.softmax(dim=1)
    shares = ((outputs + 1) / 2).clamp(1e-6, 1)
    return shares / shares.sum(dim=1, keepdim=True)

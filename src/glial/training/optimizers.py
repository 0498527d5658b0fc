"""Optimisers by name, torch's own and fused where it has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.training.freezing import belongs_to, layer_groups
from glial.training.settings import TrainSettings

Group = dict[str, Any]
_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


def parameter_groups(model: nn.Module, group_rate: float = 1.0) -> list[Group]:
    """Parameters that share factors on rate and decay.

    A model may say which of its parameters want another rate or no decay, by a method
    ``parameter_groups()`` that returns dictionaries of ``params``, ``lr_factor`` and
    ``decay_factor``. Otherwise every parameter has rate 1, and biases and the scales of
    normalisations (all parameters of one dimension) are not decayed.

    Args:
        model: The network.
        group_rate: Factor on the rate from each group of layers to the one below it (see
            `glial.training.freezing.layer_groups`); the head has the whole rate.

    Raises:
        InputError: If rates are asked for of layers of a network that has rates of its own.

    Source:
        Rates that fall from layer to layer: Howard and Ruder (2018), "Universal language model
        fine-tuning for text classification", arXiv 1801.06146, section 3.2.

    Example:
        >>> [group["decay_factor"] for group in parameter_groups(nn.Linear(2, 1))]
        [1.0, 0.0]
        >>> layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False))
        >>> [group["lr_factor"] for group in parameter_groups(layers, group_rate=0.5)]
        [0.5, 1.0]
    """
    own = getattr(model, "parameter_groups", None)
    if callable(own):
        if group_rate != 1:
            raise InputError(
                "this network sets the rates of its layers itself",
                expected="train.group_rate: 1",
                got=f"train.group_rate: {group_rate:g}",
                do="leave train.group_rate out, or choose another model",
            )
        groups: list[Group] = own()
    else:
        groups = _by_layers(model, group_rate)
    defaults = {"lr_factor": 1.0, "decay_factor": 1.0}
    return [{**defaults, **group} for group in groups if group["params"]]


def _by_layers(model: nn.Module, group_rate: float) -> list[Group]:
    """Weights and, without decay, everything of one dimension: of the whole, or of each layer."""
    layers = [[""]] if group_rate == 1 else layer_groups(model)
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups: list[Group] = []
    for number, layer in enumerate(layers, 1):
        held = [p for name, p in trainable if group_rate == 1 or belongs_to(name, layer)]
        factor = {"lr_factor": group_rate ** (len(layers) - number)}
        groups += [
            {"params": [p for p in held if p.ndim > 1], "decay_factor": 1.0, **factor},
            {"params": [p for p in held if p.ndim <= 1], "decay_factor": 0.0, **factor},
        ]
    return groups


def make_optimizer(model: nn.Module, settings: TrainSettings, lr: float) -> torch.optim.Optimizer:
    """The optimiser that the settings name, over a model's parameter groups.

    Weight decay is decoupled for every optimiser: AdamW does it itself, for the others
    :func:`decay` does it before the step.

    Args:
        model: The network.
        settings: Which optimiser, and its settings.
        lr: Base learning rate.

    Example:
        >>> type(make_optimizer(nn.Linear(2, 1), TrainSettings(), lr=0.1)).__name__
        'AdamW'
    """
    groups = parameter_groups(model, settings.group_rate)
    groups = [{**group, "lr": lr * group["lr_factor"]} for group in groups]
    betas = (settings.betas[0], settings.betas[1])
    adaptive: dict[str, Any] = {"betas": betas, "eps": settings.eps, "fused": _can_fuse(model)}
    for group in groups:
        group["weight_decay"] = 0.0
    makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "sgd": lambda: torch.optim.SGD(groups, lr=lr, fused=_can_fuse(model)),
        "momentum": lambda: torch.optim.SGD(
            groups, lr=lr, momentum=settings.momentum, fused=_can_fuse(model)
        ),
        "nesterov": lambda: torch.optim.SGD(
            groups, lr=lr, momentum=settings.momentum, nesterov=True, fused=_can_fuse(model)
        ),
        "adagrad": lambda: torch.optim.Adagrad(groups, lr=lr),
        "rmsprop": lambda: torch.optim.RMSprop(groups, lr=lr, eps=settings.eps),
        "adam": lambda: torch.optim.Adam(groups, lr=lr, **adaptive),
        "adamw": lambda: torch.optim.AdamW(groups, lr=lr, **adaptive),
    }
    return makers[settings.optimizer]()


class DirectAdam:
    """The arithmetic of a fused Adam or AdamW on its own state, without its bookkeeping.

    What ``optimizer.step()`` does beside the arithmetic takes as long as a small network's
    update. The numbers and the state are the optimiser's, bit for bit, so either may go on where
    the other stopped; hooks of the optimiser are not called.

    Args:
        optimizer: An optimiser that has made a step.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> adam = make_optimizer(layer, TrainSettings(optimizer="adam"), lr=0.1)
        >>> DirectAdam.suits(adam)  # it has no state yet
        False
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._groups = optimizer.param_groups
        self._decoupled = isinstance(optimizer, torch.optim.AdamW)
        self._update = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        self._tensors = [
            [[p.detach() for p in group["params"]]]
            + [[optimizer.state[p][key] for p in group["params"]] for key in _ADAM_STATE]
            for group in self._groups
        ]
        together = zip(*self._tensors, strict=True)
        self._together = [[*chain.from_iterable(parts)] for parts in together]
        self._holders = [group["params"] for group in self._groups]

    @staticmethod
    def suits(optimizer: torch.optim.Optimizer) -> bool:
        """Whether an optimiser is one that this can stand in for, with its state made."""
        return isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)) and all(
            group["fused"]
            and not (group["amsgrad"] or group["maximize"] or group["differentiable"])
            and all(p.device.type == "cpu" and optimizer.state[p] for p in group["params"])
            for group in optimizer.param_groups
        )

    def step(self) -> None:
        """Update every parameter by its gradient."""
        settings = [
            (group["lr"], *group["betas"], group["weight_decay"], group["eps"])
            for group in self._groups
        ]
        gradients = [[p.grad for p in held] for held in self._holders]
        if all(one == settings[0] for one in settings):
            self._step(self._together, [*chain.from_iterable(gradients)], settings[0])
            return
        for tensors, own, one in zip(self._tensors, gradients, settings, strict=True):
            self._step(tensors, own, one)

    def _step(self, tensors: Any, gradients: Any, settings: tuple[float, ...]) -> None:
        parameters, steps, means, squares = tensors
        lr, beta1, beta2, weight_decay, eps = settings
        torch._foreach_add_(steps, 1)
        self._update(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )


def _can_fuse(model: nn.Module) -> bool:
    kinds = {p.device.type for p in model.parameters()}
    floating = all(p.is_floating_point() for p in model.parameters())
    return floating and bool(kinds) and kinds <= {"cpu", "cuda", "mps", "xpu"}


def decay(optimizer: torch.optim.Optimizer, amount: float) -> None:
    """Shrink weights by ``lr * amount * decay_factor``, apart from the gradient's step.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2 (without the schedule).
    """
    for group in optimizer.param_groups:
        factor = 1 - group["lr"] * amount * group["decay_factor"]
        if factor != 1:
            learning = [p for p in group["params"] if p.requires_grad]
            with torch.no_grad():
                torch._foreach_mul_(learning, factor)


def soften(optimizer: torch.optim.Optimizer, l1: float) -> None:
    """The proximal step of an L1 penalty: weights move to zero by ``lr * l1`` and stop there.

    A subgradient only makes weights small; soft-thresholding makes them exactly zero.
    Source: Parikh & Boyd 2014, "Proximal algorithms", section 6.5.2.
    """
    with torch.no_grad():
        for group in optimizer.param_groups:
            amount = group["lr"] * l1 * group["decay_factor"]
            for weights in group["params"] if amount else ():
                if not weights.requires_grad:
                    continue
                weights.copy_(nn.functional.softshrink(weights, amount))


def add_l2_gradient(optimizer: torch.optim.Optimizer, l2: float) -> None:
    """Add the gradient of ``l2 * sum(w^2)``, which is ``2 * l2 * w``, to each gradient."""
    for group in optimizer.param_groups:
        amount = 2 * l2 * group["decay_factor"]
        for weights in group["params"] if amount else ():
            if weights.grad is not None:
                weights.grad.add_(weights.detach(), alpha=amount)


def clip(parameters: list[Tensor], settings: TrainSettings) -> None:
    """Limit gradients by value, then by the norm of all together."""
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, settings.clip_value)
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)

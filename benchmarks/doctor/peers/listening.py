"""What a script trains, heard through torch's public hooks, for tools that want to be told.

Tools for training loops ask for a model, an optimiser, a loss and a batch, which their users
write into the loop. Here the same four are found while an unchanged script runs.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

LOSSES = (
    *("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "kl_div"),
    *("gaussian_nll_loss", "multi_margin_loss", "hinge_embedding_loss", "soft_margin_loss"),
    *("multilabel_soft_margin_loss", "margin_ranking_loss"),
)


@dataclass
class Batch:
    """The last training pass of a network: what went in, what came out."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    @property
    def inputs(self) -> Any:
        """The inputs as one object, as tools take them; None where no form fits."""
        if self.args and self.kwargs:
            return None
        if self.kwargs:
            return dict(self.kwargs)
        alone = len(self.args) == 1 and isinstance(self.args[0], torch.Tensor)
        return self.args[0] if alone else self.args


@dataclass
class Loss:
    """The last loss of torch's own that was taken with gradients."""

    function: Callable[..., torch.Tensor]
    given: torch.Tensor
    target: Any
    kwargs: dict[str, Any]

    def of(self, output: Any) -> Callable[[Any, Any], torch.Tensor] | None:
        """The loss as a function of a network's output; None where that is not its input."""
        shape, kwargs, function = self.given.shape, self.kwargs, self.function
        if not isinstance(output, torch.Tensor) or output.numel() != self.given.numel():
            return None
        if not torch.equal(output.detach().reshape(shape), self.given.detach()):
            return None
        return lambda out, target: function(
            out.reshape(-1, *shape[1:]) if out.shape != shape else out, target, **kwargs
        )


@dataclass
class Training:
    """One optimiser and the network that it trains.

    Attributes:
        model: The network that is called and shares most parameters with the optimiser.
        optimizer: The optimiser.
        steps: Its steps up to now.
        loss: The last value that gradients were taken of; None before the first.
        held_out: The mean of the losses that were taken without gradients since the last step.
        batch: The network's last training pass.
        last_loss: The last loss of torch's own that had gradients.
        copies: The network and its optimiser before the first update, without hooks of anybody's;
            None where they cannot be copied.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    steps: int = 0
    loss: torch.Tensor | None = None
    held_out: float | None = None
    batch: Batch | None = None
    last_loss: Loss | None = None
    copies: tuple[nn.Module, torch.optim.Optimizer] | None = None


@dataclass
class Watcher:
    """A tool at work: what it said is in ``said``; every method may be left out."""

    said: list[dict[str, Any]] = field(default_factory=list)

    def say(self, rule: str, severity: str, text: str = "", where: str | None = None) -> None:
        """One finding, once for each rule, place and severity."""
        found = {"rule": rule, "severity": severity, "where": where}
        if not any({k: s[k] for k in found} == found for s in self.said):
            self.said.append({**found, "text": text[:200]})

    def begin(self, training: Training) -> None:
        """A network and its optimiser are known, before the first update."""

    def before(self, training: Training) -> None:
        """Gradients are there, the update is not made yet."""

    def after(self, training: Training) -> None:
        """The update was made."""

    def end(self, trainings: list[Training]) -> None:
        """The script is done."""


@contextlib.contextmanager
def same_randomness() -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def twin(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of a network, and of its optimiser, which holds the copy's parameters."""
    again = copy.deepcopy((model, optimizer))
    if isinstance(optimizer, torch.optim.LBFGS):  # its copies lack these
        again[1]._params, again[1]._numel_cache = again[1].param_groups[0]["params"], None
    return again


class Listener:
    """Hears a script's training, and tells watchers of it.

    Args:
        watchers: The tools, by name. One that raises is not told any more.
    """

    def __init__(self, watchers: dict[str, Watcher]) -> None:
        self.watchers = watchers
        self.failed: dict[str, str] = {}
        self.trainings: dict[int, Training] = {}
        self.busy = False
        self._depth = 0
        self._batches: dict[int, tuple[nn.Module, Batch]] = {}
        self._loss: torch.Tensor | None = None
        self._last_loss: Loss | None = None
        self._taken = 0  # how often gradients were taken
        self._seen: dict[int, int] = {}  # and of them, up to which one each optimiser stepped
        self._held_out: list[float] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear everything that is trained meanwhile, and tell watchers at the end that it is."""
        handles = [
            modules.register_module_forward_pre_hook(self._enter),
            modules.register_module_forward_hook(self._leave, with_kwargs=True, always_call=True),
            optimizers.register_optimizer_step_pre_hook(self._before),
            optimizers.register_optimizer_step_post_hook(self._after),
        ]
        backward = torch.Tensor.backward
        losses = {name: getattr(functional, name) for name in LOSSES}

        def heard(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            if not self.busy:
                self._loss = tensor.detach()
                self._taken += 1
            return backward(tensor, *args, **kwargs)

        torch.Tensor.backward = heard  # type: ignore[method-assign]
        for name, function in losses.items():
            setattr(functional, name, self._heard(function))
        try:
            yield
        finally:
            torch.Tensor.backward = backward  # type: ignore[method-assign]
            for name, function in losses.items():
                setattr(functional, name, function)
            for handle in handles:
                handle.remove()
            self._tell("end", list(self.trainings.values()))

    # -- hooks

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._depth += 1

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._depth = max(self._depth - 1, 0)
        if self._depth or self.busy or not torch.is_grad_enabled():
            return
        if any(p.requires_grad for p in module.parameters()):
            came = output.detach() if isinstance(output, torch.Tensor) else output
            self._batches[id(module)] = module, Batch(args, kwargs, came)

    def _heard(self, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def loss(given: Any, target: Any = None, *args: Any, **kwargs: Any) -> torch.Tensor:
            value = (
                function(given, *args, **kwargs)
                if target is None
                else function(given, target, *args, **kwargs)
            )
            if self.busy or not isinstance(given, torch.Tensor) or target is None:
                return value
            if given.requires_grad and torch.is_grad_enabled() and not args:
                self._last_loss = Loss(function, given.detach(), target, kwargs)
            elif not torch.is_grad_enabled() and value.numel() == 1:
                self._held_out.append(float(value))
            return value

        return loss

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self.busy:
            self._ready(optimizer)

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self.busy:
            return
        known = id(optimizer) in self.trainings
        self._ready(optimizer)  # where gradients were taken in a closure, this is the first time
        training = self.trainings.get(id(optimizer))
        if training is not None:
            training.steps += 1
            if known:  # otherwise its first update was made before anybody was told
                self._tell("after", training)
            training.held_out = None

    # -- telling

    def _ready(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser steps: if gradients are new, find what it trains, and tell."""
        if self._seen.get(id(optimizer), 0) == self._taken:
            return
        training = self.trainings.get(id(optimizer)) or self._found(optimizer)
        if training is None:
            return
        self._seen[id(optimizer)] = self._taken
        training.loss, training.last_loss = self._loss, self._last_loss
        if id(training.model) in self._batches:
            training.batch = self._batches[id(training.model)][1]
        if self._held_out:
            training.held_out = sum(self._held_out) / len(self._held_out)
            self._held_out.clear()
        if id(optimizer) not in self.trainings:
            self.trainings[id(optimizer)] = training
            self._tell("begin", training)
        self._tell("before", training)

    def _found(self, optimizer: torch.optim.Optimizer) -> Training | None:
        """The network that was called and shares most with an optimiser; None where none does."""
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        called = [model for model, _ in self._batches.values()]
        shares = [sum(p.numel() for p in m.parameters() if id(p) in held) for m in called]
        if not any(shares):
            return None
        training = Training(called[shares.index(max(shares))], optimizer)
        if all(t.model is not training.model for t in self.trainings.values()):
            with contextlib.suppress(Exception):
                training.copies = twin(training.model, optimizer)
        return training

    def _tell(self, moment: str, what: Any) -> None:
        self.busy = True
        depth, modes = self._depth, torch.is_grad_enabled()
        try:
            with same_randomness(), torch.enable_grad():
                for name, watcher in self.watchers.items():
                    if name not in self.failed:
                        try:
                            getattr(watcher, moment)(what)
                        except Exception as error:  # noqa: BLE001 a tool's failure is a result
                            self.failed[name] = f"{moment}: {type(error).__name__}: {error}"[:300]
        finally:
            self.busy, self._depth = False, depth
            torch.set_grad_enabled(modes)

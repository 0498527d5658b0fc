"""A round made again on copies of its networks."""

from __future__ import annotations

import contextlib
import copy
import io
import random
from collections.abc import Iterator, Mapping
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glial.doctor.watching.networks import is_network
from glial.doctor.watching.rounds import Round
from glial.doctor.watching.tape import CannotReplayError, tensors_in

MOST_VALUES = 20_000_000

State = dict[int, list[Tensor]]


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """Leave generators, gradient mode and what is printed as they were."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    streams = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(streams),
            contextlib.redirect_stderr(streams),
            torch.enable_grad(),
        ):
            yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
        if devices:
            torch.cuda.set_rng_state_all(devices)


def state_of(models: list[nn.Module]) -> State:
    """Copies of weights and buffers; empty where they would take too much memory.

    Example:
        >>> state = state_of([nn.Linear(2, 1)])
        >>> [list(value.shape) for values in state.values() for value in values]
        [[1, 2], [1]]
    """
    values = {id(model): [*model.parameters(), *model.buffers()] for model in models}
    if sum(value.numel() for held in values.values() for value in held) > MOST_VALUES:
        return {}
    return {key: [v.detach().clone() for v in held] for key, held in values.items()}


class Replay:
    """Copies of a round's networks, as they were when it began, and what they can be asked.

    Args:
        kept: The round.
        state: The networks' weights and buffers when it began.

    Raises:
        CannotReplayError: If a network cannot be copied.
    """

    def __init__(self, kept: Round, state: State) -> None:
        if kept.tested is None:
            raise CannotReplayError("no gradient was taken")
        self.round, self.root = kept, kept.tested
        self._state = state
        self.models: dict[int, nn.Module] = {}
        self.twins: dict[int, nn.Module] = {}
        for entry in kept.tape.entries:
            if entry.is_model and is_network(entry.function):
                self.models[id(entry.function)] = entry.function
        for key, model in self.models.items():
            if key not in state:
                raise CannotReplayError("a network was new in this round")
            self.twins[key] = _twin(model)
        self.reset()

    def reset(self) -> None:
        """Bring the copies back to the state that the round began with."""
        with torch.no_grad():
            for key, twin in self.twins.items():
                held = [*twin.parameters(), *twin.buffers()]
                for value, old in zip(held, self._state[key], strict=True):
                    value.copy_(old)
                    value.grad = None

    def parameters(self) -> list[nn.Parameter]:
        """The copies of all trainable weights, each once."""
        return [
            value
            for twin in self.twins.values()
            for value in twin.parameters()
            if value.requires_grad
        ]

    def twin_of(self, parameter: Tensor) -> Tensor | None:
        """The copy of a weight."""
        for key, model in self.models.items():
            for mine, other in zip(model.parameters(), self.twins[key].parameters(), strict=True):
                if mine is parameter:
                    return other
        return None

    def loss(
        self, root: Tensor, given: Mapping[int, Tensor] | None = None, kept: Round | None = None
    ) -> Tensor:
        """A number of the recording, computed again with the copies as they are now.

        Args:
            root: The number of the recording.
            given: ``id`` of a tensor of the recording to what takes its place.
            kept: The round that the number is of; by default this one.
        """
        kept = kept or self.round
        if kept.random is not None:
            torch.set_rng_state(kept.random)
        return kept.tape.replay([root], self.twins, given)[0]


def _rebound(function: FunctionType, copies: Mapping[int, Any]) -> FunctionType:
    """A function made within a module, as minGPT's ``mlpf``, that uses the copies of its parts."""
    cells = []
    for cell in function.__closure__ or ():
        try:
            held = cell.cell_contents
        except ValueError:  # nothing was put there yet
            cells.append(cell)
            continue
        cells.append(CellType(copies[id(held)]) if id(held) in copies else cell)
    made = FunctionType(
        function.__code__, function.__globals__, function.__name__, None, tuple(cells)
    )
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return made


def _twin(model: nn.Module) -> nn.Module:
    # What a network keeps of its last call (an attention map, a penalty) cannot be copied.
    kept = [value for module in model.modules() for value in tensors_in(dict(vars(module)))]
    copies: dict[int, Any] = {id(v): v.detach().clone() for v in kept if not v.is_leaf}
    try:
        twin = copy.deepcopy(model, copies)
    except Exception as error:
        raise CannotReplayError(f"{type(model).__name__} cannot be copied: {error}") from error
    for module in twin.modules():
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__closure__:
                vars(module)[name] = _rebound(value, copies)
        for hooks in (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._backward_hooks,
            module._backward_pre_hooks,
        ):
            for key, hook in list(hooks.items()):
                if not (type(hook).__module__ or "").startswith("torch."):
                    del hooks[key]
    return twin

"""Recurrent layers over whole sequences, with gradients through time by hand where that is faster.

On a processor torch gives the weights of plain and gated layers their gradients step by step; here
(`glial.functional.through_time`) those of many steps are one product, and large gated layers run
through time in C where a compiler is at hand. An LSTM, for which torch has a fast kernel, is
torch's, and so is everything on an accelerator, where something traces, and under autocast. Weights
have torch's shapes and its order of gates. In an exported program each layer is one operation,
``glial::rnn``, ``glial::gru`` or ``glial::lstm``, for any number of times.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glial.functional.masked import last_within
from glial.functional.through_time import gru_states, rnn_states

Sequences = Float[Tensor, "row time feature"]
States = Float[Tensor, "row time unit"]
State = Float[Tensor, "row unit"]
Lengths = Int[Tensor, " row"]
# To the gates from the inputs, [gate * unit, feature], and from the state, [gate * unit, unit], and
# a bias of each, [gate * unit].
Weights = tuple[Tensor, Tensor, Tensor, Tensor]

# The logistic function of it is 1, and of its negative 0, in every type of number.
_CERTAIN = 1e4
_SCHEMA = "Tensor inputs, Tensor start, Tensor a, Tensor b, Tensor c, Tensor d"


def rnn(
    inputs: Sequences,
    start: State,
    weights: Weights,
    lengths: Lengths | None = None,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
) -> tuple[States, State]:
    """The states h' = tanh(W x + b + U h + c) of a plain recurrent layer.

    Args:
        inputs: A vector at each time.
        start: The state before the first time.
        weights: W, U, b and c.
        lengths: How many times of each row count; None counts all.
        activation: What the sum goes through.

    Returns:
        The state after each time (without meaning behind a row's length), and the last one.

    Source:
        Elman (1990), "Finding structure in time", doi:10.1207/s15516709cog1402_1.

    Example:
        >>> one, none = torch.ones(1, 1), torch.zeros(1)
        >>> states, last = rnn(torch.ones(1, 3, 1), one, (one, one, none, none), activation="relu")
        >>> states.flatten(), last.item()
        (tensor([2., 3., 4.]), 4.0)
    """
    if torch.compiler.is_exporting():
        states = torch.ops.glial.rnn(inputs, start, *weights, activation)
    elif _by_hand(inputs):
        states = rnn_states(inputs, start, *weights, activation=activation)
    else:
        kernel = torch.rnn_tanh if activation == "tanh" else torch.rnn_relu
        states = _of_torch(kernel, inputs, start[None], weights)[0]
    return states, last_within(states, lengths, start)


def gru(
    inputs: Sequences, start: State, weights: Weights, lengths: Lengths | None = None
) -> tuple[States, State]:
    """The states of a gated recurrent unit, its reset gate behind the product with the state.

    Args:
        inputs: A vector at each time.
        start: The state before the first time.
        weights: Of the reset gate, the update gate and the candidate, one below the other.
        lengths: How many times of each row count; None counts all.

    Returns:
        The state after each time (without meaning behind a row's length), and the last one.

    Source:
        Cho et al. (2014), arXiv 1406.1078, with the reset gate as in torch and cuDNN.

    Example:
        >>> layer, inputs = torch.nn.GRU(2, 3, batch_first=True), torch.randn(4, 5, 2)
        >>> states, last = gru(inputs, torch.zeros(4, 3), tuple(layer.parameters()))
        >>> torch.allclose(states, layer(inputs)[0], atol=1e-6)
        True
    """
    if torch.compiler.is_exporting():
        states = torch.ops.glial.gru(inputs, start, *weights)
    elif _by_hand(inputs):
        states = gru_states(inputs, start, *weights)
    else:
        states = _of_torch(torch.gru, inputs, start[None], weights)[0]
    return states, last_within(states, lengths, start)


def lstm(
    inputs: Sequences,
    start: tuple[State, State],
    weights: Weights,
    lengths: Lengths | None = None,
) -> tuple[States, tuple[State, State]]:
    """The states of a long short-term memory.

    Args:
        inputs: A vector at each time.
        start: The state and the cell before the first time.
        weights: Of the input gate, the forget gate, the candidate and the output gate, one below
            the other.
        lengths: How many times of each row count; None counts all.

    Returns:
        The state after each time (without meaning behind a row's length); the last state and cell.

    Source:
        Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735, with the forget gate of
        Gers, Schmidhuber, Cummins (2000), doi:10.1162/089976600300015015.

    Example:
        >>> layer, inputs = torch.nn.LSTM(2, 3, batch_first=True), torch.randn(4, 5, 2)
        >>> start = torch.zeros(4, 3), torch.zeros(4, 3)
        >>> states, (last, cell) = lstm(inputs, start, tuple(layer.parameters()))
        >>> torch.allclose(cell, layer(inputs)[1][1][0], atol=1e-6)
        True
    """
    if lengths is not None:
        inputs, weights = _holding_cells(inputs, weights, lengths)
    if torch.compiler.is_exporting():
        states, cell = torch.ops.glial.lstm(inputs, *start, *weights)
    else:
        states, cell = _by_kernel(inputs, start, weights)
    return states, (last_within(states, lengths, start[0]), cell)


def _by_hand(inputs: Tensor) -> bool:
    return (
        inputs.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._functorch.is_functorch_wrapped_tensor(inputs)
    )


def _of_torch(kernel: Any, inputs: Tensor, start: Any, weights: Weights) -> tuple[Tensor, ...]:
    """One direction of one layer by torch's kernel, without dropout."""
    found: tuple[Tensor, ...] = kernel(inputs, start, weights, True, 1, 0.0, True, False, True)
    return found


def _holding_cells(inputs: Tensor, weights: Weights, lengths: Tensor) -> tuple[Tensor, Weights]:
    """A further input that is 1 behind a row's length and there keeps the cell as it is.

    It shuts the input gate and opens the forget gate, so that the last cell is that of the last
    time that counts, by a kernel that tells no other.
    """
    behind = torch.arange(inputs.shape[1], device=inputs.device) >= lengths[:, None]
    signs = inputs.new_tensor([-_CERTAIN, _CERTAIN, 0.0, 0.0])
    column = signs.repeat_interleave(len(weights[0]) // 4)[:, None]
    wider = torch.cat([weights[0], column], dim=1)
    return torch.cat([inputs, behind[:, :, None].to(inputs)], dim=2), (wider, *weights[1:])


@torch.library.custom_op("glial::rnn", mutates_args=(), schema=f"({_SCHEMA}, str by) -> Tensor")
def _rnn_operation(
    inputs: Tensor, start: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, by: str
) -> Tensor:
    return rnn_states(inputs, start, a, b, c, d, activation=by).contiguous()


@torch.library.custom_op("glial::gru", mutates_args=(), schema=f"({_SCHEMA}) -> Tensor")
def _gru_operation(
    inputs: Tensor, start: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
) -> Tensor:
    return gru_states(inputs, start, a, b, c, d).contiguous()


@torch.library.custom_op(
    "glial::lstm",
    mutates_args=(),
    schema=f"({_SCHEMA.replace('start,', 'start, Tensor cell,')}) -> (Tensor, Tensor)",
)
def _lstm_operation(
    inputs: Tensor, start: Tensor, cell: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
) -> tuple[Tensor, Tensor]:
    return _by_kernel(inputs, (start, cell), (a, b, c, d))


def _by_kernel(
    inputs: Tensor, start: tuple[Tensor, Tensor], weights: Weights
) -> tuple[Tensor, Tensor]:
    """The states of all times, and the last cell."""
    first = tuple(part[None] for part in start)
    states, _, cell = _of_torch(torch.lstm, inputs, first, weights)
    return states, cell[0]


@_rnn_operation.register_fake
@_gru_operation.register_fake
def _shaped(inputs: Tensor, start: Tensor, *rest: Any) -> Tensor:
    return inputs.new_empty(inputs.shape[0], inputs.shape[1], start.shape[1])


@_lstm_operation.register_fake
def _shaped_twice(inputs: Tensor, start: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return _shaped(inputs, start), torch.empty_like(start)

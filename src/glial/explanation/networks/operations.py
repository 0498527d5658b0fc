"""The operations that networks are made of, by their names: what kind each is.

An operation has one name whether it is called as a method, a function of torch or one of
``torch.nn.functional``. Where a name is in none of these sets, its gradient speaks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def names_in(text: str) -> frozenset[str]:
    """The words of a text.

    Example:
        >>> sorted(names_in("relu tanh"))
        ['relu', 'tanh']
    """
    return frozenset(text.split())


# One number in, one number out; what follows the number are settings.
ELEMENTWISE = names_in("""
    relu relu6 gelu tanh sigmoid silu selu elu celu leaky_relu softplus mish hardswish
    hardsigmoid hardtanh softsign tanhshrink softshrink hardshrink logsigmoid abs exp
    expm1 log1p sqrt square cos sin erf prelu threshold pow __pow__ clamp clamp_min
    clamp_max
""")
# Of these the gradient times the input is the output.
HOMOGENEOUS = frozenset(("relu", "leaky_relu", "abs", "prelu"))
ADDITION = frozenset(("add", "__add__", "__radd__", "__iadd__", "add_"))
SUBTRACTION = frozenset(("sub", "__sub__", "__isub__", "sub_", "subtract"))
REVERSED_SUBTRACTION = frozenset(("rsub", "__rsub__"))
PRODUCT = frozenset(("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply"))
QUOTIENT = frozenset(("div", "__truediv__", "__itruediv__", "div_", "divide", "true_divide"))
MATRIX_PRODUCT = frozenset(("matmul", "__matmul__", "bmm", "mm", "mv", "einsum"))
AFFINE = names_in("""
    linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
""")
# Parts of tensors, tensors in other shapes, and copies.
SHAPING = names_in("""
    chunk split unbind __getitem__ transpose permute reshape view flatten unflatten
    squeeze unsqueeze expand expand_as masked_fill dropout contiguous to float double
    type_as select narrow repeat repeat_interleave t swapaxes movedim clone flip roll
""")


def tensors_in(args: Any) -> list[Tensor]:
    """All tensors among arguments, those in lists included.

    Example:
        >>> len(tensors_in((torch.zeros(1), [torch.zeros(2)], 3)))
        2
    """
    found = []
    for value in args:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [part for part in value if isinstance(part, Tensor)]
    return found


def not_in_place(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of an elementwise operation, but for the wish to write over its input.

    Example:
        >>> not_in_place([1.0, True], {"inplace": True})
        ([1.0, False], {})
    """
    own = {name: value for name, value in kwargs.items() if name != "inplace"}
    return [False if value is True else value for value in args], own


def recurrent_steps(
    name: str, inputs: Tensor, start: Any, weights: Any, *rest: Any
) -> tuple[Tensor, ...]:
    """What torch's kernel of a recurrent network computes, step by step.

    Args:
        name: ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.
        inputs: A vector at each time.
        start: The first state; of an LSTM with its cell.
        weights: All layers' and directions' parameters in torch's order.
        rest: Whether there are biases, layers, dropout, training, both directions, rows first.

    Returns:
        The states, and the last state, of an LSTM with its cell, shaped as torch's.

    Example:
        >>> layer, x = torch.nn.GRU(2, 3, batch_first=True), torch.randn(4, 5, 2)
        >>> start, weights = torch.zeros(1, 4, 3), list(layer.parameters())
        >>> steps = recurrent_steps("gru", x, start, weights, True, 1, 0.0, False, False, True)
        >>> torch.allclose(steps[0], layer(x)[0], atol=1e-6)
        True
    """
    biased, layers, _, _, both, rows_first = rest[:6]
    states = inputs.transpose(0, 1) if rows_first else inputs
    starts = list(start) if isinstance(start, (tuple, list)) else [start]
    size = 4 if biased else 2
    ends: list[list[Tensor]] = []
    for _ in range(layers):
        found = []
        for way in range(2 if both else 1):
            place = len(ends)
            own = list(weights[place * size : (place + 1) * size])
            own += [None] * (4 - len(own))
            now = [part[place] for part in starts]
            moments = states.unbind(0)
            told = []
            for moment in reversed(moments) if way else moments:
                now = _step(name, moment, now, own)
                told.append(now[0])
            found.append(torch.stack(told[::-1] if way else told))
            ends.append(now)
        states = torch.cat(found, dim=2) if both else found[0]
    last = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
    return (states.transpose(0, 1) if rows_first else states, *last)


def _step(name: str, moment: Tensor, now: list[Tensor], weights: list[Any]) -> list[Tensor]:
    of_input, of_state, input_bias, state_bias = weights
    read = torch.nn.functional.linear(moment, of_input, input_bias)
    held = torch.nn.functional.linear(now[0], of_state, state_bias)
    if name == "lstm":
        gates = (read + held).chunk(4, dim=-1)
        cell = gates[1].sigmoid() * now[1] + gates[0].sigmoid() * gates[2].tanh()
        return [gates[3].sigmoid() * cell.tanh(), cell]
    if name == "gru":
        one, two = read.chunk(3, dim=-1), held.chunk(3, dim=-1)
        update = (one[1] + two[1]).sigmoid()
        candidate = (one[2] + (one[0] + two[0]).sigmoid() * two[2]).tanh()
        return [(1 - update) * candidate + update * now[0]]
    return [(read + held).relu() if name == "rnn_relu" else (read + held).tanh()]

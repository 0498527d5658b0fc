"""Recurrent layers forwards and backwards through time, by hand.

Gradients of the weights are not found step by step but of many steps in one product, and whatever a
step's gradient is multiplied by is found for these steps at once before going back in time.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from glial.functional.recurrent_kernels import gru_kernels

# Rows times steps that are worked on together: what they need stays in the processor's cache.
ROWS_TOGETHER = 512


def rnn_states(inputs: Tensor, start: Tensor, *weights: Tensor, activation: str) -> Tensor:
    """The states of all times; arguments as of `glial.functional.rnn`.

    Example:
        >>> one, none = torch.ones(1, 1), torch.zeros(1)
        >>> weights = one, one, none, none
        >>> rnn_states(torch.ones(1, 3, 1), one, *weights, activation="relu").flatten()
        tensor([2., 3., 4.])
    """
    states: Tensor = _RNN.apply(inputs.transpose(0, 1), start, *weights, activation)  # type: ignore[no-untyped-call]
    return states.transpose(0, 1)


def gru_states(inputs: Tensor, start: Tensor, *weights: Tensor) -> Tensor:
    """The states of all times; arguments as of `glial.functional.gru`.

    Example:
        >>> layer, inputs = torch.nn.GRU(2, 3, batch_first=True), torch.randn(4, 5, 2)
        >>> gru_states(inputs, torch.zeros(4, 3), *layer.parameters()).shape
        torch.Size([4, 5, 3])
    """
    states: Tensor = _GRU.apply(inputs.transpose(0, 1), start, *weights)  # type: ignore[no-untyped-call]
    return states.transpose(0, 1)


class _RNN(torch.autograd.Function):
    """All tensors have time first."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        start: Tensor,
        to_input: Tensor,
        to_hidden: Tensor,
        input_bias: Tensor,
        hidden_bias: Tensor,
        activation: str,
    ) -> Tensor:
        inputs = inputs.contiguous()
        states = inputs.new_empty(len(inputs) + 1, *start.shape)
        states[0] = start
        sums = states[1:].flatten(0, 1)
        torch.addmm(input_bias + hidden_bias, inputs.flatten(0, 1), to_input.t(), out=sums)
        turned, steps = to_hidden.t(), states.unbind()
        squash = torch.relu_ if activation == "relu" else torch.tanh_
        for before, after in itertools.pairwise(steps):
            squash(after.addmm_(before, turned))
        ctx.save_for_backward(inputs, states, to_input, to_hidden)
        ctx.activation = activation
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, states, to_input, to_hidden = ctx.saved_tensors
        after = states[1:]
        slopes = (after > 0).to(after) if ctx.activation == "relu" else 1 - after * after
        arrived = grads.clone(memory_format=torch.contiguous_format).unbind()
        parts = slopes.unbind()
        for time in range(len(parts) - 1, -1, -1):
            parts[time].mul_(arrived[time])
            if time:
                arrived[time - 1].addmm_(parts[time], to_hidden)
        flat = slopes.flatten(0, 1)
        of_bias = flat.sum(0)
        return (
            (flat @ to_input).view_as(inputs),
            parts[0] @ to_hidden,
            flat.t() @ inputs.flatten(0, 1),
            flat.t() @ states[:-1].flatten(0, 1),
            of_bias,
            of_bias,
            None,
        )


class _GRU(torch.autograd.Function):
    """All tensors have time first. Gates stand in torch's order: reset, update, candidate."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        start: Tensor,
        to_input: Tensor,
        to_hidden: Tensor,
        input_bias: Tensor,
        hidden_bias: Tensor,
    ) -> Tensor:
        inputs = inputs.contiguous()
        units = start.shape[1]
        both = 2 * units
        bias = torch.cat([input_bias[:both] + hidden_bias[:both], input_bias[both:]])
        gates = torch.addmm(bias, inputs.flatten(0, 1), to_input.t())
        gates = gates.view(len(inputs), len(start), 3 * units)
        candidates = gates[..., both:].clone()
        gates[..., both:] = hidden_bias[both:]
        states = inputs.new_empty(len(inputs) + 1, *start.shape)
        states[0] = start
        ctx.kernels = gru_kernels(len(inputs), len(start), units, inputs.dtype)
        if ctx.kernels is not None:
            ctx.kernels.forward(ctx.kernels.packed(to_hidden.t()), gates, candidates, states)
        else:
            _GRU._steps(to_hidden.t(), gates, candidates, states)
        ctx.save_for_backward(inputs, states, gates, candidates, to_input, to_hidden)
        return states[1:]

    @staticmethod
    def _steps(turned: Tensor, gates: Tensor, candidates: Tensor, states: Tensor) -> None:
        """Fill in gates, candidates and all states but the first."""
        both = 2 * candidates.shape[2]
        steps = states.unbind()
        sums, opened, found = gates.unbind(), gates[..., :both].unbind(), candidates.unbind()
        reset, update, past = (part.unbind() for part in gates.chunk(3, dim=2))
        for time, before in enumerate(steps[:-1]):
            sums[time].addmm_(before, turned)
            opened[time].sigmoid_()
            found[time].addcmul_(reset[time], past[time]).tanh_()
            torch.lerp(found[time], before, update[time], out=steps[time + 1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grads: Tensor) -> tuple[Tensor, ...]:
        inputs, states, gates, candidates, to_input, to_hidden = ctx.saved_tensors
        steps, rows, units = candidates.shape
        of_inputs = torch.empty_like(inputs)
        of_weights = [torch.zeros_like(to_input), torch.zeros_like(to_hidden)]
        of_biases = [to_input.new_zeros(3 * units) for _ in range(2)]
        grads, arrived = grads.contiguous(), inputs.new_zeros(rows, units)
        kernels = ctx.kernels
        panels = None if kernels is None else kernels.packed(to_hidden)
        length = max(1, ROWS_TOGETHER // rows)
        for begin in range((steps - 1) // length * length, -1, -length):
            some = slice(begin, min(begin + length, steps))
            candidate, before = candidates[some], states[some]
            slopes, inner = (
                gates.new_empty(*candidate.shape[:2], 3, units),
                torch.empty_like(candidate),
            )
            going_back = (candidate, before, grads[some], slopes, inner, arrived)
            if kernels is None:
                _GRU._steps_back(to_hidden, gates[some], *going_back)
            else:
                kernels.backward(panels, gates[some], *going_back)
            flat = slopes.view(-1, 3 * units)
            of_weights[1].addmm_(flat.t(), before.flatten(0, 1))
            of_biases[1].add_(flat.sum(0))
            slopes[:, :, 2] = inner
            of_weights[0].addmm_(flat.t(), inputs[some].flatten(0, 1))
            of_biases[0].add_(flat.sum(0))
            torch.mm(flat, to_input, out=of_inputs[some].flatten(0, 1))
        return of_inputs, arrived, *of_weights, *of_biases

    @staticmethod
    def _steps_back(
        to_hidden: Tensor,
        gates: Tensor,
        candidate: Tensor,
        before: Tensor,
        grads: Tensor,
        slopes: Tensor,
        inner: Tensor,
        arrived: Tensor,
    ) -> None:
        """Fill in the gradients of the sums that gates come from; arguments as of the kernels."""
        reset, update, past = gates.chunk(3, dim=2)
        # What a state's gradient times gives the gradient of each sum its gates come from.
        of_candidate = torch.ops.aten.tanh_backward(1 - update, candidate)
        torch.mul(of_candidate, reset, out=slopes[:, :, 2])
        _times_slope(of_candidate * past, reset, slopes[:, :, 0])
        _times_slope(before - candidate, update, slopes[:, :, 1])
        held, parts, kept = inner.unbind(), slopes.unbind(), update.unbind()
        sums = slopes.flatten(2).unbind()
        for time in range(len(parts) - 1, -1, -1):
            arrived.add_(grads[time])
            held[time].copy_(arrived)
            parts[time].mul_(arrived[:, None])
            arrived.mul_(kept[time]).addmm_(sums[time], to_hidden)
        inner.mul_(of_candidate)


def _times_slope(values: Tensor, gate: Tensor, into: Tensor) -> None:
    """Values times the slope of the logistic function where it gives this gate."""
    torch.ops.aten.sigmoid_backward.grad_input(values, gate, grad_input=into)

"""Layer-wise relevance propagation through any network, by watching its operations.

Relevance is the gradient times the input of a network made linear where it stands: every
nonlinearity is taken for its own slope from 0, a normalisation for a division by a constant, a gate
and attention's weights for constants. What the output is then made of, all inputs and all constants
(biases, positions), adds up to the output. Rules say how a layer's relevance is shared among what
it sums: as it is, with a share left out for small sums (epsilon), or more to what speaks for it
(gamma).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.explanation.networks.attribution import Attribution, gathered
from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.operations import (
    ADDITION,
    AFFINE,
    ELEMENTWISE,
    HOMOGENEOUS,
    MATRIX_PRODUCT,
    PRODUCT,
    QUOTIENT,
    REVERSED_SUBTRACTION,
    SHAPING,
    SUBTRACTION,
    not_in_place,
    recurrent_steps,
    tensors_in,
)
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched

Rule = Literal["zero", "epsilon", "gamma"]
# Weighted sums of inputs by weights, with a bias or none.
_Sums = Callable[[Tensor, Tensor, Tensor | None], Tensor]
_NEAR_ZERO = 1e-5
_GATE = "_glial_gate"
_GATES = ("sigmoid", "softmax", "hardsigmoid", "rsqrt")


def relevance(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    rule: Rule = "epsilon",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
) -> Attribution:
    """How much of an output came from each input, traced back through every layer.

    Args:
        network: The network, of any make: dense, convolutional, recurrent, attention; its weights
            and modes are left as they were.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        rule: How dense and convolutional layers share out: ``zero`` as the sum was made,
            ``epsilon`` likewise but with less where a sum is near zero, ``gamma`` more to
            what has the sum's sign, which makes cleaner pictures of deep networks.
        epsilon: What sums are made larger by under the rule ``epsilon``.
        gamma: How much more what has the sum's sign counts under the rule ``gamma``.

    Returns:
        The relevance of each input; ``rest`` is that of biases and other constants. The sum of all
        is the output's, but for what ``epsilon`` takes and for rounding.

    Source:
        Bach et al. (2015), doi:10.1371/journal.pone.0130140; gamma: Montavon et al. (2019),
        "Layer-wise relevance propagation: an overview", doi:10.1007/978-3-030-28954-6_10; gates:
        Arras et al. (2017), arXiv 1706.07206; attention and layer norm: Ali et al. (2022), "XAI for
        transformers", arXiv 2202.07304; products: Achtibat et al. (2024), arXiv 2402.05602.

    Example:
        >>> network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> found = relevance(network, torch.ones(1, 3), rule="zero")
        >>> abs(float(found.total + found.rest - found.output)) < 1e-5
        True
    """
    opened = Opened(network, as_inputs(inputs))
    with untouched(network), torch.enable_grad():
        entries = [entry.detach().requires_grad_() for entry in opened.entries()]
        tracing = _Tracing(rule, epsilon, gamma, entries[0])
        output = chosen(opened.run(tracing, entries), choice)
        leaves = [*entries, tracing.one]
        found = (
            torch.autograd.grad(output.sum(), leaves, materialize_grads=True)
            if output.requires_grad
            else [torch.zeros_like(leaf) for leaf in leaves]
        )
        parts = [e.detach() * g for e, g in zip(entries, found[:-1], strict=True)]
    told = Attribution(gathered(opened, parts), output.detach())
    # Vectors that belong to no input, such as those of positions, are constants too.
    unowned = sum(float(part.sum()) for part in parts) - float(told.total.sum())
    return replace(told, rest=float(found[-1]) + unowned)


class _Tracing(Reading):
    """Makes the network linear where it stands; constants go through the number ``one``."""

    def __init__(self, rule: Rule, epsilon: float, gamma: float, like: Tensor) -> None:
        super().__init__()
        self.rule, self.epsilon, self.gamma = rule, epsilon, gamma
        self.one = torch.ones((), dtype=like.dtype, device=like.device, requires_grad=True)

    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """One operation, its gradient that of its share of relevance."""
        given = tensors_in((*args, *kwargs.values()))
        if not any(tensor.requires_grad for tensor in given):
            return func(*args, **kwargs)
        found = self._traced(name, func, args, kwargs)
        shaped = name in SHAPING or name in ADDITION | SUBTRACTION | REVERSED_SUBTRACTION
        if name in _GATES or (shaped and _is_gate(given)):
            for part in tensors_in([found]):
                setattr(part, _GATE, True)
        return found

    def _traced(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name in HOMOGENEOUS:
            return func(*args, **kwargs)
        if name in ELEMENTWISE:
            return self._elementwise(func, *not_in_place(args, kwargs))
        if name in ADDITION | SUBTRACTION | REVERSED_SUBTRACTION:
            return func(*(self._through_one(value) for value in args), **kwargs)
        if name in PRODUCT | MATRIX_PRODUCT:
            return self._product(func, args, kwargs)
        if name in QUOTIENT:
            return func(args[0], _held(args[1]), *args[2:], **kwargs)
        if name == "__rdiv__":
            return self._constant(func(*args, **kwargs))
        if name in AFFINE:
            return self._affine(func, args, kwargs)
        special = getattr(self, f"_{name}", None)
        return func(*args, **kwargs) if special is None else special(func, args, kwargs)

    def _constant(self, value: Tensor) -> Tensor:
        return value.detach() * self.one

    def _through_one(self, value: Any) -> Any:
        """A constant as a multiple of the number that collects what constants give."""
        if isinstance(value, Tensor):
            return (
                value
                if value.requires_grad or not value.is_floating_point()
                else (value * self.one)
            )
        return value * self.one if isinstance(value, (int, float)) and value else value

    def _elementwise(self, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Its slope from 0 to where it stands; what it gives at 0 comes from constants."""
        inputs, rest = args[0], args[1:]
        if any(isinstance(value, Tensor) and value.requires_grad for value in rest):
            return func(*args, **kwargs)
        with torch.no_grad():
            start = func(torch.zeros_like(inputs), *rest, **kwargs)
            small = inputs.abs() < _NEAR_ZERO
            away = torch.where(small, _NEAR_ZERO, inputs)
            slope = (func(away, *rest, **kwargs) - start) / away
            left = func(inputs, *rest, **kwargs) - slope * inputs
        return inputs * slope + left * self.one

    def _product(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Of two factors that depend on the inputs half each; a gate, and attention, gets none."""
        places = [i for i, v in enumerate(args) if isinstance(v, Tensor) and v.requires_grad]
        if len(places) < 2:
            return func(*args, **kwargs)
        gates = [i for i in places if hasattr(args[i], _GATE)]
        if len(gates) == 1:
            return func(*(v.detach() if i in gates else v for i, v in enumerate(args)), **kwargs)
        halves = [
            func(*(v.detach() if i == held else v for i, v in enumerate(args)), **kwargs)
            for held in places
        ]
        return sum(halves) / len(halves)

    def _affine(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """A layer of weighted sums with one weight matrix or filter for all rows."""
        names = ("input", "weight", "bias")
        held = dict(zip(names, args, strict=False)) | {n: kwargs[n] for n in names if n in kwargs}
        rest = {name: value for name, value in kwargs.items() if name not in names}
        if held["weight"].requires_grad:
            found: Tensor = self._product(func, args, kwargs)
            return found

        def sums(values: Tensor, by: Tensor, more: Tensor | None) -> Tensor:
            made: Tensor = func(values, by, more, *args[3:], **rest)
            return made

        return self._summed(sums, held["input"], held["weight"], held.get("bias"))

    def _baddbmm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """A layer of weighted sums with a matrix for each member."""
        bias, inputs, weight = args[:3]
        if weight.requires_grad or bias.requires_grad:
            found: Tensor = func(*args, **kwargs)
            return found

        def sums(values: Tensor, by: Tensor, more: Tensor | None) -> Tensor:
            made: Tensor = func(
                torch.zeros_like(bias) if more is None else more, values, by, **kwargs
            )
            return made

        return self._summed(sums, inputs, weight, bias)

    _addbmm = _baddbmm

    def _addmm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        found: Tensor = func(self._through_one(args[0]), *args[1:], **kwargs)
        return found

    def _summed(self, sums: _Sums, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Weighted sums, by the rule."""

        def through_one(values: Tensor, by: Tensor, more: Tensor | None) -> Tensor:
            return sums(values, by, None if more is None else more * self.one)

        if self.rule == "gamma":
            return self._by_gamma(through_one, inputs, weight, bias)
        found = through_one(inputs, weight, bias)
        if self.rule == "epsilon":
            held = found.detach()
            size = held + torch.where(held < 0, -self.epsilon, self.epsilon)
            found = held + (found - held) * (held / size)  # the value stays, relevance shrinks
        return found

    def _by_gamma(
        self,
        sums: _Sums,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        above, below = weight.clamp(min=0), weight.clamp(max=0)
        biases = (None, None) if bias is None else (bias.clamp(min=0), bias.clamp(max=0))
        positive, negative = inputs.clamp(min=0), inputs.clamp(max=0)
        speaks_for = sums(positive, above, biases[0])
        speaks_against = sums(positive, below, biases[1])
        if bool((inputs < 0).any()):
            speaks_for = speaks_for + sums(negative, below, None)
            speaks_against = speaks_against + sums(negative, above, None)
        found = speaks_for + speaks_against
        more = torch.where(found.detach() >= 0, speaks_for, speaks_against)
        shared = found + self.gamma * more
        held = shared.detach()
        safe = torch.where(held == 0, torch.ones_like(held), held)
        return shared * (found.detach() / safe)

    def _cat(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        found: Tensor = func([self._through_one(part) for part in args[0]], *args[1:], **kwargs)
        return found

    _stack = _concat = _cat

    def _lerp(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        start, end, weight = args[:3]
        found: Tensor = func(self._through_one(start), self._through_one(end), _held(weight))
        return found

    def _addcmul(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        product: Tensor = self._product(torch.mul, args[1:3], {})
        total: Tensor = self._through_one(args[0]) + product * kwargs.get("value", 1)
        return total

    def _layer_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Division by a spread that is taken for constant."""

        def norm(
            inputs: Tensor,
            shape: list[int],
            weight: Tensor | None = None,
            bias: Tensor | None = None,
            eps: float = 1e-5,
        ) -> Tensor:
            axes = list(range(-len(shape), 0))
            return self._normed(inputs, axes, weight, bias, eps)

        return norm(*args, **kwargs)

    def _group_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        def norm(
            inputs: Tensor,
            groups: int,
            weight: Tensor | None = None,
            bias: Tensor | None = None,
            eps: float = 1e-5,
        ) -> Tensor:
            cut = inputs.reshape(inputs.shape[0], groups, -1, *inputs.shape[2:])
            found = self._normed(cut, list(range(2, cut.ndim)), None, None, eps).flatten(1, 2)
            return self._scaled(found, _by_channel(weight, inputs), _by_channel(bias, inputs))

        return norm(*args, **kwargs)

    def _instance_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        found: Tensor = func(*args, **kwargs)
        return self._by_ratio(args[0], found)

    def _local_response_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        return self._by_ratio(args[0], func(*args, **kwargs))

    _normalize = _rms_norm = _local_response_norm

    def _by_ratio(self, inputs: Tensor, found: Tensor) -> Tensor:
        """Each number times what it was multiplied by."""
        held = inputs.detach()
        safe = torch.where(held == 0, torch.ones_like(held), held)
        return inputs * (found.detach() / safe) + self._constant(torch.where(held == 0, found, 0.0))

    def _batch_norm(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """By held means and variances: a factor and a shift for each channel."""

        def norm(
            inputs: Tensor,
            mean: Tensor | None,
            variance: Tensor | None,
            weight: Tensor | None = None,
            bias: Tensor | None = None,
            training: bool = False,
            momentum: float = 0.1,
            eps: float = 1e-5,
        ) -> Tensor:
            if mean is None or variance is None:
                axes = [i for i in range(inputs.ndim) if i != 1]
                mean, variance = inputs.detach().mean(axes), inputs.detach().var(axes, correction=0)
            factor = (variance + eps).rsqrt()
            shift = -mean * factor
            if weight is not None:
                factor, shift = factor * weight, shift * weight
            shift = shift if bias is None else shift + bias
            return self._scaled(inputs, _by_channel(factor, inputs), _by_channel(shift, inputs))

        return norm(*args, **kwargs)

    def _normed(
        self,
        inputs: Tensor,
        axes: list[int],
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        mean = inputs.mean(axes, keepdim=True)
        spread = (inputs.detach().var(axes, correction=0, keepdim=True) + eps).sqrt()
        return self._scaled((inputs - mean) / spread, weight, bias)

    def _scaled(self, values: Tensor, factor: Tensor | None, shift: Tensor | None) -> Tensor:
        values = values if factor is None else values * factor
        return values if shift is None else values + shift * self.one

    def _scaled_dot_product_attention(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Where is looked is taken for constant; relevance goes to what was seen there."""
        names = ("query", "key", "value")
        held = dict(zip(names, args, strict=False)) | {n: kwargs[n] for n in names if n in kwargs}
        rest = {name: value for name, value in kwargs.items() if name not in names}
        found: Tensor = func(
            held["query"].detach(), held["key"].detach(), held["value"], *args[3:], **rest
        )
        return found

    def _multi_head_attention_forward(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Torch's layer of attention, opened: its weights are constant, its values are not."""
        query, key, value, size, heads, in_weight, in_bias = args[:7]
        asked = dict(kwargs, need_weights=True, average_attn_weights=False)
        with torch.no_grad():
            weights = func(query, key, value, *args[3:], **asked)[1]
        separate = kwargs.get("use_separate_proj_weight", False)
        of_values = kwargs["v_proj_weight"] if separate else in_weight[2 * size :]
        out_weight, out_bias = args[11], args[12]
        with self:
            bias = None if in_bias is None else in_bias[2 * size :]
            values = functional.linear(value, of_values, bias)
            # [place, row, size] to [row, head, place, part].
            cut = values.reshape(*values.shape[:2], heads, -1).permute(1, 2, 0, 3)
            mixed = (weights @ cut).permute(2, 0, 1, 3).flatten(2)
            found = functional.linear(mixed, out_weight, out_bias)
        needs = kwargs.get("need_weights", True)
        shown = weights.mean(dim=1) if kwargs.get("average_attn_weights", True) else weights
        return found, (shown if needs else None)

    def _by_steps(self, name: str, args: Any) -> Any:
        with self:
            return recurrent_steps(name, *args)

    def _lstm(self, func: Any, args: Any, kwargs: Any) -> Any:
        return self._by_steps("lstm", args)

    def _gru(self, func: Any, args: Any, kwargs: Any) -> Any:
        return self._by_steps("gru", args)

    def _rnn_tanh(self, func: Any, args: Any, kwargs: Any) -> Any:
        return self._by_steps("rnn_tanh", args)

    def _rnn_relu(self, func: Any, args: Any, kwargs: Any) -> Any:
        return self._by_steps("rnn_relu", args)


def _held(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _is_gate(given: list[Tensor]) -> bool:
    depends = [tensor for tensor in given if tensor.requires_grad]
    return all(hasattr(tensor, _GATE) for tensor in depends)


def _by_channel(values: Tensor | None, like: Tensor) -> Tensor | None:
    return None if values is None else values.view(1, -1, *[1] * (like.ndim - 2))

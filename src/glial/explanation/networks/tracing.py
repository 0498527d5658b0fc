"""A network made linear where it stands, so that what it is given adds up to what it gives.

Every nonlinearity is taken for its own slope from 0, a normalisation for a division by a constant,
a gate and attention's weights for constants; constants themselves go through one number, so that
what comes from them is known too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

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
from glial.explanation.networks.reading import Reading

Rule = Literal["zero", "epsilon", "gamma"]
# Weighted sums of inputs by weights, with a bias or none.
_Sums = Callable[[Tensor, Tensor, Tensor | None], Tensor]
_NEAR_ZERO = 1e-5
_GATE = "_glial_gate"
_GATES = ("sigmoid", "softmax", "hardsigmoid", "rsqrt")


class Tracing(Reading):
    """Makes a network linear where it stands while it runs.

    Args:
        rule: How weighted sums share out, see `glial.explanation.networks.relevance`.
        epsilon: Of the rule ``epsilon``.
        gamma: Of the rule ``gamma``.
        like: A tensor of the network's type of numbers.

    Attributes:
        one: The number 1 that all constants are multiplied by: its gradient is their part.

    Example:
        >>> tracing = Tracing("zero", 0, 0, torch.ones(1))
        >>> x = torch.tensor([2.0], requires_grad=True)
        >>> with tracing:
        ...     y = x**2 + 3
        >>> y.backward()
        >>> x.grad * x.detach(), tracing.one.grad
        (tensor([4.]), tensor(3.))
    """

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

            def shrunk(relevance: Tensor) -> Tensor:
                small = torch.full_like(held, self.epsilon).copysign_(held)
                return relevance * (held / small.add_(held))

            found.register_hook(shrunk)  # type: ignore[no-untyped-call]
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

    def _logsumexp(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Each number by its share; the rest, the entropy of the shares, comes from constants."""
        value = func(*args, **kwargs).detach()
        axes = args[1] if len(args) > 1 else kwargs["dim"]
        inputs = args[0]
        shares = (inputs.detach() - inputs.detach().logsumexp(axes, keepdim=True)).exp()
        finite = torch.where(shares > 0, inputs, 0.0)  # 0 times minus infinity is nothing
        linear = (shares * finite).sum(axes, keepdim=value.ndim == inputs.ndim)
        return linear + (value - linear.detach()) * self.one

    def _log_softmax(self, func: Any, args: Any, kwargs: Any) -> Any:
        axis = args[1] if len(args) > 1 else kwargs["dim"]
        total = self._logsumexp(torch.logsumexp, (args[0], axis), {"keepdim": True})
        return args[0] - total

    def _softmax(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Its tangent; as weights of a mixture it is a gate, and gets nothing."""
        axis = args[1] if len(args) > 1 else kwargs["dim"]
        shares = func(*args, **kwargs).detach()
        finite = torch.where(shares > 0, args[0], 0.0)
        linear = shares * (finite - (shares * finite).sum(axis, keepdim=True))
        return linear + (shares - linear.detach()) * self.one

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

"""DeepLIFT and Deep SHAP: differences from a reference, handed back through each nonlinearity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.gradients import (
    Inputs,
    as_inputs,
    differences,
    gradients_of,
    reference_entries,
    settled,
)
from glial.explanation.networks.operations import (
    ELEMENTWISE,
    MATRIX_PRODUCT,
    PRODUCT,
    QUOTIENT,
    names_in,
    not_in_place,
    recurrent_steps,
    tensors_in,
)
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched

# Operations on several numbers at once whose multipliers are the mean gradient along the way from
# the reference; each with the places of the arguments that may depend on the inputs.
_ALONG = names_in("""
    softmax log_softmax logsumexp layer_norm group_norm instance_norm rms_norm
    normalize local_response_norm amax amin max min scaled_dot_product_attention norm
    linalg_vector_norm std var rsqrt reciprocal __rdiv__ maximum minimum
    adaptive_max_pool2d adaptive_max_pool1d multi_head_attention_forward lerp addcmul
    prod glu
""")
_POOLS = {"max_pool1d": 1, "max_pool2d": 2, "max_pool3d": 3}
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_POINTS = 16
_SMALL = 1e-6


def deeplift(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    reference: Inputs | None = None,
) -> Attribution:
    """How much each input's difference from a reference brought about of the output's difference.

    One pass through the reference and one there and back. Of a nonlinearity of one number the
    multiplier is the slope from the reference to the input (the rescale rule), of a product the
    factors' means, of maxima that of Deep SHAP, and of other operations on several numbers, such as
    softmax or a normalisation, the mean gradient on the straight way between both.

    Args:
        network: The network, of any make; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        reference: Inputs that stand for nothing, of the same shapes or of one row; None is 0 for
            numbers and vectors of 0 for codes.

    Source:
        Shrikumar, Greenside, Kundaje (2017), "Learning important features through propagating
        activation differences", arXiv 1704.02685, sections 3.2 and 3.5.1.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> found = deeplift(network, torch.ones(1, 2))
        >>> bool(found.gap.abs() < 1e-5)
        True
    """
    opened = Opened(network, as_inputs(inputs))
    with untouched(network):
        entries = opened.entries()
        start = reference_entries(opened, entries, reference)
        output, choice = settled(opened, entries, choice)
        recording = _Recording()
        leaves = [entry.detach().requires_grad_() for entry in start]
        with torch.enable_grad():
            told = chosen(opened.run(recording, leaves), choice).detach()
        multipliers = gradients_of(opened, entries, choice, _Comparing(recording.held))[1]
        values = differences(opened, entries, start, multipliers, reference)
        return Attribution(values, output, told)


def deep_shap(
    network: nn.Module,
    inputs: Inputs,
    background: Inputs,
    choice: Choice = None,
) -> Attribution:
    """Shapley values by DeepLIFT, averaged over the rows of a background as references.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        background: Rows that stand for what may come, some tens of them.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.

    Returns:
        Parts that add up to the output's difference from its mean over the background.

    Source:
        Lundberg and Lee (2017), "A unified approach to interpreting model predictions", arXiv
        1705.07874, section 4.2.

    Example:
        >>> found = deep_shap(nn.Linear(2, 1), torch.ones(1, 2), torch.zeros(4, 2))
        >>> bool(found.gap.abs() < 1e-5)
        True
    """
    own, others = as_inputs(inputs), as_inputs(background)
    rows, count = len(own[0]), len(others[0])
    with untouched(network):
        opened = Opened(network, own)
        output, choice = settled(opened, opened.entries(), choice)
    # Each row beside each reference, row after row.
    repeated = [x.repeat_interleave(count, dim=0) for x in own]
    beside = [x.repeat(rows, *[1] * (x.ndim - 1)) for x in others]
    picked = choice.repeat_interleave(count) if isinstance(choice, Tensor) else choice
    found = deeplift(network, repeated, picked, reference=beside)

    def mean(values: Tensor) -> Tensor:
        return values.view(rows, count, *values.shape[1:]).mean(dim=1)

    assert found.reference is not None  # noqa: S101 - narrows the type
    values = tuple(None if part is None else mean(part) for part in found.values)
    return Attribution(values, output, mean(found.reference))


class _Bending(Reading):
    """Meets every operation that is not linear in what depends on the inputs."""

    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if not any(t.requires_grad for t in tensors_in((*args, *kwargs.values()))):
            return func(*args, **kwargs)
        if name in _RECURRENT:
            with self:
                return recurrent_steps(name, *args)
        if not _bends(name, args):
            return func(*args, **kwargs)
        return self.bent(name, func, *not_in_place(args, kwargs))

    def bent(self, name: str, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What such an operation gives."""
        raise NotImplementedError


class _Recording(_Bending):
    """Keeps what went into and came out of each."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[list[Any], Any]] = []

    def bent(self, name: str, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        found = func(*args, **kwargs)
        self.held.append(([_detached(value) for value in args], _detached(found)))
        return found


class _Comparing(_Bending):
    """Hands back differences, beside what was kept of the reference."""

    def __init__(self, held: Sequence[tuple[list[Any], Any]]) -> None:
        super().__init__()
        self._held = iter(held)

    def bent(self, name: str, func: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        before, came = next(self._held)
        if name in ELEMENTWISE and isinstance(args[0], Tensor):
            return _sloped(func, args, kwargs, before[0], came)
        if name in PRODUCT | MATRIX_PRODUCT:
            return _averaged(func, args, kwargs, before)
        if name in _POOLS:
            return _pooled(_POOLS[name], func, args, kwargs, before, came)
        if name in ("amax", "max") and isinstance(kwargs.get("dim", (*args, None)[1]), int):
            return _largest(func, args, kwargs, before, came)
        return _along_the_way(func, args, kwargs, before)


def _bends(name: str, args: Any) -> bool:
    """Whether an operation is not linear in what depends on the inputs."""
    if name in PRODUCT | MATRIX_PRODUCT:
        return sum(t.requires_grad for t in tensors_in(args)) > 1
    if name in QUOTIENT:
        return isinstance(args[1], Tensor) and args[1].requires_grad
    return name in ELEMENTWISE or name in _ALONG or name in _POOLS


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    return tuple(map(_detached, value)) if isinstance(value, tuple) else value


def _sloped(func: Any, args: list[Any], kwargs: Any, before: Tensor, came: Tensor) -> Any:
    """The slope from the reference to the input; the gradient where both are the same."""
    inputs = args[0]
    held = inputs.detach()
    if func.__name__ == "relu":
        there, gradient = held.relu(), (held > 0).to(held)
    else:
        leaf = held.clone().requires_grad_()
        there = func(leaf, *args[1:], **kwargs)
        gradient = torch.autograd.grad(there.sum(), leaf)[0]
        there = there.detach()
    way = _way(before, held)
    near = way.abs() < _SMALL
    slope = torch.where(near, gradient, (there - came) / torch.where(near, 1.0, way))
    found: Tensor = _HandedBack.apply(inputs, there, slope.mul)  # type: ignore[no-untyped-call]
    return found


def _averaged(func: Any, args: list[Any], kwargs: Any, before: list[Any]) -> Any:
    """Each factor's multiplier is the other's mean of both, which is exact for a product."""
    first, second = (i for i, v in enumerate(args) if isinstance(v, Tensor) and v.requires_grad)
    total = func(*[_detached(value) for value in args], **kwargs)
    for moved, kept in ((first, second), (second, first)):
        mean = list(args)
        mean[kept] = (args[kept].detach() + before[kept]) / 2
        mean[moved] = args[moved] - args[moved].detach()
        total = total + func(*mean, **kwargs)
    return total


def _pooled(
    axes: int, func: Any, args: list[Any], kwargs: Any, before: list[Any], came: Any
) -> Tensor:
    """A maximum's difference goes to where it stands now and where it stood in the reference."""
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[axes - 1]
    options = {k: v for k, v in kwargs.items() if k != "return_indices"} | {"return_indices": True}
    inputs = args[0]
    largest, here = pool(inputs.detach(), *args[1:6], **options)
    _, there = pool(before[0], *args[1:6], **options)
    way = _way(before[0], inputs.detach())
    most = torch.maximum(largest, came)

    def handed_back(gradient: Tensor) -> Tensor:
        # Windows may overlap: what several hand back to one place is added up.
        told = torch.zeros_like(way).flatten(-axes)
        for share, places in ((most - came, here), (largest - most, there)):
            told.scatter_add_(-1, places.flatten(-axes), (gradient * share).flatten(-axes))
        told = told.view(way.shape)
        near = way.abs() < _SMALL
        return torch.where(near, 0.0, told / torch.where(near, 1.0, way))

    found: Tensor = _HandedBack.apply(inputs, largest, handed_back)  # type: ignore[no-untyped-call]
    return found


def _largest(func: Any, args: list[Any], kwargs: Any, before: list[Any], came: Any) -> Any:
    """As `_pooled`, of the largest along an axis."""
    inputs, axis = args[0], args[1] if len(args) > 1 else kwargs["dim"]
    keeps = bool(kwargs.get("keepdim", args[2] if len(args) > 2 else False))
    largest, here = inputs.detach().max(axis, keepdim=True)
    former, there = before[0].max(axis, keepdim=True)
    most = torch.maximum(largest, former)
    way = _way(before[0], inputs.detach())

    def handed_back(gradient: Tensor) -> Tensor:
        gradient = gradient if keeps else gradient.unsqueeze(axis)
        told = torch.zeros_like(way).scatter_add(axis, here, gradient * (most - former))
        told = told.scatter_add(axis, there, gradient * (largest - most))
        near = way.abs() < _SMALL
        return torch.where(near, 0.0, told / torch.where(near, 1.0, way))

    value = largest if keeps else largest.squeeze(axis)
    found: Tensor = _HandedBack.apply(inputs, value, handed_back)  # type: ignore[no-untyped-call]
    if isinstance(came, Tensor):
        return found
    return torch.return_types.max((found, here if keeps else here.squeeze(axis)))


def _way(start: Tensor, end: Tensor) -> Tensor:
    """From one to the other; none where both are the same, though it be minus infinity."""
    return (end - start).nan_to_num_(0.0)


class _HandedBack(torch.autograd.Function):
    """A value that is given, and a way back that is given."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, value: Tensor, way_back: Any) -> Tensor:
        ctx.way_back = way_back
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return ctx.way_back(gradient), None, None


def _along_the_way(func: Any, args: list[Any], kwargs: Any, before: list[Any]) -> Any:
    """The mean gradient on the straight way from the reference."""
    moved = [i for i, v in enumerate(args) if isinstance(v, Tensor) and v.requires_grad]

    def call(*values: Tensor) -> Any:
        own = list(map(_detached, args))
        for place, value in zip(moved, values, strict=True):
            own[place] = value
        return func(*own, **kwargs)

    starts = [before[place] for place in moved]
    found = call(*(args[place].detach() for place in moved))
    several = isinstance(found, tuple)
    first = found[0] if several else found
    value: Tensor = _Along.apply(  # type: ignore[no-untyped-call]
        lambda *v: call(*v)[0] if several else call(*v),
        first,
        starts,
        *(args[place] for place in moved),
    )
    return (
        type(found)((value, *found[1:]))
        if type(found) is tuple
        else (found._replace(values=value) if several else value)
    )


class _Along(torch.autograd.Function):
    """An operation whose gradient is its mean on the straight way from where it started."""

    @staticmethod
    def forward(
        ctx: Any, call: Callable[..., Tensor], value: Tensor, starts: list[Tensor], *ends: Tensor
    ) -> Tensor:
        ctx.call, ctx.starts = call, starts
        ctx.save_for_backward(*ends)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        ends = ctx.saved_tensors
        points, weights = np.polynomial.legendre.leggauss(_POINTS)
        totals = [torch.zeros_like(end) for end in ends]
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            with torch.enable_grad():
                at = [
                    (start + float(point) * _way(start, end)).detach().requires_grad_()
                    for start, end in zip(ctx.starts, ends, strict=True)
                ]
                parts = torch.autograd.grad(ctx.call(*at), at, gradient, materialize_grads=True)
            for total, part in zip(totals, parts, strict=True):
                total += float(weight) * part
        return (None, None, None, *totals)

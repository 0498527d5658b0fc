"""What a network's layers give, measured call by call in the rounds that are looked at."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from glial.doctor.evidence import LayerSeen, Series
from glial.doctor.watching.statistics import effective_rank, is_plain
from glial.doctor.watching.tape import Entry

MOST_LAYERS = 200
MOST_ROWS = 256
MOST_VALUES = 131_072
ROWS_OF_THE_DEAD = 64
RANK_EVERY = 8
STALE = 4.0

# Functions whose outputs are looked at as a layer's where a forward pass calls them.
ACTIVATIONS = frozenset(
    {
        *("relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
        *("sigmoid", "tanh", "softmax", "log_softmax", "softplus", "hardtanh", "hardsigmoid"),
        *("logsigmoid", "softsign", "threshold", "clamp_min", "dropout"),
    }
)
_CHANNELS_SECOND = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "MaxPool", "AvgPool")
_SETTINGS = (
    *("p", "eps", "momentum", "dim", "negative_slope"),
    *("num_features", "num_groups", "groups", "batch_first"),
)
_FLAT = {"sigmoid": (0.02, 0.98), "tanh": (-0.98, 0.98), "softmax": (-1.0, 0.999)}


def settings_of(module: nn.Module) -> dict[str, float]:
    """The numbers that a layer was made with."""
    found = {name: getattr(module, name, None) for name in _SETTINGS}
    found["bias"] = float(getattr(module, "bias", None) is not None)
    if isinstance(kernel := getattr(module, "kernel_size", None), tuple):
        found["places"] = math.prod(kernel)
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and (name != "bias" or hasattr(module, "weight"))
    }


def settings_of_call(entry: Entry) -> dict[str, float]:
    """The numbers that a function was called with.

    Example:
        >>> x = torch.ones(2, 3)
        >>> settings_of_call(Entry(torch.softmax, (x, 1), {}, x, None))
        {'dim': 1.0}
    """
    name = "p" if "dropout" in entry.name else "dim"
    value = entry.kwargs.get(name, entry.args[1] if len(entry.args) > 1 else None)
    if not isinstance(value, (int, float)) or (name == "dim" and "softmax" not in entry.name):
        return {}
    return {name: float(value)}


def thinned(value: Tensor, axis: int = 1) -> Tensor:
    """Fewer positions, then fewer rows, where there are too many values to look at all.

    Args:
        value: ``[rows, ...]``.
        axis: Where its units lie, of which each one is kept.

    Example:
        >>> list(thinned(torch.ones(32, 64, 28, 28)).shape)
        [32, 64, 7, 7]
    """
    value, axis = value[:MOST_ROWS], axis % max(1, value.dim())
    while value.numel() > MOST_VALUES:
        long = [(size, dim) for dim, size in enumerate(value.shape) if dim not in (0, axis)]
        size, dim = max(long, default=(0, 0))
        if size < 4:
            break
        value = value[(slice(None),) * dim + (slice(1, None, 2),)]  # not the edges alone
    return value[: max(2, MOST_VALUES * len(value) // max(1, value.numel()))]


def stale_share(module: nn.Module, inputs: Any) -> float | None:
    """The share of a normalisation's channels whose running statistics are not the batch's.

    Args:
        module: A layer; of others than batch normalisation in training there is no share.
        inputs: What it was called with.

    Example:
        >>> stale_share(nn.BatchNorm1d(2), (5 + torch.randn(64, 2),))
        1.0
    """
    given = next((value for value in inputs if is_plain(value)), None)
    if not isinstance(module, nn.modules.batchnorm._BatchNorm) or not module.training:
        return None
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None or given is None or given.dim() < 2 or len(given) < 2:
        return None
    channels = thinned(given.detach()).float().movedim(1, -1).reshape(-1, given.shape[1])
    var = channels.var(0, correction=0) + module.eps
    ratio = (variance.float() + module.eps) / var
    far = (channels.mean(0) - mean).abs() > var.sqrt()
    return float((far | (ratio > STALE) | (ratio < 1 / STALE)).float().mean())


class LayerWatch:
    """The layers of one network.

    Example:
        >>> watch = LayerWatch()
        >>> layer = LayerSeen("0", "ReLU")
        >>> x = torch.tensor([[-1.0, 2.0], [-3.0, 4.0]]).repeat(40, 1)
        >>> watch.measure(layer, (x,), x.relu(), step=1)
        >>> layer.dead.last, layer.zero.last
        (0.5, 0.5)
    """

    def __init__(self) -> None:
        self._idle: dict[str, Tensor] = {}
        self._channel_axis = -1
        self._measured = 0

    def measure(self, layer: LayerSeen, inputs: tuple[Any, ...], output: Any, step: int) -> None:
        """Measure one call of a layer."""
        given = next((value for value in inputs if is_plain(value)), None)
        value = output[0] if isinstance(output, (tuple, list)) and output else output
        if not is_plain(value) or not value.is_floating_point() or value.numel() == 0:
            return
        layer.output_shape = list(value.shape)
        units = self._by_unit(layer, value.detach())
        flat = units.float()
        low, high = flat.amin(0), flat.amax(0)
        constant = (high - low) <= 1e-6 * (1 + high.abs())
        numbers = [
            flat.mean(),
            flat.std(correction=0),
            torch.maximum(high.max(), -low.min()),
            (flat == 0).float().mean(),
            flat.std(0, correction=0).mean(),
            self._dead(layer, constant, len(value)),
        ]
        bounds = _FLAT.get(layer.kind.lower())
        if bounds is not None:
            if layer.kind.lower() == "softmax":  # of what shares one total, the largest counts
                axis = int(layer.settings.get("dim", -1))
                beyond = thinned(value.detach(), axis).amax(axis) > bounds[1]
            else:
                beyond = (flat < bounds[0]) | (flat > bounds[1])
            numbers.append(beyond.float().mean())
        mean, std, largest, zero, spread, dead, *saturated = torch.stack(numbers).tolist()
        if not largest < float("inf"):  # NaN or infinite
            layer.not_finite = layer.not_finite or step
            return
        for series, number in (
            (layer.mean, mean),
            (layer.std, std),
            (layer.largest, largest),
            (layer.zero, zero),
            (layer.spread, spread),
            (layer.dead, dead),
            *((layer.saturated, number) for number in saturated),
        ):
            _add(series, step, number)
        if given is not None and given.is_floating_point():
            layer.input_shape = list(given.shape)
            _add(layer.input_std, step, float(thinned(given.detach()).float().std(correction=0)))
        if len(layer.std) % RANK_EVERY == 1 and units.shape[0] > 1 and units.shape[1] > 1:
            every = max(1, len(flat) // 128)
            _add(layer.rank, step, effective_rank(flat[::every]))

    def _by_unit(self, layer: LayerSeen, value: Tensor) -> Tensor:
        """``[rows, units]``: what one unit gives, for a part of the batch."""
        if value.dim() < 2:
            return value.reshape(-1, 1)
        if layer.kind.startswith(_CHANNELS_SECOND):
            self._channel_axis = 1
        elif layer.kind in ("Linear", "Embedding", "LayerNorm", "LSTM", "GRU", "RNN", "linear"):
            self._channel_axis = -1
        axis = 1 if value.dim() == 2 or value.dim() > 3 else self._channel_axis
        value = thinned(value, axis)
        return value.movedim(axis, -1).reshape(-1, value.shape[axis])

    def _dead(self, layer: LayerSeen, constant: Tensor, rows: int) -> Tensor:
        """The share of units that have not varied over enough rows."""
        idle = self._idle.get(layer.name)
        if idle is None or idle.shape != constant.shape:
            idle = torch.zeros(constant.shape, device=constant.device)
        idle = torch.where(constant, idle + rows, 0.0)
        self._idle[layer.name] = idle
        return (idle >= ROWS_OF_THE_DEAD).float().mean()


def _add(series: Series, step: int, value: float) -> None:
    if series.steps and series.steps[-1] == step:
        return
    series.add(step, value)

"""How much of a loss's gradient comes back to each step that a recurrent layer reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from glial.doctor.probes.replay import Replay
from glial.doctor.watching.statistics import is_plain

MOST_LAYERS, MOST_ROWS = 4, 64
FEWEST_STEPS = 20
PARTS = 10
TINIEST = 1e-45
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)

Given = Tensor | PackedSequence


class LayerThroughTime(NamedTuple):
    """What was measured of one recurrent layer.

    Attributes:
        network: The network that was called.
        layer: The layer's path in it.
        numbers: ``steps``, the median of the rows' lengths; ``arrives``, the gradient in the tenth
            of the steps that is furthest back, as a share of the largest; ``gain``, the factor that
            it is multiplied by with each step back; ``gated``, 1 of an LSTM or a GRU, else 0.
    """

    network: nn.Module
    layer: str
    numbers: dict[str, float]


def probe_through_time(replay: Replay) -> list[LayerThroughTime]:
    """The gradient of a round's loss with respect to what each recurrent layer reads, by time.

    The round is made again once on copies, in the mode it was made in. A layer that is called step
    by step is followed through its calls; in both directions the middle counts as furthest back.

    Args:
        replay: The round.

    Source:
        Hochreiter (1991), "Untersuchungen zu dynamischen neuronalen Netzen"; Bengio, Simard,
        Frasconi (1994), doi:10.1109/72.279181.
    """
    layers = [
        (replay.models[key], path, module)
        for key, twin in replay.twins.items()
        for path, module in twin.named_modules()
        if isinstance(module, _RECURRENT)
    ][:MOST_LAYERS]
    if not layers:
        return []
    given: dict[nn.Module, list[Given]] = {module: [] for _, _, module in layers}

    def reads(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not args or not is_plain(_values(args[0])):
            return None
        given[module].append(_asking_for_gradients(args[0]))
        return (given[module][-1], *args[1:])

    handles = [module.register_forward_pre_hook(reads) for _, _, module in layers]
    try:
        loss = replay.loss(replay.root)
    finally:
        for handle in handles:
            handle.remove()
    flat = [_values(one) for calls in given.values() for one in calls]
    if not flat or not loss.requires_grad:
        return []
    gradients = iter(torch.autograd.grad(loss, flat, allow_unused=True))
    found = []
    for network, path, module in layers:
        norms = _joined(_norms(module, one, next(gradients)) for one in given[module])
        numbers = _numbers(norms, both=getattr(module, "bidirectional", False))
        if numbers:
            numbers["gated"] = float(not isinstance(module, (nn.RNN, nn.RNNCell)))
            found.append(LayerThroughTime(network, path, numbers))
    return found


def _values(given: Any) -> Any:
    return given.data if isinstance(given, PackedSequence) else given


def _asking_for_gradients(given: Given) -> Given:
    """The same values, by a tensor whose gradient can be asked for."""
    values = _values(given)
    if not values.requires_grad:
        values = values.detach().requires_grad_()
    return given._replace(data=values) if isinstance(given, PackedSequence) else values


def _norms(module: nn.Module, given: Given, gradient: Tensor | None) -> Tensor | None:
    """Norms of the gradients, ``[row, time]``; None where the loss does not hang on them."""
    if gradient is None:
        return None
    norms: Tensor = gradient.detach().double().norm(dim=-1)
    if isinstance(given, PackedSequence):
        norms = pad_packed_sequence(given._replace(data=norms), batch_first=True)[0]
    elif isinstance(module, nn.RNNCellBase):
        norms = norms.reshape(-1, 1)
    elif norms.dim() == 1:
        norms = norms[None]
    elif not getattr(module, "batch_first", False):
        norms = norms.T
    return norms


def _joined(calls: Iterator[Tensor | None]) -> Tensor | None:
    """Calls on the same rows one after the other."""
    norms = [call for call in list(calls) if call is not None]
    if not norms:
        return None
    return torch.cat([call for call in norms if len(call) == len(norms[0])], dim=1)[:MOST_ROWS]


def _numbers(norms: Tensor | None, *, both: bool) -> dict[str, float]:
    """What the norms say; nothing of sequences that are short."""
    if norms is None:
        return {}
    profiles, lengths = [], []
    for row in norms.cpu():
        reached = torch.nonzero(row)
        length = int(reached[-1]) + 1 if len(reached) else 0
        if length >= FEWEST_STEPS and bool(row.isfinite().all()):
            parts = row[:length].tensor_split(PARTS)
            profiles.append(torch.stack([part.max() for part in parts]) / row.max())
            lengths.append(length)
    if not profiles:
        return {}
    profile = torch.stack(profiles).mean(0).clamp_min(TINIEST)
    steps = float(torch.tensor(lengths).median())
    far = int(profile.argmin()) if both else 0
    near = int(profile.argmax()) if both else PARTS - 1
    ratio = float(profile[far] / profile[near])
    apart = abs(near - far) * steps / PARTS
    return {
        "steps": steps,
        "arrives": float(profile[far] / profile.max()),
        "gain": math.exp(math.log(ratio) / apart) if apart else 1.0,
    }

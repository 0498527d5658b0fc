"""Whether a network reads what short sequences were filled up with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from glial.doctor.probes.replay import Replay
from glial.doctor.probes.structure import only_call
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, tensors_in

FEWEST_ROWS = 4
FEWEST_PADDED = 0.3
MOST_WITHIN = 0.005
CHANGED = 1e-3


def probe_padding(replay: Replay) -> dict[str, float]:
    """What short rows of a batch give among themselves, less padded, against in the whole batch.

    Padding is a run of one number at the ends of rows, of different lengths, which hardly stands
    elsewhere; rows that come as a list are padded by the network itself.

    Source:
        PyTorch documentation: ``pack_padded_sequence``, ``key_padding_mask``.
    """
    entry = only_call(replay)
    made = tensors_in(entry.result) if entry is not None else iter(())
    whole = next((value for value in made if is_plain(value) and value.dim()), None)
    if entry is None or whole is None or len(whole) < FEWEST_ROWS:
        return {}
    count = len(whole)
    lengths = next(
        (
            found
            for value in [*entry.args, *entry.kwargs.values()]
            if (found := lengths_in(value, count)) is not None
        ),
        None,
    )
    if lengths is None:
        return {}
    longest = int(lengths.sort().values[(count - 1) // 2])
    rows = torch.nonzero(lengths <= longest)[:, 0]
    if longest == int(lengths.max()) or len(rows) < 2:
        return {}
    width = _width(entry, count)
    try:
        base = _ask(replay, entry, lambda value: value)[rows]
        alone = _ask(replay, entry, lambda value: _cut(value, count, rows, None, 0))
        shorter = _ask(replay, entry, lambda value: _cut(value, count, rows, width, longest))
    except (RuntimeError, IndexError, ValueError, TypeError, AssertionError):
        return {}  # it takes one length only
    scale = float(base.float().std()) + 1e-12
    moved = _moved(base, shorter, lengths[rows], width) / scale
    others = _moved(base, alone, lengths[rows], width) / scale
    return {
        "rows": float((moved > CHANGED).float().mean()),
        "size": float(moved.mean()),
        "others": float(others.mean()) if width else 0.0,
        "padded": float((lengths < lengths.max()).float().mean()),
    }


def lengths_in(value: Any, count: int) -> Tensor | None:
    """How long each of ``count`` rows is, as far as padding or a list of rows tells.

    Args:
        value: What a network was given.
        count: Number of rows.

    Returns:
        ``[count]``; None where nothing is padded.

    Example:
        >>> lengths_in(torch.tensor([[3, 4, 5], [6, 0, 0], [7, 8, 0], [9, 3, 0]]), 4)
        tensor([3, 1, 2, 2])
    """
    if isinstance(value, (list, tuple)) and len(value) == count:
        if all(is_plain(part) and part.dim() for part in value):
            return _several(torch.tensor([len(part) for part in value]))
        return None
    if not is_plain(value) or value.dim() not in (2, 3) or len(value) != count:
        return None
    if value.shape[1] < 3 or (value.dim() == 3 and not value.is_floating_point()):
        return None
    last = value[:, -1].mode().values if value.dim() == 2 else 0.0
    filled = value == last if value.dim() == 2 else (value == last).all(-1)
    tail = filled.flip(1).long().cumprod(1).sum(1).cpu()
    lengths = value.shape[1] - tail
    within = int(filled.sum()) - int(tail.sum())
    if within > MOST_WITHIN * int(lengths.sum()):
        return None
    return _several(lengths)


def _several(lengths: Tensor) -> Tensor | None:
    padded = float((lengths < lengths.max()).float().mean())
    enough = padded >= FEWEST_PADDED and len(set(lengths.tolist())) >= 3
    return lengths if enough and int(lengths.min()) >= 1 else None


def _width(entry: Entry, count: int) -> int | None:
    """The length that rows were padded to; None where the network pads them."""
    for value in [*entry.args, *entry.kwargs.values()]:
        if isinstance(value, Tensor) and lengths_in(value, count) is not None:
            return int(value.shape[1])
    return None


def _cut(value: Any, count: int, rows: Tensor, width: int | None, longest: int) -> Any:
    """Some rows of whatever has as many as the batch, as long as the longest of them."""
    if isinstance(value, Tensor):
        if not value.dim() or len(value) != count:
            return value
        value = value[rows.to(value.device)]
        return value[:, :longest] if value.dim() > 1 and value.shape[1] == width else value
    if isinstance(value, (list, tuple)) and len(value) == count:
        return type(value)(value[row] for row in rows.tolist())
    return value


def _ask(replay: Replay, entry: Entry, change: Callable[[Any], Any]) -> Tensor:
    """What the copy of a network answers in evaluation mode to changed arguments."""
    twin = replay.twins[id(entry.function)]
    flags = {module: module.training for module in twin.modules()}
    twin.eval()
    try:
        with torch.no_grad():
            found = twin(
                *map(change, entry.args),
                **{name: change(value) for name, value in entry.kwargs.items()},
            )
    finally:
        for module, flag in flags.items():
            module.training = flag
    return next(value for value in tensors_in(found) if is_plain(value) and value.dim())


def _moved(base: Tensor, other: Tensor, lengths: Tensor, width: int | None) -> Tensor:
    """By how much each row's answer moved; of answers place by place, at real places."""
    if base.dim() > 1 and width is not None and base.shape[1] == width:
        real = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
        length = real.shape[1]
        change = (base[:, :length] - other[:, :length]).abs().float().cpu()
        change = change.reshape(*real.shape, -1).mean(-1) * real
        return change.sum(1) / lengths
    return (base - other).abs().float().cpu().reshape(len(base), -1).mean(1)

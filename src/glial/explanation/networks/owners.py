"""Which codes a vector inside a network was looked up for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glial.explanation.networks.reading import Opened, Reading, Source, untouched


def shares_of_codes(opened: Opened, parts: Sequence[Tensor]) -> list[Tensor]:
    """Numbers for vectors as numbers for the codes that they were looked up for.

    A vector belongs to the codes whose change changes what is looked up; among several, such as
    both words of a pair, it is shared evenly.

    Args:
        opened: The network.
        parts: Of each vector that it looks up a tensor of its shape.

    Returns:
        For each input of codes a tensor of its shape.

    Example:
        >>> layer = torch.nn.EmbeddingBag(5, 2)
        >>> opened = Opened(layer, (torch.tensor([[1, 2]]),))
        >>> shares_of_codes(opened, [torch.ones(1, 2, 2)])
        [tensor([[2., 2.]])]
    """
    codes = [opened.inputs[place] for place in opened.codes or ()]
    sources = _sources(opened, opened.inputs)
    slots = [_slots(s, part) for s, part in zip(sources, parts, strict=True)]
    if len(codes) == 1 and all(
        s.ids.shape == codes[0].shape and bool((s.ids == codes[0]).all()) for s in sources
    ):
        return [torch.stack(slots).sum(dim=0)]
    count = len(codes[0])
    totals = [torch.zeros(x.shape, dtype=parts[0].dtype, device=x.device) for x in codes]
    for row in range(count):
        owned = _owned(opened, row, sources)
        numbers = torch.cat([slot.reshape(count, -1)[row] for slot in slots])
        shared = (owned * numbers).sum(dim=1)
        start = 0
        for total in totals:
            count_of = total[row].numel()
            total[row] = shared[start : start + count_of].view(total[row].shape)
            start += count_of
    return totals


def _sources(opened: Opened, inputs: tuple[Tensor, ...]) -> list[Source]:
    """What is looked up for some inputs."""
    reading = Reading()
    with torch.no_grad(), untouched(opened.network):
        changed = Opened(opened.network, inputs, opened.codes)
        changed.run(reading, [inputs[i] for i in opened.numbers])
    return reading.sources


def _slots(source: Source, part: Tensor) -> Tensor:
    """A number for each code that was looked up: the sum over its vector, of all members."""
    ids, shape = source.ids, part.shape
    first = next((i for i in range(part.ndim) if shape[i : i + ids.ndim] == ids.shape), None)
    if first is None:
        return part
    others = [i for i in range(part.ndim) if not first <= i < first + ids.ndim]
    return part.sum(dim=others) if others else part


def _owned(opened: Opened, row: int, sources: Sequence[Source]) -> Tensor:
    """What share of each looked-up code belongs to each code of a row's inputs, [code, slot]."""
    count = len(opened.inputs[0])
    kept = tuple(x[row : row + 1] for x in opened.inputs)
    before = [source.ids.reshape(count, -1)[row] for source in sources]
    owned = _changed(opened, kept, sources, before, together=False)
    if bool((owned.sum(dim=0) == 0).any()):
        more = _changed(opened, kept, sources, before, together=True)
        owned = torch.where(owned.sum(dim=0) == 0, more, owned)
    return owned / owned.sum(dim=0).clamp_min(1)


def _changed(
    opened: Opened,
    row: tuple[Tensor, ...],
    sources: Sequence[Source],
    before: Sequence[Tensor],
    *,
    together: bool,
) -> Tensor:
    """Which looked-up codes are others, or gone, after each code of a row was changed."""
    found = []
    for place in opened.codes or ():
        flat = row[place].flatten()
        variants = flat.repeat(len(flat), 1)
        where = flat[:, None] == flat if together else torch.eye(len(flat), dtype=torch.bool)
        variants = torch.where(where, torch.where(variants == 1, 0, 1), variants)
        inputs = tuple(x.expand(len(flat), *x.shape[1:]) for x in row)
        changed = variants.view(len(flat), *row[place].shape[1:])
        inputs = (*inputs[:place], changed, *inputs[place + 1 :])
        after = [s.ids.reshape(len(flat), -1) for s in _sources(opened, inputs)]
        found.append(
            torch.cat([_differs(*pair) for pair in zip(sources, before, after, strict=True)], dim=1)
        )
    return torch.cat(found).float()


def _differs(source: Source, before: Tensor, after: Tensor) -> Tensor:
    """Of each variant and slot whether its code is another, [variant, slot].

    Codes that a table is asked for may come in another order: what counts is whether one is gone.
    """
    if not source.looked_up:
        return after != before
    return (after[:, None, :] != before[None, :, None]).all(dim=2)

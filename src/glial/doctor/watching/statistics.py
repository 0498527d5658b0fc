"""Numbers that describe tensors, gathered batch by batch in fixed memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from glial.doctor.evidence import TensorSeen

MOST_COLUMNS = 4096
MOST_VALUES = 1_000_000
MOST_DIFFERENT = 1000
MOST_IMAGES, SMALLEST_SIDE = 64, 8


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor with numbers in it that may be read now.

    Tensors of tracers, of function transforms, without data, sparse or quantized are left alone.

    Example:
        >>> is_plain(torch.ones(2)), is_plain(torch.ones(2, device="meta")), is_plain(3)
        (True, False, False)
    """
    return (
        isinstance(value, Tensor)
        and type(value) in (Tensor, torch.nn.Parameter)
        and value.layout == torch.strided
        and value.device.type != "meta"
        and not value.is_quantized
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
    )


class Gathered:
    """What :class:`TensorSeen` tells, gathered over batches.

    Example:
        >>> gathered = Gathered()
        >>> gathered.add(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> seen = gathered.seen()
        >>> (seen.mean, seen.max, seen.means, seen.constant)
        (3.5, 5.0, [2.0, 5.0], 0.5)
    """

    def __init__(self) -> None:
        self._seen = TensorSeen(min=math.inf, max=-math.inf, whole=True)
        self._sum = self._squares = 0.0
        self._finite = self._odd = 0
        self._rows = self._probable = 0
        self._columns: tuple[int, Tensor, Tensor, Tensor, Tensor] | None = None
        self._spreads: list[float] = []
        self._counts: dict[float, int] | None = {}

    def add(self, value: Tensor) -> None:
        """Take in one batch."""
        seen = self._seen
        seen.shape, seen.dtype = list(value.shape), str(value.dtype).removeprefix("torch.")
        seen.batches += 1
        if value.numel() == 0 or value.is_complex():
            return
        value = value.detach()
        if value.numel() > MOST_VALUES:
            value = value[: max(1, MOST_VALUES * len(value) // value.numel())]
        numbers = value.double()
        finite = numbers.isfinite()
        every = bool(finite.all())
        seen.count += numbers.numel()
        if not every:
            self._odd += int((~finite).sum())
        good = numbers if every else numbers[finite]
        if good.numel():
            low, high, total, squares, whole = torch.stack(
                [
                    good.min(),
                    good.max(),
                    good.sum(),
                    good.square().sum(),
                    (good == good.round()).all().to(good.dtype),
                ]
            ).tolist()
            seen.min, seen.max = min(seen.min, low), max(seen.max, high)
            self._sum, self._squares = self._sum + total, self._squares + squares
            self._finite += good.numel()
            seen.whole = seen.whole and bool(whole)
            self._count(good)
        if every:
            self._add_rows(numbers)
        if every and math.isnan(seen.channels_last):
            seen.channels_last = channels_last(numbers)

    def _count(self, good: Tensor) -> None:
        if self._counts is None or not self._seen.whole:
            self._counts = None
            return
        values, counts = torch.unique(good, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[value] = self._counts.get(value, 0) + count
        if len(self._counts) > MOST_DIFFERENT:
            self._counts = None

    def _add_rows(self, numbers: Tensor) -> None:
        if numbers.dim() >= 2 and numbers.shape[-1] >= 2:
            rows = numbers.reshape(-1, numbers.shape[-1])
            near = ((rows.sum(1) - 1).abs() < 1e-3) & (rows.min(1).values >= 0)
            self._rows, self._probable = self._rows + len(rows), self._probable + int(near.sum())
        if numbers.dim() < 2 or len(numbers) < 1 or numbers[0].numel() > MOST_COLUMNS:
            return
        flat = numbers.reshape(len(numbers), -1)
        sums, squares = flat.sum(0), flat.square().sum(0)
        low, high = flat.min(0).values, flat.max(0).values
        if self._columns is None or self._columns[1].shape != sums.shape:
            self._columns = (len(flat), sums, squares, low, high)
        else:
            count, *old = self._columns
            self._columns = (
                count + len(flat),
                old[0] + sums,
                old[1] + squares,
                torch.minimum(old[2], low),
                torch.maximum(old[3], high),
            )
        if len(flat) > 1:
            self._spreads.append(float(flat.std(0, correction=0).mean()))

    def seen(self) -> TensorSeen:
        """What was seen so far."""
        seen = self._seen
        if self._finite:
            seen.mean = self._sum / self._finite
            seen.std = math.sqrt(max(0.0, self._squares / self._finite - seen.mean**2))
        else:
            seen.min = seen.max = math.nan
            seen.whole = False
        seen.not_finite = self._odd / seen.count if seen.count else 0.0
        seen.rows_sum_to_one = self._probable / self._rows if self._rows else 0.0
        seen.counts = {_spelt(value): n for value, n in sorted((self._counts or {}).items())}
        if self._columns is not None:
            count, sums, squares, low, high = self._columns
            means = sums / count
            stds = (squares / count - means.square()).clamp_min(0).sqrt()
            constant = high == low
            stds[constant] = 0.0
            seen.constant = float(constant.double().mean()) if count > 1 else 0.0
            if len(seen.shape) == 2:
                seen.means, seen.stds = means.tolist(), stds.tolist()
        if self._spreads:
            seen.spread = sum(self._spreads) / len(self._spreads)
        return seen


def channels_last(images: Tensor) -> float:
    """How rough images are, read with the channels last, as a share of how rough they are.

    Far less than 1 where numbers that lay as ``[rows, height, width, channels]`` were reshaped to
    ``[rows, channels, height, width]``, which takes them apart, and not permuted.

    Args:
        images: ``[rows, channels, height, width]``.

    Returns:
        The share; NaN of what is no image of two to four channels, or of one colour.

    Example:
        >>> ramp = torch.linspace(0, 1, 8).expand(1, 3, 8, 8) + torch.arange(3.0)[:, None, None]
        >>> scrambled = ramp.permute(0, 2, 3, 1).reshape(1, 3, 8, 8)
        >>> channels_last(ramp) > 1, channels_last(scrambled) < 0.5
        (True, True)
    """
    if images.dim() != 4 or not 2 <= images.shape[1] <= 4 or min(images.shape[2:]) < SMALLEST_SIDE:
        return math.nan
    images = images[:MOST_IMAGES]
    rows, channels, height, width = images.shape
    other = images.reshape(rows, height, width, channels).permute(0, 3, 1, 2)
    rough, read_otherwise = (
        float(one.diff(dim=2).abs().mean() + one.diff(dim=3).abs().mean())
        for one in (images, other)
    )
    return read_otherwise / rough if rough > 0 else math.nan


class Sequence:
    """Whether labels or numbers that follow each other are alike, as in data that is in order.

    Example:
        >>> sequence = Sequence()
        >>> sequence.add(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
        >>> round(sequence.order(), 3)
        0.714
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._held = 0
        self._are_labels = False

    def add(self, value: Tensor) -> None:
        """Take in the next batch of targets; only those with one number a row count."""
        if value.numel() == len(value) and self._held < MOST_COLUMNS:
            self._parts.append(value.detach().reshape(-1).double().cpu())
            self._held += len(value)
            self._are_labels = not value.is_floating_point()

    def order(self) -> float:
        """0 in shuffled data, 1 where a value is always that of the row before; NaN of few.

        Of labels it is how much more often neighbours are equal than chance has it, of numbers
        their correlation.
        """
        if self._held < 8:
            return math.nan
        values = torch.cat(self._parts)
        if not bool(values.isfinite().all()):
            return math.nan
        kinds, counts = torch.unique(values, return_counts=True)
        if self._are_labels or len(kinds) <= max(2, math.sqrt(len(values))):
            chance = float((counts / len(values)).square().sum())
            equal = float((values[1:] == values[:-1]).double().mean())
            return (equal - chance) / (1 - chance) if chance < 1 else math.nan
        both = torch.corrcoef(torch.stack([values[1:], values[:-1]]))
        return float(both[0, 1])


def _spelt(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


SMALLEST = 1e-7  # of the largest singular value: what rounding leaves of those that are nought


def effective_rank(rows: Tensor) -> float:
    """The exponential of the entropy of the singular values, as a share of the most possible.

    Args:
        rows: ``[rows, units]``, two or more rows.

    Source:
        Roy, Vetterli (2007), "The effective rank: a measure of effective dimensionality", EUSIPCO.

    Example:
        >>> round(effective_rank(torch.eye(4) * 2), 6)
        1.0
        >>> round(effective_rank(torch.ones(4, 3)), 6)
        0.0
    """
    rows = rows[:128, :256].double()
    rows = rows - rows.mean(0)
    # Squared singular values are the eigenvalues of the smaller product, which cost far less.
    product = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    values = torch.linalg.eigvalsh(product).clamp(min=0).sqrt()
    values = values * (values > SMALLEST * values.max())
    total = float(values.sum())
    most = min(rows.shape[0] - 1, rows.shape[1])
    if total <= 0 or most < 1 or not math.isfinite(total):
        return 0.0
    share = values[values > 0] / total
    return math.exp(float(-(share * share.log()).sum())) / most if len(share) else 0.0

"""What a classifier predicts in training: how surely, and which classes it gets right."""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

LATELY = 12
MOST_CLASSES = 100
_LOGITS = ("cross_entropy", "multi_margin_loss", "binary_cross_entropy_with_logits")
_LIKELIHOODS = ("nll_loss", "binary_cross_entropy")
_BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


class Predictions:
    """The last batches' predictions of one loss, in fixed memory.

    Example:
        >>> predictions = Predictions()
        >>> outputs, target = torch.tensor([[9.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 1])
        >>> round(predictions.add("cross_entropy", outputs, target), 3)
        0.002
        >>> predictions.hits()
        {'0': 1.0, '1': 0.0}
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[int, Tensor, Tensor]] = deque(maxlen=LATELY)

    def add(self, name: str, outputs: Tensor, target: Tensor, step: int = 0) -> float:
        """Take in one batch.

        Args:
            name: The loss function's.
            outputs: What it is given, ``[rows, classes, ...]``; one number a row for two classes.
            target: Classes as whole numbers, 0 and 1 for two.
            step: The update that it belongs to.

        Returns:
            The mean entropy of a row's prediction, from 0 to 1; NaN where there are no classes.
        """
        found = _log_shares(name, outputs.detach(), target.detach())
        if found is None:
            return math.nan
        logs, classes = found
        count = logs.shape[1]
        right = logs.argmax(1) == classes
        asked = torch.bincount(classes, minlength=count)[:count]
        hit = torch.bincount(classes[right], minlength=count)[:count]
        self._batches.append((step, asked.cpu(), hit.cpu()))
        shares = logs.exp()
        entropy = -(shares * logs.clamp_min(-80)).sum(1).mean()
        return float(entropy) / math.log(count)

    def hits(self) -> dict[str, float]:
        """For each class the share of its rows, over the last batches, that was predicted right.

        Where few were looked at, the last dozen reach back to the start: those of the first half
        of the steps up to the last look do not count.
        """
        late = [parts for step, *parts in self._batches if 2 * step >= self._batches[-1][0]]
        if len({len(asked) for asked, _ in late}) != 1:
            return {}
        asked, hit = (torch.stack(part).sum(0) for part in zip(*late, strict=True))
        return {
            str(number): int(h) / int(a)
            for number, (a, h) in enumerate(zip(asked, hit, strict=True))
            if a
        }


def _log_shares(name: str, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor] | None:
    """Log-probabilities ``[rows, classes]`` and each row's class, where a loss has classes."""
    if name not in (*_LOGITS, *_LIKELIHOODS) or not outputs.numel():
        return None
    values = outputs.float()
    if name in _BINARY:
        flat, classes = values.reshape(-1), target.reshape(-1)
        if outputs.shape != target.shape or (outputs.dim() > 1 and outputs.shape[-1] > 1):
            return None
        if not bool(((classes == 0) | (classes == 1)).all()):
            return None
        flat = flat if name in _LOGITS else torch.logit(flat, eps=1e-6)
        pair = torch.stack([torch.zeros_like(flat), flat], 1)
        return torch.log_softmax(pair, 1), classes.long()
    if target.is_floating_point() or values.dim() < 2 or not 2 <= values.shape[1] <= MOST_CLASSES:
        return None
    values = values.movedim(1, -1).reshape(-1, values.shape[1])
    classes = target.reshape(-1).long()
    if len(classes) != len(values):
        return None
    known = (classes >= 0) & (classes < values.shape[1])
    if not bool(known.any()):
        return None
    return torch.log_softmax(values[known], 1), classes[known]

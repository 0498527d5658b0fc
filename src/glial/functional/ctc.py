"""Connectionist temporal classification: labels are learnt and read with no word of their places.

A network gives scores of labels at each frame, one of which, the blank, stands for none. A path of
one label a frame is read by joining equal neighbours, then leaving out blanks; the probability of a
labelling is the sum over all paths that read so.

Source:
    Graves, Fernández, Gomez, Schmidhuber (2006), "Connectionist temporal classification",
    doi:10.1145/1143844.1143891.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from glial.functional.decoding import Decoded, Stepwise
from glial.functional.losses import Reduction, reduce

Frames = Float[Tensor, "row frame label"]
Lengths = Int[Tensor, " row"]
# Labels of each row, padded at the end with -1.
Labels = Int[Tensor, "row place"]
# The labels so far to the logarithm of the probability of each label that may follow.
Scorer = Callable[[tuple[int, ...]], Sequence[float]]
_NEVER = -math.inf


def frames_needed(target: Labels) -> Lengths:
    """The fewest frames in which labels can be read: one each, and a blank between equal ones.

    Args:
        target: Labels, padded at the end with -1.

    Example:
        >>> frames_needed(torch.tensor([[3, 3, 4], [3, 4, -1]]))
        tensor([4, 2])
    """
    doubled = (target[:, 1:] == target[:, :-1]) & (target[:, 1:] >= 0)
    return (target >= 0).sum(dim=1) + doubled.sum(dim=1)


def ctc_loss(
    scores: Frames,
    target: Labels,
    lengths: Lengths,
    *,
    blank: int = 0,
    infeasible: Literal["refuse", "skip"] = "refuse",
    weight: Float[Tensor, " row"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    """Minus the logarithm of the probability of each row's labels, whatever their places.

    Args:
        scores: Scores (logits) of each label at each frame.
        target: Labels, none of them the blank, padded at the end with -1.
        lengths: Frames of each row.
        blank: The label that stands for none.
        infeasible: What becomes of rows with fewer frames than `frames_needed` says, for which no
            path is right: an error, or they are left out, as though they were not there.
        weight: Weight of each row.
        reduction: See `reduce`; the mean is over rows, not over labels.

    Raises:
        ValueError: If a target is the blank, or has too few frames and is not to be skipped.

    Example:
        >>> ctc_loss(torch.zeros(1, 2, 2), torch.tensor([[1]]), torch.tensor([2])).exp()
        tensor(1.3333)
    """
    if bool((target == blank).any()):
        raise ValueError(f"the label {blank} is the blank, and cannot be a target")
    needed = frames_needed(target)
    feasible = needed <= lengths
    if infeasible == "refuse" and not bool(feasible.all()):
        row = int((~feasible).nonzero()[0, 0])
        raise ValueError(
            f"row {row} has {int(lengths[row])} frames, and its labels need {int(needed[row])}: "
            "give more frames (less pooling), or infeasible='skip'"
        )
    logs = scores.log_softmax(dim=2).transpose(0, 1)
    counts = (target >= 0).sum(dim=1)
    losses = functional.ctc_loss(
        logs,
        target.clamp_min(0),
        lengths,
        counts,
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    kept = feasible.to(losses.dtype)
    weight = kept if weight is None else weight * kept
    return reduce(losses, weight, reduction)


def ctc_greedy(scores: Frames, lengths: Lengths, *, blank: int = 0) -> Decoded:
    """What the likeliest label of each frame reads: equal neighbours joined, then no blanks.

    Args:
        scores: Scores (logits) of each label at each frame.
        lengths: Frames of each row.
        blank: The label that stands for none.

    Returns:
        Labels, -1 behind their end. Their ``log_likelihoods`` are those of the one path.

    Example:
        >>> path = torch.tensor([[1, 1, 0, 1, 2, 2, 0]])
        >>> scores = 9.0 * torch.nn.functional.one_hot(path, 3)
        >>> ctc_greedy(scores, torch.tensor([7])).tokens
        tensor([[[1, 1, 2]]])
    """
    told, path = scores.log_softmax(dim=2).max(dim=2)
    real = torch.arange(path.shape[1], device=path.device) < lengths[:, None]
    before = torch.cat([torch.full_like(path[:, :1], -1), path[:, :-1]], dim=1)
    kept = real & (path != before) & (path != blank)
    counts = kept.sum(dim=1)
    found = path.new_full((path.shape[0], int(counts.max()) if len(counts) else 0), -1)
    row, _ = kept.nonzero(as_tuple=True)
    found[row, (kept.cumsum(dim=1) - 1)[kept]] = path[kept]
    sums = told.masked_fill(~real, 0.0).sum(dim=1)[:, None]
    return Decoded(found[:, None], counts[:, None], sums, sums)


def stepwise_scorer(model: Stepwise, state: Any, start: int) -> Scorer:
    """What a language model says of the next label, from a model that reads a token at a time.

    Args:
        model: A model whose tokens are the labels.
        state: What it starts from, for one row.
        start: The token before the first label.

    Example:
        >>> class Uniform:
        ...     def step(self, tokens, state):
        ...         return torch.zeros(len(tokens), 4), state
        ...     def select(self, state, rows):
        ...         return state
        >>> [round(log, 3) for log in stepwise_scorer(Uniform(), None, 0)((1, 2))]
        [-1.386, -1.386, -1.386, -1.386]
    """

    @cache
    def read(prefix: tuple[int, ...]) -> tuple[list[float], Any]:
        last, before = (prefix[-1], read(prefix[:-1])[1]) if prefix else (start, state)
        with torch.no_grad():
            scores, after = model.step(torch.tensor([last]), before)
        return scores[0].log_softmax(dim=0).tolist(), after

    return lambda prefix: read(prefix)[0]


def ctc_beam_search(
    scores: Frames,
    lengths: Lengths,
    *,
    width: int = 16,
    best: int = 1,
    blank: int = 0,
    language_model: Scorer | None = None,
    language_weight: float = 1.0,
    length_bonus: float = 0.0,
) -> Decoded:
    """The labellings of greatest probability, among those that a beam of prefixes leads to.

    Each prefix holds the probability of all paths that read so, those that end in a blank apart
    from the others. A beam that is never full finds what exhaustive search finds.

    Args:
        scores: Scores (logits) of each label at each frame.
        lengths: Frames of each row.
        width: Prefixes that are kept.
        best: Labellings returned, at most ``width``.
        blank: The label that stands for none.
        language_model: What says how likely each label is behind others; see `stepwise_scorer`.
        language_weight: What its logarithms are multiplied by.
        length_bonus: What each label adds to a score, against the language model's liking for few.

    Returns:
        Labels, -1 behind their end; ``log_likelihoods`` by the frames alone, and ``scores`` with
        the language model and the bonus, by which they are ordered.

    Source:
        Hannun, Maas, Jurafsky, Ng (2014), "First-pass large vocabulary continuous speech
        recognition using bi-directional recurrent DNNs", arXiv 1408.2873, algorithm 1.

    Example:
        >>> frame = torch.tensor([0.6, 0.4]).log()  # twice blank is likeliest, but less than half
        >>> scores = frame.expand(1, 2, 2)
        >>> ctc_greedy(scores, torch.tensor([2])).lengths.item()
        0
        >>> found = ctc_beam_search(scores, torch.tensor([2]))
        >>> found.tokens, found.log_likelihoods.exp()
        (tensor([[[1]]]), tensor([[0.6400]]))
    """
    logs = scores.detach().log_softmax(dim=2).double().cpu().tolist()
    told = _Told(language_model, language_weight, length_bonus)
    found = [
        _search(frames[:length], width, blank, told)[:best]
        for frames, length in zip(logs, lengths.tolist(), strict=True)
    ]
    longest = max((len(prefix) for row in found for prefix, _ in row), default=0)
    tokens = torch.full((len(found), best, longest), -1)
    counts = torch.zeros(len(found), best, dtype=torch.long)
    sums = torch.full((len(found), best), _NEVER)
    totals = torch.full((len(found), best), _NEVER)
    for row, labellings in enumerate(found):
        for number, (prefix, log) in enumerate(labellings):
            tokens[row, number, : len(prefix)] = torch.tensor(prefix, dtype=torch.long)
            counts[row, number] = len(prefix)
            sums[row, number] = log
            totals[row, number] = log + told(prefix)
    return Decoded(tokens, counts, sums, totals)


class _Told:
    """What a language model and a bonus add to the score of a prefix."""

    def __init__(self, model: Scorer | None, weight: float, bonus: float) -> None:
        self._model = model
        self._weight = weight
        self._bonus = bonus
        self._known: dict[tuple[int, ...], float] = {(): 0.0}

    def __call__(self, prefix: tuple[int, ...]) -> float:
        if prefix not in self._known:
            before, label = prefix[:-1], prefix[-1]
            log = 0.0 if self._model is None else self._weight * self._model(before)[label]
            self._known[prefix] = self(before) + log + self._bonus
        return self._known[prefix]


def _search(
    frames: list[list[float]], width: int, blank: int, told: _Told
) -> list[tuple[tuple[int, ...], float]]:
    """Labellings of one row, the best first, and the logarithm of the probability of each."""
    # To each prefix the log sums of paths that end in a blank, and of the others.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}
    for frame in frames:
        longer: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blanks, others) in beam.items():
            both = _plus(blanks, others)
            same = longer.setdefault(prefix, [_NEVER, _NEVER])
            same[0] = _plus(same[0], both + frame[blank])
            if prefix:
                same[1] = _plus(same[1], others + frame[prefix[-1]])
            for label, log in enumerate(frame):
                if label == blank:
                    continue
                before = blanks if prefix and prefix[-1] == label else both
                if before + log > _NEVER:
                    more = longer.setdefault((*prefix, label), [_NEVER, _NEVER])
                    more[1] = _plus(more[1], before + log)
        ordered = sorted(
            ((_plus(*sums) + told(prefix), prefix) for prefix, sums in longer.items()),
            key=lambda item: (-item[0], item[1]),
        )
        beam = {prefix: (longer[prefix][0], longer[prefix][1]) for _, prefix in ordered[:width]}
    return [(prefix, _plus(*sums)) for prefix, sums in beam.items()]


def _plus(first: float, second: float) -> float:
    """The logarithm of a sum, by the logarithms of its parts."""
    low, high = sorted((first, second))
    return high if low == _NEVER else high + math.log1p(math.exp(low - high))

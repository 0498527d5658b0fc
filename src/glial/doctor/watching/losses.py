"""Losses: from which outputs and targets they are computed, by what, and their values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from glial.core.findings import Place
from glial.doctor.baseline import best_constant
from glial.doctor.evidence import LossSeen
from glial.doctor.watching.networks import Networks, NetworkWatch
from glial.doctor.watching.parts import addition, answers_to_made, cut, drawn, slope_of
from glial.doctor.watching.predictions import Predictions
from glial.doctor.watching.statistics import Gathered, Sequence, is_plain
from glial.doctor.watching.tape import Entry, Tape, as_answered, tensors_in

MOST_VALUES = 2000
MOST_FUNCTIONS = 40
MOST_LOSSES = 50
ROUNDS_OF_PLAYERS = 3

# torch's loss functions that take outputs and targets, and where the target stands.
LOSSES = {
    **dict.fromkeys(
        (
            *("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
            *("binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"),
            *("poisson_nll_loss", "gaussian_nll_loss", "hinge_embedding_loss", "ctc_loss"),
            *("multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss"),
            "soft_margin_loss",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            *("triplet_margin_loss", "triplet_margin_with_distance_loss", "margin_ranking_loss"),
            "cosine_embedding_loss",
        ),
        2,
    ),
}
# What changes neither the meaning of outputs nor their order.
_PLAIN = {
    *("view", "reshape", "squeeze", "unsqueeze", "flatten", "float", "double", "to", "contiguous"),
    *("transpose", "permute", "clamp", "clip", "clamp_min", "clamp_max", "__getitem__", "clone"),
    *("T", "mT", "type", "half", "bfloat16", "nan_to_num", "ravel", "movedim", "swapaxes"),
}
_ELEMENTWISE = {
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "kl_div"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
}
_MIXES = {
    *("sub", "rsub", "__sub__", "__rsub__", "add", "__add__", "__radd__", "mul", "__mul__"),
    *("__rmul__", "div", "__truediv__", "__rtruediv__", "where", "maximum", "minimum"),
}


def network_of(tape: Tape, root: Tensor, networks: Networks) -> NetworkWatch | None:
    """The last network that a number was computed from and that it teaches; None without one.

    Example:
        >>> import torch
        >>> network_of(Tape(), torch.zeros(()), Networks()) is None
        True
    """
    models = [entry for entry in tape.slice_to(root) if entry.is_model and _learns(entry)]
    return networks.of(models[-1].function, None) if models else None


class LossWatch:
    """One place at which a gradient is taken.

    Example:
        >>> import torch
        >>> watch = LossWatch(None)
        >>> watch.value(torch.tensor(2.0), 1)
        >>> watch.summary().value.last
        2.0
    """

    def __init__(self, place: Place | None) -> None:
        self.seen = LossSeen("hand-written", at=place, backward_at=place)
        self._outputs, self._target = Gathered(), Gathered()
        self._predictions = Predictions()
        self._described = 0
        self._order = Sequence()
        self._has_target = False
        self.last_target: Tensor | None = None
        self._late: list[tuple[int, Tensor]] = []
        self._rows = 0

    def value(self, root: Tensor, step: int) -> None:
        """Keep the number of one backward pass; read now where that costs no waiting."""
        if root.numel() != 1:
            root = root.detach().float().mean()
        if root.device.type == "cpu":
            self._keep(step, float(root.detach()))
        else:
            self._late.append((step, root.detach()))

    def read_late(self) -> None:
        """Read the numbers that lie on a device."""
        for step, value in self._late:
            self._keep(step, float(value))
        self._late.clear()

    def _keep(self, step: int, value: float) -> None:
        scale = self.seen.weight if self.seen.weight not in (0.0, 1.0) else 1.0
        self.seen.value.add(step, value / scale, MOST_VALUES)

    def describe(
        self,
        tape: Tape,
        root: Tensor,
        inner: list[Entry],
        network: NetworkWatch | None,
        step: int,
    ) -> None:
        """Find out how a number comes from a network's outputs, and look at both sides.

        Args:
            tape: The round so far.
            root: The number whose gradient is about to be taken.
            inner: Calls of loss functions within networks.
            network: The network whose outputs it is computed from, if there is one.
            step: The coming update.
        """
        entries = tape.slice_to(root)
        models = [entry for entry in entries if entry.is_model and _learns(entry)]
        sources = list(tensors_in(models[-1].result)) if models else _parameters(entries)
        after = [e for e in tape.behind(sources, entries) if not models or e is not models[-1]]
        given = next(iter(models[-1].given()), None) if models else None
        self._rows = len(given) if given is not None and given.dim() else 0
        seen = self.seen
        seen.model = network.seen.name if network else None
        seen.functions = [entry.name for entry in after][:MOST_FUNCTIONS]
        seen.functions_at = [entry.place for entry in after][:MOST_FUNCTIONS]
        seen.over_rows = [n for n, one in enumerate(after[:MOST_FUNCTIONS]) if _over_rows(one)]
        known = [entry for entry in after if entry.name in LOSSES and not entry.is_model]
        known = known or [entry for entry in inner if entry.name in LOSSES]
        seen.broadcast = [pair for pair in map(_expanded, after) if pair is not None][:3]
        slopes = {id(entry): _slope(entry, root) for entry in known}
        seen.cut_at = cut(entries)
        seen.noise_at = drawn(tape, models[-1].given()) if models else None
        self._described += 1
        if self._described <= ROUNDS_OF_PLAYERS:
            seen.judges, seen.deceives = answers_to_made(tape, root)
        known = [entry for entry in known if slopes[id(entry)] != 0]
        if known:
            best = max(known, key=_weighs)
            self._of_function(best, step)
            slope = slopes[id(best)]
            if len(known) == 1 and not _asked_otherwise(entries, after):
                seen.added_at, seen.added_weight = addition(tape, after, best.result)
            if math.isfinite(slope):
                seen.sign, seen.weight = math.copysign(1.0, slope), abs(slope)
        else:
            self._by_hand(after, sources)
        if self.last_target is not None:
            seen.bootstrapped = any(map(asks_network, tape.slice_to(self.last_target)))
        self._name_output(after, network)

    def _of_function(self, entry: Entry, step: int) -> None:
        seen = self.seen
        seen.name, seen.at, seen.made_at = entry.name, entry.place or seen.at, entry.made_at
        place = LOSSES[entry.name]
        outputs = entry.args[0] if entry.args else entry.kwargs.get("input")
        target = entry.args[place] if len(entry.args) > place else entry.kwargs.get("target")
        seen.reduction = entry.kwargs.get("reduction", "mean")
        seen.settings = {
            name: float(value)
            for name, value in entry.kwargs.items()
            if isinstance(value, (bool, int, float))
        }
        seen.weighted = any(
            entry.kwargs.get(name) is not None for name in ("weight", "pos_weight")
        ) or (len(entry.args) > 2 and isinstance(entry.args[2], Tensor))
        self._gather(outputs, target)
        if is_plain(entry.result) and entry.result.numel() == 1:
            seen.own.add(step, float(entry.result.detach()))
        if outputs is not None and target is not None and is_plain(outputs) and is_plain(target):
            entropy = self._predictions.add(entry.name, outputs, target, step)
            if not math.isnan(entropy):
                seen.entropy.add(step, entropy)

    def _by_hand(self, after: list[Entry], sources: list[Tensor]) -> None:
        self.seen.name = "hand-written"
        outputs = next((value for value in sources if is_plain(value)), None)
        rows = {len(value) for value in sources if value.dim()}
        reached = {id(source) for source in sources}
        target = None
        for entry in after:
            others = [
                value
                for value in entry.given()
                if id(value) not in reached and not value.requires_grad and value.dim()
            ]
            others = [value for value in others if len(value) in rows and value.numel() > 1]
            if others and target is None and (entry.name in _MIXES or len(others) == 1):
                target = others[0]
                if len(others) > 1 and not others[0].is_floating_point():
                    target = others[-1]
            reached |= {id(made) for made in entry.made()}
        self._gather(outputs, target)

    def refused(self, entry: Entry, network: NetworkWatch | None, step: int) -> None:
        """A loss function ended with an error on what a network gave it."""
        self._of_function(entry, step)
        self._name_output([], network)

    def _gather(self, outputs: Any, target: Any) -> None:
        if is_plain(outputs):
            self._outputs.add(outputs)
            rows = len(outputs) if outputs.dim() else 1
            if is_plain(target) and target.dim() and len(target) == rows:
                rows = len(_once_a_row(target, self._rows))
            sizes = self.seen.batch_sizes or [rows, rows]
            self.seen.batch_sizes = [min(sizes[0], rows), max(sizes[1], rows)]
            self.seen.of_batch = self.seen.of_batch or rows
        self.last_target = target if is_plain(target) and target.dim() else None
        if self.last_target is not None:
            self._has_target = True
            self._target.add(target)
            self._order.add(_once_a_row(self.last_target, self._rows))

    def _name_output(self, after: list[Entry], network: NetworkWatch | None) -> None:
        """Which function or layer made what the loss takes."""
        seen = self.seen
        seen.output_layer, seen.output_function = (network and network.last_layer) or (None, None)
        seen.output_function = seen.output_function and seen.output_function.lower()
        for entry in after:
            if entry.name in LOSSES or entry.name in _MIXES:
                break
            if entry.name not in _PLAIN:
                seen.output_function, seen.output_layer = entry.name, None

    def observe_evaluation(self, value: Tensor, step: int) -> None:
        """Keep the value of the same loss in evaluation."""
        if value.numel() == 1:
            self.seen.eval_value.add(step, float(value.detach()), MOST_VALUES)

    def summary(self) -> LossSeen:
        """What was seen so far."""
        self.read_late()
        seen = self.seen
        seen.outputs = self._outputs.seen()
        seen.target = self._target.seen() if self._has_target else None
        if seen.target is not None:
            seen.target.in_order = self._order.order()
        seen.constant = best_constant(seen)
        seen.hits = self._predictions.hits()
        return seen


class Losses:
    """The losses of a training: one for each line that takes a gradient and network it teaches.

    Example:
        >>> losses = Losses()
        >>> losses.at(None, None) is losses.at(None, None)
        True
    """

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str | None], LossWatch] = {}
        self._latest: dict[str, LossWatch] = {}
        self._refused: list[LossWatch] = []

    def __iter__(self) -> Iterator[LossWatch]:
        return iter([*self._watches.values(), *self._refused])

    def at(self, place: Place | None, network: NetworkWatch | None) -> LossWatch | None:
        """What watches the loss of a line; None where there are too many.

        Args:
            place: The line.
            network: The network that is taught; None takes the last of this line.
        """
        line = str(place)
        if network is None and line in self._latest:
            return self._latest[line]
        key = (line, network.seen.name if network else None)
        watch = self._watches.get(key)
        if watch is None:
            if len(self._watches) >= MOST_LOSSES:
                return None
            watch = self._watches[key] = LossWatch(place)
        self._latest[line] = watch
        return watch

    def refused(self, entry: Entry, network: NetworkWatch | None, step: int) -> None:
        """A loss function ended with an error on what a network gave it."""
        watch = LossWatch(entry.place)
        watch.refused(entry, network, step)
        self._refused.append(watch)


def _learns(entry: Entry) -> bool:
    return any(made.requires_grad for made in tensors_in(entry.result))


def _parameters(entries: list[Entry]) -> list[Tensor]:
    """What a gradient is taken of where no network was called: leaves that require one."""
    return [
        value
        for entry in entries
        for value in entry.given()
        if value.requires_grad and value.is_leaf
    ]


def _asked_otherwise(entries: list[Entry], after: list[Entry]) -> bool:
    """Whether another loss function has a part, of another call of a network: no mere penalty."""
    seen = {id(entry) for entry in after}
    return any(e.name in LOSSES and not e.is_model and id(e) not in seen for e in entries)


def _slope(entry: Entry, root: Tensor) -> float:
    """By how much a number rises with a loss function's value; NaN where that cannot be asked."""
    if not isinstance(entry.result, Tensor) or entry.result.numel() != 1:
        return math.nan
    return slope_of(entry.result, root)


def _once_a_row(target: Tensor, rows: int) -> Tensor:
    """Targets of which each was repeated for several outputs of its row, once each."""
    times = len(target) // rows if rows else 1
    if times < 2 or len(target) != times * rows:
        return target
    by_row = target.reshape(rows, times, *target.shape[1:])
    return by_row[:, 0] if bool((by_row == by_row[:, :1]).all()) else target


def _weighs(entry: Entry) -> float:
    """How large a loss function's value is, as the one that matters most has to be found."""
    value = entry.result
    if not is_plain(value) or value.numel() == 0:
        return -1.0
    size = float(value.detach().float().abs().mean())
    return size if math.isfinite(size) else math.inf


def _expanded(entry: Entry) -> list[list[int]] | None:
    """Two shapes of which each was expanded against the other, as [N] and [N, 1] are."""
    shapes = [list(value.shape) for value in entry.given() if value.dim()]
    if len(shapes) != 2 or entry.name not in {*_MIXES, *_ELEMENTWISE}:
        return None
    a, b = shapes
    longest = max(len(a), len(b))
    left = [1] * (longest - len(a)) + a
    right = [1] * (longest - len(b)) + b
    grows = [x > y for x, y in zip(left, right, strict=True)]
    shrinks = [x < y for x, y in zip(left, right, strict=True)]
    same_rows = a[0] == b[0] and a[0] > 1
    return [a, b] if any(grows) and any(shrinks) and same_rows else None


def _over_rows(entry: Entry) -> bool:
    """Whether outputs are normalised over rows; a square table compares rows."""
    place = {"softmax": 1, "log_softmax": 1, "normalize": 2}.get(entry.name)
    given = entry.given()
    if place is None or not given or given[0].dim() < 2:
        return False
    dim = entry.kwargs.get("dim", entry.args[place] if len(entry.args) > place else None)
    rows, *others = given[0].shape
    return dim in (0, -given[0].dim()) and rows > 1 and others != [rows]


def asks_network(entry: Entry) -> bool:
    """Whether a call is one of a network, with a gradient or without.

    Example:
        >>> import torch
        >>> asks_network(Entry(torch.neg, (), {}, None, None))
        False
    """
    return entry.is_model or entry.function is as_answered


def is_loss(function: Any) -> bool:
    """Whether a function is one of torch's losses.

    Example:
        >>> import torch
        >>> is_loss(torch.nn.functional.mse_loss)
        True
    """
    return getattr(function, "__name__", "") in LOSSES

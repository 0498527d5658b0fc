"""Rows of training and evaluation, kept apart so that they can be compared with each other."""

from __future__ import annotations

import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.findings import Place
from glial.doctor.evidence import RowsSeen
from glial.doctor.reference import examine_rows
from glial.doctor.watching.loaders import LoaderWatch
from glial.doctor.watching.places import Site
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in

MOST_ROWS = 3000
MOST_COLUMNS = 4096
MOST_VALUES = 6_000_000
MOST_SOURCES = 64

Array = NDArray[Any]


class Store:
    """Rows in the order they came, up to a number of them.

    Args:
        once: Whether batches that were kept already are left out.

    Example:
        >>> store = Store()
        >>> store.add(torch.ones(2, 3), torch.zeros(2))
        >>> store.inputs().shape, store.targets().tolist()
        ((2, 3), [0.0, 0.0])
    """

    def __init__(self, *, once: bool = False) -> None:
        self._marks: set[int] | None = set() if once else None
        self._inputs: list[Array] = []
        self._targets: list[Array] = []
        self.rows = 0
        self.batches: list[int] = []

    def add(self, inputs: Tensor, targets: Tensor | None) -> None:
        """Keep the rows of a batch."""
        width = inputs[0].numel() if len(inputs) else 0
        if not 0 < width <= MOST_COLUMNS or self.rows >= MOST_ROWS:
            return
        if (self.rows + len(inputs)) * width > MOST_VALUES:
            return
        if self._inputs and self._inputs[0].shape[1] != width:
            return
        if targets is None and self._targets:
            return
        kept = inputs.detach().reshape(len(inputs), -1).cpu().float().numpy().copy()
        wanted = None if targets is None else targets.detach().cpu().double().numpy().copy()
        if self._marks is not None:
            mark = hash((kept.tobytes(), None if wanted is None else wanted.tobytes()))
            if mark in self._marks:
                return
            self._marks.add(mark)
        self._inputs.append(kept)
        if wanted is not None:
            self._targets.append(wanted)
        self.rows += len(inputs)
        self.batches.append(len(inputs))

    def inputs(self) -> Array:
        """``[rows, columns]``."""
        return np.concatenate(self._inputs) if self._inputs else np.zeros((0, 0), np.float32)

    def targets(self) -> Array | None:
        """``[rows]`` or ``[rows, outputs]``; None where rows are kept without."""
        return np.concatenate(self._targets) if self._targets else None


class RowStore:
    """Training rows with their targets, evaluation rows, and how well these were answered.

    Example:
        >>> store = RowStore()
        >>> store.add_evaluated(torch.ones(2, 3), Tape(), site=())
        >>> store.examine().evaluated
        2
    """

    def __init__(self, loaders: LoaderWatch | None = None) -> None:
        self._train, self._plain = Store(), Store()
        # Who evaluates in every epoch asks for the same rows again and again.
        self._evaluated, self._answered = Store(once=True), Store(once=True)
        self._amounts = Store(once=True)
        self._sites: list[int] = []
        self._whole: Store | None = None
        self._loaders = loaders
        self._first: weakref.ref[Tape] | None = None
        self._memory: list[tuple[int, int]] = []
        self._shares: list[int] = []
        self._correct: list[tuple[int, float]] = []
        self._errors: list[tuple[float, ...]] = []
        self._ended = False
        self._taught_at: Place | None = None
        self._are_amounts = False

    def add_round(self, tape: Tape, root: Tensor, loss: Any) -> None:
        """Keep the rows that a loss was computed on, where they stand with their targets."""
        if self._train.rows >= MOST_ROWS:
            return
        target = loss.last_target
        if target is None or self._taught_at not in (None, loss.seen.backward_at):
            return  # another loss asks something else of the same rows
        inputs = _asked_about(tape.slice_to(root), target)
        if len(inputs) != 1 or inputs[0].dim() < 2 or len(inputs[0]) != len(target):
            return
        if target.dim() > 2 or not bool(torch.isfinite(inputs[0]).all()) or _are_numbers(target):
            return
        self._taught_at = loss.seen.backward_at
        self._train.add(inputs[0], target)
        if target.is_floating_point():
            self._are_amounts |= bool(((target != 0) & (target.abs() != 1)).any())
        rebuilds = target.dim() > 1 and target.shape[1:] == inputs[0].shape[1:]
        plain = None if rebuilds else _before_draws(tape, inputs[0])
        if plain is not None and self._plain.rows == self._train.rows - len(target):
            self._plain.add(plain, target)
        if self._first is None or self._first() is tape:
            self._first = weakref.ref(tape)  # it also holds how rows were read and split
            return
        x, y = _source(tape, inputs[0]), _source(tape, target)
        if x is not None and len(self._memory) < MOST_SOURCES:
            self._memory.append(_span(x))
        if self._whole is None:
            if (x is None or y is None) and self._loaders is not None and plain is None:
                x, y = self._loaders.tensors() or (None, None)
            if x is None or y is None or max(len(x), len(y)) > MOST_ROWS * 4:
                return
            if len(x) == len(y) and x.dim() >= 2 and y.dim() <= 2:
                self._whole = Store()
                self._whole.add(x, y)

    def add_evaluated(self, inputs: Tensor, tape: Tape, site: Site) -> None:
        """Keep rows that a network was asked about without learning from them."""
        if inputs.dim() < 2:
            return
        before = self._evaluated.rows
        self._evaluated.add(inputs, None)
        if self._evaluated.rows > before:
            self._shares.append(self._shares_memory(_source(tape, inputs)))
            self._sites.append(hash(site))

    def _shares_memory(self, source: Tensor | None) -> int:
        """Whether a tensor lies where training rows come from: 1, or 0; -1 if not known."""
        if source is None or not self._memory:
            return -1
        begin, end = _span(source)
        return int(any(begin < other[1] and other[0] < end for other in self._memory))

    def add_amounts(self, inputs: Tensor, answers: Tensor, targets: Tensor) -> None:
        """Keep rows whose answers, as amounts, were compared with targets."""
        if inputs.dim() < 2 or len(inputs) != len(targets) or targets.dim() > 2:
            return
        self._forget_last()
        wanted, given = targets.detach().double(), answers.detach().double()
        sums = wanted.sum(), wanted.square().sum(), (given - wanted).square().sum()
        self._errors.append((float(wanted.numel()), *map(float, sums)))
        self._amounts.add(inputs, targets)

    def end_evaluation(self) -> None:
        """What is answered from now on belongs to another evaluation."""
        self._ended = True

    def _forget_last(self) -> None:
        if self._ended:
            self._correct, self._errors, self._ended = [], [], False

    def _accuracy(self) -> float:
        """The share of right answers in the last evaluation."""
        count = sum(rows for rows, _ in self._correct)
        return sum(rows * share for rows, share in self._correct) / count if count else math.nan

    def _fit(self) -> float:
        """The share of the variance of targets that was explained in the last evaluation."""
        if not self._errors:
            return math.nan
        count, total, squares, missed = map(sum, zip(*self._errors, strict=True))
        spread = squares - total**2 / count
        return 1 - missed / spread if spread > 1e-12 * squares else math.nan

    def add_answers(self, inputs: Tensor, targets: Tensor, share: float) -> None:
        """Keep rows whose answers were compared with targets, and how many were right."""
        self._forget_last()
        self._correct.append((len(targets), share))
        single = targets.numel() == len(targets)
        if inputs.dim() >= 2 and len(inputs) == len(targets) and single:
            self._answered.add(inputs, targets.reshape(-1))

    def save(self, path: Path) -> None:
        """Keep the rows in a file, to be examined by another process."""
        parts = {name: part for name, part in self._parts().items() if part is not None}
        with path.open("wb") as file:
            np.savez(file, **parts)

    def examine(self) -> RowsSeen:
        """Compare the rows."""
        return examine_rows(**self._parts())

    def _rows_of_loader(self) -> int:
        """How many rows the loaders hold that are trained on; 0 without any."""
        seen = self._loaders.seen() if self._loaders is not None else []
        return max((loader.rows for loader in seen if loader.training), default=0)

    def _parts(self) -> dict[str, Any]:
        whole = self._whole is not None and self._whole.rows > 0
        train = self._whole if self._whole is not None and whole else self._train
        return {
            "train": train.inputs(),
            "targets": train.targets(),
            "evaluated": self._evaluated.inputs(),
            "batches": np.array(self._evaluated.batches, np.int64),
            "whole": np.array(whole),
            "total": np.array(self._rows_of_loader()),
            "answered": self._answered.inputs(),
            "answers": self._answered.targets(),
            "accuracy": np.array(self._accuracy()),
            "are_amounts": np.array(self._are_amounts),
            "shares": np.array(self._shares, np.int64),
            "sites": np.array(self._sites, np.int64),
            "given": self._train.inputs() if self._plain.rows else None,
            "plain": self._plain.inputs() if self._plain.rows else None,
            "labels": self._plain.targets(),
            "measured": self._amounts.inputs(),
            "amounts": self._amounts.targets(),
            "fit": np.array(self._fit()),
        }


def _asked_about(entries: list[Entry], target: Tensor) -> list[Tensor]:
    """The different tensors that a number is computed from and that no network made.

    Args:
        entries: The calls that it depends on.
        target: What is known of them.
    """
    models = [entry for entry in entries if entry.is_model]
    if len(models) > 1:
        models = [one for one in models if any(made.requires_grad for made in one.made())]
    made: set[int] = set()
    for entry in entries:
        if entry.is_model or any(id(value) in made for value in entry.given()):
            made |= {id(value) for value in entry.made()}
    given = [list(tensors_in((entry.args, entry.kwargs))) for entry in models]
    if not models:  # weights that no module holds meet rows in some function
        given = [entry.given() for entry in entries if any(map(_is_weight, entry.given()))]
    found = {id(value): value for values in given for value in values if is_plain(value)}
    return [
        value
        for key, value in found.items()
        if key not in made
        and (models or (value is not target and not value.requires_grad and value.dim() > 1))
    ]


def _is_weight(value: Tensor) -> bool:
    return value.requires_grad and value.is_leaf


def _span(tensor: Tensor) -> tuple[int, int]:
    """Where a tensor's numbers lie."""
    return tensor.data_ptr(), tensor.data_ptr() + tensor.numel() * tensor.element_size()


def _before_draws(tape: Tape, batch: Tensor) -> Tensor | None:
    """The rows of a batch before random numbers changed them; None where none did.

    Which rows they are may be drawn: what counts are draws after they were gathered.
    """
    entries = tape.slice_to(batch)
    for place, entry in enumerate(entries):
        for made in entry.made():
            if made is batch or not is_plain(made) or made.dim() < 2 or not len(batch):
                continue
            if len(made) != len(batch) or made[0].numel() != batch[0].numel():
                continue
            before = {id(one) for one in tape.slice_to(made)}
            after = [one for one in entries[place + 1 :] if id(one) not in before]
            drawn = any(one.draws and not one.is_model for one in after)
            return made if drawn and not any(map(_mixes_rows, after)) else None
    return None


def _source(tape: Tape, batch: Tensor) -> Tensor | None:
    """The tensor of all rows that a batch was taken from, row by row and unchanged."""
    for _ in range(6):
        entry = tape.maker(batch)
        if entry is None:
            return batch
        given = entry.given()
        if entry.name in ("__getitem__", "index_select") and given:
            whole = given[0]
            same = whole.shape[1:] == batch.shape[1:] or whole.shape[1:] == batch.shape
            return whole if same and is_plain(whole) else None
        if entry.name not in ("stack", "to", "float", "contiguous") or not given:
            return None
        batch = given[0]
    return None


def _mixes_rows(entry: Entry) -> bool:
    """Whether a call puts the rows of a table into another order, as mixing pairs of rows needs."""
    given = entry.given()
    if not given or entry.name not in ("__getitem__", "index_select", "flip", "roll"):
        return False
    place = entry.args[1] if len(entry.args) > 1 else None
    by_row = isinstance(place, Tensor) or place in (0, (0,), [0])
    return by_row and isinstance(entry.result, Tensor) and entry.result.shape == given[0].shape


def _are_numbers(target: Tensor) -> bool:
    """Whether targets are the numbers of the batch's rows, as in contrastive losses."""
    whole = not target.is_floating_point() and target.dim() == 1
    return whole and torch.equal(target.sort().values, torch.arange(len(target)).to(target))

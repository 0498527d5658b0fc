"""Two players: what one makes up, and how well the other tells it from what is real."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glial.doctor.evidence import PlayersSeen
from glial.doctor.watching.losses import asks_network
from glial.doctor.watching.networks import Networks
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in
from glial.functional import nearest

KEPT_REAL, KEPT_MADE, ROWS_A_ROUND = 512, 256, 256
MOST_COLUMNS = 1024
MOST_JUDGES = 4
LEAST_ROWS, LEAST_KEPT = 8, 256
AROUND = 32  # real rows that are looked at together where there are no kinds
TOUCHING = 8  # nearest rows that are of a row's kind
LEAST_KINDS, SMALL, LARGE = 3, 0.02, 0.6  # shares of the rows
FAR_FEWER = 0.1
_AS_IT_WAS = {"detach", "requires_grad_", "clone", "contiguous", "view", "reshape", "flatten"}


@dataclass
class _Judge:
    """One judge: what it was shown in this round, and rows of the last rounds."""

    seen: PlayersSeen
    real: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    made: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    is_deceived: bool = False
    is_noted: bool = False
    last_real: list[tuple[int, Tensor]] = field(default_factory=list)
    last_made: list[tuple[int, Tensor]] = field(default_factory=list)


class PlayersWatch:
    """Finds judges: networks that learn from real rows and from rows that another network made.

    Example:
        >>> PlayersWatch().seen()
        []
    """

    def __init__(self) -> None:
        self._judges: dict[str, _Judge] = {}
        self._tape: Tape | None = None
        self._known: set[int] = set()

    def note(self, tape: Tape, calls: list[Entry], networks: Networks, step: int) -> None:
        """Gradients are about to be taken of what some calls of networks answered.

        Args:
            tape: The round so far.
            calls: Calls of networks that a number was computed from.
            networks: All networks.
            step: The coming update.
        """
        if tape is not self._tape:
            self._tape, self._known = tape, set()
            for judge in self._judges.values():
                judge.real, judge.made, judge.is_noted = [], [], False
        for call in calls:
            name = networks.name(call.function)
            if id(call) in self._known or name is None:
                continue
            self._known.add(id(call))
            for rows, answers in _shown(tape, call):
                self._note(tape, (call, name), rows, answers, networks)
        for judge in self._judges.values():
            if judge.real and judge.made and not judge.is_noted:
                judge.is_noted = True
                _measure(judge, step)

    def _note(
        self,
        tape: Tape,
        called: tuple[Entry, str],
        rows: Tensor,
        answers: Tensor,
        networks: Networks,
    ) -> None:
        call, name = called
        before = tape.slice_to(rows)
        asked = [e for e in before if asks_network(e)]
        others = [e for e in asked if e.function is not call.function]
        if not asked:
            judge = self._judges.get(name)
            if judge is None and len(self._judges) < MOST_JUDGES:
                judge = self._judges[name] = _Judge(PlayersSeen("", name))
            if judge is not None:
                judge.real.append((rows, answers))
            return
        judge = self._judges.get(name)
        if judge is None or not others:
            return
        makers = [networks.name(e.function) for e in others if e.is_model]
        judge.seen.maker = next((m for m in reversed(makers) if m), judge.seen.maker)
        if rows.requires_grad and not rows.is_leaf:
            judge.is_deceived = True
        elif not rows.requires_grad or _is_as_made(before):
            judge.made.append((rows, answers))

    def seen(self) -> list[PlayersSeen]:
        """What was seen so far."""
        found = [j for j in self._judges.values() if j.is_deceived and len(j.seen.variety)]
        for judge in found:
            real, made = (
                torch.cat([rows for _, rows in kept]) for kept in (judge.last_real, judge.last_made)
            )
            judge.seen.rows, judge.seen.since = len(made), judge.last_made[0][0]
            judge.seen.missed = missed_share(real, made)
        return [judge.seen for judge in found if judge.seen.maker]


def missed_share(real: Tensor, made: Tensor) -> float:
    """The share of real rows of kinds of which hardly any rows were made.

    Each made row is laid to its nearest real row. Where real rows fall apart into kinds, those
    laid to a kind are counted, and otherwise those laid to a real row or to one of its nearest;
    they are far fewer than its share, or not.

    Args:
        real: ``[rows, columns]``.
        made: ``[rows, columns]``.

    Returns:
        From 0 to 1; NaN of too few rows.

    Source:
        Richardson, Weiss (2018), "On GANs and GMMs", NeurIPS, section 3: bins of real rows that
        hold too few samples.

    Example:
        >>> four_kinds = torch.arange(512).remainder(4)[:, None] + torch.rand(512, 1) / 9
        >>> two_kinds = four_kinds[four_kinds[:, 0] < 2]
        >>> missed_share(four_kinds, four_kinds), missed_share(four_kinds, two_kinds)
        (0.0, 0.5)
    """
    if min(len(real), len(made)) < LEAST_KEPT:
        return float("nan")
    if not bool(real.isfinite().all()) or not bool(made.isfinite().all()):
        return float("nan")
    laid = nearest(made, 1, real, metric="euclidean")[1][:, 0]
    counts = torch.bincount(laid, minlength=len(real)).double()
    around = nearest(real, AROUND - 1, metric="euclidean")[1]
    kinds = _kinds(around[:, :TOUCHING])
    sizes = torch.bincount(kinds).double()
    shares = sizes / len(real)
    if int((shares > SMALL).sum()) >= LEAST_KINDS and float(shares.max()) < LARGE:
        held = torch.zeros_like(sizes).index_add(0, kinds, counts)[kinds]
        expected = sizes[kinds] * len(made) / len(real)
    else:
        held = counts + counts[around].sum(1)
        expected = torch.full_like(held, AROUND * len(made) / len(real))
    return float((held < FAR_FEWER * expected).double().mean())


def _kinds(touching: Tensor) -> Tensor:
    """Numbers of the groups of rows that hang together, by the rows that each one touches."""
    kinds = torch.arange(len(touching))
    while True:
        least = torch.minimum(kinds, kinds[touching].amin(1))
        least = least.scatter_reduce(
            0, touching.flatten(), least.repeat_interleave(touching.shape[1]), "amin"
        )
        if torch.equal(least, kinds):
            break
        kinds = least
    numbers: Tensor = torch.unique(kinds, return_inverse=True)[1]
    return numbers


def _shown(tape: Tape, call: Entry) -> list[tuple[Tensor, Tensor]]:
    """The rows that a network was shown, with its answers; those that were joined, apart."""
    given = next(_numbers((call.args, call.kwargs)), None)
    answer = next(_numbers(call.result), None)
    if given is None or answer is None or not answer.requires_grad or len(given) != len(answer):
        return []
    maker = tape.maker(given)
    if maker is not None and maker.name in ("cat", "concat", "concatenate"):
        parts = list(_numbers(maker.args))
        if sum(len(part) for part in parts) == len(given):
            sizes = [len(part) for part in parts]
            return list(zip(parts, torch.split(answer.detach(), sizes), strict=True))
    return [(given, answer.detach())]


def _is_as_made(before: list[Entry]) -> bool:
    """Whether rows are what a network made, and not, say, on the way from there to real ones."""
    last = max(place for place, entry in enumerate(before) if asks_network(entry))
    return all(entry.name in _AS_IT_WAS for entry in before[last + 1 :])


def _numbers(value: Any) -> Any:
    return (v for v in tensors_in(value) if is_plain(v) and v.is_floating_point() and v.dim())


def _measure(judge: _Judge, step: int) -> None:
    (real, real_answers), (made, made_answers) = _joined(judge.real), _joined(judge.made)
    if min(len(real), len(made)) < LEAST_ROWS or real.shape[1:] != made.shape[1:]:
        return
    if not bool(real.isfinite().all() and made.isfinite().all()):
        return
    area = _area(real_answers, made_answers)
    judge.seen.told_apart.add(step, max(area, 1 - area))
    spread = float(torch.pdist(real).mean())
    judge.seen.variety.add(step, float(torch.pdist(made).mean()) / max(1e-12, spread))
    for kept, rows, most in (
        (judge.last_real, real, KEPT_REAL),
        (judge.last_made, made, KEPT_MADE),
    ):
        kept.append((step, rows))
        while sum(len(part) for _, part in kept) - len(kept[0][1]) >= most:
            kept.pop(0)


def _joined(shown: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Rows of a round as one table, those that look like the first, and one answer to each."""
    alike = [each for each in shown if each[0].shape[1:] == shown[0][0].shape[1:]]
    rows, answers = (torch.cat(part)[:ROWS_A_ROUND] for part in zip(*alike, strict=True))
    flat = rows.detach().flatten(1).float().cpu()
    return flat[:, :: -(-flat.shape[1] // MOST_COLUMNS)], answers.reshape(len(rows), -1).mean(1)


def _area(high: Tensor, low: Tensor) -> float:
    """How often one of some numbers is above one of others; ties count half."""
    gaps = (high[:, None] - low).cpu()
    return float((gaps > 0).double().mean() + (gaps == 0).double().mean() / 2)

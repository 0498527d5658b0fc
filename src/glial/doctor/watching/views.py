"""Two views of rows that one network makes vectors of: whether these still tell rows apart."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from glial.doctor.evidence import EmbeddingSeen
from glial.doctor.watching.networks import Networks
from glial.doctor.watching.statistics import effective_rank, is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in

LEAST_ROWS, LEAST_UNITS = 8, 2
MOST_NETWORKS = 8
# What takes the length of a vector, or its offset, out of account.
_NORMALISING = {"normalize", "cosine_similarity", "norm", "vector_norm", "linalg_vector_norm"}
_NORMALISING |= {"linalg_norm", "batch_norm", "layer_norm", "std", "var", "cosine_embedding_loss"}
_JOINING = {"cat", "concat", "concatenate"}
# What compares vectors with others of the same table.
_COMPARING = {"matmul", "mm", "bmm", "__matmul__", "einsum", "cdist", "cosine_similarity", "sub"}
_COMPARING |= {"__sub__", "mul", "__mul__", "mse_loss", "l1_loss", "pairwise_distance"}
_COMPARING |= {"smooth_l1_loss", "cosine_embedding_loss"}

View = tuple[Tensor, Tensor]  # what was given, and the vectors made of it


class ViewsWatch:
    """Finds networks whose vectors of two views are held against each other.

    Example:
        >>> ViewsWatch().seen()
        []
    """

    def __init__(self) -> None:
        self._seen: dict[str, EmbeddingSeen] = {}

    def note(
        self, tape: Tape, entries: list[Entry], calls: list[Entry], networks: Networks, step: int
    ) -> None:
        """Gradients are about to be taken of a number.

        Args:
            tape: The round so far.
            entries: The calls that the number was computed from.
            calls: Those of them that are calls of networks.
            networks: All networks.
            step: The coming update.
        """
        alike: dict[Any, list[tuple[Entry, View]]] = {}
        for call in calls:
            views = _views(call)
            name = networks.name(call.function)
            if len(views) > 1 or (views and _is_joined(tape, entries, call, views[0][1])):
                after = tape.behind([made for _, made in views], entries)
                self._measure(views, name, after, step)
            elif views:
                alike.setdefault(_kind(call, views[0]), []).append((call, views[0]))
        for found in alike.values():
            (call, one), *others = found
            pair = next((other for _, other in others if other[0] is not one[0]), None)
            if pair is None or not any(view[1].requires_grad for _, view in found):
                continue
            after = tape.behind([one[1]], entries)
            if _meet(after, tape.behind([pair[1]], entries), one[1], pair[1]):
                self._measure([one, pair], networks.name(call.function), after, step)

    def _measure(self, views: list[View], model: str | None, after: list[Entry], step: int) -> None:
        if model is None or (model not in self._seen and len(self._seen) >= MOST_NETWORKS):
            return
        seen = self._seen.setdefault(model, EmbeddingSeen(model))
        if seen.std.steps[-1:] == [step]:
            return
        given, made = (value.detach().flatten(1).float() for value in views[0])
        if not bool(given.isfinite().all() and made.isfinite().all()):
            return
        seen.units, seen.normalised = made.shape[1], _normalises(after)
        square = float(made.square().sum(1).mean())
        between = float(made.var(0, correction=0).sum())
        seen.varied.add(step, between / square if square > 0 else 0.0)
        seen.std.add(step, float(made.std(0, correction=0).mean()))
        for series, rows in ((seen.dimensions, made), (seen.input_dimensions, given)):
            most = min(len(rows[:128]) - 1, rows[:, :256].shape[1])
            series.add(step, most * effective_rank(rows))

    def seen(self) -> list[EmbeddingSeen]:
        """What was seen so far."""
        return list(self._seen.values())


def _views(call: Entry) -> list[View]:
    """What a network was given and made of it: more than one where it takes several views."""
    given = [v for v in tensors_in((call.args, call.kwargs)) if _is_table(v)]
    made = [v for v in tensors_in(call.result) if _is_table(v) and v.dim() == 2]
    if not given or not made or made[0].shape[1] < LEAST_UNITS or len(made[0]) != len(given[0]):
        return []
    pairs = zip(given, made, strict=False)
    first = given[0].shape, made[0].shape
    return [pair for pair in pairs if (pair[0].shape, pair[1].shape) == first]


def _is_table(value: Tensor) -> bool:
    floats = is_plain(value) and value.is_floating_point()
    return floats and value.dim() >= 2 and len(value) >= LEAST_ROWS


def _kind(call: Entry, view: View) -> Any:
    """What networks have in common of which one may be a copy of the other."""
    sizes = tuple(tuple(p.shape) for p in call.function.parameters())
    return type(call.function), sizes, view[0].shape, view[1].shape


def _is_joined(tape: Tape, entries: list[Entry], call: Entry, made: Tensor) -> bool:
    """Whether a network was given views in one table, whose vectors are then compared."""
    given = next(iter(call.given()), None)
    maker = tape.maker(given) if given is not None else None
    parts = [] if maker is None or maker.name not in _JOINING else maker.given()
    if len(parts) < 2 or any(part.shape != parts[0].shape for part in parts):
        return False
    after = tape.behind([made], entries)
    reached = {id(made), *(id(value) for entry in after for value in entry.made())}
    return any(
        entry.name in _COMPARING
        and len([v for v in entry.given() if id(v) in reached and v.numel() > len(made)]) > 1
        for entry in after
    )


def _meet(of_one: list[Entry], of_other: list[Entry], one: Tensor, other: Tensor) -> bool:
    """Whether two tables meet as tables in the calls after each of them.

    Numbers that are made of each row meet in other trainings, too, as a value and its target do.
    """
    firsts, seconds = (
        {id(table), *(id(made) for entry in after for made in entry.made())}
        for table, after in ((one, of_one), (other, of_other))
    )
    for entry in of_one:
        given = {id(v) for v in entry.given() if v.numel() >= len(one) * LEAST_UNITS}
        if not entry.is_model and given & (firsts - seconds) and given & (seconds - firsts):
            return True
    return False


def _normalises(after: list[Entry]) -> bool:
    return any(entry.name in _NORMALISING for entry in after)

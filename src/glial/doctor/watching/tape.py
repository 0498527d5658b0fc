"""One round of training as a list of calls that can be made again.

Networks are opaque: a call of one is one entry. What the user's code does with their inputs and
outputs, the loss above all, is recorded function by function, so that a loss that is written by
hand can be computed again from other outputs, other rows or other weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from torch import Generator, Tensor, default_generator, nn
from torch.distributions import Distribution

from glial.core.findings import Place

MOST_ENTRIES = 5000
_RANDOM = ("rand", "normal", "uniform", "bernoulli", "dropout", "multinomial", "exponential_")


class CannotReplayError(Exception):
    """A recorded round cannot be made again; the message says why.

    Example:
        >>> str(CannotReplayError("too many calls"))
        'too many calls'
    """


@dataclass
class Entry:
    """One call.

    Attributes:
        function: What was called: a network, or one of torch's functions.
        args: As they were given.
        kwargs: Likewise.
        result: What came back.
        place: The user's line, where it is known.
        made_at: Where the module that made the call was made, if a module without weights did.

    Example:
        >>> import torch
        >>> Entry(torch.neg, (torch.ones(1),), {}, -torch.ones(1), None).name
        'neg'
    """

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    place: Place | None
    made_at: Place | None = None

    @cached_property
    def name(self) -> str:
        """The function's name as torch spells it; the class of a network."""
        if isinstance(self.function, nn.Module):
            return type(self.function).__name__
        name = str(getattr(self.function, "__name__", ""))
        if name == "__get__":
            name = str(getattr(getattr(self.function, "__self__", None), "__name__", name))
        return name

    @property
    def is_model(self) -> bool:
        """Whether a network was called."""
        return isinstance(self.function, nn.Module)

    @cached_property
    def writes(self) -> bool:
        """Whether it changes its first argument, or one named ``out``."""
        name = self.name
        return (
            (name.endswith("_") and not name.endswith("__"))
            or (name.startswith("__i") and name not in ("__index__", "__invert__", "__int__"))
            or name == "__setitem__"
            or "out" in self.kwargs
        )

    @property
    def draws(self) -> bool:
        """Whether it may draw random numbers of torch's own generator."""
        return self.is_model or any(part in self.name for part in _RANDOM)

    @cached_property
    def has_generator(self) -> bool:
        """Whether it draws from a generator of the user's, which nobody else may move on."""
        given = (*self.args, *self.kwargs.values())
        return any(isinstance(v, Generator) and v is not default_generator for v in given)

    def given(self) -> list[Tensor]:
        """The tensors among its arguments."""
        return [*tensors_in(self.args), *tensors_in(self.kwargs)]

    def made(self) -> list[Tensor]:
        """The tensors that it gave, or changed."""
        changed = self.given()[:1] if self.writes else []
        return [*changed, *tensors_in(self.result)]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested containers and records.

    Example:
        >>> import torch
        >>> len(list(tensors_in({"a": [torch.ones(1)], "b": (torch.ones(2), 3)})))
        2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, slice):
        yield from tensors_in((value.start, value.stop, value.step))
    elif isinstance(value, Distribution):
        yield from tensors_in(_made_of(value))
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from tensors_in(getattr(value, one.name, None))


def _made_of(distribution: Distribution) -> list[Any]:
    """What a distribution was made of, and not what it computed from that since."""
    if hasattr(distribution, "_param"):
        return [distribution._param]
    held, names = vars(distribution), distribution.arg_constraints
    return [held[name] for name in names if name in held]


def node_of(tensor: Tensor) -> Any:
    """The node of the graph that made a tensor; None of a leaf.

    Of a view that was made without gradients torch refuses to tell, once what it shows was written
    to with them.

    Example:
        >>> import torch
        >>> node_of(torch.ones(1)) is None
        True
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nested containers with every tensor changed.

    Example:
        >>> import torch
        >>> mapped([torch.ones(1), 2], lambda tensor: tensor + 1)
        [tensor([2.]), 2]
    """
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is dict:
        return {name: mapped(part, change) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(mapped(part, change) for part in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(part, change) for part in value))
    if isinstance(value, slice):
        return slice(*(mapped(part, change) for part in (value.start, value.stop, value.step)))
    if any(True for _ in tensors_in(value)):
        raise CannotReplayError(f"tensors in a {type(value).__name__}")
    return value


def as_answered(output: Any) -> Any:
    """What a network in training answered where no gradient was asked for: it stays as it is.

    Example:
        >>> as_answered(3)
        3
    """
    return output


class Tape:
    """The calls of one round.

    Example:
        >>> import torch
        >>> tape = Tape()
        >>> x = torch.ones(2)
        >>> y = x * 3
        >>> tape.add(Entry(torch.mul, (x, 3), {}, y, None))
        >>> tape.replay([y], given={id(x): torch.full((2,), 2.0)})
        [tensor([6., 6.])]
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.is_whole = True
        self._made: dict[int, int] = {}
        self._plans: dict[Any, list[Entry]] = {}

    def add(self, entry: Entry) -> None:
        """Keep one more call, up to a number of them."""
        if len(self.entries) >= MOST_ENTRIES and not self._leave_out():
            self.is_whole = False
            return
        for tensor in entry.made():
            self._made[id(tensor)] = len(self.entries)
        self.entries.append(entry)

    def _leave_out(self) -> bool:
        """Forget how data were made, of which there are many calls; whether that made room."""
        kept = [e for e in self.entries if e.is_model or any(t.requires_grad for t in e.made())]
        if len(kept) > MOST_ENTRIES // 2:
            return False
        self.entries = kept
        self._made = {id(made): i for i, entry in enumerate(kept) for made in entry.made()}
        return True

    def maker(self, tensor: Tensor) -> Entry | None:
        """The last call that made or changed a tensor; None where it came from elsewhere."""
        index = self._made.get(id(tensor))
        return None if index is None else self.entries[index]

    def slice_to(self, tensor: Tensor) -> list[Entry]:
        """The calls that a tensor depends on, in their order."""
        needed, kept = {id(tensor)}, []
        for entry in reversed(self.entries):
            if any(id(made) in needed for made in entry.made()):
                needed |= {id(given) for given in entry.given()}
                kept.append(entry)
        return kept[::-1]

    def behind(self, sources: list[Tensor], entries: list[Entry]) -> list[Entry]:
        """The calls among some that depend on given tensors, in their order."""
        reached, kept = {id(source) for source in sources}, []
        for entry in entries:
            if any(id(given) in reached for given in entry.given()):
                reached |= {id(made) for made in entry.made()}
                kept.append(entry)
        return kept

    def replay(
        self,
        wanted: list[Tensor],
        models: Mapping[int, nn.Module] | None = None,
        given: Mapping[int, Tensor] | None = None,
        entries: list[Entry] | None = None,
    ) -> list[Tensor]:
        """Make the calls again, as far as what is wanted depends on them.

        What somebody else's code holds is never written to: it is copied first.

        Args:
            wanted: Tensors of the recording.
            models: ``id`` of a network to the one that takes its place.
            given: ``id`` of a tensor of the recording to the one that takes its place.
            entries: The calls to make; by default those that what is wanted depends on and that
                give something else with what takes another's place, and those that draw random
                numbers.

        Returns:
            What stands in the place of each wanted tensor.

        Raises:
            CannotReplayError: If the recording is cut short, or holds what cannot be replaced.
        """
        if not self.is_whole:
            raise CannotReplayError("the round has too many calls")
        models = models or {}
        values: dict[int, Tensor] = dict(given or {})
        for model_id, twin in models.items():
            values |= self._weights(model_id, twin)
        if entries is None:
            entries = self._plan(wanted, set(models), values)
        for entry in entries:
            if entry.has_generator:
                continue  # what it drew is kept
            self._call(entry, models, values, set(given or {}))
        return [values.get(id(tensor), tensor) for tensor in wanted]

    def _plan(
        self, wanted: list[Tensor], models: set[int], values: Mapping[int, Tensor]
    ) -> list[Entry]:
        """The calls to make again; data need not be loaded anew."""
        key = (tuple(map(id, wanted)), frozenset(models), frozenset(values), len(self.entries))
        if key not in self._plans:
            needed = {id(entry) for want in wanted for entry in self.slice_to(want)}
            entries = [e for e in self.entries if id(e) in needed or (e.draws and not e.is_model)]
            differ = set(values) | _overwritten(self.entries)
            self._plans[key] = _that_differ(entries, models, differ)
        return self._plans[key]

    def _weights(self, model_id: int, twin: nn.Module) -> dict[int, Tensor]:
        for entry in self.entries:
            if entry.is_model and id(entry.function) == model_id:
                old = [*entry.function.parameters(), *entry.function.buffers()]
                new = [*twin.parameters(), *twin.buffers()]
                return {id(a): b for a, b in zip(old, new, strict=True)}
        return {}

    @staticmethod
    def _call(
        entry: Entry,
        models: Mapping[int, nn.Module],
        values: dict[int, Tensor],
        fixed: set[int],
    ) -> None:
        if entry.writes:
            for tensor in entry.given()[:1]:
                values.setdefault(id(tensor), tensor.detach().clone())

        def current(tensor: Tensor) -> Tensor:
            return values.get(id(tensor), tensor)

        args, kwargs = mapped(entry.args, current), mapped(entry.kwargs, current)
        call = models.get(id(entry.function), entry.function) if entry.is_model else entry.function
        result = call(*args, **kwargs)
        old, new = list(tensors_in(entry.result)), list(tensors_in(result))
        if len(old) != len(new):
            raise CannotReplayError(f"{entry.name} gives another number of tensors")
        for before, after in zip(old, new, strict=True):
            if id(before) not in fixed:
                values[id(before)] = after


def _that_differ(entries: list[Entry], models: set[int], differ: set[int]) -> list[Entry]:
    """The calls that give something else than was recorded, where some tensors are others."""
    kept = []
    for entry in entries:
        twinned = entry.is_model and id(entry.function) in models
        given, made = entry.given(), entry.made()
        if entry.draws or twinned or any(id(tensor) in differ for tensor in (*given, *made)):
            differ |= {id(tensor) for tensor in made}
            kept.append(entry)
    return kept


def _overwritten(entries: list[Entry]) -> set[int]:
    """Tensors that are written to after they were read: they do not hold what was read."""
    read: set[int] = set()
    found: set[int] = set()
    for entry in entries:
        written = {id(tensor) for tensor in entry.given()[:1]} if entry.writes else set()
        found |= written & read
        read |= {id(tensor) for tensor in entry.given()} - written
    return found

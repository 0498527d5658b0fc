"""A network as a function of numbers: tokens and categories are opened into their vectors.

Explanations ask how an output changes with the inputs. Where an input is a code (a token, a
category) the question is put to the vectors that the network looks up for it, wherever in the
network that happens. A `Reading` watches the network's own operations while it runs, so networks of
any make can be read, nothing is hung on them, and nothing has to be taken off again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glial.core.errors import InputError
from glial.nn.recurrence import Recurrent
from glial.nn.summary import evaluating

# Which output is explained: a column, one for each row, or what to make of all outputs, [row]; None
# is the largest output of each row.
Choice = int | Tensor | Callable[[Tensor], Tensor] | None

_CODES = "_glial_codes"
_LOOK_UP = ("embedding", "index_select", "__getitem__", "gather", "take_along_dim", "take")


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode whose weights ask for no gradients; afterwards it is as before.

    Modes, the weights' wish for gradients, their gradients and whatever hangs on the network are
    what they were, also where an exception ended the explanation.

    Example:
        >>> network = nn.Dropout()
        >>> with untouched(network):
        ...     network.training
        False
        >>> network.training
        True
    """
    wishes = [(p, p.requires_grad) for p in network.parameters()]
    recurrent = [m for m in network.modules() if isinstance(m, Recurrent)]
    looked = [(module, module.taken) for module in recurrent]
    with ExitStack() as stack:
        stack.enter_context(evaluating(network))
        try:
            for parameter, _ in wishes:
                parameter.requires_grad_(False)
            for module in recurrent:  # steps as operations that can be watched
                module.taken = []
            yield
        finally:
            for parameter, wish in wishes:
                parameter.requires_grad_(wish)
            for module, taken in looked:
                module.taken = taken


@dataclass
class Source:
    """Vectors that a network looked up for codes.

    Attributes:
        values: The vectors, as they stand in the network.
        ids: The codes.
        looked_up: Whether they were looked up in a table, and not turned into numbers as they are.
    """

    values: Tensor
    ids: Tensor
    looked_up: bool


class Reading(TorchFunctionMode):
    """Watches a network's operations and finds where codes become vectors.

    Args:
        given: Vectors to take in place of those that are looked up, in their order.

    Attributes:
        sources: The vectors that were looked up or given.

    Example:
        >>> reading, layer, tokens = Reading(), nn.Embedding(5, 3), torch.tensor([[1, 2]])
        >>> with torch.no_grad(), reading:
        ...     _ = layer(as_codes(tokens))
        >>> reading.sources[0].values.shape
        torch.Size([1, 2, 3])
    """

    def __init__(self, given: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.given = given
        self.sources: list[Source] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation of the network."""
        kwargs = kwargs or {}
        coded = _coded(args, kwargs)
        if coded is None:
            return self.operation(func.__name__, func, args, kwargs)
        if func.__name__ == "embedding_bag":
            with self:
                return _bag(*args, **kwargs)
        return self._read(func(*args, **kwargs), coded, func.__name__)

    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        """An operation that no code goes into; who derives from this class may change it."""
        return func(*args, **kwargs)

    def _read(self, found: Any, coded: Tensor, name: str) -> Any:
        if not isinstance(found, Tensor):
            if isinstance(found, (tuple, list)):
                for part in found:
                    self._read(part, coded, name)
            return found
        if found.dtype == torch.bool:
            return found
        if not found.is_floating_point():
            if not name.endswith("_like"):
                setattr(found, _CODES, True)
            return found
        if found.requires_grad:
            return found
        place = len(self.sources)
        values = found.detach() if self.given is None else self.given[place]
        values = values if values.requires_grad else values.clone().requires_grad_()
        self.sources.append(Source(values, coded, name in _LOOK_UP))
        return values


def as_codes(tensor: Tensor) -> Tensor:
    """The same numbers, known to a `Reading` as codes that are looked up.

    Example:
        >>> as_codes(torch.tensor([3])).tolist()
        [3]
    """
    marked = tensor.detach()
    setattr(marked, _CODES, True)
    return marked


def _coded(args: Any, kwargs: Any) -> Tensor | None:
    """The first tensor of codes among the arguments of an operation."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            if hasattr(value, _CODES):
                return value
        elif isinstance(value, (tuple, list)):
            for part in value:
                if isinstance(part, Tensor) and hasattr(part, _CODES):
                    return part
    return None


def _bag(
    tokens: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """A bag of vectors with each vector in sight."""
    if offsets is not None or mode == "max":
        raise InputError(
            "a bag of tokens of this kind cannot be opened",
            expected="tokens as [row, position], summed or averaged",
            got="offsets" if offsets is not None else f"mode={mode}",
        )
    vectors = torch.nn.functional.embedding(tokens, weight)
    counts = torch.ones(tokens.shape, dtype=weight.dtype, device=weight.device)
    if padding_idx is not None:
        counts = counts.masked_fill(tokens == padding_idx, 0.0)
    shares = counts if per_sample_weights is None else counts * per_sample_weights
    sums = (vectors * shares[:, :, None]).sum(dim=1)
    return sums / counts.sum(dim=1, keepdim=True).clamp_min(1) if mode == "mean" else sums


@dataclass
class Opened:
    """A network with inputs, as a function of the numbers among them and of its vectors of codes.

    Args:
        network: The network; use it within :func:`untouched`.
        inputs: What it is called with. A network may say with ``fixed_inputs`` which of them are
            never explained by, such as masks.
        codes: Which inputs are codes; None takes those of whole numbers with two axes or more.

    Attributes:
        numbers: Places of the inputs that are numbers.
        codes: Places of those that are codes.
    """

    network: nn.Module
    inputs: tuple[Tensor, ...]
    codes: tuple[int, ...] | None = None
    numbers: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        places = range(len(self.inputs))
        fixed = getattr(self.network, "fixed_inputs", ())
        floats = [i for i in places if self.inputs[i].is_floating_point()]
        self.numbers = tuple(i for i in floats if i not in fixed)
        if self.codes is None:
            rest = [i for i in places if i not in floats and i not in fixed]
            whole = [i for i in rest if self.inputs[i].ndim > 1]
            self.codes = tuple(i for i in whole if self.inputs[i].dtype != torch.bool)
        if not self.numbers and not self.codes:
            raise InputError(
                "there is nothing to explain by",
                expected="inputs of numbers, or of codes with two axes or more",
                got=", ".join(str(x.dtype) for x in self.inputs) or "no inputs",
            )

    def entries(self) -> list[Tensor]:
        """The numbers, then the vectors of codes: what can be changed without a step."""
        given = [self.inputs[i].detach() for i in self.numbers]
        if not self.codes:
            return given
        reading = Reading()
        with torch.no_grad():
            self.run(reading, given)
        return given + [source.values.detach() for source in reading.sources]

    def run(self, reading: Reading, entries: Sequence[Tensor]) -> Tensor:
        """The network's outputs for these entries, its operations watched.

        Args:
            reading: Who watches; it is told the vectors of codes among the entries, if there are.
            entries: As `entries` gives them; vectors of codes may be left out.
        """
        count = len(self.numbers)
        if len(entries) > count:
            reading.given = list(entries[count:])
        arguments = list(self.inputs)
        for place, value in zip(self.numbers, entries[:count], strict=True):
            arguments[place] = value
        for place in self.codes or ():
            arguments[place] = as_codes(self.inputs[place])
        if type(reading) is Reading and not self.codes:  # nothing to watch
            return self._outputs(arguments)
        with reading:
            return self._outputs(arguments)

    def _outputs(self, arguments: Sequence[Tensor]) -> Tensor:
        outputs: Tensor = self.network(*arguments)
        return outputs


def chosen(outputs: Tensor, choice: Choice) -> Tensor:
    """The output of each row that is explained, [row]; several members are averaged.

    Args:
        outputs: [row, output], or [row, member, output], or [row].
        choice: Which one.

    Raises:
        InputError: If there is no such output.

    Example:
        >>> chosen(torch.tensor([[1.0, 3.0], [5.0, 2.0]]), None)
        tensor([3., 5.])
    """
    if callable(choice):
        return choice(outputs)
    if outputs.ndim == 1:
        return outputs
    if outputs.ndim > 2:
        outputs = outputs.flatten(1, -2).mean(dim=1)
    columns = chosen_columns(outputs, choice)
    return outputs.gather(1, columns[:, None])[:, 0]


def chosen_columns(outputs: Tensor, choice: int | Tensor | None) -> Tensor:
    """The column of each row, [row]; see :func:`chosen`.

    Example:
        >>> chosen_columns(torch.zeros(2, 3), 1)
        tensor([1, 1])
    """
    if choice is None:
        return outputs.argmax(dim=1)
    columns = torch.as_tensor(choice, device=outputs.device).expand(len(outputs))
    if len(outputs) and not 0 <= int(columns.min()) <= int(columns.max()) < outputs.shape[1]:
        raise InputError(
            "there is no such output to explain",
            expected=f"0 to {outputs.shape[1] - 1}",
            got=str(choice if isinstance(choice, int) else columns.tolist()),
        )
    return columns

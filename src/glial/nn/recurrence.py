"""What recurrent layers share: directions, layers, lengths, dropout, and what is carried on."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, overload

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glial.functional import dropout, last_within, reversed_within

Sequences = Float[Tensor, "row time feature"]
States = Float[Tensor, "row time unit"]
Lengths = Int[Tensor, " row"]
# [layer * direction, row, unit]: of an LSTM the states and the cells.
Carried = Tensor | tuple[Tensor, ...]


class Recurrent(nn.RNNBase):
    """What all recurrent layers share; use `RNN`, `LSTM` or `GRU`.

    Args:
        num_inputs: Features at each time.
        num_units: Units of each direction.
        num_layers: Layers, each reading the states of the one below.
        bidirectional: Whether a second row of units reads from the end; the states at a time then
            hang on what comes later too.
        input_dropout: Share of each layer's inputs dropped in training, the same at all times.
        hidden_dropout: Share of the states dropped in training on their way to the next step's
            gates, the same at all times.
        layer_norm: Whether the sums that inputs and states bring to the gates are normalised.

    Attributes:
        gates: How many weight matrices of a kind lie one below the other.
        taken: Where what each step computes is put, a list a layer and direction, while somebody
            looks (`glial.nn.gradients_over_time`); None where nobody does.

    Source:
        Gal and Ghahramani (2016), arXiv 1512.05287 (dropout that is the same at all times); Ba,
        Kiros, Hinton (2016), arXiv 1607.06450, equations 20 to 22 (layer normalisation); Schuster
        and Paliwal (1997), doi:10.1109/78.650093 (both directions).

    Example:
        >>> from glial.nn import LSTM
        >>> isinstance(LSTM(3, 4), Recurrent), LSTM(3, 4, num_layers=2).suffixes
        (True, ['l0', 'l1'])
    """

    gates: ClassVar[int] = 1

    def __init__(
        self,
        num_inputs: int,
        num_units: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        layer_norm: bool = False,
        **kind: Any,
    ) -> None:
        super().__init__(
            input_size=num_inputs,
            hidden_size=num_units,
            num_layers=num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            **kind,
        )
        self.input_dropout = input_dropout
        self.hidden_dropout = hidden_dropout
        self.norms = nn.ModuleDict()
        self.taken: list[list[dict[str, Tensor]]] | None = None
        if layer_norm:
            for suffix in self.suffixes:
                for end in ("ih", "hh"):
                    norm = nn.LayerNorm(self.gates * num_units, bias=False)
                    self.norms[f"{end}_{suffix}"] = norm
        self.draw_weights()

    @property
    def suffixes(self) -> list[str]:
        """What the names of each layer's and direction's parameters end in."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [f"l{layer}{way}" for layer in range(self.num_layers) for way in directions]

    def weights_of(self, suffix: str = "l0") -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights of the inputs and of the states, and a bias of each, of one layer and direction.

        Args:
            suffix: One of `suffixes`.
        """
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        first, second, third, fourth = (getattr(self, f"{name}_{suffix}") for name in names)
        return first, second, third, fourth

    @torch.no_grad()
    def draw_weights(self) -> None:
        """Draw all weights anew: each gate's of the states orthogonal, of the inputs Xavier's.

        Source:
            Saxe, McClelland, Ganguli (2014), arXiv 1312.6120 (orthogonal); Glorot and Bengio
            (2010), "Understanding the difficulty of training deep feedforward neural networks".
        """
        for suffix in self.suffixes:
            of_inputs, of_states, *biases = self.weights_of(suffix)
            for gate in of_inputs.chunk(self.gates):
                nn.init.xavier_uniform_(gate)
            for gate in of_states.chunk(self.gates):
                nn.init.orthogonal_(gate)
            for bias in biases:
                bias.zero_()

    def forward(
        self, inputs: Sequences, lengths: Lengths | None = None, state: Carried | None = None
    ) -> tuple[States, Carried]:
        """The states of the last layer, and what to go on from.

        Args:
            inputs: A vector at each time.
            lengths: Times of each row that are no padding; None counts all.
            state: What an earlier call returned, to go on from there; None starts from zeros.

        Returns:
            The states at each time, of both directions side by side, without meaning behind a row's
            length; and each layer's and direction's last state, [layer * direction, row, unit], of
            an LSTM with its cell.
        """
        starts = self._starts(state, inputs)
        ends: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            inputs = _dropped_alike(inputs, self.input_dropout, self.training)
            found = []
            for way in ("", "_reverse")[: 1 + self.bidirectional]:
                read = _turned(inputs, lengths) if way else inputs
                start, suffix = starts[len(ends)], f"l{layer}{way}"
                if self._stepwise:
                    states, end = self._by_steps(read, start, suffix, lengths)
                else:
                    states, end = self._at_once(read, start, suffix, lengths)
                found.append(_turned(states, lengths) if way else states)
                ends.append(end)
            inputs = torch.cat(found, dim=2) if self.bidirectional else found[0]
        last = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
        return inputs, last if len(last) > 1 else last[0]

    def trace(
        self, inputs: Sequences, lengths: Lengths | None = None, state: Carried | None = None
    ) -> list[dict[str, States]]:
        """Everything that a step computes, at each time, of each layer and direction.

        Args:
            inputs: A vector at each time.
            lengths: Times of each row that are no padding; None counts all.
            state: What to go on from; None starts from zeros.

        Returns:
            For each of `suffixes` the gates, the candidate, the cell and the state ("hidden") by
            name, in the order of the inputs' times.
        """
        starts = self._starts(state, inputs)
        found: list[dict[str, Tensor]] = []
        for layer in range(self.num_layers):
            parts = []
            for way in ("", "_reverse")[: 1 + self.bidirectional]:
                read = _turned(inputs, lengths) if way else inputs
                steps = self._steps(read, starts[len(found)], f"l{layer}{way}")
                told = {n: torch.stack([step[n] for step in steps], dim=1) for n in steps[0]}
                found.append({n: _turned(v, lengths) if way else v for n, v in told.items()})
                parts.append(found[-1]["hidden"])
            inputs = torch.cat(parts, dim=2)
        return found

    def step(
        self, inputs: Tensor, state: tuple[Tensor, ...], suffix: str, seen: Tensor
    ) -> dict[str, Tensor]:
        """One step of one layer and direction, everything by name.

        Args:
            inputs: A vector a row.
            state: The state before, of an LSTM with its cell.
            suffix: One of `suffixes`.
            seen: What of the state goes into the gates.
        """
        raise NotImplementedError

    def _at_once(
        self, inputs: Tensor, start: tuple[Tensor, ...], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The states of all times, and the last state, by a kernel."""
        raise NotImplementedError

    @property
    def _stepwise(self) -> bool:
        """Whether no kernel knows this variant, or somebody looks at its steps."""
        looked = self.taken is not None
        return looked or bool(self.norms) or (self.training and self.hidden_dropout > 0)

    def _starts(self, state: Carried | None, inputs: Tensor) -> list[tuple[Tensor, ...]]:
        parts = (state,) if isinstance(state, Tensor) else state
        if parts is None:
            zeros = inputs.new_zeros(inputs.shape[0], self.hidden_size)
            return [(zeros, zeros) if self.mode == "LSTM" else (zeros,)] * len(self.suffixes)
        return list(zip(*(part.unbind() for part in parts), strict=True))

    def _steps(
        self, inputs: Tensor, state: tuple[Tensor, ...], suffix: str
    ) -> list[dict[str, Tensor]]:
        rate = self.hidden_dropout
        mask = dropout(torch.ones_like(state[0]), rate, training=self.training) if rate else None
        found = []
        for now in inputs.unbind(dim=1):
            seen = state[0] if mask is None else state[0] * mask
            found.append(self.step(now, state, suffix, seen))
            state = tuple(found[-1][name] for name in ("hidden", "cell")[: len(state)])
        if self.taken is not None:
            self.taken.append(found)
        return found

    def _by_steps(
        self, inputs: Tensor, start: tuple[Tensor, ...], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        steps = self._steps(inputs, start, suffix)
        names = ("hidden", "cell")[: len(start)]
        parts = [torch.stack([step[name] for step in steps], dim=1) for name in names]
        ends = (last_within(p, lengths, s) for p, s in zip(parts, start, strict=True))
        return parts[0], tuple(ends)

    def _sums(self, end: Literal["ih", "hh"], suffix: str, values: Tensor) -> Tensor:
        """What the inputs ("ih") or the states ("hh") bring to the gates."""
        sums = functional.linear(values, getattr(self, f"weight_{end}_{suffix}"))
        if self.norms:
            sums = self.norms[f"{end}_{suffix}"](sums)
        bias: Tensor = getattr(self, f"bias_{end}_{suffix}")
        return sums + bias


@overload
def detached(state: Tensor) -> Tensor: ...
@overload
def detached(state: tuple[Tensor, ...]) -> tuple[Tensor, ...]: ...
def detached(state: Carried) -> Carried:
    """What is carried on, without the way back: gradients end here (truncated backpropagation).

    Args:
        state: What a recurrent layer returned.

    Source:
        Williams and Peng (1990), doi:10.1162/neco.1990.2.4.490.

    Example:
        >>> detached(torch.ones(1, requires_grad=True)).requires_grad
        False
    """
    return state.detach() if isinstance(state, Tensor) else tuple(p.detach() for p in state)


@overload
def reset(state: Tensor, rows: Bool[Tensor, " row"]) -> Tensor: ...
@overload
def reset(state: tuple[Tensor, ...], rows: Bool[Tensor, " row"]) -> tuple[Tensor, ...]: ...
def reset(state: Carried, rows: Bool[Tensor, " row"]) -> Carried:
    """What is carried on, with zeros for rows in which another sequence begins.

    Args:
        state: What a recurrent layer returned, [layer * direction, row, unit].
        rows: True where a row starts anew.

    Example:
        >>> reset(torch.ones(1, 2, 1), torch.tensor([True, False])).flatten()
        tensor([0., 1.])
    """
    begins = rows[None, :, None]
    if isinstance(state, Tensor):
        return state.masked_fill(begins, 0.0)
    return tuple(part.masked_fill(begins, 0.0) for part in state)


def _turned(values: Tensor, lengths: Tensor | None) -> Tensor:
    return values.flip(1) if lengths is None else reversed_within(values, lengths)


def _dropped_alike(values: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout by one mask for all times."""
    if not (training and rate):
        return values
    return values * dropout(torch.ones_like(values[:, :1]), rate)

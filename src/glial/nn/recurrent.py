"""Recurrent layers: plain, LSTM and GRU; stacked, in both directions, with dropout and norms.

Parameters have torch's names and shapes, so either reads the other's weights. Each layer has two
ways to the same numbers: whole sequences at once, and step by step with everything in between by
name (`Recurrent.trace`), which is also how the variants that no kernel knows are run.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glial.functional import gru, lstm, rnn
from glial.nn.recurrence import Lengths, Recurrent, Sequences, States


class RNN(Recurrent, nn.RNN):  # type: ignore[misc]
    """A plain recurrent layer: the state is squashed sums of the inputs and the state before.

    Args:
        num_inputs: Features at each time.
        num_units: Units of each direction.
        activation: ``tanh``, or ``relu``, whose states may grow without bound.
        shared: As for `Recurrent`.

    Source:
        Elman (1990), "Finding structure in time", doi:10.1207/s15516709cog1402_1; with rectified
        units and the identity for weights, see Le, Jaitly, Hinton (2015), arXiv 1504.00941.

    Example:
        >>> layer = RNN(3, 4, num_layers=2)
        >>> states, state = layer(torch.zeros(2, 5, 3))
        >>> states.shape, state.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        num_inputs: int,
        num_units: int,
        *,
        activation: Literal["tanh", "relu"] = "tanh",
        **shared: Any,
    ) -> None:
        super().__init__(num_inputs, num_units, nonlinearity=activation, **shared)

    def step(
        self, inputs: Tensor, state: tuple[Tensor, ...], suffix: str, seen: Tensor
    ) -> dict[str, Tensor]:
        """H' = tanh(W x + b + U h + c).

        Args:
            inputs: A vector a row.
            state: The state before.
            suffix: One of `suffixes`.
            seen: What of the state goes into the sum.
        """
        sums = self._sums("ih", suffix, inputs) + self._sums("hh", suffix, seen)
        return {"hidden": torch.tanh(sums) if self.nonlinearity == "tanh" else torch.relu(sums)}

    def _at_once(
        self, inputs: Tensor, start: tuple[Tensor, ...], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        activation: Any = self.nonlinearity
        weights = self.weights_of(suffix)
        states, last = rnn(inputs, start[0], weights, lengths, activation=activation)
        return states, (last,)


class GRU(Recurrent, nn.GRU):  # type: ignore[misc]
    """Gated recurrent units: the state is kept or replaced by what the update gate says.

    Args:
        num_inputs: Features at each time.
        num_units: Units of each direction.
        shared: As for `Recurrent`.

    Source:
        Cho et al. (2014), arXiv 1406.1078, with the reset gate behind the product with the state,
        as in torch and cuDNN.

    Example:
        >>> layer = GRU(3, 4, bidirectional=True)
        >>> layer(torch.zeros(2, 5, 3), torch.tensor([5, 2]))[0].shape
        torch.Size([2, 5, 8])
        >>> sorted(layer.trace(torch.zeros(2, 5, 3))[0])
        ['candidate', 'hidden', 'reset', 'update']
    """

    gates: ClassVar[int] = 3

    def step(
        self, inputs: Tensor, state: tuple[Tensor, ...], suffix: str, seen: Tensor
    ) -> dict[str, Tensor]:
        """H' = (1 - z) n + z h, where n is the candidate and z the update gate.

        Args:
            inputs: A vector a row.
            state: The state before.
            suffix: One of `suffixes`.
            seen: What of the state goes into the gates.
        """
        of_inputs = self._sums("ih", suffix, inputs).chunk(3, dim=1)
        of_states = self._sums("hh", suffix, seen).chunk(3, dim=1)
        reset = torch.sigmoid(of_inputs[0] + of_states[0])
        update = torch.sigmoid(of_inputs[1] + of_states[1])
        candidate = torch.tanh(of_inputs[2] + reset * of_states[2])
        hidden = (1 - update) * candidate + update * state[0]
        return {"reset": reset, "update": update, "candidate": candidate, "hidden": hidden}

    def _at_once(
        self, inputs: Tensor, start: tuple[Tensor, ...], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        states, last = gru(inputs, start[0], self.weights_of(suffix), lengths)
        return states, (last,)


class BidirectionalGRU(GRU):
    """A GRU of one layer in both directions that gives its states alone.

    Args:
        num_inputs: Features at each time.
        num_units: Units of each direction.

    Example:
        >>> layer = BidirectionalGRU(3, 4)
        >>> layer(torch.zeros(2, 5, 3), torch.tensor([5, 2])).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, num_inputs: int, num_units: int) -> None:
        super().__init__(num_inputs, num_units, bidirectional=True)

    def forward(  # type: ignore[override]
        self, inputs: Sequences, lengths: Lengths | None = None
    ) -> States:
        """The states of both directions at each time; without meaning behind a row's length.

        Args:
            inputs: A vector at each time.
            lengths: Times of each row that are no padding; None counts all.
        """
        return super().forward(inputs, lengths)[0]


class LSTM(Recurrent, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory: a cell that is added to, and three gates.

    Args:
        num_inputs: Features at each time.
        num_units: Units of each direction.
        forget_bias: Where the forget gate's bias begins; at 1 cells are kept at first.
        peephole: Whether the gates see the cell too.
        shared: As for `Recurrent`.

    Source:
        Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber,
        Cummins (2000), doi:10.1162/089976600300015015 (the forget gate); Gers, Schraudolph,
        Schmidhuber (2002), "Learning precise timing with LSTM recurrent networks", JMLR 3
        (peepholes); Jozefowicz, Zaremba, Sutskever (2015), "An empirical exploration of recurrent
        network architectures" (a forget bias of 1).

    Example:
        >>> layer = LSTM(3, 4, peephole=True)
        >>> states, (state, cell) = layer(torch.zeros(2, 5, 3))
        >>> cell.shape, sorted(layer.trace(torch.zeros(2, 5, 3))[0])
        (torch.Size([1, 2, 4]), ['candidate', 'cell', 'forget', 'hidden', 'input', 'output'])
    """

    gates: ClassVar[int] = 4

    def __init__(
        self,
        num_inputs: int,
        num_units: int,
        *,
        forget_bias: float = 1.0,
        peephole: bool = False,
        **shared: Any,
    ) -> None:
        self.forget_bias = forget_bias
        super().__init__(num_inputs, num_units, **shared)
        self.peepholes = nn.ParameterDict()
        if peephole:
            for suffix in self.suffixes:
                self.peepholes[suffix] = nn.Parameter(torch.zeros(3, num_units))
        if self.norms:
            for suffix in self.suffixes:
                self.norms[f"cell_{suffix}"] = nn.LayerNorm(num_units)

    @torch.no_grad()
    def draw_weights(self) -> None:
        """As for `Recurrent`, and the forget gates' biases at ``forget_bias``."""
        super().draw_weights()
        for suffix in self.suffixes:
            _, _, bias, _ = self.weights_of(suffix)
            bias.chunk(4)[1].fill_(self.forget_bias)

    def step(
        self, inputs: Tensor, state: tuple[Tensor, ...], suffix: str, seen: Tensor
    ) -> dict[str, Tensor]:
        """C' = f c + i g and h' = o tanh(c'), where i, f, o are the gates and g the candidate.

        Args:
            inputs: A vector a row.
            state: The state and the cell before.
            suffix: One of `suffixes`.
            seen: What of the state goes into the gates.
        """
        cell = state[1]
        sums = self._sums("ih", suffix, inputs) + self._sums("hh", suffix, seen)
        entering, forgetting, candidate, leaving = sums.chunk(4, dim=1)
        hole = self.peepholes[suffix] if self.peepholes else None
        if hole is not None:
            entering, forgetting = entering + hole[0] * cell, forgetting + hole[1] * cell
        entering, forgetting = torch.sigmoid(entering), torch.sigmoid(forgetting)
        candidate = torch.tanh(candidate)
        cell = forgetting * cell + entering * candidate
        leaving = torch.sigmoid(leaving if hole is None else leaving + hole[2] * cell)
        shown = self.norms[f"cell_{suffix}"](cell) if self.norms else cell
        return {
            "input": entering,
            "forget": forgetting,
            "candidate": candidate,
            "output": leaving,
            "cell": cell,
            "hidden": leaving * torch.tanh(shown),
        }

    @property
    def _stepwise(self) -> bool:
        return bool(self.peepholes) or super()._stepwise

    def _at_once(
        self, inputs: Tensor, start: tuple[Tensor, ...], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return lstm(inputs, (start[0], start[1]), self.weights_of(suffix), lengths)
